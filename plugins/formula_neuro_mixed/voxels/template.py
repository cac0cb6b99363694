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
from ..batch.profiled import Products, Profiled, slopes
from .answer import Answer, Solved, answer, information_inverse, joined
from .single import Single
from .words import words_of

AT_ONCE = 1_000_000  # numbers of an array by groups and columns
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

    @classmethod
    def of(cls, request: MapRequest, single: Single) -> OneTerm:
        return cls(batch_lmm.problem_of(request), request.design.random[0], single)

    def fit(self, Y: NDArray[Any]) -> Answer:
        """The answer for responses Y (C, n)."""
        K, r, G = self.problem.shared.ZX.shape[0], self.problem.basis.rank, len(self.term.levels)
        size = max(16, AT_ONCE // (K * (K + r) * G))
        return joined([self._some(Y[first : first + size]) for first in range(0, len(Y), size)])

    def _some(self, Y: NDArray[Any]) -> Answer:
        y = np.asarray(Y.T, dtype=np.float64)
        products, b = self.problem.products(y)
        with np.errstate(invalid="ignore"):
            fine = products.yy > NO_VARIATION * np.square(y[self.problem.used]).sum(axis=0)
        products = replace(products, Zy=np.where(fine[:, None], products.Zy, 0.0), yy=np.where(fine, products.yy, 1.0))
        target, everyone = Counted(products), np.arange(len(Y))
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
        self, target: Counted, point: Array, b: Array, fine: NDArray[np.bool_], converged: NDArray[np.bool_]
    ) -> Answer:
        template, df = target.template, target.products.df
        at = target.solve(point, np.arange(len(point)))
        moved, s2 = slopes(at, target.products, template), at.r2 / df
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
