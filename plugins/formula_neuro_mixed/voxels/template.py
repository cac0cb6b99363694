"""A linear mixed model with one random term of a few effects in every voxel: the bootstrap's batch over voxels.

Voxels of which the batch is not sure are fitted one by one, as tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.design import RandomTerm
from formula_neuro.family import Array
from formula_neuro.maps.request import MapRequest

from ..batch import lmm as batch_lmm
from ..batch.boundary import settle_many, singular
from ..batch.newton import Which, minimise_many
from ..batch.profiled import Products, Profiled, Slopes
from ..batch.profiled import Solved as SolvedByLevels
from .answer import Answer, Solved, answer, information_inverse, joined
from .merged import Classes, Merged, Reached
from .single import Single
from .words import words_of

AT_ONCE, AT_MOST = 300_000, 4_000_000  # numbers of an array of sums, and of the data
START = 0.5  # of the residual's standard deviation
TOLERANCE = 1e-15  # of the deviance: what one more step would gain at the end
NO_VARIATION = 1e-24  # of a voxel's sum of squares: what X leaves of a constant image


class Counted(Profiled):
    """The criterion, which counts how often a voxel's derivatives were asked for."""

    def __init__(self, products: Products):
        super().__init__(products)
        self.asked = np.zeros(len(products.yy), dtype=np.int32)

    def expand(self, psi: Array, which: Which) -> tuple[Array, Array, Array]:
        self.asked[which] += 1
        return super().expand(psi, which)


@dataclass(frozen=True, eq=False)
class OneTerm:
    """What all blocks share."""

    problem: batch_lmm.Problem
    term: RandomTerm
    single: Single
    classes: Classes

    @classmethod
    def of(cls, request: MapRequest, single: Single) -> OneTerm:
        problem = batch_lmm.problem_of(request)
        return cls(problem, request.design.random[0], single, Classes.of_products(problem.shared))

    def target(self, products: Products) -> Counted | Merged:
        """The criterion, by levels or by classes of them, whichever is cheaper."""
        return Merged(products, self.classes) if self.classes.worth else Counted(products)

    def fit(self, Y: NDArray[Any]) -> Answer:
        """The answer for responses Y (C, n)."""
        K, r = self.problem.shared.ZX.shape[:2]
        numbers = len(self.classes.counts) * (K * r) ** 2 if self.classes.worth else K * (K + r) * len(self.term.levels)
        size = max(16, min(AT_ONCE // numbers, AT_MOST // Y.shape[1]))
        return joined([self._some(Y[first : first + size]) for first in range(0, len(Y), size)])

    def _some(self, Y: NDArray[Any]) -> Answer:
        y = np.asarray(Y.T, dtype=np.float64)
        products, b = self.problem.products(y)
        with np.errstate(invalid="ignore"):
            fine = products.yy > NO_VARIATION * np.square(y[self.problem.used]).sum(axis=0)
        products = replace(products, Zy=np.where(fine[:, None], products.Zy, 0.0), yy=np.where(fine, products.yy, 1.0))
        target, everyone = self.target(products), np.arange(len(Y))
        start = np.tile(START * np.eye(target.template.K), (len(Y), 1, 1))
        found = settle_many(
            lambda psi, which: minimise_many(target, psi, which, tolerance=TOLERANCE),
            target.value,
            target.template,
            target.template.filled(np.zeros((len(Y), target.template.size)), start),
            everyone,
        )
        out = self._answered(target, found.point, b, fine, found.converged)
        doubtful = np.flatnonzero(fine & ~(found.converged & np.isfinite(found.value)))
        if len(doubtful):
            again = self.single.fit(Y[doubtful])
            for name, values in out.items():
                values[doubtful] = again[name]
        return out

    def _answered(
        self, target: Counted | Merged, point: Array, b: Array, fine: NDArray[np.bool_], converged: NDArray[np.bool_]
    ) -> Answer:
        template, df = target.template, target.products.df
        at, moved = _solved(target, point)
        s2 = at.r2 / df
        edge = moved.quadratic / s2[:, None]
        H = np.concatenate([moved.second, edge[:, None]], axis=1)
        H = np.concatenate([H, np.column_stack([edge, np.full(len(s2), float(df))])[:, :, None]], axis=2)
        L = self.problem.change @ at.L
        theta = template.filled(np.zeros_like(point), L)
        solved = Solved(
            value=at.value,
            b=b.T + at.b,
            C=at.C,
            s2=s2,
            theta=theta,
            slopes=moved.C,
            A=information_inverse(H),
            iterations=target.asked,
            converged=converged,
            singular=singular(template, point),
            fine=fine,
        )
        covariance = s2[:, None, None] * (L @ L.transpose(0, 2, 1))
        return answer(self.problem.basis, solved, words_of([self.term], [covariance], s2))


def _solved(target: Counted | Merged, point: Array) -> tuple[SolvedByLevels | Reached, Slopes]:
    """The models at their points, and the derivatives there."""
    everyone = np.arange(len(point))
    if isinstance(target, Merged):
        reached = target.solve(point, everyone)
        return reached, target.slopes(reached)
    solved = target.solve(point, everyone)
    return solved, target.slopes(solved)
