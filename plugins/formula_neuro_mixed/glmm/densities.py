"""log f(y | mu, tau) of each family and its partial derivatives in the mean mu and in tau = log(shape).

`slopes` gives f[j][i] = d^(i+j) log f / d mu^i d tau^j for the pairs (i, j) of the tables: i up to 4 at j = 0,
up to 3 at j = 1, up to 2 at j = 2. f[0][0] is the log-likelihood itself; constants that hold neither mu nor tau
may be missing there (`constant` has them). Families without a shape have j = 0 only.

The shape is the dispersion of gaussian, Gamma and inverse.gaussian, theta of nbinom2, and phi of nbinom1, beta
and betabinomial, as in glmmTMB (Brooks et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from formula_neuro.family import Array

STIRLING = 1e3  # from here on the series' next term, 1 / (360 s^3), is below rounding
Table = list[list[Array]]
ORDERS = (4, 3, 2)  # the highest i for j = 0, 1, 2
Density = Callable[[Array, Array, Array, float, tuple[int, ...]], Table]


# ---- no shape ------------------------------------------------------------------------------------
def binomial(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    """w (y log mu + (1 - y) log(1 - mu))."""
    out = [w * (special.xlogy(y, mu) + special.xlog1py(1 - y, -mu))]
    a, b, factor = w * y, w * (1 - y), 1.0
    for i in range(1, orders[0] + 1):
        a, b = a / mu, b / (1 - mu)
        out.append(factor * (a * (-1) ** (i - 1) - b))
        factor *= i
    return [out]


def poisson(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    """w (y log mu - mu)."""
    out = [w * (special.xlogy(y, mu) - mu)]
    a, factor = w * y, 1.0
    for i in range(1, orders[0] + 1):
        a = a / mu
        out.append(factor * a * (-1) ** (i - 1) - (w if i == 1 else 0.0))
        factor *= i
    return [out]


# ---- exponential dispersion: -lambda d(y, mu) / 2 + c(y, lambda), lambda = exp(-tau) -------------
def gaussian(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    r, zero = y - mu, np.zeros_like(mu)
    used = (w > 0).astype(float)
    c = [-(tau + np.log(2 * np.pi)) * used / 2 + np.log(np.where(w > 0, w, 1.0)) / 2, -used / 2, zero]
    return _dispersed([w * r**2, -2 * w * r, 2 * w, zero, zero], c, tau, orders)


def gamma(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    k, x = np.exp(-tau), y / mu
    d = [
        2 * w * (x - np.log(x) - 1),
        2 * w * (1 - x) / mu,
        2 * w * (2 * x - 1) / mu**2,
        4 * w * (1 - 3 * x) / mu**3,
        12 * w * (4 * x - 1) / mu**4,
    ]
    # k log k - k - lgamma(k) - log y, by tau
    rise = np.log(k) - special.digamma(k)
    c = [w * (k * np.log(k) - k - special.gammaln(k) - np.log(y)), -w * k * rise]
    c.append(w * (k * rise + k * (1 - k * special.polygamma(1, k))))
    return _dispersed(d, c, tau, orders)


def inverse_gaussian(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    d = [
        w * (y - mu) ** 2 / (y * mu**2),
        2 * w * (mu - y) / mu**3,
        w * (6 * y - 4 * mu) / mu**4,
        w * (12 * mu - 24 * y) / mu**5,
        w * (120 * y - 48 * mu) / mu**6,
    ]
    c = [-w * (np.log(2 * np.pi * y**3) + tau) / 2, -w / 2, np.zeros_like(mu)]
    return _dispersed(d, c, tau, orders)


def _dispersed(d: Sequence[Array], c: Sequence[Array], tau: float, orders: tuple[int, ...]) -> Table:
    half = np.exp(-tau) / 2
    table = []
    for j, order in enumerate(orders):
        sign = -half if j % 2 == 0 else half
        table.append([sign * d[i] + (c[j] if i == 0 else 0.0) for i in range(order + 1)])
    return table


# ---- counts and shares with more variation -------------------------------------------------------
def nbinom2(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    """Var = mu + mu^2 / theta, theta = exp(tau)."""
    theta = np.exp(tau)
    total, rest = y + theta, mu + theta
    ways = _log_rise(y, np.asarray(theta))
    table = [[w * (ways - theta * np.log1p(mu / theta) + special.xlogy(y, mu / rest))]]
    a, factor = w * y, 1.0
    for i in range(1, orders[0] + 1):
        a = a / mu
        table[0].append((-1) ** (i - 1) * factor * (a - w * total / rest**i))
        factor *= i
    if len(orders) == 1:
        return table
    digamma, trigamma = _rise(y, theta, 2)[1:]
    first = digamma - np.log1p(mu / theta) + 1 - total / rest
    second = trigamma + 1 / theta - 2 / rest + total / rest**2
    by_tau, by_tau2 = [w * theta * first], [w * (theta * first + theta**2 * second)]
    factor = 1.0
    for i in range(1, orders[1] + 1):
        sign = -((-1) ** (i - 1)) * factor * w
        q1 = rest**-i - i * total * rest ** -(i + 1)
        q2 = i * (i + 1) * total * rest ** -(i + 2) - 2 * i * rest ** -(i + 1)
        by_tau.append(sign * theta * q1)
        by_tau2.append(sign * (theta * q1 + theta**2 * q2))
        factor *= i
    return [table[0], by_tau, by_tau2[: orders[2] + 1]]


def nbinom1(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    """Var = mu (1 + phi), phi = exp(tau): a negative binomial of size s = mu / phi in every row."""
    phi = float(np.exp(tau))
    s, c, r = mu / phi, float(np.log1p(phi)), phi / (1 + phi)
    table = _scaled(_rise(y, s, max(orders) + 1), s, 1 / phi, -1, orders)
    kappa = [c, r - c, r * (1 - r) - 2 * r + c]  # exp(tau) times c exp(-tau) and its derivatives
    rest = [y * (tau - c), y * (1 - r), -y * r * (1 - r)]
    for j in range(len(orders)):
        table[j][0] = w * (table[j][0] - s * kappa[j] + rest[j])
        for i in range(1, orders[j] + 1):
            table[j][i] = w * (table[j][i] - (kappa[j] / phi if i == 1 else 0.0))
    return table


def beta(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    """Shapes a = mu phi and b = (1 - mu) phi, phi = exp(tau); Var = mu (1 - mu) / (1 + phi)."""
    phi = float(np.exp(tau))
    a, b = mu * phi, (1 - mu) * phi
    of_a = _scaled(_log_gamma(a, max(orders) + 1), a, phi, 1, orders)
    of_b = _scaled(_log_gamma(b, max(orders) + 1), b, phi, 1, orders, slope=-1)
    whole = phi * special.digamma(phi)
    of_phi = [special.gammaln(phi), whole, whole + phi**2 * special.polygamma(1, phi)]
    logs = special.logit(y)
    table = []
    for j, order in enumerate(orders):
        entries = [w * -(of_a[j][i] + of_b[j][i]) for i in range(order + 1)]
        entries[0] = entries[0] + w * (of_phi[j] + a * logs + phi * np.log1p(-y))
        if j == 0:
            entries[0] = entries[0] - w * (np.log(y) + np.log1p(-y))
        if order:
            entries[1] = entries[1] + w * phi * logs
        table.append(entries)
    return table


def betabinomial(y: Array, w: Array, mu: Array, tau: float, orders: tuple[int, ...]) -> Table:
    """w trials whose probability is beta with shapes mu phi and (1 - mu) phi, phi = exp(tau); y the share."""
    phi = float(np.exp(tau))
    a, b = mu * phi, (1 - mu) * phi
    of_a = _scaled(_rise(w * y, a, max(orders) + 1), a, phi, 1, orders)
    of_b = _scaled(_rise(w * (1 - y), b, max(orders) + 1), b, phi, 1, orders, slope=-1)
    value, first, second = _rise(w, np.full_like(mu, phi), 2)
    of_phi = [value, phi * first, phi * first + phi**2 * second]
    table = [[of_a[j][i] + of_b[j][i] for i in range(order + 1)] for j, order in enumerate(orders)]
    for j in range(len(orders)):
        table[j][0] = table[j][0] - of_phi[j]
    return table


def _rise(y: Array, s: Array | float, order: int) -> list[Array]:
    """log Gamma(y + s) - log Gamma(s) and its derivatives in s up to `order`."""
    s = np.asarray(s, dtype=float)
    out = [_log_rise(y, s), special.digamma(y + s) - special.digamma(s)]
    return [*out, *(special.polygamma(k, y + s) - special.polygamma(k, s) for k in range(1, order))]


def _log_rise(y: Array, s: Array) -> Array:
    """log Gamma(y + s) - log Gamma(s), by Stirling's series where s is so large that the difference loses digits."""
    with np.errstate(all="ignore"):  # the two are each evaluated everywhere
        plain = special.gammaln(y + 1) - special.betaln(s, y + 1) - np.log(y + s)
        series = y * np.log(s) + (y + s - 0.5) * np.log1p(y / s) - y + (1 / (y + s) - 1 / s) / 12
    return np.where(s > STIRLING, series, plain)


def _log_gamma(a: Array, order: int) -> list[Array]:
    return [special.gammaln(a), special.digamma(a), *(special.polygamma(k, a) for k in range(1, order))]


def _scaled(T: Sequence[Array], a: Array, scale: float, turn: int, orders: tuple[int, ...], slope: int = 1) -> Table:
    """Derivatives of T(a) in mu and tau where da/dmu = slope * scale and a and scale go as exp(turn * tau).

    d^i/dmu^i is (slope scale)^i T_i; each d/dtau of scale^i T_i is turn scale^i (i T_i + a T_{i+1}).
    """
    table = []
    for j, order in enumerate(orders):
        entries = []
        for i in range(order + 1):
            if j == 0:
                term = T[i]
            elif j == 1:
                term = turn * (i * T[i] + a * T[i + 1])
            else:
                term = i * i * T[i] + (2 * i + 1) * a * T[i + 1] + a * a * T[i + 2]
            entries.append((slope * scale) ** i * term)
        table.append(entries)
    return table


DENSITIES: dict[str, Density] = {
    "binomial": binomial, "poisson": poisson, "gaussian": gaussian, "Gamma": gamma,
    "inverse.gaussian": inverse_gaussian, "nbinom2": nbinom2, "nbinom1": nbinom1, "beta": beta,
    "betabinomial": betabinomial,
}  # fmt: skip
SHAPED = frozenset(DENSITIES) - {"binomial", "poisson"}
