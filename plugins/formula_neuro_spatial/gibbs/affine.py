"""The level and Sigma moved with all coefficients at once, given their shape.

With Sigma = Q^-1 = C C' and b(s) = a + C beta(s), a the mean of b over voxels, the prior of beta holds neither a nor C,
so that given beta they have the density of the data times that of C under Q's Wishart distribution,

    p(C) ~ prod_j C_jj^(c - 1 - nu - j) exp(-1/2 |C^-1|^2),  j = 1..P, for a mask of c components,

in which b is linear: with H the precision there and G the gradient, (1 - r) H^-1 G + (1 - r^2)^(1/2) H^-1/2 z is
proposed, 0 <= r < 1, and accepted by Metropolis and Hastings' rule. Q given b alone
hardly moves where data are few, as it is known to within (2 / V)^(1/2) then: this move is what Sigma mixes by (Yu and
Meng 2011 interweave the two).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from formula_neuro.family import Array

from .field import Field
from .probit import Local

Tensor = Any


@dataclass(frozen=True, eq=False)
class Affine:
    """What is moved of M = [a, C] (P, P + 1): its entries `at` = (rows, columns); `nu` is Wishart's, less c - 1.

    With a fixed Q only the level a is moved.
    """

    at: tuple[Any, Any]
    nu: float

    @classmethod
    def of(cls, P: int, nu: float, fixed: bool) -> Affine:
        i, j = np.tril_indices(P)
        rows, columns = np.arange(P), np.zeros(P, dtype=int)
        return cls((rows, columns) if fixed else (np.r_[rows, i], np.r_[columns, j + 1]), nu)

    def moved(self, field: Field, Q: Array, r: float, rng: np.random.Generator) -> tuple[Field, Array, bool]:
        """The next coefficients and Q, and whether they are new."""
        P, size = len(Q), np.sqrt(1 - r * r)
        C, a = np.linalg.cholesky(np.linalg.inv(Q)), field.b.mean(dim=1, keepdim=True)
        there = torch.from_numpy(np.linalg.inv(C)).to(a.device)
        w = torch.cat([torch.ones_like(field.b[:1]), there @ (field.b - a)])
        z, bound = rng.standard_normal(len(self.at[0])), np.log(rng.random())
        L, y = self.normal(field.local, w, C)
        step = np.linalg.solve(L.T, (1 - r) * y + size * z)
        M = np.zeros((P, P + 1))
        M[self.at] = step
        C2 = C + M[:, 1:]
        if np.diag(C2).min() <= 0:
            return field, Q, False
        b = field.b + torch.from_numpy(M).to(a.device) @ w
        then = field.target.at(b, torch.arange(b.shape[1], device=a.device))
        L2, y2 = self.normal(then, w, C2)
        back = (L2.T @ step + (1 - r) * y2) / size
        ratio = float((then.loglik - field.local.loglik).sum()) + self.prior(C2)[0] - self.prior(C)[0]
        ratio += np.log(np.diag(L2) / np.diag(L)).sum() + 0.5 * (z @ z - back @ back)
        if not bound < ratio:
            return field, Q, False
        return Field(field.target, b, then), self._precision(C2, Q), True

    def normal(self, local: Local, w: Tensor, C: Array) -> tuple[Array, Array]:
        """L of the precision H = L L' of the moved entries, and L^-1 times their gradient."""
        P, (i, k) = len(C), self.at
        first, second = np.tril_indices(P + 1)
        gradient = (local.gradient @ w.T).cpu().numpy()[i, k]
        products = torch.stack([w[one] * w[two] for one, two in zip(first, second, strict=True)])
        sums = (local.A @ products.T).cpu().numpy()
        rows, columns = np.maximum.outer(i, i), np.minimum.outer(i, i)
        one, two = np.maximum.outer(k, k), np.minimum.outer(k, k)
        H = sums[rows * (rows + 1) // 2 + columns, one * (one + 1) // 2 + two]
        slope, curve = self.prior(C)[1:]
        L = np.linalg.cholesky(H + np.diag(curve[i, k]))
        return L, np.linalg.solve(L, gradient + slope[i, k])

    def prior(self, C: Array) -> tuple[float, Array, Array]:
        """log p(C), its gradient in [a, C] (P, P + 1), and a positive curvature that stands for its own."""
        P, inverse = len(C), np.linalg.inv(C)
        power = -self.nu - np.arange(1, P + 1)
        value = power @ np.log(np.diag(C)) - 0.5 * (inverse**2).sum()
        slope = np.diag(power / np.diag(C)) + inverse.T @ inverse @ inverse.T
        curve = np.repeat((self.nu + P + 1) * (inverse**2).sum(axis=0)[:, None], P, axis=1)
        none = np.zeros((P, 1))
        return float(value), np.hstack([none, slope]), np.hstack([none, curve])

    def _precision(self, C: Array, Q: Array) -> Array:
        if len(self.at[0]) == len(Q):
            return Q
        inverse = np.linalg.inv(C)
        return np.asarray(inverse.T @ inverse)
