"""The probit log-likelihood of counts with its derivatives, in torch, in arrays that a processor's cache holds.

The special function is erfc, which torch has vectorised; erfcx, which reaches further into the tails, takes ten times
as long. Beyond FAR standard deviations, where erfc runs out of numbers, Mills' ratio takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import torch

Tensor = Any
FAR = 30.0  # where six terms of the asymptotic series give 13 digits


@dataclass(frozen=True, eq=False)
class Local:
    """Of U voxels: log-likelihood (U,), its gradient (P, U) in b, the lower triangles of minus its Hessian
    (P (P + 1) / 2, U), and the expected share of events (U,).
    """

    loglik: Tensor
    gradient: Tensor
    A: Tensor
    incidence: Tensor

    @classmethod
    def empty(cls, P: int, U: int, device: Any) -> Local:
        def numbers(*shape: int) -> Tensor:
            return torch.empty(*shape, dtype=torch.float64, device=device)

        return cls(numbers(U), numbers(P, U), numbers(P * (P + 1) // 2, U), numbers(U))

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return self.loglik, self.gradient, self.A, self.incidence

    def put(self, at: Any, other: Local) -> None:
        """Take the numbers of some voxels, an index or a slice, from elsewhere."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine[..., at] = theirs

    def part(self, at: Any) -> Local:
        return Local(*(x[..., at] for x in self.parts))


@dataclass(frozen=True, eq=False)
class Design:
    """Rows X (K, P), offset (K,) and trials (K,) as tensors, and the products X_ki X_kj, i >= j (K, P (P + 1) / 2)."""

    X: Tensor
    offset: Tensor
    trials: Tensor
    squares: Tensor

    @classmethod
    def of(cls, X: Any, offset: Any, trials: Any, device: Any) -> Design:
        X, offset, trials = (torch.as_tensor(x, dtype=torch.float64, device=device) for x in (X, offset, trials))
        i, j = torch.tril_indices(X.shape[1], X.shape[1])
        return cls(X, offset, trials, (X[:, i] * X[:, j]).contiguous())

    def eta(self, b: Tensor, out: Tensor) -> Tensor:
        """Linear predictors (U, K) of b (P, U)."""
        return torch.addmm(self.offset, b.T, self.X.T, out=out)


def local(design: Design, eta: Tensor, S: Tensor, room: list[Tensor], furthest: float) -> Local:
    """What Local holds at linear predictors eta (U, K), `furthest` from 0 at most, for successes S (U, K).

    `room` is six arrays like eta.
    """
    p, q, log1, log0, t, failures = room
    torch.mul(eta, sqrt(0.5), out=t)
    torch.special.erfc(t, out=q).mul_(0.5)
    torch.special.erfc(t.neg_(), out=p).mul_(0.5)
    incidence = (p @ design.trials) / design.trials.sum()
    torch.log(p, out=log1)
    torch.log(q, out=log0)
    t.mul_(t).neg_().exp_().mul_(1 / sqrt(2 * pi))
    torch.div(t, p, out=p)  # phi / Phi of eta and of -eta from here on
    torch.div(t, q, out=q)
    if furthest > FAR:
        _mend(eta, p, log1)
        _mend(-eta, q, log0)
    torch.sub(design.trials, S, out=failures)
    loglik = (log1.mul_(S).addcmul_(failures, log0)).sum(dim=1)
    up, down = torch.mul(S, p, out=t), failures.mul_(q)
    bend = p.add_(eta).mul_(up).add_(q.sub_(eta).mul_(down))
    return Local(loglik, design.X.T @ up.sub_(down).T, design.squares.T @ bend.T, incidence)


def _mend(eta: Tensor, ratio: Tensor, logarithm: Tensor) -> None:
    """phi/Phi and log Phi far in the lower tail: Phi(-x) = phi(x) / x (1 - 1/x^2 + 3/x^4 - ...)."""
    at = eta < -FAR
    x = -eta[at]
    y = x**-2
    series = 1 - y * (1 - 3 * y * (1 - 5 * y * (1 - 7 * y * (1 - 9 * y))))
    ratio[at] = x / series
    logarithm[at] = -0.5 * x**2 - (x * sqrt(2 * pi)).log() + series.log()
