"""Covariance structures of random effects: how a few parameters psi make a template L with Cov(u) = sigma^2 L L'.

L = diag(sd) R(angle) with R R' the correlations, so that L has exact derivatives of first and second order in psi. No
element of psi has a limit: where a variance is 0 or a correlation at its limit the likelihood is even in psi, as it
is in the diagonal of an unstructured template, and whether to leave that place is told by its curvature.

    diag   R = I
    cs     R = (K / (K - 1))^(1/2) sin w (I - M) + K^(1/2) cos w M,  M = 11'/K,  rho = 1 - K sin^2 w / (K - 1)
    ar1    R_ij = rho^(i - j) (cos angle)^[j > 1],  i >= j,  rho = sin angle;  corr(u_i, u_j) = rho^|i - j|
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..family import Array

SMALL = 1e-4  # of the largest standard deviation (at least the residual's), and of what is left beside a correlation
Jet = tuple[Array, Array, Array]  # a value with its first and its second derivative


@dataclass(frozen=True)
class Structure:
    """A structure of K effects: sds (one where `hom`), then the angle of a correlation ("cs", "ar1"; "" for none).

    An sd is psi itself, whose sign does not matter; where several sds meet in correlations it is psi^2, because with
    psi a negative one would turn signs of correlations that the structure wants alike.

    >>> ar1 = Structure(3, hom=True, correlation="ar1")
    >>> L = ar1.template(ar1.nearest(np.array([[4.0, 2, 1], [2, 4, 2], [1, 2, 4]])))
    >>> (L @ L.T).round(12).tolist()
    [[4.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 4.0]]
    """

    K: int
    hom: bool
    correlation: str

    @property
    def n_sds(self) -> int:
        return 1 if self.hom else self.K

    @property
    def size(self) -> int:
        return self.n_sds + bool(self.correlation)

    @property
    def linear(self) -> bool:
        """Whether the covariances are sums of `directions` for every psi."""
        return not self.correlation or (self.correlation == "cs" and self.hom)

    @property
    def _squared(self) -> bool:
        return not self.hom and bool(self.correlation)

    def _roots(self, angle: float) -> Jet:
        """R (K, K) with its derivatives in the angle."""
        if not self.correlation:
            zero = np.zeros((self.K, self.K))
            return np.eye(self.K), zero, zero
        return compound_symmetry(self.K, angle) if self.correlation == "cs" else autoregression(self.K, angle)

    # ---- from psi to L -------------------------------------------------------------------------------
    def sds(self, psi: Array) -> Array:
        """(K,) relative to sigma, not negative."""
        own = np.broadcast_to(psi[: self.n_sds], self.K)
        return np.asarray(own**2 if self._squared else np.abs(own))

    def rho(self, psi: Array) -> float:
        """The correlation: of any two effects, of neighbours."""
        if not self.correlation:
            return 0.0
        if self.correlation == "ar1":
            return float(np.sin(psi[-1]))
        return float(1 - self.K / (self.K - 1) * np.sin(_turn(self.K) - psi[-1]) ** 2)

    def template(self, psi: Array) -> Array:
        """L (K, K)."""
        return self._jets(psi)[0][:, None] * self._roots(float(psi[-1]))[0]

    def slopes(self, psi: Array) -> Array:
        """dL / dpsi (m, K, K)."""
        (sd, first, _), (R, dR, _) = self._jets(psi), self._roots(float(psi[-1]))
        out = np.zeros((self.size, self.K, self.K))
        out[: self.n_sds] = self._rows(first)[:, :, None] * R
        if self.correlation:
            out[-1] = sd[:, None] * dR
        return out

    def bends(self, psi: Array) -> Array:
        """d2L / dpsi2 (m, m, K, K)."""
        (sd, first, second), (R, dR, ddR) = self._jets(psi), self._roots(float(psi[-1]))
        out, own = np.zeros((self.size, self.size, self.K, self.K)), np.arange(self.n_sds)
        out[own, own] = self._rows(second)[:, :, None] * R
        if self.correlation:
            out[-1, own] = out[own, -1] = self._rows(first)[:, :, None] * dR
            out[-1, -1] = sd[:, None] * ddR
        return out

    def _jets(self, psi: Array) -> Jet:
        """The sds (K,) with their derivatives in their own elements of psi; signs as they come."""
        own = np.broadcast_to(psi[: self.n_sds], self.K)
        return (own**2, 2 * own, np.full(self.K, 2.0)) if self._squared else (own, np.ones(self.K), np.zeros(self.K))

    def _rows(self, values: Array) -> Array:
        """(n_sds, K): the rows of L that each sd moves."""
        return values[None, :] if self.hom else np.diag(values)

    # ---- from covariances to psi ---------------------------------------------------------------------
    def directions(self) -> Array:
        """(m, K, K) changes of L L' at L = I with each variance and with the correlation."""
        out = np.zeros((self.size, self.K, self.K))
        own = np.arange(self.K)
        out[0 if self.hom else own, own, own] = 1.0
        if self.correlation:
            out[-1][self._pairs(1)] = 1.0
        return out

    def nearest(self, S: Array, least: float = 0.0, inside: float = 1.0) -> Array:
        """The psi of covariances S (K, K), which may lie beside the structure: sds at least `least`, a correlation of
        at most `inside` of its limits."""
        variances = np.maximum(np.diag(S), least**2)
        if self.hom:
            variances = np.full(self.K, max(float(np.diag(S).mean()), least**2))
        sd = np.sqrt(variances)
        psi = np.empty(self.size)
        psi[: self.n_sds] = (np.sqrt(sd) if self._squared else sd)[: self.n_sds]
        if self.correlation:
            lowest = -1.0 if self.correlation == "ar1" else -1 / (self.K - 1)
            rho = float(np.clip(self._correlation_of(S, sd), inside * lowest, inside))
            psi[-1] = np.arcsin(rho) if self.correlation == "ar1" else self._angle(rho)
        return psi

    def _angle(self, rho: float) -> float:
        return float(_turn(self.K) - np.arcsin(np.sqrt(min((1 - rho) * (self.K - 1) / self.K, 1.0))))

    def _correlation_of(self, S: Array, sd: Array) -> float:
        """From pairs of effects that vary: neighbours, or those next to each other where only others vary."""
        for lag in range(1, self.K):
            products = np.outer(sd, sd)
            pairs = self._pairs(lag) & (products > 0)
            if pairs.any():
                r = float((S[pairs] / products[pairs]).mean())
                return float(np.sign(r) * abs(r) ** (1 / lag)) if self.correlation == "ar1" else r
        return 0.0

    def _pairs(self, lag: int) -> NDArray[np.bool_]:
        """Which effects are `lag` apart (ar1), or any two (cs)."""
        apart = np.abs(np.subtract.outer(np.arange(self.K), np.arange(self.K)))
        return np.asarray(apart == lag if self.correlation == "ar1" else apart > 0)

    # ---- limits --------------------------------------------------------------------------------------
    def nearby(self, psi: Array) -> list[Array]:
        """psi with its smallest sd at 0, of those that are not."""
        sds = np.where(self.zero(psi), np.inf, self.sds(psi))[: self.n_sds]
        if np.isinf(sds).all():
            return []
        out = psi.copy()
        out[np.argmin(sds)] = 0.0
        return [out]

    def beside_zero(self, psi: Array, sd: float) -> list[Array]:
        """Where all sds are 0: points with small ones, at every kind of correlation.

        There the slope in the variances depends on the correlation, which psi's own is only one of. It is linear in
        that of "cs", whose limits are enough, and a polynomial in that of "ar1".
        """
        if not self.correlation or not self.zero(psi).all():
            return []
        lowest = -1.0 if self.correlation == "ar1" else -1 / (self.K - 1)
        rhos = np.linspace(lowest, 1.0, 5) if self.correlation == "ar1" else np.array([lowest, 1.0])
        apart = np.abs(np.subtract.outer(np.arange(self.K), np.arange(self.K)))
        S = [sd**2 * (rho**apart if self.correlation == "ar1" else np.where(apart > 0, rho, 1.0)) for rho in rhos]
        alone = [] if self.hom else [sd**2 * np.diag(row) for row in np.eye(self.K)]
        return [self.nearest(covariance) for covariance in (*S, *alone)]

    def anew(self, sds: Sequence[float]) -> list[Array]:
        """Independent effects of each size; [] of a structure without a correlation, which has one maximum as a rule.

        Small variances and a correlation hold one another: there are often better places away from both.
        """
        return [self.nearest(sd**2 * np.eye(self.K)) for sd in sds] if self.correlation else []

    def at_limit(self, psi: Array) -> bool:
        """Whether an sd is 0 or a correlation at its limit."""
        return bool(self.zero(psi).any() or self.limited(psi))

    def flattened(self, psi: Array) -> Array:
        """psi with its small sds at 0, and a correlation near a limit there."""
        out = psi.copy()
        out[: self.n_sds][self.zero(psi)[: self.n_sds]] = 0.0
        if self.correlation and self.limited(psi):
            quarter, at = np.pi / 2, _turn(self.K) if self.correlation == "cs" else 0.0
            # limits are multiples of a right angle, odd ones for ar1
            turns = np.round((at - psi[-1]) / quarter)
            out[-1] = at - quarter * turns
        return out

    def zero(self, psi: Array) -> NDArray[np.bool_]:
        """(K,) which sds count as 0."""
        sds = self.sds(psi)
        return np.asarray(sds < SMALL * max(1.0, float(sds.max())))

    def limited(self, psi: Array) -> bool:
        """Whether a correlation of effects that vary is at a limit."""
        if not self.correlation or (~self.zero(psi)).sum() < 2:
            return False
        if self.correlation == "ar1":
            return bool(abs(np.cos(psi[-1])) < SMALL)
        w = _turn(self.K) - psi[-1]
        return bool(min(abs(np.sin(w)), abs(np.cos(w))) < SMALL)

    def free(self, psi: Array) -> NDArray[np.bool_]:
        """(m,) which elements of psi can be estimated: not sds of 0, nor a correlation at its limit or of nothing."""
        varies = ~self.zero(psi)
        angle = [varies.sum() > 1 and not self.limited(psi)] if self.correlation else []
        return np.append(varies[: self.n_sds], angle).astype(bool)

    def described(self, psi: Array) -> Array:
        """(m,) the sds relative to sigma, then the correlation."""
        correlation = [self.rho(psi)] if self.correlation else []
        return np.append(self.sds(psi)[: self.n_sds], correlation)

    def root_of(self, described: Array) -> Array:
        """A root F (K, K) of the covariances F F' with these sds and this correlation."""
        sd = np.broadcast_to(described[: self.n_sds], self.K)
        if not self.correlation:
            return np.diag(sd)
        rho = float(described[-1])
        angle = float(np.arcsin(rho)) if self.correlation == "ar1" else self._angle(rho)
        return np.asarray(sd[:, None] * self._roots(angle)[0])


def _turn(K: int) -> float:
    """w of compound symmetry where rho is 0 and the angle is counted from."""
    return float(np.arccos(1 / np.sqrt(K)))


def compound_symmetry(K: int, angle: float) -> Jet:
    """R (K, K) of equal correlations, w = arccos(K^-1/2) - angle, with its derivatives in the angle.

    >>> R = compound_symmetry(3, 0.0)[0]
    >>> R.round(12).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    w, mean = _turn(K) - angle, np.full((K, K), 1 / K)
    within, between = np.sqrt(K / (K - 1)) * (np.eye(K) - mean), np.sqrt(K) * mean
    value, first = np.sin(w) * within + np.cos(w) * between, np.sin(w) * between - np.cos(w) * within
    return value, first, -value


def autoregression(K: int, angle: float) -> Jet:
    """R (K, K) of a stationary autoregression with rho = sin(angle), with its derivatives in the angle.

    >>> R = autoregression(2, np.pi / 6)[0]
    >>> (R @ R.T).round(12).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    s, c = np.sin(angle), np.cos(angle)
    lag = np.subtract.outer(np.arange(K), np.arange(K))
    k = np.maximum(lag, 0)
    power = s**k
    one, two = np.where(k > 0, s ** np.maximum(k - 1, 0), 0.0), np.where(k > 1, s ** np.maximum(k - 2, 0), 0.0)
    first_column, lower = np.arange(K) == 0, lag >= 0
    value = np.where(first_column, power, power * c)
    first = np.where(first_column, k * one * c, k * one * c**2 - power * s)
    second = np.where(
        first_column,
        k * (k - 1) * two * c**2 - k * power,
        k * (k - 1) * two * c**3 - (3 * k + 1) * power * c,
    )
    return tuple(np.where(lower, part, 0.0) for part in (value, first, second))  # type: ignore[return-value]
