"""Weights of designs under which the largest bias over the family is as small as it gets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from formula_neuro.family import Array

from .constraints import Constraints
from .family import Family
from .measures import measures
from .objective import estimator
from .reduced import coordinates
from .solver import Solution, solve

ROUNDS = 100
STILL = 1e-4  # of the largest bias: less gained in ten rounds is not worth ten more


@dataclass(frozen=True, eq=False)
class Minimax:
    """The family with its new weights, the solution under them, and the largest |C_b| of each round."""

    family: Family
    solution: Solution
    max_bias: Array

    @property
    def rounds(self) -> int:
        return len(self.max_bias)


def minimax(family: Family, constraints: Constraints, rounds: int = ROUNDS) -> Minimax:
    """The best of repeated solutions, each design weighted anew by its bias in the last one (Lawson's algorithm).

    Weights of designs with a contrast are multiplied by |C_b| and keep their sum; null designs keep theirs. Ends when
    ten rounds lower the largest |C_b| by less than 1e-4 of it. The first round has the family's own weights, so the
    answer is never worse than theirs.
    """
    space = coordinates(family, constraints.B)
    some = (np.atleast_2d(family.by_design(family.l**2)) > 0).any(axis=0)
    total = family.w[some].sum()
    near: Array | None = None
    seen: list[float] = []
    best: tuple[Family, Solution] | None = None
    while len(seen) < rounds:
        found = solve(family, constraints, space=space, near=near)
        bias = _bias(found, family)
        seen.append(float(bias.max()))
        if best is None or seen[-1] <= min(seen[:-1]):
            best = family, found
        if seen[-1] == 0 or (len(seen) > 10 and min(seen[-10:]) > (1 - STILL) * min(seen[:-10])):
            break
        near = estimator(found.Z, found.c)
        w = np.where(some, family.w * bias, family.w)
        family = replace(family, w=np.where(some, w * (total / w[some].sum()), w))
    assert best is not None  # rounds is 1 or more
    return Minimax(*best, np.array(seen))


def _bias(found: Solution, family: Family) -> Array:
    """The largest |C_b| of each design over contrasts (m,), 0 where it has none."""
    told = measures(found.Z, found.c, family, np.ones(len(family.w))).bias
    return np.asarray(
        np.abs(np.where(family.by_design(family.l**2) > 0, told, 0.0)).reshape(-1, len(family.w)).max(axis=0)
    )
