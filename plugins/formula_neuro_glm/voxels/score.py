"""Adjusted score and information of a block of voxels at their coefficients: one fused pass over rows.

f(b) = Q'(q (S - T mu)) + A(b), with S successes and T trials of a row; A as in ../adjustments.py, where the formulas
and their sources are. I = Q'WQ, V = I^-1, hat values h = W rowsum(QV * Q).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from formula_neuro.estimator import ML, Jeffreys, MedianBR
from formula_neuro.kernels.torch_links import Tensor, bend, rows, skew

from .shared import Shared

FAR = 36.0  # |eta| at which exp(-eta^2 / 2) still is a number


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Adjusted score f (C, r), V (C, r, r), mu (C, n) in a buffer, and where all this is usable, (C,)."""

    f: Tensor
    V: Tensor
    mu: Tensor
    fine: Tensor


@dataclass(frozen=True, eq=False)
class Work:
    """Buffers (C, n) that a pass overwrites."""

    eta: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    h: Tensor

    @classmethod
    def of(cls, voxels: int, like: Tensor) -> Work:
        n = int(like.shape[0])
        return cls(*(torch.empty((voxels, n), dtype=like.dtype, device=like.device) for _ in range(5)))

    def first(self, voxels: int) -> Work:
        return Work(*(part[:voxels] for part in (self.eta, self.a, self.b, self.c, self.h)))


def evaluate(shared: Shared, b: Tensor, S: Tensor, work: Work) -> Evaluation:
    """The pass at coefficients b (C, r) for successes S (C, n)."""
    w = work.first(len(b))
    eta = linear_predictor(shared, b, w.eta)
    mu, q, W = rows(shared.family, shared.link, eta, (w.a, w.b, w.c))
    if shared.T is not None:
        W.mul_(shared.T)
    information = shared.square(W @ shared.XX)
    V, fine = inverse(information)
    if shared.link == "log" and shared.family == "binomial":
        fine &= eta.amax(dim=1) < 0
    median = _median_shift(shared, information, V, eta, mu, q, W, w.h) if isinstance(shared.how, MedianBR) else None
    scale = 0.0 if isinstance(shared.how, ML) else _adjusted_rows(shared, V, eta, mu, q, W, w.h)
    u = torch.mul(mu, shared.T, out=w.eta) if shared.T is not None else mu
    u = torch.sub(S, u, out=w.eta)
    if q is not None:
        u.mul_(q)
    if scale:
        u.add_(w.h, alpha=scale)
    f = u @ shared.Q
    if median is not None:
        f += median
    fine &= torch.isfinite(f).all(dim=1)
    return Evaluation(f, V, mu, fine)


def linear_predictor(shared: Shared, b: Tensor, out: Tensor) -> Tensor:
    """Q b + offset (C, n), held where the links still are numbers."""
    if shared.offset is None:
        torch.mm(b, shared.Qt, out=out)
    else:
        torch.addmm(shared.offset, b, shared.Qt, out=out)
    largest = float(torch.linalg.vector_norm(b, dim=1).max()) * shared.spread if len(b) else 0.0
    if shared.offset is not None or not largest < FAR:
        out.clamp_(-FAR, FAR)
    return out


def inverse(information: Tensor) -> tuple[Tensor, Tensor]:
    """I^-1 (C, r, r), and where I is positive definite with digits to spare, (C,); the identity elsewhere."""
    size = torch.diagonal(information, dim1=1, dim2=2)
    scale = torch.rsqrt(size)
    L, failed = torch.linalg.cholesky_ex(information * scale[:, :, None] * scale[:, None, :])
    fine = (failed == 0) & torch.isfinite(L).all(dim=2).all(dim=1)
    fine &= torch.diagonal(L, dim1=1, dim2=2).amin(dim=1) > 1e-4
    one = torch.eye(information.shape[1], dtype=information.dtype, device=information.device)
    L = torch.where(fine[:, None, None], L, one)
    scale = torch.where(fine[:, None], scale, torch.ones_like(scale))
    root = torch.linalg.solve_triangular(L, one.expand_as(L), upper=False) * scale[:, None, :]
    return root.mT @ root, fine


def _adjusted_rows(shared: Shared, V: Tensor, eta: Tensor, mu: Tensor, q: Tensor | None, W: Tensor, h: Tensor) -> float:
    """Fills h (C, n) with what, times the scale returned, is added to the rows of the score; W is overwritten."""
    torch.mm(shared.flat(V), shared.XXt, out=h)
    h.mul_(W)
    how = shared.how
    if isinstance(how, Jeffreys):
        if shared.link == "logit" or shared.family == "poisson":  # skew = bend
            h.mul_(bend(shared.family, shared.link, eta, mu, W))
            return how.power
        slope = skew(shared.family, mu, q, W)
        h.mul_(bend(shared.family, shared.link, eta, mu, eta).mul_(2.0).sub_(slope))
        return how.power
    if shared.link == "probit":
        h.mul_(eta)
        return -0.5
    if shared.link != "log":
        h.mul_(bend(shared.family, shared.link, eta, mu, W))
    return 0.5


def _median_shift(
    shared: Shared, information: Tensor, V: Tensor, eta: Tensor, mu: Tensor, q: Tensor | None, W: Tensor, h: Tensor
) -> Tensor:
    """I R c (C, r): c_j = sum_i W_i g_ij^3 / V_jj (skew_i / 6 - bend_i / 2), g = XV."""
    third = skew(shared.family, mu, q, torch.empty_like(W)).div_(6.0)
    third.sub_(bend(shared.family, shared.link, eta, mu, h), alpha=0.5).mul_(W)
    G = V @ shared.R_inverse.mT  # columns: V of Q's coefficients with each of the user's
    own = torch.einsum("jk,ckj->cj", shared.R_inverse, G)
    c = torch.empty_like(own)
    for j in range(shared.rank):
        torch.mm(G[:, :, j], shared.Qt, out=h)
        c[:, j] = (h * h).mul_(h).mul_(third).sum(dim=1) / own[:, j]
    Rc = torch.linalg.solve(shared.R_inverse, c.mT).mT
    return (information @ Rc[:, :, None])[:, :, 0]
