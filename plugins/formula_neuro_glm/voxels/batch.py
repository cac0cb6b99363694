"""Voxels in chunks that suit the device: searched, or proved to overlap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from formula_neuro.family import Array
from formula_neuro.kernels.device import as_device, elements
from formula_neuro.kernels.torch_links import Tensor
from formula_neuro.kernels.torch_links import rows as link_rows

from .certificate import overlaps
from .compress import Compressed
from .design import Rows
from .estimates import Estimates, saturated
from .score import FAR, Work
from .search import search
from .shared import Shared

LEAST, MOST = 64, 1000  # voxels a chunk
TILES = 10  # of rows a chunk, where there are rows enough


def searched(rows: Rows, packed: Compressed, Y: NDArray[Any], device: str | None) -> Estimates:
    """The estimates for responses Y (C, n) of the rows, compressed; those that need another search are unconverged."""
    shared = _shared(rows, packed, device)
    S = packed.successes(Y)
    out, size = Estimates.empty(len(Y), rows.rank), _size(len(Y), len(packed.Q), shared)
    work = Work.of(size, shared, elements(shared.Q.device))
    for here in _chunks(len(Y), size):
        part = torch.as_tensor(S[here], device=shared.Q.device).to(torch.float64)
        found = search(shared, _start(rows, shared, part), part, work)
        for name in ("b", "V", "loglik", "iterations", "converged"):
            getattr(out, name)[here] = getattr(found, name).cpu().numpy()
    out.loglik[:] -= saturated(rows.family, Y, rows.w)
    out.converged[:] &= packed.near(out.b)
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
    size = max(1, elements(shared.Q.device) // max(len(packed.Q), 1))
    out = np.zeros(len(Y), dtype=bool)
    Qt = torch.as_tensor(np.ascontiguousarray(Q.T), device=shared.Q.device)
    for here in _chunks(len(Y), size):
        part = torch.as_tensor(S[here], device=shared.Q.device).to(torch.float64)
        eta = torch.as_tensor(b[here], device=shared.Q.device) @ Qt
        if shared.offset is not None:
            eta.add_(shared.offset)
        buffers = (torch.empty_like(eta), torch.empty_like(eta), torch.empty_like(eta))
        mu, q, _ = link_rows(shared.family, shared.link, eta.clamp_(-FAR, FAR), buffers)
        out[here] = overlaps(shared, part, mu, q).cpu().numpy()
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
    share = ((S.sum(dim=1) + 0.5) / (float(rows.w.sum()) + 1)).cpu().numpy()
    level = torch.as_tensor(np.asarray(rows.family.link(share)), device=S.device)
    n = len(rows.Q)
    one = torch.as_tensor(rows.Q.sum(axis=0) / n, device=S.device)
    return level[:, None] * one - torch.as_tensor(rows.offset @ rows.Q / n, device=S.device)
