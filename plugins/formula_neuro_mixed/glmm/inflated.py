"""Rows whose zeros come from two sources (Lambert 1992): with probability p a row is 0, else it has the family's law.

    log f = log(p + (1 - p) f0(0))      where y = 0,        logit p = zeta = Z gamma + offset
          = log(1 - p) + log f0(y)      where y > 0

With L = log f0(0), a function of eta and tau, the first is zeta + S(L - zeta) - S(zeta), S(x) = log(1 + e^x), so that
every derivative is one of S composed with L. gamma stands in psi behind the coefficients b, whose columns of X it
fills with zeros: psi = (theta, b, gamma, tau). In this file tau is (gamma, tau) in one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from formula_neuro.family import Array

from .rows import Expansion, Near, Rows, Tau, composed

COUNTS = ("poisson", "nbinom1", "nbinom2")  # whose weights multiply a row's log-likelihood; else they are trials


@dataclass(frozen=True, eq=False)
class InflatedRows(Rows):
    """Rows of a family with zeros from elsewhere; Z (n, k) and the offset are those of zeta."""

    Z: Array
    zeta_offset: Array

    @property
    def n_inflation(self) -> int:
        return int(self.Z.shape[1])

    @property
    def n_beside(self) -> int:
        return self.n_inflation + int(self.shaped)

    @property
    def same_weights(self) -> bool:
        return True

    def beside(self, psi: Array) -> Tau:
        """(gamma, tau)."""
        return psi[len(psi) - self.n_beside :]

    @cached_property
    def plain(self) -> Rows:
        """The rows without zeros from elsewhere, each counted once."""
        once = np.ones_like(self.w) if self.family.name in COUNTS else self.w
        return Rows(self.family, self.y, once, False)

    @cached_property
    def count(self) -> Array:
        """(n,) how often each row is counted."""
        return self.w if self.family.name in COUNTS else np.ones_like(self.w)

    @cached_property
    def zero(self) -> Array:
        return np.asarray(self.y == 0)

    def predictors(self, X: Array) -> Array:
        return np.vstack([X, np.hstack([np.zeros((len(X), X.shape[1] - self.n_inflation)), self.Z])])

    def zeta(self, tau: Tau) -> Array:
        """logit p (n,)."""
        return np.asarray(self.Z @ tau[: self.n_inflation] + self.zeta_offset)

    def plain_tau(self, tau: Tau) -> float:
        return float(tau[-1]) if self.shaped else self.fixed_tau

    def plain_value(self, eta: Array, near: Near, tau: Tau) -> float:
        return float(self.count @ self.plain.near(eta, self.plain_tau(tau)).value)

    def near(self, eta: Array, tau: Tau) -> Near:
        """What a Newton step to the modes needs."""
        own, zeta = self.plain.near(eta, self.plain_tau(tau)), self.zeta(tau)
        r = special.expit(own.value - zeta)  # that a zero is the family's own
        value = np.where(self.zero, np.logaddexp(zeta, own.value), own.value) - np.logaddexp(0.0, zeta)
        score = np.where(self.zero, r * own.score, own.score)
        with np.errstate(invalid="ignore"):  # impossible means have a value of -inf
            bend = np.where(self.zero, r * own.bend + r * (1 - r) * own.score**2, own.bend)
        return Near(self.count * value, self.count * score, self.count * bend)

    def weights(self, near: Near, eta: Array, tau: Tau) -> Array:
        """The weights (n,) in log|A|: the observed ones."""
        return -near.bend

    def expansion(self, eta: Array, tau: Tau) -> InflatedExpansion:
        """All derivatives that the Hessian of Laplace's approximation needs."""
        table, zeta = self.plain.expansion(eta, self.plain_tau(tau)).l, self.zeta(tau)
        zero, p = self.zero, special.expit(zeta)
        S = _logistic_slopes(table[0][0] - zeta)
        with np.errstate(all="ignore"):
            along = [_along(S[m:], table) for m in range(3)]  # S, S', S'' composed with L
        l = [
            [self.count * np.where(zero, mixed, own) for mixed, own in zip(one, other, strict=True)]
            for one, other in zip(along[0], table, strict=True)
        ]
        level = np.where(zero, np.logaddexp(zeta, table[0][0]), table[0][0]) - np.logaddexp(0.0, zeta)
        l[0][0] = self.count * level

        def by_zeta(row: Sequence[Array], constant: Array | float) -> list[Array]:
            found = [self.count * np.where(zero, d, 0.0) for d in row]
            found[0] = found[0] + self.count * constant
            return found

        once = [by_zeta([-d for d in row], (zero - p) if j == 0 else 0.0) for j, row in enumerate(along[1])]
        twice = by_zeta(along[2][0], -p * (1 - p))
        return InflatedExpansion(l, [[-d for d in l[0][2:]]], self.Z, once, twice)


@dataclass(frozen=True, eq=False)
class InflatedExpansion(Expansion):
    """`once[j][i]` is d^(i+j+1) log f / d eta^i d tau^j d zeta, `twice[i]` d^(i+2) log f / d eta^i d zeta^2."""

    Z: Array
    once: list[list[Array]]
    twice_zeta: list[Array]

    def by_beside(self, i: int) -> Array:
        found = self.Z * self.once[0][i][:, None]
        return np.column_stack([found, self.l[1][i]]) if len(self.l) > 1 else found

    def weights_by_beside(self) -> Array:
        return -self.by_beside(2)

    def bent_by_beside(self, c: Array, a: Array) -> Array:
        return -2 * self.by_beside(1) - c[:, None] * self.by_beside(3) + a[:, None] * self.by_beside(2)

    def twice_by_beside(self, c: Array, a: Array) -> Array:
        def summed(row: Sequence[Array]) -> Array:
            return -2 * row[0] - c * row[2] + a * row[1]

        Z, k = self.Z, self.Z.shape[1]
        shaped = len(self.l) > 1
        H = np.empty((k + shaped, k + shaped))
        H[:k, :k] = Z.T @ (summed(self.twice_zeta)[:, None] * Z)
        if shaped:
            H[k, :k] = H[:k, k] = summed(self.once[1]) @ Z
            H[k, k] = summed(self.l[2]).sum()
        return H


def _logistic_slopes(d: Array) -> list[Array]:
    """S(d) = log(1 + e^d) and its first four derivatives."""
    r, q = special.expit(d), special.expit(-d)
    v = r * q
    return [np.logaddexp(0.0, d), r, v, v * (q - r), v * (1 - 6 * v)]


def _along(f: Sequence[Array], L: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """d^(i+j) f(L(eta, tau)) / d eta^i d tau^j from f's derivatives and L's table, as far as f goes."""
    top = len(f) - 1
    jet = (L[0][0], L[0][1], L[0][2], L[0][3], L[0][4])
    out = [composed(f[: top + 1], jet)]
    if len(L) > 1 and top >= 1:
        slope = composed(f[1:], jet)
        out.append(_product(slope, L[1], min(top - 1, 3)))
    if len(L) > 2 and top >= 2:
        square = _product(L[1], L[1], top - 2)
        parts = zip(_product(composed(f[2:], jet), square, top - 2), _product(slope, L[2], top - 2), strict=True)
        out.append([one + other for one, other in parts])
    return out


def _product(a: Sequence[Array], b: Sequence[Array], top: int) -> list[Array]:
    """Derivatives up to `top` of a product, from those of its factors (Leibniz)."""
    return [
        np.asarray(sum(special.comb(k, i, exact=True) * a[i] * b[k - i] for i in range(k + 1))) for k in range(top + 1)
    ]
