"""A binomial mixed model in every voxel: constant and separated ones by class, the others by the batch or as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array
from formula_neuro.kernels.rank import Basis, orthonormal_basis
from formula_neuro.maps.request import MapRequest
from formula_neuro.request import Request

from ..batch.problem import Problem
from ..glmm.fitting import fit
from ..terms import inner_terms, start_theta
from . import laplace
from .answer import Answer, packed
from .apart import COMPLETE, OVERLAP, QUASI, UNDEFINED, apart, constant
from .words import words_of

LINK_VARIANCES = {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6}  # of the latent residual


@dataclass(frozen=True, eq=False)
class Generalized:
    """What all blocks share; `batch` is None where the model is fitted voxel by voxel."""

    request: Request  # of no response
    basis: Basis
    size: int  # of theta
    batch: Problem | None

    @classmethod
    def of(cls, request: MapRequest) -> Generalized:
        design, used = request.design, request.weights > 0
        terms = inner_terms(design.random, request.weights)
        y = np.zeros(len(design.matrix))
        table = Request(request.model, request.family, request.estimator, design, y, request.weights)
        return cls(table, orthonormal_basis(design.matrix[used]), len(start_theta(terms)), laplace.problem(request))

    def fit(self, Y: NDArray[Any]) -> Answer:
        """The answer for masks Y (C, n), equal ones fitted once."""
        _, first, place = np.unique(np.packbits(Y, axis=1), axis=0, return_index=True, return_inverse=True)
        found = self._distinct(Y[first])
        return {name: values[place.ravel()] for name, values in found.items()}

    def _distinct(self, Y: NDArray[np.uint8]) -> Answer:
        used = self.request.weights > 0
        out = self._empty(len(Y))
        out["class"] = constant(Y[:, used])
        todo = np.flatnonzero(out["class"] == OVERLAP)
        X = self.request.design.matrix[used][:, self.basis.kept]
        known = apart(X, Y[np.ix_(todo, used)], self.request.family)
        out["class"][todo] = known.kind
        out["separated"][np.ix_(todo, self.basis.kept)] = known.signs
        todo = todo[known.kind == OVERLAP]
        if self.batch is not None and len(todo):
            found = laplace.maximised(self.batch, Y[np.ix_(todo, used)])
            self._put(out, todo[found.sure], found)
            todo = todo[~found.sure]
        for c in todo:
            self._alone(out, int(c), Y[c].astype(np.float64))
        return self._named(out)

    def _empty(self, count: int) -> Answer:
        P, K = self.basis.columns, [len(term.columns) for term in self.request.design.random]
        out: Answer = {name: np.full(count, np.nan) for name in ("loglik", "deviance")}
        sizes = {"coef": P, "se": P, "covariance": P * (P + 1) // 2, "theta": self.size}
        out |= {name: np.full((count, size), np.nan) for name, size in sizes.items()}
        out |= {f"random{k}": np.full((count, size, size), np.nan) for k, size in enumerate(K)}
        out |= {name: np.zeros(count, dtype=bool) for name in ("singular", "converged")}
        return out | {"iterations": np.zeros(count, np.int32), "separated": np.zeros((count, P), dtype=np.int8)}

    def _put(self, out: Answer, at: NDArray[np.intp], found: laplace.Found) -> None:
        sure = found.sure
        covariance = packed(self.basis, found.covariance[sure])
        out["coef"][at], out["covariance"][at] = found.beta[sure], covariance
        out["theta"][at], out["loglik"][at], out["deviance"][at] = (
            found.theta[sure],
            found.loglik[sure],
            found.deviance[sure],
        )
        out["random0"][at] = found.theta[sure][:, :, None] ** 2
        out["singular"][at] = found.singular[sure]
        out["iterations"][at], out["converged"][at] = found.iterations[sure], True

    def _alone(self, out: Answer, c: int, y: Array) -> None:
        """One voxel by the fit of tables."""
        try:
            one = fit(self.request.with_response(y))
        except (DataError, FitError):
            out["class"][c] = UNDEFINED
            return
        rows, columns = np.tril_indices(self.basis.columns)
        out["coef"][c], out["covariance"][c] = one.beta, one.covariance[rows, columns]
        out["theta"][c], out["loglik"][c], out["deviance"][c] = one.theta, one.loglik, one.deviance
        for k, effect in enumerate(one.random):
            out[f"random{k}"][c] = effect.covariance
        out["singular"][c] = any("singular fit" in message for message in one.messages)
        out["iterations"][c], out["converged"][c] = one.iterations or 0, one.converged

    def _named(self, out: Answer) -> Answer:
        """With standard errors, infinite where the estimate is, and the maps of words.py."""
        P, random = self.basis.columns, self.request.design.random
        lost = np.isin(out["class"], (QUASI, COMPLETE))[:, None] & (out["separated"] != 0)
        signed = lost & (np.abs(out["separated"]) == 1)
        out["coef"][signed] = np.copysign(np.inf, out["separated"][signed])
        out["se"] = np.where(lost, np.inf, np.sqrt(out["covariance"][:, np.cumsum(np.arange(1, P + 1)) - 1]))
        covariances = [out.pop(f"random{k}") for k in range(len(random))]
        residual = np.full(len(lost), LINK_VARIANCES.get(self.request.family.link.name, np.nan))
        return out | words_of(random, covariances, residual)
