"""Profile intervals of mixed models: of coefficients, standard deviations, correlations and sigma.

The signed root sign(c - estimate) sqrt(d(c) - d) of the rise of the ML deviance with a parameter held at c is nearly a
line in c; an end of the interval is where it meets a normal quantile. lme4 profiles the ML deviance even of REML fits,
and interpolates by a spline; here each end solves the equation itself. Parameters have lme4's names (oldNames = FALSE).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq

from ...errors import FitError, Unable
from ...estimator import REML
from ...result import Fit
from ..ability import ability
from .held import Held, Profiler
from .restrict import hold

UNSURE = "did not converge"
FAR = 14  # doublings of the step: an end beyond 2^14 steps is open
EDGE = 1e-5  # from the limits of a correlation in time, and of a ratio of standard deviations: no spread at all
ABOVE = 1e-4  # a deviance that is lower than the fit's by more means that the fit is not the best


@dataclass(frozen=True)
class Parameter:
    """One parameter of a mixed model with what a profile needs to know of it."""

    name: str
    what: Held | int  # of the random part, or the place of a coefficient
    estimate: float  # of the fit by maximum likelihood
    step: float  # about a standard error
    least: float = -np.inf
    most: float = np.inf


def mixed_profile(fit: Fit, parm: str | Sequence[str] | None, conf_level: float) -> pd.DataFrame:
    """The table of confint(): standard deviations and correlations, sigma, then coefficients."""
    _check(fit)
    best = _by_ml(fit)
    own = {one.name: one.estimate for one in (*_of_random(fit), *_of_fixed(fit))}
    parameters = {one.name: one for one in (*_of_random(best), *_of_fixed(best))}
    quantile = float(stats.norm.ppf((1 + conf_level) / 2))
    profiler: Profiler | None = None
    ends, messages = [], list[str]()
    if best is not fit:
        messages.append("profiles are of the likelihood, so the REML fit was refitted by ML for them (as lme4 does)")
    names = _asked(fit, parm, list(parameters))
    for name in names:
        one = parameters[name]
        if np.isnan(one.estimate):
            ends.append((np.nan, np.nan))
            why = "a variance is estimated as 0" if isinstance(one.what, Held) else "the column is aliased"
            messages.append(f"{name}: there is no interval, because {why}")
            continue
        if isinstance(one.what, Held) and profiler is None:
            profiler = ability(best, "profiler", "a profile of variances")(best)
        low, high, notes = _limits(one, _curve(best, one, profiler, quantile), quantile)
        ends.append((low, high))
        messages += notes
    table = pd.DataFrame({"term": names, "estimate": [own[name] for name in names]})
    table["conf_low"], table["conf_high"] = np.array(ends).reshape(-1, 2).T
    table["method"] = "profile"
    table.attrs["messages"] = tuple(messages)
    return table


def _check(fit: Fit) -> None:
    if getattr(fit.engine, "by_formula", False):
        raise Unable(f"profiles refit by changed designs, which {fit.backend} does not take; fit the model natively")
    odd = next((term.structure for term in fit.request.design.random if term.structure not in ("us",)), None)
    if odd is not None:
        raise Unable(f"profiles of {odd}(...) terms are not offered; take method='bootstrap', or 'wald'")


def _by_ml(fit: Fit) -> Fit:
    if not isinstance(fit.request.estimator, REML):
        return fit
    best: Fit = ability(fit, "refit", "a profile")(fit.request.by_ml())
    return best


def _asked(fit: Fit, parm: str | Sequence[str] | None, known: list[str]) -> list[str]:
    """Names, or lme4's "theta_" and "beta_" for all of the random and of the fixed part."""
    wanted = known if parm is None else [parm] if isinstance(parm, str) else list(parm)
    groups = {"theta_": [name for name in known if name not in fit.names], "beta_": list(fit.names)}
    found = [name for word in wanted for name in groups.get(word, [word])]
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a parameter; there are {', '.join(known)}, and 'theta_' and 'beta_'")
    return found


# ---- parameters ------------------------------------------------------------------------------------
def _of_random(fit: Fit) -> list[Parameter]:
    found = []
    for t, (effect, term) in enumerate(zip(fit.random, fit.request.design.random, strict=True)):
        sd, levels = np.sqrt(np.diag(effect.covariance)), len(effect.levels)
        size = np.sqrt((term.basis**2).mean(axis=0))
        for i, name in enumerate(effect.columns):
            step = max(sd[i], 0.1 * fit.sigma / size[i]) / np.sqrt(2 * levels)
            found.append(Parameter(f"sd_{name}|{effect.group}", Held(t, i, i), float(sd[i]), step, least=0.0))
            for j in range(i + 1, len(sd)):
                with np.errstate(divide="ignore", invalid="ignore"):
                    rho = float(effect.covariance[i, j] / (sd[i] * sd[j]))
                label = f"cor_{effect.columns[j]}.{name}|{effect.group}"
                step = max(1 - rho**2, 0.05) / np.sqrt(levels)
                found.append(Parameter(label, Held(t, i, j), float(np.clip(rho, -1, 1)), step, -1.0, 1.0))
    for k, (name, value) in enumerate(fit.residual.items()):
        least, most = (-1 + EDGE, 1 - EDGE) if name == "phi" else (EDGE, 1 / EDGE)
        size = max(1 - value**2, 0.05) if name == "phi" else value
        found.append(Parameter(name, Held(None, residual=k), value, size / np.sqrt(fit.nobs), least, most))
    if fit.request.family.dispersed:
        found.append(Parameter("sigma", Held(None), fit.sigma, fit.sigma / np.sqrt(2 * fit.nobs), least=0.0))
    return found


def _of_fixed(fit: Fit) -> list[Parameter]:
    rows = zip(fit.names, fit.beta, fit.se, strict=True)
    return [Parameter(name, j, float(b), float(se)) for j, (name, b, se) in enumerate(rows)]


# ---- the curve -------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Curve:
    """sqrt(d(c) - d) - quantile: negative inside the interval, positive outside."""

    deviance: Callable[[float, Any], tuple[float, Any]]  # at c, from a place found nearby
    least: float
    quantile: float
    known: dict[float, tuple[float, Any]] = field(default_factory=dict)

    def __call__(self, c: float) -> float:
        if c not in self.known:
            near = min(self.known, key=lambda other: abs(other - c), default=None)
            self.known[c] = self.deviance(c, None if near is None else self.known[near][1])
        return float(np.sqrt(max(self.known[c][0] - self.least, 0.0))) - self.quantile


def _curve(best: Fit, one: Parameter, profiler: Profiler | None, quantile: float) -> Curve:
    if isinstance(one.what, Held):
        assert profiler is not None
        what, held = one.what, profiler.held
        return Curve(lambda c, near: held(what, c, near), best.criterion, quantile)
    refit, place = ability(best, "refit", "a profile"), one.what

    def deviance(c: float, near: Any) -> tuple[float, Any]:
        found: Fit = refit(hold(best.request, {place: c}))
        if not np.isfinite(found.loglik):
            raise FitError(f"the fit with {one.name} held at {c:.4g} has no likelihood")
        return -2 * found.loglik, None if found.converged else UNSURE

    return Curve(deviance, -2 * best.loglik, quantile)


def _limits(one: Parameter, curve: Curve, quantile: float) -> tuple[float, float, list[str]]:
    ends, notes = [], []
    for side, bound in ((-1.0, one.least), (1.0, one.most)):
        word = "lower" if side < 0 else "upper"
        try:
            end, is_open = _end(curve, one.estimate, side * one.step * quantile, bound)
        except FitError as error:
            end, is_open = np.nan, False
            notes.append(f"{one.name}: the {word} limit was not found ({error})")
        if is_open:
            where = f"{bound:g} is not excluded" if np.isfinite(bound) else "the deviance stays below the quantile"
            notes.append(f"{one.name}: the interval has no {word} end of its own, {where}")
        ends.append(end)
    if any(place == UNSURE for _, place in curve.known.values() if isinstance(place, str)):
        notes.append(f"{one.name}: fits on the way did not converge, so the limits are approximate")
    if curve.known and min(value for value, _ in curve.known.values()) < curve.least - ABOVE:
        notes.append(f"{one.name}: a lower deviance than the fit's was found on the way; the fit is not the best")
    return ends[0], ends[1], notes


def _end(curve: Curve, estimate: float, step: float, bound: float) -> tuple[float, bool]:
    """Where the curve crosses 0 on the step's side, and whether it does not before the bound."""
    inner = outer = estimate
    if estimate == bound:
        return bound, True
    for k in range(FAR):
        outer = estimate + step * 1.15 * 2.0**k
        outer = max(outer, bound) if step < 0 else min(outer, bound)
        value = curve(outer)
        if np.isnan(value):
            raise FitError(f"the likelihood at {outer:.4g} is not a number")
        if value > 0:
            return _root(curve, estimate, inner, outer), False
        if outer == bound:
            return bound, True
        inner = outer
    return float(np.copysign(np.inf, step)), True


def _root(curve: Curve, estimate: float, inner: float, outer: float) -> float:
    """To about 1e-7 of the distance from the estimate; the curve starts at -quantile there."""
    if inner == estimate:
        curve.known.setdefault(inner, (curve.least, None))
    return float(brentq(curve, inner, outer, xtol=1e-7 * abs(outer - estimate), rtol=1e-12, maxiter=100))
