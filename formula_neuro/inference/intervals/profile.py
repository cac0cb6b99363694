"""Limits of a coefficient, or of a combination of them: the values that a likelihood-ratio or score test accepts.

The signed root of the statistic, sign(c - estimate) sqrt(statistic(c)), is nearly a line in c, so each end is found by
bracketing and Brent's method, every evaluation being a fit with c held: no grid, no interpolation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq

from ...errors import FitError
from ...family import Array
from ..ability import ability
from .likelihood_tests import Hypothesis

FAR = 14  # doublings of the step: beyond 2^14 of its units no mean moves any more, so an end there is infinite


@dataclass(frozen=True, eq=False)
class Curve:
    """sqrt(statistic(c)) - quantile: negative inside the interval, positive outside."""

    asked: Hypothesis
    quantile: float

    known: dict[float, float] = field(default_factory=dict)  # each value is a fit, so none is asked for twice

    def __call__(self, c: float) -> float:
        if c not in self.known:
            self.known[c] = float(np.sqrt(self.asked.statistic(np.array([c])))) - self.quantile
        return self.known[c]


def limits(asked: Hypothesis, row: Array, quantile: float) -> tuple[float, float, tuple[str, ...]]:
    """Both ends of the interval of row @ coef, and notes on an end (NaN) that could not be found.

    quantile: of the normal distribution, or of t. An end is infinite where the statistic stays below quantile^2
    however far one goes, as it does on one side of a coefficient whose maximum-likelihood estimate is infinite.
    """
    if np.isnan(quantile):
        return np.nan, np.nan, ()
    curve = Curve(asked, quantile)
    name, is_open = _name(asked, row), _open_ends(asked)
    if all(is_open):
        return -np.inf, np.inf, ()
    try:
        centre, step = _inside(curve, row, is_open)
    except FitError as error:
        return np.nan, np.nan, (f"{name}: no interval was found ({error})",)
    ends, notes = [], list[str]()
    for side, known in zip((-1.0, 1.0), is_open, strict=True):
        try:
            ends.append(side * np.inf if known else _end(curve, centre, side * step))
        except FitError as error:
            ends.append(np.nan)
            notes.append(f"{name}: the {'lower' if side < 0 else 'upper'} limit was not found ({error})")
    return ends[0], ends[1], tuple(notes)


def _name(asked: Hypothesis, row: Array) -> str:
    names = [f"{weight:g}*{name}" for weight, name in zip(row, asked.fit.names, strict=True) if weight]
    return " + ".join(names).replace("1*", "", 1) if len(names) == 1 else " + ".join(names)


def _open_ends(asked: Hypothesis) -> tuple[bool, bool]:
    """Whether the likelihood never falls towards minus, and plus infinity; only where separation was found."""
    if not asked.fit.infinite:
        return False, False
    found: tuple[bool, bool] = ability(asked.fit, "open_ends", "an interval of separated data")(
        asked.request, asked.places[0]
    )
    return found


def _inside(curve: Curve, row: Array, is_open: tuple[bool, bool]) -> tuple[float, float]:
    """A value inside the interval, and a step of about its half width."""
    if any(is_open):
        step, sign = _unit(curve.asked), 1.0 if is_open[1] else -1.0
        for c in (0.0, *(sign * step * 2.0**k for k in range(FAR))):
            if curve(c) < 0:
                return c, step
        raise FitError("no value of it is acceptable, although the likelihood has no maximum")
    fit = curve.asked.fit
    known = ~np.isnan(fit.beta)
    se = float(np.sqrt(row[known] @ fit.covariance[np.ix_(known, known)] @ row[known]))
    centre = float(row[known] @ fit.beta[known])
    curve.known[centre] = -curve.quantile
    return centre, curve.quantile * se


def _unit(asked: Hypothesis) -> float:
    """1 over the spread of the held column, which moves the linear predictor by about 1."""
    column = asked.request.design.matrix[asked.request.weights > 0, asked.places[0]]
    spread = float(column.std()) or float(np.abs(column).max())
    return 1 / spread if spread > 0 else 1.0


def _end(curve: Curve, centre: float, step: float) -> float:
    """Where the curve crosses 0 on the step's side of the centre; an infinity where it does not.

    Where a link limits the means a step may lead out of the model; it is halved then, up to the limit itself.
    """
    inner, outer = centre, centre + step
    barrier: tuple[float, FitError] | None = None
    for _ in range(FAR):
        try:
            value = _value(curve, outer)
        except FitError as error:
            barrier, outer = (outer, error), (inner + outer) / 2
            continue
        if value > 0:
            return _root(curve, inner, outer)
        inner, outer = outer, (outer + barrier[0]) / 2 if barrier else outer + 2 * (outer - inner)
    if barrier is not None:
        raise FitError(
            f"values up to {inner:.4g} are accepted and beyond {barrier[0]:.4g} none can be held: {barrier[1]}"
        )
    return float(np.copysign(np.inf, step))


def _value(curve: Callable[[float], float], c: float) -> float:
    value = curve(c)
    if np.isnan(value):
        raise FitError(f"the likelihood at {c:.4g} is not a number")
    return value


def _root(curve: Curve, inner: float, outer: float) -> float:
    """To 1e-10 of the bracket, so that the quantile is met to about 1e-9; raises FitError where the curve jumps."""
    found = float(brentq(curve, inner, outer, xtol=1e-10 * abs(outer - inner), rtol=8.9e-16, maxiter=200))
    if abs(curve(found)) > 1e-6:
        raise FitError(f"the likelihood jumps at {found:.4g}: the fits beyond it end at another maximum")
    return found
