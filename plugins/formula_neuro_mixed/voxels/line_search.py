"""The minimum over lambda = theta^2 of the criterion of one random effect a level, in many voxels at once.

    f(lambda) = sum c_j log(1 + lambda nu_j) + df log r2(lambda),    r2 = within + sum A_s / (1 + lambda mu_s)

A shared grid of log lambda finds the valley, Newton's method its bottom, kept inside the valley by bisection.
lambda = 0 is decided by its slope, f'(0) < 0 means that the minimum is not there, and else by the two values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GRID = (-9.0, 5.0, 29)  # of log lambda
LONGEST = 2.0  # step in log lambda
FARTHEST = 45.0  # from 0 in log lambda
TOLERANCE = 1e-8  # of the last step in log lambda, whose square is what is left of it
ITERATIONS = 60
SMALL, COST = 1e-8, 1e-9  # lambda below which 0 is taken where it costs no more, relative: the rule of tables


@dataclass(frozen=True, eq=False)
class Criterion:
    """Of C voxels; derivatives are in lambda (C,)."""

    mu: Tensor  # (D,)
    A: Tensor  # (C, D)
    within: Tensor  # (C,)
    nu: Tensor  # (J,)
    counts: Tensor  # (J,)
    df: int

    def of(self, which: Tensor) -> Criterion:
        return Criterion(self.mu, self.A[which], self.within[which], self.nu, self.counts, self.df)

    def r2(self, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        R = 1 / (1 + lam[:, None] * self.mu)
        first = self.A * R
        second = first * R * self.mu
        return self.within + first.sum(1), -second.sum(1), 2 * (second * R * self.mu).sum(1)

    def logdet(self, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ratio = 1 + lam[:, None] * self.nu
        slope = self.nu / ratio
        return torch.log(ratio) @ self.counts, slope @ self.counts, -(slope**2) @ self.counts

    def expand(self, lam: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """f and its two derivatives."""
        (r2, r21, r22), (V, V1, V2) = self.r2(lam), self.logdet(lam)
        ratio = r21 / r2
        return V + self.df * torch.log(r2), V1 + self.df * ratio, V2 + self.df * (r22 / r2 - ratio**2)

    def on_grid(self, lam: Tensor) -> Tensor:
        """f (C, K) at shared lambda (K,): one matrix product."""
        r2 = torch.addmm(self.within[:, None], self.A, 1 / (1 + self.mu[:, None] * lam))
        return torch.log(r2) * self.df + self.counts @ torch.log1p(self.nu[:, None] * lam)


@dataclass(frozen=True, eq=False)
class Bottom:
    """Where C searches ended, and f at 0 and there."""

    lam: Tensor
    value: Tensor
    at_zero: Tensor
    iterations: Tensor
    converged: Tensor


def minimise(f: Criterion) -> Bottom:
    """The least f over lambda >= 0 of every voxel."""
    zero = torch.zeros_like(f.within)
    value0, slope0, bend0 = f.expand(zero)
    grid = torch.linspace(*GRID, dtype=f.A.dtype, device=f.A.device)
    _, k = f.on_grid(torch.exp(grid)).min(dim=1)
    width = float(grid[1] - grid[0])
    last = len(grid) - 1
    low = torch.where(k == 0, -FARTHEST, grid[k] - width)
    high = torch.where(k == last, FARTHEST, grid[k] + width)
    # a minimum below the grid: one Newton step from 0
    below = (slope0 < 0) & (k == 0) & (bend0 > 0)
    near = torch.log(torch.where(below, -slope0 / bend0, 1.0))
    start = torch.where(below, torch.minimum(near, grid[k]).clamp(min=-FARTHEST), grid[k])
    none = (slope0 >= 0) & (k == 0)
    t, iterations, converged = _newton(f, start, low, high, ~none)
    lam = torch.where(none, 0.0, torch.exp(t))
    value = f.expand(lam)[0]
    small = (lam < SMALL) & (value0 <= value + COST * value.abs().clamp(min=1.0))
    at_0 = none | ((slope0 >= 0) & (value0 <= value)) | small
    return Bottom(torch.where(at_0, 0.0, lam), torch.where(at_0, value0, value), value0, iterations, converged | at_0)


def _newton(f: Criterion, start: Tensor, low: Tensor, high: Tensor, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log lambda (C,), iterations and whether the last step was short, of the voxels that are asked."""
    t, low, high = start.clone(), low.clone(), high.clone()
    iterations = torch.zeros_like(t, dtype=torch.int32)
    converged = torch.zeros_like(asked)
    which = torch.nonzero(asked)[:, 0]
    for _ in range(ITERATIONS):
        if not len(which):
            break
        at = t[which]
        lam = torch.exp(at)
        _, slope, bend = f.of(which).expand(lam)
        slope, bend = lam * slope, lam * slope + lam**2 * bend
        low[which] = torch.where(slope < 0, at, low[which])
        high[which] = torch.where(slope > 0, at, high[which])
        step = torch.where(bend > 0, -slope / bend, -torch.sign(slope) * LONGEST).clamp(-LONGEST, LONGEST)
        new = at + step
        outside = (new <= low[which]) | (new >= high[which])
        new = torch.where(outside & (slope != 0), (low[which] + high[which]) / 2, new)
        new = torch.maximum(torch.minimum(new, at + LONGEST), at - LONGEST)
        done = (new - at).abs() < TOLERANCE
        t[which], iterations[which] = new, iterations[which] + 1
        converged[which] = done
        which = which[~done]
    return t, iterations, converged
