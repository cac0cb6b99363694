"""Deviances of a linear and a generalized linear mixed model as functions of all their variance parameters."""

from __future__ import annotations

import numpy as np
from numpy.linalg import LinAlgError

from formula_neuro.errors import FitError
from formula_neuro.family import Array
from formula_neuro.inference.prediction.joint_covariance import root_of
from formula_neuro.result import Fit

from .glmm.marginal import Marginal
from .held import Deviance, units_of
from .lmm.derivatives import slopes
from .lmm.profiled import Products, Solution, solve
from .terms import Term


def of_lmm(fit: Fit, products: Products) -> Deviance:
    """-2 log-likelihood of a fit by maximum likelihood; the rest is log sigma.

    With the coefficients profiled out (Bates et al. 2015, equation 31)

        d(theta, sigma) = log|V| + n log(2 pi sigma^2) + r2(theta) / sigma^2
    """
    n = products.df

    def height(at: Solution, log_sigma: float) -> float:
        return float(at.value - n * (1 + np.log(at.r2 / n)) + 2 * n * log_sigma + at.r2 * np.exp(-2 * log_sigma))

    def value(theta: Array, rest: Array) -> float:
        try:
            return height(solve(products, theta), float(rest[0]))
        except (LinAlgError, FitError):
            return float("inf")

    def slope(theta: Array, rest: Array) -> tuple[float, Array, Array]:
        try:
            at = solve(products, theta)
            parts = slopes(products, theta, at)
        except (LinAlgError, FitError):
            return float("inf"), np.zeros(len(theta)), np.zeros(1)
        share = at.r2 * float(np.exp(-2 * rest[0]))  # `parts` hold sigma^2 at r2/n; y'PB_iPy is -dr2/dtheta_i
        of_theta = parts.first + parts.quadratic * (n - share) / at.r2
        return height(at, float(rest[0])), of_theta, np.array([2 * n - 2 * share])

    covariances = tuple(effect.covariance for effect in fit.random)
    return Deviance(
        terms=products.terms,
        value=value,
        slope=slope,
        scaled=True,
        covariances=covariances,
        units=units_of(products.terms, fit.sigma, covariances),
        rest=np.array([np.log(fit.sigma)]),
        sigma=0,
    )


def of_glmm(fit: Fit, terms: tuple[Term, ...], marginal: Marginal, psi: Array) -> Deviance:
    """-2 log-likelihood as the criterion of psi = (theta, b, tau), shifted to the fit's own; the rest is b and tau."""
    cut = marginal.model.n_theta
    shift = fit.criterion - marginal.value(psi)

    def slope(theta: Array, rest: Array) -> tuple[float, Array, Array]:
        try:
            found, own = marginal.gradient(np.concatenate([theta, rest]))
        except (LinAlgError, FitError):
            return float("inf"), np.zeros(len(theta)), np.zeros(len(rest))
        return found + shift, own[:cut], own[cut:]

    covariances = tuple(effect.covariance for effect in fit.random)
    return Deviance(
        terms=terms,
        value=lambda theta, rest: marginal.value(np.concatenate([theta, rest])) + shift,
        slope=slope,
        scaled=False,
        covariances=covariances,
        units=units_of(terms, 1.0, covariances),
        rest=psi[cut:],
        sigma=len(psi) - cut - 1 if fit.request.family.dispersed else None,
        power=2.0,  # tau is the logarithm of sigma^2
    )


def inner_theta(fit: Fit, terms: tuple[Term, ...]) -> Array:
    """The fit's covariances as templates in inner coordinates."""
    found = []
    for term, effect in zip(terms, fit.random, strict=True):
        inner = np.linalg.solve(term.change, root_of(effect.covariance))
        found.append(term.theta_of(np.asarray(inner, dtype=np.float64)))
    return np.concatenate(found)
