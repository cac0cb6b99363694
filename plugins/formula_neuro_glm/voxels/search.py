"""Roots of the adjusted scores of many voxels at once, by guarded scoring.

The step of ../newton.py, voxel by voxel the same: V f, no longer than sensible, and halved from where it began while
f'd has turned against it. Voxels that have arrived leave; those that are slow or lost are handed back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from formula_neuro.estimator import ML
from formula_neuro.kernels.torch_links import Tensor

from .score import Work, evaluate
from .shared import Shared

UNSEEN = 0.3  # the rate assumed of a first step
LONGEST = 2.0  # of a step, in root mean squares of eta
TURNED = -0.5  # of the slope at its beginning: a step that long went too far
SHORTEST = 1e-4  # share of a step below which a voxel is lost to this search
CLOSE = 1.0  # standard errors from the root, where the last step tells something about the next
PATIENCE = 100  # passes, of which late ones have few voxels
HOPELESS = 30  # passes of maximum likelihood, whose maximum may be at infinity
FLAT = 0.01  # share of a step by which it must have shortened the next one for a secant to be drawn
STEEP = 10.0  # the same, where the step went so far beyond that nothing is learned
BOLDER = 3.0  # what is added to steps in a direction in which they do not shorten
COMPACT = 0.7  # share of voxels still searching below which the others' rows are dropped


@dataclass(frozen=True, eq=False)
class Goal:
    """How near a root a voxel has arrived, in standard errors."""

    near: float  # the longest last step, so that covariances are those of the root
    tight: float  # how far from the root the last step may leave a voxel, by the rate so far


EXACTLY = Goal(near=1e-8, tight=1e-10)


@dataclass(frozen=True, eq=False)
class Found:
    """Of C voxels: b (C, r) after a last step (C, r), V (C, r, r) before it, passes and whether they converged (C,)."""

    b: Tensor
    step: Tensor
    V: Tensor
    iterations: Tensor
    converged: Tensor

    @classmethod
    def empty(cls, start: Tensor) -> Found:
        """Nothing found, at coefficients start (C, r)."""
        none = torch.zeros_like(start[:, 0], dtype=torch.int32)
        V = torch.full_like(start[:, :, None].expand(-1, -1, start.shape[1]), torch.nan)
        return cls(start.clone(), torch.zeros_like(start), V, none, none.to(torch.bool))

    def put(self, at: Tensor, others: Found) -> None:
        """Those of voxels `at` in place of what is here."""
        for name in ("b", "step", "V", "iterations", "converged"):
            getattr(self, name)[at] = getattr(others, name)


def search(
    shared: Shared, start: Tensor, S: Tensor, work: Work, goal: Goal = EXACTLY, newton: Tensor | None = None
) -> Found:
    """From coefficients start (C, r) on, for successes S (C, n).

    `newton` (C, r, r) turns scoring steps into better ones, the steps themselves where None.
    """
    C, r = start.shape
    like = {"dtype": start.dtype, "device": start.device}
    out = Found.empty(start)
    which = torch.arange(C, device=start.device)
    b, base = start.clone(), start.clone()
    d, slope = torch.zeros(C, r, **like), torch.zeros(C, **like)
    before, share = torch.full((C,), torch.inf, **like), torch.ones(C, **like)
    searching = torch.ones(C, dtype=torch.bool, device=start.device)
    one = torch.eye(r, **like)
    M, g = one.expand(C, r, r) if newton is None else newton, torch.zeros(C, r, **like)
    for k in range(1, (HOPELESS if isinstance(shared.how, ML) else PATIENCE) + 1):
        now = evaluate(shared, b, S, work)
        ahead = (now.f * d).sum(dim=1)
        back = ~now.fine | (ahead < TURNED * slope)
        scoring = (now.V @ now.f[:, :, None])[:, :, 0]
        left = (scoring * now.f).sum(dim=1).clamp(min=0).sqrt()
        if k > 1:
            M = _learned(M, b - base, g - scoring, ~back & (before < CLOSE), one)
        step = (M @ scoring[:, :, None])[:, :, 0]
        step = torch.where(((step * now.f).sum(dim=1) > 0.1 * left**2)[:, None], step, scoring)
        g = torch.where(back[:, None], g, scoring)
        rate = torch.where(share == 1, left / before, torch.ones_like(left)).clamp(max=0.99)
        rate = rate if k > 1 else torch.full_like(left, UNSEEN)
        done = searching & ~back & (left < goal.near) & ((left * rate / (1 - rate) < goal.tight) | (left < goal.tight))
        if done.any():
            at = which[done]
            out.b[at], out.step[at], out.V[at] = b[done] + step[done], step[done], now.V[done]
            out.iterations[at], out.converged[at] = k, True
        size = torch.linalg.vector_norm(step, dim=1)
        short = (LONGEST / size).clamp(max=1.0)
        share = torch.where(back, share / 2, short)
        base = torch.where(back[:, None], base, b)
        d = torch.where(back[:, None], d, step)
        slope, before = torch.where(back, slope, (step * now.f).sum(dim=1)), torch.where(back, before, left)
        b = base + share[:, None] * d
        searching &= ~done & (share > SHORTEST) & (now.fine if k == 1 else True)
        out.iterations[which[searching]] = k
        if not searching.any():
            break
        if searching.sum() < COMPACT * len(searching):
            parts = (which, S, b, base, d, slope, before, share, searching, M, g)
            which, S, b, base, d, slope, before, share, searching, M, g = (part[searching] for part in parts)
    return out


def _learned(M: Tensor, moved: Tensor, fell: Tensor, usable: Tensor, one: Tensor) -> Tensor:
    """Broyden's update of M (C, r, r), what turns a scoring step into a better one, by the last step.

    moved (C, r) is that step, fell (C, r) by how much it shortened the scoring step: M fell = moved afterwards.
    """
    Mf = (M @ fell[:, :, None])[:, :, 0]
    size = (moved * moved).sum(dim=1)
    along = (moved * Mf).sum(dim=1) / size
    onto = (moved[:, None, :] @ M) / size[:, None, None]
    secant = M + (moved - Mf)[:, :, None] * onto / along[:, None, None]
    longer = M + BOLDER * moved[:, :, None] * onto
    learned = torch.where((along > FLAT)[:, None, None], secant, longer)
    return torch.where((usable & (along < STEEP))[:, None, None], learned, one)
