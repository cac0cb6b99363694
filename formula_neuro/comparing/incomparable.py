"""What of two fits of one request says nothing when compared, and the notes that say so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..estimator import BIAS_REDUCED
from ..family import NBinom2
from ..result import Fit
from . import tests

POISSON_FROM = 1e3  # where glm.nb's theta stops says little from here on


def notes(fit: Fit, other: Fit) -> tuple[str, ...]:
    """What is to be said beside the numbers: what is not among them and why, and what the reference says itself."""
    said = []
    gain = fit.loglik - other.loglik
    if fit.random and 1e-7 < gain < np.inf:
        said.append(
            f"The log-likelihood found here is higher by {gain:.1e}: the iterations of the reference stopped earlier."
        )
    said += _not_compared(fit, other)
    said += tests.notes(fit, other)
    said += [f"{f.backend} did not converge." for f in (fit, other) if not f.converged]
    said += [f"{quantity.capitalize()} are not compared: {why}." for quantity, why in left_out(other).items()]
    return (*said, *(f"{other.backend} says: {m}" for m in other.messages if m not in fit.messages))


def _not_compared(fit: Fit, other: Fit) -> list[str]:
    said = []
    if poisson(fit, other):
        said.append("Not compared: theta, on its way to infinity (the Poisson model), and the deviances that it moves.")
    if without_weight(fit, other):
        said.append("The log-likelihood is not compared: R's is -infinity where a weight is 0; here such rows are out.")
    if perfect(other):
        said.append("The fit is perfect: its standard errors and log-likelihood are rounding and are not compared.")
    if names := ", ".join(infinite(fit, other)):
        beside = " Nor are standard errors: glmer's Hessian is singular then." if fit.random else ""
        said.append(f"Not compared, because separation makes them infinite: {names}.{beside}")
    if have_degrees(fit, other) and singular(other):
        said.append("Degrees of freedom are not compared: the fit is singular, where numerical derivatives mislead.")
    elif have_degrees(fit, other) and not within_reach(other):
        said.append(
            "Degrees of freedom are not compared: in the units and origins of these columns a standard deviation is "
            "below 1e-3 or above 1e3, or a correlation nearly 1, where lmerTest's numerical derivatives fail."
        )
    return said


def left_out(other: Fit) -> Mapping[str, str]:
    """Quantities by which the reference's backend means something else, each with the reason."""
    found: Mapping[str, str] = getattr(other.engine, "not_compared", {})
    return found


def infinite(fit: Fit, other: Fit) -> tuple[str, ...]:
    """Coefficients that separation makes infinite: where their iterations stop says nothing."""
    if fit.request.estimator.word in BIAS_REDUCED:
        return ()  # whose estimates are finite
    return tuple(dict.fromkeys((*fit.separated, *other.separated)))


def perfect(fit: Fit) -> bool:
    """Whether the residuals are rounding, and all that is made of them too; without degrees of freedom sigma is NaN."""
    seen = np.abs(fit.fitted.to_numpy()[fit.request.weights > 0])  # others' means may be anything
    none = fit.df_resid <= 0 and np.isnan(fit.sigma)
    return bool(fit.request.family.dispersed and (none or fit.sigma <= 1e-10 * seen.max()))


def without_weight(fit: Fit, other: Fit) -> bool:
    """Whether R's formula for the log-likelihood of a gaussian glm took the logarithm of a weight of 0."""
    return fit.request.model == "glm" and other.loglik == -np.inf and not fit.request.weights.all()


def poisson(fit: Fit, other: Fit) -> bool:
    """Whether an estimated theta is on its way to infinity: here as well, as glm.nb() sometimes runs away alone."""
    pair = thetas(fit, other)
    known = isinstance(fit.request.family, NBinom2)
    return known and pair is not None and max(pair) >= POISSON_FROM and pair[0] >= POISSON_FROM / 10


def thetas(fit: Fit, other: Fit) -> tuple[float, float] | None:
    """The estimated theta (phi of other families) of both; None where one has none."""
    a, b = fit.request.family, other.request.family
    if a.shape is None or b.shape is None or a.name != b.name:
        return None
    return a.shape[1], b.shape[1]


def have_degrees(fit: Fit, other: Fit) -> bool:
    """Whether both have Satterthwaite's degrees of freedom of their coefficients."""
    engines = (fit.engine, other.engine)
    satterthwaite = all(getattr(e, "default_df", "satterthwaite") == "satterthwaite" for e in engines)
    return fit.request.model == "lmm" and satterthwaite and all(hasattr(e, "df") for e in engines)


def singular(fit: Fit) -> bool:
    """Whether some random effect has (nearly) no variance in some direction, on lme4's scale of 1e-4."""
    values = [np.linalg.eigvalsh(r.covariance) for r in fit.random]
    return any(v.min() <= 1e-8 * max(v.max(), fit.sigma**2) for v in values)


def within_reach(fit: Fit) -> bool:
    """Whether lmerTest's derivatives can see sigma and the relative covariances.

    Its steps are at least 1e-4 and curvatures below 1e-8 count as none, whatever the units; nearly perfect
    correlations are beyond its precision.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        sds = [np.sqrt(np.diag(r.covariance)) for r in fit.random]
        inner = [np.linalg.eigvalsh(r.covariance / np.outer(s, s)).min() for r, s in zip(fit.random, sds, strict=True)]
    if not min(inner) > 1e-2:
        return False
    relative = [np.sqrt(np.maximum(np.diag(r.covariance), 0)) / fit.sigma for r in fit.random]
    sizes = np.concatenate([[fit.sigma], *relative])
    return bool((sizes > 1e-3).all() and (sizes < 1e3).all())
