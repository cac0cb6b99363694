"""The designs of the manuscript on optimal design matrices for fMRI (IEEE Transactions on Medical Imaging, 2010)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array
from formula_neuro_design.constraints import Constraints, first_columns
from formula_neuro_design.family import Family
from formula_neuro_design.measures import Measures, gauss_markov, measures, phi_by_squared_bias
from formula_neuro_design.shapes import half_cosine
from formula_neuro_design.solver import Solution

SCANS = np.arange(598)
RAMP = np.clip((SCANS - 116) / 168, 0, 1)
DRIFT = SCANS / 598 - np.mean(SCANS / 598)


@dataclass(frozen=True)
class Setup:
    """A family, its Gauss-Markov variances, the columns X_i cX' for the paper's start, and the fixed columns."""

    family: Family
    g: Array
    signal: Array
    B: Array
    free: bool = False

    def constraints(self, p: int) -> Constraints:
        return first_columns(self.B, p, None if self.free else np.eye(p)[0])

    def measures(self, found: Solution) -> Measures:
        return measures(found.Z, found.c, self.family, self.g)


def design(shift: int) -> Array:
    """(n, 2): the raw ramp later by so many scans, zeros entering, then without its mean; and the drift."""
    late = np.concatenate([np.zeros(shift), RAMP[: len(RAMP) - shift]])
    return np.column_stack([late - late.mean(), DRIFT])


def setup(
    designs: list[tuple[Array, list[float]]],
    phi: float | Callable[[Array, Array], Array],
    fix: Array,
    free: bool = False,
) -> Setup:
    """Of designs X with their amplitudes b/s; the contrast is the first column's."""
    X, b = np.stack([x for x, _ in designs]), np.array([b for _, b in designs], dtype=float)
    g, l = gauss_markov(X, np.eye(X.shape[2])[0]), b[:, 0]
    weights = phi(l, g) if callable(phi) else np.full(len(l), phi)
    family = Family(np.einsum("mnk,mk->nm", X, b), l, weights, np.ones(len(l)))
    return Setup(family, g, X[:, :, 0].T, fix, free)


def shifted(count: int, amplitudes: list[list[float]]) -> list[tuple[Array, list[float]]]:
    return [(design(i), b) for b in amplitudes for i in range(count)]


SIGNS = [[1, 0.5], [-1, 0.5], [1, -0.5], [-1, -0.5]]
NOTHING = np.zeros((598, 0))


def validation(free: bool = False, phi: float | Callable[[Array, Array], Array] = 0.5) -> Setup:
    return setup(shifted(50, [[1, 0.5]]), phi, design(0), free)


def example_4() -> Setup:
    return setup([*shifted(50, SIGNS), (design(0), [0, 1]), (design(0), [0, -1])], 0.01, NOTHING)


def example_5(n: int = 180, block: int = 15) -> Setup:
    """Alternating blocks of 0 and 1. The paper states neither n nor the length of a block: these are chosen here."""
    blocks = (np.arange(n) // block % 2).astype(float)
    late = [np.concatenate([np.zeros(i), blocks[: n - i]])[:, None] for i in range(1, 7)]
    return setup([(x, [sign]) for sign in (1, -1) for x in late], 0.01, blocks[:, None])


def example_6(seed: int) -> Setup:
    """200 half-cosine responses, and the same 200 with amplitude 0, on a grid of .1 s over 28 s (length not stated)."""
    t = np.arange(0, 28, 0.1)
    rng = np.random.default_rng(seed)
    drawn = rng.uniform([1, 3, 3, 3, 0], [3, 7, 7, 9, 0.5], (200, 5))
    shapes = [half_cosine(t, *row)[:, None] for row in drawn]
    return setup([(h, [b]) for b in (1.0, 0.0) for h in shapes], 0.5, np.zeros((len(t), 0)))


def case_study(k: float = 1000.0) -> Setup:
    """723 designs: 180 shifts (from 0) in four pairs of signs, the drift alone in two, and nothing."""
    null = [(design(0), [0.0, b]) for b in (1.0, -1.0, 0.0)]
    return setup([*shifted(180, SIGNS), *null], lambda l, g: phi_by_squared_bias(l, g, k), design(0))


def responses(n: int, m: int, seed: int = 1) -> Setup:
    """m half-cosine responses of amplitude 1 on n points of 30 s."""
    t = np.linspace(0, 30, n)
    drawn = np.random.default_rng(seed).uniform([1, 3, 3, 3, 0], [3, 7, 7, 9, 0.5], (m, 5))
    h = np.column_stack([half_cosine(t, *row) for row in drawn])
    g = 1 / (h**2).sum(axis=0)
    return Setup(Family(h, np.ones(m), np.full(m, 0.5), np.ones(m)), g, h, np.zeros((n, 0)))
