"""Means and weights of generalized linear models for a block of linear predictors, fused into given buffers.

With mu1 = dmu/deta, mu2 = d2mu/deta2 and V the variance function, row by row and for a prior weight of 1:

    q = mu1 / V,   W = mu1 q,   bend = mu2 / mu1,   skew = V'(mu) mu1 / V

Written so that the lower tail keeps its digits and no more than one special function is taken of each number;
formula_neuro_glm's moments.py says the same slowly in numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sqrt
from typing import Any

import torch

Tensor = Any  # torch's own types are not read
Rows = tuple[Tensor, Tensor | None, Tensor]  # mu, q (None: all 1), W


def _probit(eta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Rows:
    torch.abs(eta, out=a).mul_(sqrt(0.5)).erfc_()  # twice the smaller tail
    torch.addcmul(eta.new_tensor(log(4 / sqrt(2 * pi))), eta, eta, value=-0.5, out=b).exp_()  # 4 mu1
    torch.sub(eta.new_tensor(1.0), a, out=c)
    torch.addcmul(a, a, c, out=a)  # 4 mu (1 - mu)
    torch.add(eta.new_tensor(0.5), c.copysign_(eta), alpha=0.5, out=c)
    torch.div(b, a, out=a)
    return c, a, b.mul_(a).mul_(0.25)


def _logit(eta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Rows:
    torch.sigmoid(eta, out=a)
    torch.addcmul(a, a, a, value=-1.0, out=b)
    return a, None, b


def _cloglog(eta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Rows:
    torch.exp(eta, out=a)
    torch.neg(a, out=c).expm1_().neg_()
    torch.div(a, c, out=b)
    a.mul_(b).addcmul_(a, c, value=-1.0)
    return c, b, a


def _cauchit(eta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Rows:
    torch.atan(eta, out=c).mul_(1 / pi).add_(0.5)
    torch.mul(eta, eta, out=a).add_(1.0).mul_(pi).reciprocal_()
    torch.addcmul(c, c, c, value=-1.0, out=b)
    torch.div(a, b, out=b)
    return c, b, a.mul_(b)


def _log(eta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Rows:
    torch.exp(eta, out=a)
    torch.neg(a, out=b).add_(1.0).reciprocal_()
    return a, b, torch.mul(a, b, out=c)


def _poisson(eta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Rows:
    torch.exp(eta, out=a)
    return a, None, torch.mul(a, 1.0, out=b)


ROWS: dict[tuple[str, str], Callable[[Tensor, Tensor, Tensor, Tensor], Rows]] = {
    ("binomial", "probit"): _probit,
    ("binomial", "logit"): _logit,
    ("binomial", "cloglog"): _cloglog,
    ("binomial", "cauchit"): _cauchit,
    ("binomial", "log"): _log,
    ("poisson", "log"): _poisson,
}


def rows(family: str, link: str, eta: Tensor, buffers: tuple[Tensor, Tensor, Tensor]) -> Rows:
    """mu, q and W at eta (..., n), in the buffers (each like eta); q None stands for ones.

    >>> eta = torch.zeros(1, 2, dtype=torch.float64)
    >>> mu, q, W = rows("binomial", "probit", eta, tuple(torch.empty_like(eta) for _ in range(3)))
    >>> round(float(mu[0, 0]), 6), round(float(W[0, 0]), 6)  # 1/2 and 2/pi
    (0.5, 0.63662)
    """
    return ROWS[family, link](eta, *buffers)


def bend(family: str, link: str, eta: Tensor, mu: Tensor, out: Tensor) -> Tensor:
    """mu2 / mu1 in `out`, which may be eta itself."""
    if link == "probit":
        return torch.neg(eta, out=out)
    if link == "logit":
        return torch.mul(mu, -2.0, out=out).add_(1.0)
    if link == "cloglog":
        return torch.exp(eta, out=out).neg_().add_(1.0)
    if link == "cauchit":
        return torch.div(eta, eta * eta + 1.0, out=out).mul_(-2.0)
    return out.fill_(1.0)  # log


def log_shares(link: str, eta: Tensor) -> tuple[Tensor, Tensor]:
    """log mu and log(1 - mu) of a share, both with all their digits.

    >>> low, high = log_shares("probit", torch.tensor([-40.0], dtype=torch.float64))
    >>> round(float(low[0]), 3), float(high[0])
    (-804.608, -0.0)
    """
    if link == "probit":
        return torch.special.log_ndtr(eta), torch.special.log_ndtr(-eta)
    if link == "logit":
        return torch.nn.functional.logsigmoid(eta), torch.nn.functional.logsigmoid(-eta)
    if link == "cloglog":
        rate = eta.exp()
        return torch.log(-torch.expm1(-rate)), -rate
    if link == "cauchit":
        one = torch.ones_like(eta)
        return torch.log(torch.atan2(one, -eta) / pi), torch.log(torch.atan2(one, eta) / pi)
    return eta, torch.log(-torch.expm1(eta))


def skew(family: str, mu: Tensor, q: Tensor | None, out: Tensor) -> Tensor:
    """V'(mu) mu1 / V in `out`."""
    if family == "poisson":
        return out.fill_(1.0)  # V' = 1 and mu1 = V
    torch.mul(mu, -2.0, out=out).add_(1.0)
    return out if q is None else out.mul_(q)
