"""Roots of the adjusted scores of many voxels at once, by guarded scoring.

The step of ../newton.py, voxel by voxel the same: V f, no longer than sensible, and halved from where it began while
f'd has turned against it. Voxels that have arrived leave; those that are slow or lost are handed back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from formula_neuro.kernels.torch_links import Tensor

from .certificate import overlaps
from .score import Work, evaluate
from .shared import Shared

TIGHT = 1e-10  # in standard errors: how far from the root the last step may leave a voxel, by the rate so far
NEAR = 1e-8  # in standard errors: the longest last step, so that covariances are those of the root
LONGEST = 2.0  # of a step, in root mean squares of eta
TURNED = -0.5  # of the slope at its beginning: a step that long went too far
SHORTEST = 1e-4  # share of a step below which a voxel is lost to this search
PATIENCE = 30  # passes
COMPACT = 0.7  # share of voxels still searching below which the others' rows are dropped


@dataclass(frozen=True, eq=False)
class Found:
    """Of C voxels: b (C, r), V (C, r, r), loglik (C,) to the responses' constant, passes (C,), converged (C,).

    overlap (C,): whether the scores at the root prove that maximum likelihood is finite.
    """

    b: Tensor
    V: Tensor
    loglik: Tensor
    passes: Tensor
    converged: Tensor
    overlap: Tensor


def search(shared: Shared, start: Tensor, S: Tensor, work: Work) -> Found:
    """From coefficients start (C, r) on, for successes S (C, n)."""
    C, r = start.shape
    like = {"dtype": start.dtype, "device": start.device}
    b_out, V_out = start.clone(), torch.full((C, r, r), torch.nan, **like)
    loglik, passes = torch.full((C,), torch.nan, **like), torch.zeros(C, dtype=torch.int32, device=start.device)
    converged = torch.zeros(C, dtype=torch.bool, device=start.device)
    overlap = torch.zeros_like(converged)
    which = torch.arange(C, device=start.device)
    b, base = start.clone(), start.clone()
    d, slope = torch.zeros(C, r, **like), torch.zeros(C, **like)
    before, share = torch.full((C,), torch.inf, **like), torch.ones(C, **like)
    searching = ~converged
    for k in range(1, PATIENCE + 1):
        now = evaluate(shared, b, S, work)
        ahead = (now.f * d).sum(dim=1)
        back = ~now.fine | (ahead < TURNED * slope)
        step = (now.V @ now.f[:, :, None])[:, :, 0]
        left = (step * now.f).sum(dim=1).clamp(min=0).sqrt()
        rate = torch.where(share == 1, left / before, torch.ones_like(left)).clamp(max=0.99)
        done = searching & ~back & (left < NEAR) & ((left * rate / (1 - rate) < TIGHT) | (left < TIGHT))
        if done.any():
            at = which[done]
            b_out[at], V_out[at] = b[done] + step[done], now.V[done]
            loglik[at] = log_likelihood(shared, S[done], now.mu[done])
            overlap[at] = overlaps(shared, S[done], now.mu[done], None if now.q is None else now.q[done])
            passes[at], converged[at] = k, True
        size = torch.linalg.vector_norm(step, dim=1)
        short = (LONGEST / size).clamp(max=1.0)
        share = torch.where(back, share / 2, short)
        base = torch.where(back[:, None], base, b)
        d = torch.where(back[:, None], d, step)
        slope, before = torch.where(back, slope, left**2), torch.where(back, before, left)
        b = base + share[:, None] * d
        searching &= ~done & (share > SHORTEST) & (now.fine if k == 1 else True)
        passes[which[searching]] = k
        if not searching.any():
            break
        if searching.sum() < COMPACT * len(searching):
            parts = (which, S, b, base, d, slope, before, share, searching)
            which, S, b, base, d, slope, before, share, searching = (part[searching] for part in parts)
    return Found(b_out, V_out, loglik, passes, converged, overlap)


def log_likelihood(shared: Shared, S: Tensor, mu: Tensor) -> Tensor:
    """(C,) of successes S at means mu (C, n), without what depends on the responses alone."""
    if shared.family == "poisson":
        rate = mu if shared.T is None else mu * shared.T
        return (torch.xlogy(S, mu) - rate).sum(dim=1)
    if shared.T is None:
        return (1 - (S - mu).abs()).log_().sum(dim=1)
    return (torch.xlogy(S, mu) + torch.xlogy(shared.T - S, 1 - mu)).sum(dim=1)
