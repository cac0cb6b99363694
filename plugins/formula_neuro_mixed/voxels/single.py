"""A linear mixed model in every voxel by the fit of tables, one voxel after the other: for any random terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array
from formula_neuro.kernels.rank import Basis
from formula_neuro.maps.request import MapRequest
from formula_neuro.request import Request
from formula_neuro.result import Fit

from ..checks import singular_directions
from ..lmm.fitting import Engine, fit
from ..terms import inner_terms, start_theta
from .answer import Answer, Solved, answer
from .words import words_of


@dataclass(frozen=True, eq=False)
class Single:
    """What all blocks share; the request without its images, which a block brings."""

    request: Request  # of no response
    basis: Basis
    size: int  # of theta

    @classmethod
    def of(cls, request: MapRequest, basis: Basis) -> Single:
        design = request.design
        y, size = np.zeros(len(design.matrix)), len(start_theta(inner_terms(design.random, request.weights)))
        return cls(Request(request.model, request.family, request.estimator, design, y, request.weights), basis, size)

    def fit(self, Y: NDArray[Any]) -> Answer:
        """The answer for responses Y (C, n)."""
        found = [self._one(np.asarray(y, dtype=np.float64)) for y in Y]
        at, random = self._solved(found), self.request.design.random
        covariances = [
            _stacked([None if one is None else one.random[k].covariance for one in found], (len(term.columns),) * 2)
            for k, term in enumerate(random)
        ]
        return answer(self.basis, at, words_of(random, covariances, at.s2))

    def _solved(self, found: list[Fit | None]) -> Solved:
        r, m = self.basis.rank, self.size
        pieces = [None if one is None else self._pieces(one, m) for one in found]
        shapes = [(), (r,), (r, r), (), (m,), (m, r, r), (m + 1, m + 1)]
        value, b, C, s2, theta, slopes, A = (
            _stacked([None if piece is None else piece[k] for piece in pieces], shape) for k, shape in enumerate(shapes)
        )
        fine = np.array([one is not None for one in found])
        return Solved(
            value=value,
            b=b,
            C=C,
            s2=s2,
            theta=theta,
            slopes=slopes,
            A=A,
            iterations=np.array([0 if one is None else one.iterations or 0 for one in found], dtype=np.int32),
            converged=np.array([one is not None and one.converged for one in found]),
            singular=np.array([one is not None and _singular(one) for one in found]),
            fine=fine,
        )

    def _pieces(self, one: Fit, m: int) -> tuple[Any, ...]:
        """In the order of Solved; elements of theta that the data do not tell have no slopes."""
        engine: Engine = one.engine
        known = engine.satterthwaite
        k = len(known.P)
        slopes, A = np.zeros((m, *engine.C.shape)), np.zeros((m + 1, m + 1))
        slopes[:k] = known.C @ known.P @ known.C
        place = np.r_[np.arange(k), m]
        A[np.ix_(place, place)] = known.A
        b = self.basis.R @ one.beta[self.basis.kept]
        return one.deviance, b, engine.C, engine.s2, one.theta, slopes, A

    def _one(self, y: Array) -> Fit | None:
        """None where the likelihood has no maximum."""
        if not np.isfinite(y).all():
            return None
        try:
            return fit(self.request.with_response(y))
        except (DataError, FitError):
            return None


def _stacked(parts: list[Array | None], shape: tuple[int, ...]) -> Array:
    """(C, *shape), NaN where there is none."""
    missing = np.full(shape, np.nan)
    return np.array([missing if part is None else part for part in parts], dtype=np.float64)


def _singular(one: Fit) -> bool:
    engine: Engine = one.engine
    return len(engine.theta) < len(one.theta) or bool(singular_directions(engine.products.terms, engine.theta))
