"""Where the search for a GLMM's maximum begins: the fit without random effects, and moments for the rest."""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array, Beta, BetaBinomial, Binomial, Family, NBinom1, NBinom2, Poisson
from formula_neuro.kernels.irls import Scoring, irls
from formula_neuro.searches.search import USUAL, Point, Search

from ..optimizers import theta_to_start
from ..terms import Term, start_theta
from .modes import Model
from .moments import moments

LINEAR_PREDICTORS = ("logit", "probit", "cloglog", "cauchit", "log")  # whose unit is a large effect


def simpler(family: Family) -> Family:
    """The family without a shape whose means are fitted first: Poisson's or binomial for overdispersed ones."""
    if isinstance(family, (NBinom1, NBinom2)):
        return Poisson(family.link)
    if isinstance(family, (Beta, BetaBinomial)):
        return Binomial(family.link)
    return family


def alone(model: Model) -> Scoring:
    """The maximum-likelihood fit of the fixed part, by the simpler family."""
    rows = model.rows
    family = simpler(rows.family)
    w = np.ones_like(rows.w) if rows.family.name == "beta" else rows.w
    X = model.X[:, : model.X.shape[1] - rows.n_inflation]
    return irls(X, rows.y, w, model.offset, family, tolerance=1e-10)  # a start need not be exact


def start(model: Model, terms: tuple[Term, ...], b: Array, how: Search = USUAL) -> Array:
    """psi to begin from: the coefficients given, moments for the random effects and the shape.

    how: where else the user wants theta to begin; "moments" is of linear models.
    """
    eta = model.X @ b + model.offset
    tau = [_log_shape(model, model.rows.family.link.inverse(eta))] if model.rows.shaped else []
    if how.start == "moments":
        raise ValueError("start='moments' is of linear mixed models; take 'identity', 'zero' or 'large'")
    size = _size(model, eta)
    if isinstance(how.start, Point):
        tau = [float(np.log(how.start.shape))] if tau and how.start.shape and np.isfinite(how.start.shape) else tau
        size = float(np.exp(tau[0] / 2)) if model.rows.family.dispersed else 1.0  # lme4's theta is in units of sigma
    theta = start_theta(terms, size)
    if how.start is None:
        return np.concatenate([*moments(model, terms, theta, b, tau), tau])
    return np.concatenate([theta_to_start(how, terms, theta, size), b, tau])


def _size(model: Model, eta: Array) -> float:
    """1, or where the linear predictor has the response's units the spread of the residuals in them."""
    rows, link = model.rows, model.rows.family.link
    if link.name in LINEAR_PREDICTORS:
        return 1.0
    residual = (rows.y - link.inverse(eta)) / link.derivative(eta)
    spread = float(np.sqrt(np.average(residual**2, weights=rows.w)))
    return spread if np.isfinite(spread) and spread > 0 else 1.0


def _log_shape(model: Model, mu: Array) -> float:
    """The logarithm of the shape that the residuals' moments give, kept away from its limits."""
    rows = model.rows
    y, w, name = rows.y, rows.w, rows.family.name
    if name in ("gaussian", "Gamma", "inverse.gaussian"):
        return float(np.log(max(np.average((y - mu) ** 2 / rows.family.variance(mu), weights=w), 1e-10)))
    square = (y - mu) ** 2
    if name == "nbinom2":
        guess = (w * mu**2).sum() / max((w * (square - mu)).sum(), 1e-3 * (w * mu).sum())
    elif name == "nbinom1":
        guess = np.average(square / mu, weights=w) - 1
    elif name == "beta":
        guess = 1 / np.average(square / (mu * (1 - mu)), weights=w) - 1
    else:
        excess = (w * square / (mu * (1 - mu)) - 1).sum()
        if not (w > 1).any():
            raise FitError(
                "betabinomial with one trial a row is binomial: phi is not determined; use family='binomial', or "
                "give the trials as cbind(successes, failures) or weights="
            )
        guess = (w - 1).sum() / max(excess, 1e-3 * w.sum()) - 1
    return float(np.log(np.clip(guess, 0.1, 100.0)))
