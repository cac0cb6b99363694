"""Adjusted score and information of a block of voxels at their coefficients, in two sweeps over tiles of rows.

f(b) = Q'(q (S - T mu)) + A(b), with S successes and T trials of a row; A as in ../adjustments.py, where the formulas
and their sources are. I = Q'WQ, V = I^-1, hat values h = W rowsum(QV * Q). The first sweep takes the means, the second
what needs V; a tile's arrays stay in the processor's cache between two operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from formula_neuro.estimator import ML, Jeffreys, MedianBR
from formula_neuro.kernels.torch_links import Tensor, bend, log_shares, rows, skew

from .shared import Shared

FAR = 36.0  # |eta| at which exp(-eta^2 / 2) still is a number
CANCELS = 1e-6  # a probability below which 1 - (1 - p) has lost too many digits


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Adjusted score f (C, r), V (C, r, r), and where these are usable, (C,)."""

    f: Tensor
    V: Tensor
    fine: Tensor


@dataclass(frozen=True, eq=False)
class Work:
    """Flat buffers that a pass overwrites: five of a tile's size and two of all rows, what the second sweep needs."""

    tile: tuple[Tensor, ...]
    factor: Tensor
    third: Tensor

    @classmethod
    def of(cls, voxels: int, shared: Shared, tile: int, *, whole: bool = True) -> Work:
        """For passes over that many voxels; without the buffers of all rows for what has no second sweep."""

        def empty(size: int) -> Tensor:
            return torch.empty(size, dtype=shared.Q.dtype, device=shared.Q.device)

        rows = voxels * int(shared.Q.shape[0]) * whole
        adjusted, median = not isinstance(shared.how, ML), isinstance(shared.how, MedianBR)
        buffers = tuple(empty(max(tile, voxels)) for _ in range(5))
        return cls(buffers, empty(rows if adjusted else 0), empty(rows if median else 0))

    def tiles(self, voxels: int, n: int) -> Iterator[tuple[slice, list[Tensor]]]:
        """Rows and buffers (voxels, rows) of each tile."""
        step = max(1, min(n, len(self.tile[0]) // max(voxels, 1)))
        for first in range(0, n, step):
            size = min(step, n - first)
            yield slice(first, first + size), [part[: voxels * size].view(voxels, size) for part in self.tile]


def evaluate(shared: Shared, b: Tensor, S: Tensor, work: Work) -> Evaluation:
    """The pass at coefficients b (C, r) for successes S (C, n)."""
    C, n = len(b), int(shared.Q.shape[0])
    flat = torch.zeros((C, int(shared.XX.shape[1])), dtype=b.dtype, device=b.device)
    f, inside = torch.zeros_like(b), torch.ones(C, dtype=torch.bool, device=b.device)
    factor = work.factor[: C * n].view(C, n) if len(work.factor) else None
    third = work.third[: C * n].view(C, n) if len(work.third) else None
    far = _far(shared, b)
    for here, (e, *abc, other) in work.tiles(C, n):
        eta = linear_predictor(shared, b, shared.Qt, here, e, far)
        mu, q, W = rows(shared.family, shared.link, eta, (abc[0], abc[1], abc[2]))
        if shared.link == "log" and shared.family == "binomial":
            inside &= eta.amax(dim=1) < 0
        T = None if shared.T is None else shared.T[here]
        if T is not None:
            W.mul_(T)
        flat.addmm_(W, shared.XX[here])
        if third is not None:
            _third(shared, eta, mu, q, W, other, third[:, here])
        if factor is not None:
            _factor(shared, eta, mu, q, W, other, factor[:, here])
        u = torch.sub(other.copy_(S[:, here]), mu if T is None else mu.mul_(T), out=e)
        f.addmm_(u if q is None else u.mul_(q), shared.Q[here])
    information = shared.square(flat)
    V, fine = inverse(information)
    if factor is not None:
        _add_hats(shared, V, factor, work, f)
    if third is not None:
        f += _median_shift(shared, information, V, third, work)
    return Evaluation(f, V, fine & inside & torch.isfinite(f.sum(dim=1)))


def linear_predictor(shared: Shared, b: Tensor, Qt: Tensor, here: slice, out: Tensor, far: bool) -> Tensor:
    """Q b + offset (C, rows), held, where it may go `far`, where the links still are numbers."""
    if shared.offset is None:
        torch.mm(b, Qt[:, here], out=out)
    else:
        torch.addmm(shared.offset[here], b, Qt[:, here], out=out)
    return out.clamp_(-FAR, FAR) if far else out


def _far(shared: Shared, b: Tensor) -> bool:
    """Whether some eta could leave the range in which the links are numbers."""
    if shared.offset is not None or not len(b):
        return True
    return not float(torch.linalg.vector_norm(b, dim=1).max()) * shared.spread < FAR


def inverse(information: Tensor) -> tuple[Tensor, Tensor]:
    """I^-1 (C, r, r), and where I is positive definite with digits to spare, (C,); the identity elsewhere."""
    size = torch.diagonal(information, dim1=1, dim2=2)
    scale = torch.rsqrt(size)
    L, failed = torch.linalg.cholesky_ex(information * scale[:, :, None] * scale[:, None, :])
    fine = (failed == 0) & (torch.diagonal(L, dim1=1, dim2=2).amin(dim=1) > 1e-4)  # false where NaN
    one = torch.eye(information.shape[1], dtype=information.dtype, device=information.device)
    L = torch.where(fine[:, None, None], L, one)
    scale = torch.where(fine[:, None], scale, torch.ones_like(scale))
    root = torch.linalg.solve_triangular(L, one.expand_as(L), upper=False) * scale[:, None, :]
    return root.mT @ root, fine


def _factor(shared: Shared, eta: Tensor, mu: Tensor, q: Tensor | None, W: Tensor, other: Tensor, out: Tensor) -> None:
    """What, times `_scale`, turns quadratic forms x'Vx into rows of A, as ../adjustments.py has it, into `out`."""
    if shared.link == "probit" and not isinstance(shared.how, Jeffreys):
        torch.mul(eta, W, out=out)
        return
    turn = bend(shared.family, shared.link, eta, mu, other)
    if isinstance(shared.how, Jeffreys) and shared.link != "logit" and shared.family != "poisson":
        turn.mul_(2.0).sub_(skew(shared.family, mu, q, torch.empty_like(mu)))
    torch.mul(turn, W, out=out)  # the skew of canonical links is their bend


def _scale(shared: Shared) -> float:
    if isinstance(shared.how, Jeffreys):
        return shared.how.power
    return -0.5 if shared.link == "probit" else 0.5


def _third(shared: Shared, eta: Tensor, mu: Tensor, q: Tensor | None, W: Tensor, other: Tensor, out: Tensor) -> None:
    """W (skew / 6 - bend / 2) into `out`."""
    out.copy_(skew(shared.family, mu, q, other)).div_(6.0)
    out.sub_(bend(shared.family, shared.link, eta, mu, other), alpha=0.5).mul_(W)


def _add_hats(shared: Shared, V: Tensor, factor: Tensor, work: Work, f: Tensor) -> None:
    """Adds Q'(factor rowsum(QV * Q)) to f."""
    C, n = factor.shape
    packed = shared.flat(V)
    for here, (h, *_) in work.tiles(C, n):
        torch.mm(packed, shared.XXt[:, here], out=h)
        f.addmm_(h.mul_(factor[:, here]), shared.Q[here], alpha=_scale(shared))


def _median_shift(shared: Shared, information: Tensor, V: Tensor, third: Tensor, work: Work) -> Tensor:
    """I R c (C, r): c_j = sum_i g_ij^3 third_i / V_jj with g = XV for the user's columns."""
    G = V @ shared.R_inverse.mT  # columns: V of Q's coefficients with each of the user's
    c = torch.zeros_like(G[:, :, 0])
    for here, (g, cube, *_) in work.tiles(*third.shape):
        for j in range(shared.rank):
            torch.mm(G[:, :, j], shared.Qt[:, here], out=g)
            c[:, j] += torch.mul(g, g, out=cube).mul_(g).mul_(third[:, here]).sum(dim=1)
    c /= torch.einsum("jk,ckj->cj", shared.R_inverse, G)
    Rc = torch.linalg.solve(shared.R_inverse, c.mT).mT
    return (information @ Rc[:, :, None])[:, :, 0]


def log_rows(shared: Shared, eta: Tensor, mu: Tensor, S: Tensor, T: Tensor | None) -> Tensor:
    """(C,) log-likelihoods of the rows of a tile, without what depends on the responses alone; overwrites mu."""
    if shared.family == "poisson":
        return (S * eta - (mu if T is None else mu * T)).sum(dim=1)
    if T is None:
        likely = torch.sub(S, mu, out=mu).abs_().neg_().add_(1.0)
        if bool(likely.amin() > CANCELS):
            return _sum_of_logs(likely)
    trials = 1.0 if T is None else T
    low, high = log_shares(shared.link, eta)
    return (torch.where(S != 0, S * low, 0.0) + torch.where(trials != S, (trials - S) * high, 0.0)).sum(dim=1)


def _sum_of_logs(p: Tensor) -> Tensor:
    """(C,) of p (C, n) above CANCELS, overwritten: a logarithm of each product of 32 numbers."""
    total = torch.zeros_like(p[:, 0])
    for _ in range(5):
        half = p.shape[1] // 2
        total += p[:, 2 * half :].log().sum(dim=1)
        p = p[:, :half].mul_(p[:, half : 2 * half])
    return total + p.log().sum(dim=1)
