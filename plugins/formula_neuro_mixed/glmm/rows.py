"""What the rows' log-likelihood says of the linear predictor eta and of tau, the logarithm of the shape.

The mean depends on eta alone, so that each power of d/dtau of log f is composed with the inverse link by the
same rule (Faa di Bruno). Families without a shape ignore tau.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from formula_neuro.family import Array, Family, NBinom2
from formula_neuro.kernels.irls import inside

from .densities import DENSITIES, ORDERS, SHAPED
from .inverse_links import Jet, inverse_link

CANONICAL = {("binomial", "logit"), ("poisson", "log")}
FREE = ("logit", "probit", "cloglog", "cauchit")  # links whose means are always shares
# Families whose weights in log|A| are Fisher's by default: two as in lme4; the third because its observed ones turn
# negative in far responses, where log|A| then has poles
EXPECTED = ("binomial", "poisson", "inverse.gaussian")
Tau = Any  # the logarithm of the shape, a float; of rows with zero inflation (gamma, tau) in one array
POWERS = {"gaussian": 0.0, "poisson": 1.0, "Gamma": 2.0, "inverse.gaussian": 3.0}  # V = mu^power


@dataclass(frozen=True, eq=False)
class Near:
    """At eta (n,): log f, its first and its second derivative in eta; log f is -inf where the mean is impossible."""

    value: Array
    score: Array
    bend: Array


@dataclass(frozen=True, eq=False)
class Expansion:
    """l[j][i] = d^(i+j) log f / d eta^i d tau^j, and W[j][i] the same of the weights in log|A|.

    W goes to i = 2 at j = 0, 1 at j = 1, 0 at j = 2.
    """

    l: list[list[Array]]
    W: list[list[Array]]

    # ---- by the parameters beside theta and b: tau here ------------------------------------------
    def by_beside(self, i: int) -> Array:
        """(n, k): d^i l / d eta^i by each of them."""
        return self.l[1][i][:, None]

    def weights_by_beside(self) -> Array:
        """(n, k)."""
        return self.W[1][0][:, None]

    def bent_by_beside(self, c: Array, a: Array) -> Array:
        """(n, k): -2 l' + c W' + a l'' by each of them."""
        return (-2 * self.l[1][1] + c * self.W[1][1] + a * self.l[1][2])[:, None]

    def twice_by_beside(self, c: Array, a: Array) -> Array:
        """(k, k): sums over rows of -2 l + c W + a l' by each pair of them."""
        return np.array([[(-2 * self.l[2][0] + c * self.W[2][0] + a * self.l[2][1]).sum()]])


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one problem: y (n,) with weights w (n,) > 0; `expected` chooses Fisher's weights for log|A|."""

    family: Family
    y: Array
    w: Array
    expected: bool

    @cached_property
    def shaped(self) -> bool:
        """Whether the family has a shape to estimate."""
        return self.family.name in SHAPED and not getattr(self.family, "fixed", False)

    @property
    def n_inflation(self) -> int:
        """Number of coefficients of the zero inflation."""
        return 0

    @property
    def n_beside(self) -> int:
        """Number of parameters beside theta and b."""
        return int(self.shaped)

    def beside(self, psi: Array) -> Tau:
        """What these methods take for tau: of a fixed shape its logarithm, 0 without one."""
        return float(psi[-1]) if self.shaped else self.fixed_tau

    def predictors(self, X: Array) -> Array:
        """X, whose products with steps of b the search keeps small; with zero inflation also its own columns."""
        return X

    def plain_value(self, eta: Array, near: Near, tau: Tau) -> float:
        """The log-likelihood without constants, and without zero inflation."""
        return float(near.value.sum())

    @cached_property
    def fixed_tau(self) -> float:
        """The logarithm of a shape that the family holds fixed; 0 without one."""
        return float(np.log(self.family.theta)) if isinstance(self.family, NBinom2) and self.family.fixed else 0.0

    @cached_property
    def same_weights(self) -> bool:
        """Whether the weights in log|A| are the observed ones."""
        return self.canonical or not self.expected

    @cached_property
    def canonical(self) -> bool:
        return (self.family.name, self.family.link.name) in CANONICAL

    def near(self, eta: Array, tau: Tau) -> Near:
        """What a Newton step to the modes needs."""
        if self.canonical:
            return _CANONICAL_NEAR[self.family.name](self.y, self.w, eta)
        with np.errstate(all="ignore"):  # impossible means get -inf below
            mu = inverse_link(self.family.link, eta)
            l0, l1, l2 = composed(DENSITIES[self.family.name](self.y, self.w, mu[0], tau, (2,))[0], mu)
        if not self._always_inside():
            fine = inside(self.family, eta) & np.isfinite(l0) & np.isfinite(l2)
            if not fine.all():
                return Near(np.where(fine, l0, -np.inf), np.where(fine, l1, 0.0), np.where(fine, l2, 0.0))
        return Near(l0, l1, l2)

    def weights(self, near: Near, eta: Array, tau: Tau) -> Array:
        """The weights (n,) in log|A|."""
        if self.same_weights:
            return -near.bend
        mu = inverse_link(self.family.link, eta)
        return fisher(self.family, self.w, mu, tau)[0]

    def expansion(self, eta: Array, tau: Tau) -> Expansion:
        """All derivatives that the Hessian of Laplace's approximation needs."""
        if self.canonical:
            l = _CANONICAL[self.family.name](self.y, self.w, eta)
            return Expansion([l], [[-l[2], -l[3], -l[4]]])
        with np.errstate(all="ignore"):
            mu = inverse_link(self.family.link, eta)
            table = DENSITIES[self.family.name](self.y, self.w, mu[0], tau, ORDERS if self.shaped else ORDERS[:1])
            logs = [composed(row, mu) for row in table]
            if not self.expected:
                return Expansion(logs, [[-d for d in row[2:]] for row in logs])
            W = fisher(self.family, self.w, mu, tau)
        # the dispersion divides Fisher's weights: -W and W are their derivatives in its logarithm
        return Expansion(logs, [W, [-W[0], -W[1]], [W[0]]] if self.shaped else [W])

    def _always_inside(self) -> bool:
        link, name = self.family.link.name, self.family.name
        return (
            link in FREE
            or (name == "gaussian" and link in ("identity", "log"))
            or (link == "log" and name != "binomial" and np.isinf(self.family.range[1]))
        )


def composed(f: Sequence[Array], mu: Jet) -> list[Array]:
    """d^k f(mu(eta)) / d eta^k for k = 0, 1, ... from f's derivatives in mu."""
    _, m1, m2, m3, m4 = mu
    out = [f[0]]
    if len(f) > 1:
        out.append(f[1] * m1)
    if len(f) > 2:
        out.append(f[2] * m1**2 + f[1] * m2)
    if len(f) > 3:
        out.append(f[3] * m1**3 + 3 * f[2] * m1 * m2 + f[1] * m3)
    if len(f) > 4:
        out.append(f[4] * m1**4 + 6 * f[3] * m1**2 * m2 + f[2] * (3 * m2**2 + 4 * m1 * m3) + f[1] * m4)
    return out


def fisher(family: Family, w: Array, mu: Jet, tau: float) -> list[Array]:
    """Fisher's weights W = w mu1^2 / (phi V) with two derivatives in eta; phi = exp(tau) where dispersed, else 1."""
    _, m1, m2, m3, _ = mu
    k = _precisions(family, mu[0])
    w = w * np.exp(-tau) if family.dispersed else w
    return [
        w * m1**2 * k[0],
        w * (2 * m1 * m2 * k[0] + m1**3 * k[1]),
        w * (2 * (m2**2 + m1 * m3) * k[0] + 5 * m1**2 * m2 * k[1] + m1**4 * k[2]),
    ]


def _precisions(family: Family, mu: Array) -> list[Array]:
    """1 / V(mu) with two derivatives in mu."""
    if family.name == "binomial":  # 1 / V = 1/mu + 1/(1 - mu)
        q = 1 - mu
        return [1 / mu + 1 / q, -1 / mu**2 + 1 / q**2, 2 / mu**3 + 2 / q**3]
    power = POWERS[family.name]
    return [mu**-power, -power * mu ** -(power + 1), power * (power + 1) * mu ** -(power + 2)]


# ---- canonical links: y eta - b(eta) -------------------------------------------------------------
def _logistic(eta: Array) -> tuple[Array, Array, Array]:
    """log(1 + exp(eta)), p and p (1 - p), each with its digits in both tails."""
    small = np.exp(-np.abs(eta))
    one = 1 + small
    soft = np.maximum(eta, 0.0) + np.log(one)
    return soft, np.exp(eta - soft), small / (one * one)


def _logit_near(y: Array, w: Array, eta: Array) -> Near:
    soft, p, v = _logistic(eta)
    return Near(w * (y * eta - soft), w * (y - p), -w * v)


def _log_near(y: Array, w: Array, eta: Array) -> Near:
    with np.errstate(over="ignore"):  # a step too far has a log-likelihood of -inf
        wm = w * np.exp(eta)
    return Near(w * y * eta - wm, w * y - wm, -wm)


def _logit(y: Array, w: Array, eta: Array) -> list[Array]:
    soft, p, v = _logistic(eta)
    wv = w * v
    return [w * (y * eta - soft), w * (y - p), -wv, wv * (2 * p - 1), wv * (6 * v - 1)]


def _log(y: Array, w: Array, eta: Array) -> list[Array]:
    wm = w * np.exp(eta)
    return [w * y * eta - wm, w * y - wm, -wm, -wm, -wm]


_CANONICAL_NEAR: dict[str, Callable[[Array, Array, Array], Near]] = {"binomial": _logit_near, "poisson": _log_near}
_CANONICAL: dict[str, Callable[[Array, Array, Array], list[Array]]] = {"binomial": _logit, "poisson": _log}
