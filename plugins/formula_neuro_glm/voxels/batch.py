"""Voxels in chunks that suit the device: searched, or proved to overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from formula_neuro.estimator import Estimator
from formula_neuro.family import Array
from formula_neuro.kernels.device import as_device, elements
from formula_neuro.kernels.torch_links import Tensor

from .certificate import assessed
from .coarse import Pair, refined
from .compress import Compressed
from .design import Rows
from .estimates import Estimates, saturated
from .packed import Packed
from .score import Work
from .search import search
from .shared import Shared

LEAST, MOST = 64, 1000  # voxels a chunk
TILES = 10  # of rows a chunk, where there are rows enough


def searched(
    packed: Packed, how: Estimator, Y: NDArray[Any], device: str | None, *, exactly: bool = False
) -> Estimates:
    """The estimates for responses Y (C, n) of the rows; those that need another search are unconverged.

    Rows may be nodes, unless they are wanted `exactly`.
    """
    rows, form = replace(packed.rows, how=how), packed.exact if exactly else packed.quick
    groups = packed.coarse if form.exact else None
    shared, coarse = _shared(rows, form, device), None if groups is None else _shared(rows, groups.packed, device)
    S = form.successes(Y)
    out, size = Estimates.empty(len(Y), rows.rank), _size(len(Y), len(form.Q), shared)
    work = Work.of(size, shared, elements(shared.Q.device))
    for here in _chunks(len(Y), size):
        part = torch.as_tensor(S[here], device=shared.Q.device)
        start = _start(rows, shared, part)
        if groups is None or coarse is None:
            found = search(shared, start, part, work)
        else:
            sums = torch.as_tensor(groups.successes(S[here]), device=shared.Q.device)
            found = refined(Pair(shared, coarse, part, sums), start, work)
            left = torch.nonzero(~found.converged)[:, 0]
            found.put(left, search(shared, start[left], part[left], work))
        for name in ("b", "V", "iterations", "converged"):
            getattr(out, name)[here] = getattr(found, name).cpu().numpy()
        level, sure = assessed(shared, found.b, shared.Qt, part, work)
        out.loglik[here], out.overlap[here] = level.cpu().numpy(), sure.cpu().numpy() & form.exact
    out.loglik[:] -= saturated(rows.family, Y, rows.w)
    out.converged[:] &= form.near(out.b)
    return out


def proved(
    rows: Rows, packed: Compressed, Q: Array, b: Array, Y: NDArray[Any], device: str | None
) -> NDArray[np.bool_]:
    """(C,) whether the scores at eta = Q b (+ offset) prove that responses Y (C, n) of the rows overlap.

    Q (k, .) belongs to the compressed rows; b (C, .) may be NaN, which proves nothing.
    """
    if rows.rank == 0:
        return np.zeros(len(Y), dtype=bool)
    shared = _shared(rows, packed, device)
    S = packed.successes(Y)
    out, size = np.zeros(len(Y), dtype=bool), _size(len(Y), len(packed.Q), shared)
    work = Work.of(size, shared, elements(shared.Q.device), whole=False)
    Qt = torch.as_tensor(np.ascontiguousarray(Q.T), device=shared.Q.device)
    for here in _chunks(len(Y), size):
        part, at = (torch.as_tensor(a[here], device=shared.Q.device) for a in (S, b))
        out[here] = assessed(shared, at, Qt, part, work)[1].cpu().numpy()
    return out


def _shared(rows: Rows, packed: Compressed, device: str | None) -> Shared:
    trials, offset = None if packed.plain else packed.trials, packed.offset if packed.offset.any() else None
    return Shared.of(packed.Q, rows.R, trials, offset, rows.family, rows.how, as_device(device))


def _size(voxels: int, n: int, shared: Shared) -> int:
    """Voxels a chunk: many, so that what is done once a pass does not count; their rows are cut into tiles."""
    return max(1, min(voxels, MOST, max(LEAST, TILES * elements(shared.Q.device) // max(n, 1))))


def _chunks(voxels: int, size: int) -> Iterator[slice]:
    return (slice(first, first + size) for first in range(0, voxels, size))


def _start(rows: Rows, shared: Shared, S: Tensor) -> Tensor:
    """(C, r): the level of each voxel's share of events, a little away from 0 and 1."""
    share = ((S.sum(dim=1, dtype=torch.float64) + 0.5) / (float(rows.w.sum()) + 1)).cpu().numpy()
    level = torch.as_tensor(np.asarray(rows.family.link(share)), device=S.device)
    n = len(rows.Q)
    one = torch.as_tensor(rows.Q.sum(axis=0) / n, device=S.device)
    return level[:, None] * one - torch.as_tensor(rows.offset @ rows.Q / n, device=S.device)
