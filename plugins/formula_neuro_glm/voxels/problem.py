"""One generalized linear model for every voxel: prepared once for a design, then asked block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from formula_neuro.estimator import ML, Estimator
from formula_neuro.family import Array, Family
from formula_neuro.kernels.device import as_device, elements
from formula_neuro.kernels.separation import Separation
from formula_neuro.kernels.torch_links import Tensor

from .answer import OVERLAP, Answer, Estimates, answer
from .classes import UNKNOWN, cheap, programmed, put
from .design import Rows
from .least_squares import least_squares
from .score import Work
from .search import Found, search
from .shared import Shared
from .stubborn import alone


@dataclass(frozen=True, eq=False)
class Problem:
    """What all blocks share; small enough to be pickled to other processes."""

    rows: Rows
    device: str | None = None

    @classmethod
    def of(
        cls,
        X: Array,
        family: Family,
        estimator: Estimator,
        *,
        weights: Array | None = None,
        offset: Array | None = None,
        device: str | None = None,
    ) -> Problem:
        """The problem of a design X (N, P) with prior weights and offset (N,), 1 and 0 where None."""
        as_device(device)
        n = len(X)
        w = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
        o = np.zeros(n) if offset is None else np.asarray(offset, dtype=float)
        return cls(Rows.of(np.asarray(X, dtype=float), w, o, family, estimator), device)

    def fit(self, Y: NDArray[Any]) -> Answer:
        """The answer for voxels' responses Y (C, N)."""
        rows = self.rows
        Y = Y[:, rows.used]
        if rows.family.name == "gaussian":
            return least_squares(rows, Y, self.device)
        known = cheap(rows, Y)
        fitted = np.flatnonzero((known.kind == UNKNOWN) | (known.kind == OVERLAP)) if self._likeliest else slice(None)
        found = self._searched(Y, np.arange(len(Y))[fitted])
        for c in np.flatnonzero(known.kind == UNKNOWN):
            put(known, np.array([c]), Separation() if found.overlap[c] else programmed(rows, Y[c].astype(float)), rows)
        lost = (known.kind != OVERLAP) & self._likeliest
        for c in np.flatnonzero(~found.converged & ~lost):
            _put_alone(found, int(c), rows, Y[c].astype(float))
        return answer(rows, found, known.kind, known.signs, lost)

    @property
    def _likeliest(self) -> bool:
        return isinstance(self.rows.how, ML)

    def _searched(self, Y: NDArray[Any], which: NDArray[np.intp]) -> Estimates:
        """Batched scoring of the voxels `which` among Y (C, n)."""
        rows, device = self.rows, as_device(self.device)
        shared = Shared.of(
            rows.Q, rows.R, None if rows.plain else rows.w, rows.offset if rows.offset.any() else None, rows.family,
            rows.how, device,
        )  # fmt: skip
        C, n = Y.shape
        size = min(C, max(4, elements(device) // max(n, 1)))
        work, out = Work.of(size, shared.Q), Estimates.empty(C, rows.rank)
        for first in range(0, len(which), size):
            here = which[first : first + size]
            S = torch.as_tensor(Y[here], device=device).to(torch.float64)
            if shared.T is not None:
                S = S * shared.T
            _put(out, here, search(shared, self._start(shared, S), S, work))
        return out

    def _start(self, shared: Shared, S: Tensor) -> Tensor:
        """(C, r): the level of each voxel's share of events, a little away from 0 and 1."""
        rows, n = self.rows, shared.Q.shape[0]
        share = ((S.sum(dim=1) + 0.5) / (float(rows.w.sum()) + 1)).cpu().numpy()
        level = torch.as_tensor(np.asarray(rows.family.link(share)), device=S.device)
        one, offset = shared.Qt.sum(dim=1) / n, 0.0 if shared.offset is None else shared.Qt @ shared.offset / n
        return level[:, None] * one - offset


def _put(out: Estimates, here: NDArray[np.intp], found: Found) -> None:
    for name in ("b", "V", "loglik", "converged", "overlap"):
        getattr(out, name)[here] = getattr(found, name).cpu().numpy()
    out.iterations[here] = found.passes.cpu().numpy()


def _put_alone(out: Estimates, c: int, rows: Rows, y: Array) -> None:
    found = alone(rows, y)
    if found is None:
        return
    out.b[c], out.V[c], out.converged[c] = found.b, found.V, found.converged
    out.iterations[c] += found.iterations
    out.loglik[c] = rows.family.loglik(y, rows.family.link.inverse(rows.Q @ found.b + rows.offset), rows.w, 1.0)
