"""What rows say of the linear predictor in a batch: log-likelihood kernels and their derivatives at eta (n, B).

`wy` (n, B) are weights times responses, `w` (n, 1) the weights; rows of one (X, z, group, offset) may be merged by
adding both, because the kernels are linear in them. With l = log f up to a constant of the response:

    score = l',  observed = -l'',  fisher = w mu1^2 / V

For canonical links the two weights are one. For others the last derivative is taken by differences of step 1e-4,
exact to about 8 digits: only Newton's steps see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from formula_neuro.family import Array, Family

LINKS = {"binomial": ("logit", "probit", "cloglog"), "poisson": ("log",)}  # whose means cannot leave the range
STEP = 1e-4


@dataclass(frozen=True, eq=False)
class Weights:
    """Second derivatives of the rows, and their derivatives in eta; `observed` is `fisher` for canonical links."""

    fisher: tuple[Array, Array, Array]  # W, W', W''
    observed: tuple[Array, Array]  # -l'', -l'''


@dataclass(frozen=True, eq=False)
class Rows:
    """The kernels of one family with one of its LINKS."""

    family: Family

    @property
    def canonical(self) -> bool:
        return self.family.link.name in ("logit", "log")

    def kernel(self, wy: Array, w: Array, eta: Array) -> Array:
        """w log f without the terms that do not depend on eta."""
        if self.family.link.name == "logit":
            return wy * eta - w * (np.maximum(eta, 0.0) + np.log1p(np.exp(-np.abs(eta))))
        if self.family.link.name == "log":
            return wy * eta - w * np.exp(eta)
        mu = self.family.link.inverse(eta)
        return np.asarray(special.xlogy(wy, mu) + special.xlog1py(w - wy, -mu))

    def score(self, wy: Array, w: Array, eta: Array) -> tuple[Array, Array]:
        """l' and -l''."""
        if self.canonical:
            mu = self._mean(eta)
            return wy - w * mu, w * (mu if self.family.link.name == "log" else mu * (1 - mu))
        return self._scored(wy, w, eta)

    def weights(self, wy: Array, w: Array, eta: Array) -> Weights:
        """All that Newton's method needs beyond the score."""
        if self.family.link.name == "log":
            W = w * self._mean(eta)
            return Weights((W, W, W), (W, W))
        if self.family.link.name == "logit":
            mu = self._mean(eta)
            v = mu * (1 - mu)
            W = w * v
            W1 = W * (1 - 2 * mu)
            return Weights((W, W1, W * (1 - 6 * v)), (W, W1))
        (W, W1), (_, W1_up), (_, W1_down) = (self._fisher(w, eta + h) for h in (0.0, STEP, -STEP))
        o, up, down = (self._scored(wy, w, eta + h)[1] for h in (0.0, STEP, -STEP))
        return Weights((W, W1, (W1_up - W1_down) / (2 * STEP)), (o, (up - down) / (2 * STEP)))

    def _mean(self, eta: Array) -> Array:
        if self.family.link.name == "log":
            return np.exp(eta)
        mu = np.exp(-eta)  # in place, because this is where the time goes
        mu += 1.0
        return np.reciprocal(mu, out=mu)

    def _scored(self, wy: Array, w: Array, eta: Array) -> tuple[Array, Array]:
        link, family = self.family.link, self.family
        mu, mu1, mu2 = link.inverse(eta), link.derivative(eta), link.second(eta)
        V, V1 = family.variance(mu), family.variance_slope(mu)
        residual = wy - w * mu
        return residual * mu1 / V, w * mu1**2 / V - residual * (mu2 * V - mu1**2 * V1) / V**2

    def _fisher(self, w: Array, eta: Array) -> tuple[Array, Array]:
        link, family = self.family.link, self.family
        mu, mu1, mu2 = link.inverse(eta), link.derivative(eta), link.second(eta)
        V, V1 = family.variance(mu), family.variance_slope(mu)
        return w * mu1**2 / V, w * (2 * mu1 * mu2 / V - mu1**3 * V1 / V**2)


def log_constants(family: Family, Y: Array, w: Array) -> Array:
    """(B,) what log f adds to the kernels: of responses Y (n, B), on the family's scale, with weights w (n, 1)."""
    if family.name == "poisson":
        return np.asarray(-(w * special.gammaln(Y + 1)).sum(axis=0))
    if (w == 1).all() and ((Y == 0) | (Y == 1)).all():
        return np.zeros(Y.shape[1])
    k = np.round(w * Y)
    choose = special.gammaln(w + 1) - special.gammaln(k + 1) - special.gammaln(w - k + 1)
    return np.asarray(choose.sum(axis=0))
