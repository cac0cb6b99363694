"""Where a reference has no answer to compare with: it did not converge, or its numbers are none of the model's."""

from __future__ import annotations

import numpy as np

from ..result import Fit
from .tolerances import TOLERANCES


def unfinished(fit: Fit, other: Fit) -> str:
    """What shows that the reference did not finish, in words; empty where it did.

    Only what the reference says of itself counts, and numbers that no fit of the model can have, so that a mistake of
    ours excuses nothing. A reference with the clearly higher likelihood contradicts the fit, converged or not.
    """
    if _found_better(fit, other):
        return ""
    reasons = []
    if not other.converged:
        reasons.append("it did not converge")
    if fit.sigma > 0 and not other.sigma >= 0:
        reasons.append("its dispersion is no positive number")
    used = fit.request.weights > 0
    outside = int((~(np.isfinite(other.eta) & fit.request.family.inside(other.eta)))[used].sum())
    if outside:
        reasons.append(f"{outside} of its means {'is' if outside == 1 else 'are'} outside the range of the family")
    return ", and ".join(reasons)


def _found_better(fit: Fit, other: Fit) -> bool:
    """By more than the rounding and early stops that the tolerance is made of; of maximum likelihood alone."""
    rule = TOLERANCES[fit.request.model].get("log-likelihood")
    likelihood = fit.request.estimator.word in ("ml", "reml", "laplace", "agq")
    return bool(likelihood and rule is not None and other.loglik > fit.loglik + rule.allowed)


def standing(fit: Fit, other: Fit) -> tuple[str, ...]:
    """How good both answers are by the measures that the estimator has: likelihood or deviance, and adjusted score."""
    name = "log-likelihood" if fit.request.family.likelihood else "deviance"
    pair = (fit.loglik, other.loglik) if fit.request.family.likelihood else (fit.deviance, other.deviance)
    return (*_heights(name, *pair), *by_adjusted_score(fit, other))


def by_adjusted_score(fit: Fit, other: Fit) -> tuple[str, ...]:
    """How far both answers are from solving the equations of a bias-reduced estimator, which may have two solutions,
    and how high they are where these are the derivative of something; nothing for other estimators."""
    measure = getattr(fit.engine, "standing", None)
    if measure is None:
        return ()
    (here, ours), (there, theirs) = (measure(fit.request, f.beta) for f in (fit, other))
    far = f"{there:.1e} there" if np.isfinite(there) else "and it cannot be computed there"
    root = f"From a root of the adjusted score: {here:.1e} standard errors here, {far}."
    return (root, *(_heights("penalised log-likelihood", ours, theirs) if np.isfinite(ours) else ()))


def _heights(name: str, a: float, b: float) -> tuple[str, ...]:
    if np.isnan(a) and np.isnan(b):
        return ()
    seen = np.isfinite(a - b) and abs(a - b) > 1e-7  # less is rounding
    apart = f" ({abs(a - b):.2g} {'higher' if a > b else 'lower'} here)" if seen else ""
    return (f"{name.capitalize()}: {a:.7g} here, {b:.7g} there{apart}.",)
