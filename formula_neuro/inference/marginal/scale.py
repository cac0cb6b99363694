"""Estimates of a linear predictor on the response's scale, with random effects at 0 or averaged over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...family import Array, Family
from ...family.links import Link
from ...result import Fit
from ..prediction.limits import through_link

BIAS = ("taylor", "exact")


@dataclass(frozen=True, eq=False)
class Scale:
    """How eta becomes a mean: through the inverse link, or its mean over eta + N(0, sigma^2).

    bias "taylor": mu + mu'' sigma^2 / 2, as emmeans; "exact": the integral; "" for random effects of 0.
    """

    family: Family
    bias: str = ""
    sigma: float = 0.0

    @property
    def link(self) -> Link:
        return self.family.link

    def mean(self, eta: Array) -> Array:
        if self.bias == "taylor":
            return self.link.inverse(eta) + self.sigma**2 / 2 * self.link.second(eta)
        if self.bias == "exact":
            return self._integral(self.link.inverse, eta)
        return self.link.inverse(eta)

    def slope(self, eta: Array) -> Array:
        """d mean / d eta."""
        if self.bias == "taylor":
            h = 1e-5 * np.maximum(1.0, np.abs(eta))  # of a smooth function: right to 1e-10
            third = (self.link.second(eta + h) - self.link.second(eta - h)) / (2 * h)
            return self.link.derivative(eta) + self.sigma**2 / 2 * third
        if self.bias == "exact":
            return self._integral(self.link.derivative, eta)
        return self.link.derivative(eta)

    def _integral(self, of: object, eta: Array) -> Array:
        """The trapezoidal rule in standard normals: for such integrands right to rounding."""
        assert callable(of)
        reach = 9.0 + min(self.sigma, 30.0)  # beyond it lies nothing, under a log link either
        z, step = np.linspace(-reach, reach, 4001, retstep=True)
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * step
        known = ~np.isnan(eta)
        found = np.full(len(eta), np.nan)
        found[known] = of(eta[known, None] + self.sigma * z) @ density
        return found

    def columns(self, link: Mapping[str, Array]) -> dict[str, Array]:
        """estimate, std_error (by the delta method) and limits (at their ends) of the link's."""
        eta = link["estimate"]
        low, high = link["conf_low"], link["conf_high"]
        if self.bias:
            low, high = np.sort([self.mean(low), self.mean(high)], axis=0)
        else:
            low, high = through_link(self.family, eta, low, high)
        se = np.abs(self.slope(eta)) * link["std_error"]
        return {**link, "estimate": self.mean(eta), "std_error": se, "conf_low": low, "conf_high": high}


def scale(fit: Fit, bias: str | bool, sigma: float | None) -> Scale:
    """The scale that bias_adjust= and sigma= ask for; sigma is otherwise the fit's total sd of random effects."""
    word = {True: "taylor", False: ""}.get(bias, bias) if isinstance(bias, bool) else bias
    if word not in ("", *BIAS):
        raise ValueError(f"bias_adjust={bias!r} is not known; there are True (as emmeans), {', '.join(BIAS)} and False")
    if not word:
        return Scale(fit.request.family)
    if sigma is None and not fit.random:
        raise ValueError("bias_adjust= averages over random effects, and this fit has none; give their sd as sigma=")
    total = float(np.sqrt(random_variance(fit))) if sigma is None else float(sigma)
    if not total >= 0:
        raise ValueError(f"sigma is a standard deviation, 0 or more; got {sigma!r}")
    return Scale(fit.request.family, word, total)


def random_variance(fit: Fit) -> float:
    """The variance of a row's random effects z'u, averaged over the rows used."""
    pairs = zip(fit.request.design.random, fit.random, strict=True)
    return float(sum(np.einsum("nk,kl,nl->n", t.basis, e.covariance, t.basis).mean() for t, e in pairs))
