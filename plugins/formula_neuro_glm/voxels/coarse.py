"""Roots of adjusted scores by way of a coarse model: its root to begin at, its slopes for steps like Newton's.

So few passes over all rows are left that nearly all of the work is in the coarse model and in the last of them, which
confirms the root. The covariance changes over the last step as that of the coarse model does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from formula_neuro.kernels.torch_links import Tensor

from .score import Evaluation, Work, evaluate
from .search import Found, Goal, search
from .shared import Shared

ROUGHLY = Goal(near=1e-2, tight=1e-4)  # of the coarse model's root, which is about 1e-3 standard errors off itself
NEARLY = Goal(near=1e-5, tight=3e-9)  # covariances follow the last step to a per cent of it or better
SHARE = 1e-4  # of a standard error, for slopes by differences


@dataclass(frozen=True, eq=False)
class Pair:
    """The model of all rows with successes (C, n), and the coarse one with its own (C, k)."""

    all: Shared
    coarse: Shared
    S: Tensor
    sums: Tensor


def refined(pair: Pair, start: Tensor, work: Work) -> Found:
    """From coefficients start (C, r) on; voxels whose coarse model is of no use are unconverged."""
    rough = search(pair.coarse, start, pair.sums, work, ROUGHLY)
    here = evaluate(pair.coarse, rough.b, pair.sums, work)
    at = torch.nonzero(rough.converged & here.fine)[:, 0]
    b, sums, here = rough.b[at], pair.sums[at], Evaluation(here.f[at], here.V[at], here.fine[at])
    found = search(pair.all, b, pair.S[at], work, NEARLY, _newton(pair.coarse, b, sums, here, work))
    end = evaluate(pair.coarse, found.b, sums, work)
    before = evaluate(pair.coarse, found.b - found.step, sums, work)
    found.V.add_(end.V).sub_(before.V)
    out = Found.empty(start)
    out.put(at, found)
    return out


def _newton(shared: Shared, b: Tensor, S: Tensor, here: Evaluation, work: Work) -> Tensor:
    """(C, r, r) what turns scoring steps near b into Newton's, by differences of scores."""
    size = SHARE * torch.diagonal(here.V, dim1=1, dim2=2).sqrt()
    columns = []
    for j in range(b.shape[1]):
        ahead = b.clone()
        ahead[:, j] += size[:, j]
        columns.append((here.f - evaluate(shared, ahead, S, work).f) / size[:, j : j + 1])
    inverse, failed = torch.linalg.inv_ex(here.V @ torch.stack(columns, dim=2))
    usable = (failed == 0) & torch.isfinite(inverse).all(dim=2).all(dim=1)
    return torch.where(usable[:, None, None], inverse, torch.eye(b.shape[1], dtype=b.dtype, device=b.device))
