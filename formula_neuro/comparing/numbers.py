"""Two fits of one request, number by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..estimator import BIAS_REDUCED
from ..family import Array
from ..result import Fit, RandomEffect
from .incomparable import (
    have_degrees,
    infinite,
    left_out,
    notes,
    perfect,
    poisson,
    singular,
    thetas,
    within_reach,
    without_weight,
)
from .tests import Tables
from .tolerances import BY_BIAS_REDUCTION, TOLERANCES, Tolerance


@dataclass(frozen=True)
class Compared:
    """One number of both fits; `difference` is measured in the tolerance's unit."""

    quantity: str
    item: str  # the coefficient, group or row; empty for a number of the whole fit
    native: float
    reference: float
    difference: float
    tolerance: Tolerance

    @property
    def agrees(self) -> bool:
        lower = self.tolerance.worse or self.tolerance.allowed
        return -lower <= self.difference <= self.tolerance.allowed

    @property
    def share(self) -> float:
        """The difference as a share of what is allowed; NaN, where one of the two has no number, is the worst."""
        limit = self.tolerance.worse if self.difference < 0 and self.tolerance.worse else self.tolerance.allowed
        return float(np.nan_to_num(abs(self.difference) / limit, nan=np.inf))


Step = Callable[[Fit, Fit], Iterator[tuple[str, float, float, float]]]
LEAST_VARIANCE = 1e-5  # of a response: means within 1e-5 of 0 or 1 need not agree in relative terms


def compare(fit: Fit, other: Fit) -> tuple[tuple[Compared, ...], tuple[str, ...]]:
    """Every number of both fits of one request, and what is to be said about them."""
    reduced = fit.request.estimator.word in BIAS_REDUCED
    rules = (BY_BIAS_REDUCTION if reduced else TOLERANCES)[fit.request.model]
    if infinite(fit, other):  # each stops somewhere on the way to infinity
        rules = rules | {"log-likelihood": replace(rules["log-likelihood"], worse=0.0)}
    if poisson(fit, other):  # so does theta, and what it moves with it; ours may be the better one
        rules = {q: r for q, r in rules.items() if q not in ("theta", "deviance", "null deviance")}
        rules |= {"log-likelihood": replace(rules["log-likelihood"], allowed=0.1)}
    seen = bool(other.random) and not singular(other) and within_reach(other)
    tables = Tables(fit, other, seen)
    steps: list[tuple[str, Step]] = [
        ("coefficients", _coefficients),
        ("standard errors", _standard_errors),
        ("zero-inflation coefficients", _inflation),
        ("zero-inflation standard errors", _inflation_errors),
        ("sigma", _sigma),
        ("random-effect sds", _sds),
        ("random-effect covariances", _covariances),
        ("residual parameters", _residual),
        ("theta", _theta),
        ("deviance", _deviance),
        ("null deviance", _null_deviance),
        ("log-likelihood", _loglik),
        ("fitted values", _fitted),
        ("degrees of freedom", _degrees),
        ("F tests of terms", lambda *_: tables.statistics("satterthwaite")),
        ("df of F tests", lambda *_: tables.freedom("satterthwaite")),
        ("Kenward-Roger F tests", lambda *_: tables.statistics("kenward-roger")),
        ("Kenward-Roger df", lambda *_: tables.freedom("kenward-roger")),
    ]
    steps = [(q, step) for q, step in steps if q in rules and q not in left_out(other)]
    compared = tuple(Compared(q, *c, rules[q]) for q, step in steps for c in step(fit, other))
    return compared, notes(fit, other)


def _coefficients(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    least = 1.0 if fit.request.model == "lm" else 1e-6  # of a coefficient: exact ones agree to rounding only
    # beside infinite coefficients glmer's standard errors are sometimes nearly 0
    error = np.fmax(fit.se, other.se) if fit.random and infinite(fit, other) else other.se
    for name, a, b, se in zip(fit.names, fit.beta, other.beta, error, strict=True):
        if not (np.isnan(a) and np.isnan(b)) and name not in infinite(fit, other):  # aliased in both
            yield name, float(a), float(b), _apart(a, b, max(abs(b) * least, se))


def _standard_errors(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    if perfect(other) or (fit.random and infinite(fit, other)):
        return
    for name, a, b in zip(fit.names, fit.se, other.se, strict=True):
        if not (np.isnan(a) and np.isnan(b)) and name not in infinite(fit, other):
            yield name, float(a), float(b), _apart(a, b, abs(b))


def _inflation(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    for name, a, b, _, error in _inflations(fit, other):
        yield name, a, b, _apart(a, b, error)


def _inflation_errors(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    for name, _, _, a, b in _inflations(fit, other):
        yield name, a, b, _apart(a, b, b)


def _inflations(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float, float]]:
    """Each coefficient of zero inflation in both, with its standard errors; none that has no finite estimate."""
    ours, theirs, zeros = fit.inflation, other.inflation, fit.request.inflation
    if ours is None or theirs is None or zeros is None or ours.infinite or theirs.infinite:
        return
    for name, a, b, s, t in zip(zeros.names, ours.gamma, theirs.gamma, ours.se, theirs.se, strict=True):
        if not (np.isnan(a) and np.isnan(b)):  # aliased in both
            yield name, float(a), float(b), float(s), float(t)


def _sigma(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    if "complete" in (fit.separation, other.separation) and infinite(fit, other):
        return  # residuals vanish on the way to infinity, so that sigma says how far each has come
    if fit.request.family.dispersed or fit.request.model == "gee":
        yield "", fit.sigma, other.sigma, _apart(fit.sigma, other.sigma, _spread(other))


def _spread(fit: Fit) -> float:
    """The residual sd; of a perfect fit the largest fitted value instead."""
    return float(np.abs(fit.fitted).max() if perfect(fit) else fit.sigma)


def _sds(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    for ours, theirs, unit in _pairs(fit, other):
        for k, column in enumerate(ours.columns):
            a, b = (float(np.sqrt(max(r.covariance[k, k], 0.0))) for r in (ours, theirs))
            yield f"{column} | {ours.group}", a, b, _apart(a, b, unit[k])


def _residual(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    """A GEE's correlations, or the phi and sd ratios of a residual structure, by name."""
    for name, a in fit.residual.items():
        b = other.residual.get(name, float("nan"))
        yield name, a, b, _apart(a, b, max(abs(b), 1.0))


def _covariances(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    for ours, theirs, unit in _pairs(fit, other):
        for k, column in enumerate(ours.columns):
            for j in range(k):
                a, b = float(ours.covariance[k, j]), float(theirs.covariance[k, j])
                yield f"{ours.columns[j]}, {column} | {ours.group}", a, b, _apart(a, b, unit[k] * unit[j])


def _pairs(fit: Fit, other: Fit) -> Iterator[tuple[RandomEffect, RandomEffect, Array]]:
    """Each random term of both, with a unit for each of its sds: no finer than a residual sd's share."""
    for term, ours, theirs in zip(fit.request.design.random, fit.random, other.random, strict=True):
        size = np.sqrt((term.basis**2).mean(axis=0))
        sd = np.sqrt(np.maximum(np.diag(theirs.covariance), 0))
        yield ours, theirs, np.maximum(sd, other.sigma / np.maximum(size, 1e-300))


def _loglik(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    """The one signed difference: above 0, ours is the better."""
    scale = max(abs(other.loglik), 1.0) if fit.request.model == "lm" else 1.0
    if not perfect(other) and fit.request.family.likelihood and not without_weight(fit, other):
        yield "", fit.loglik, other.loglik, (fit.loglik - other.loglik) / scale


def _theta(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    """Theta of the negative binomial, phi of other families, where it was estimated."""
    if pair := thetas(fit, other):
        yield "", *pair, _apart(*pair, pair[1])


def _deviance(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    if not infinite(fit, other) and not perfect(other):
        yield "", fit.deviance, other.deviance, _apart(fit.deviance, other.deviance, max(abs(other.deviance), 0.1))


def _null_deviance(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    a, b = fit.null_deviance, other.null_deviance
    if np.isfinite(a) and np.isfinite(b):
        yield "", a, b, _apart(a, b, max(abs(b), 0.1))


def _fitted(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    a, b = fit.fitted.to_numpy(), other.fitted.to_numpy()
    least = LEAST_VARIANCE * (10 if infinite(fit, other) else 1)  # where each stops somewhere on the way to 0 or 1
    if fit.request.model == "lm":
        unit = np.full(len(b), np.abs(b).max())
    else:
        unit = np.sqrt(np.maximum(fit.request.family.variance(b), least)) * _spread(other)
    for row, x, y, s, w in zip(fit.fitted.index, a, b, unit, fit.request.weights, strict=True):
        if w > 0 or not infinite(fit, other):  # an infinite coefficient decides about rows that it has not seen
            yield f"row {row}", float(x), float(y), _apart(x, y, s)


def _degrees(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    if not have_degrees(fit, other) or singular(other) or not within_reach(other):
        return
    rows = np.eye(len(fit.names))[~np.isnan(fit.beta)]
    pair = [np.asarray(f.engine.df(f, rows, "satterthwaite"), dtype=float) for f in (fit, other)]
    kept = [name for name, b in zip(fit.names, fit.beta, strict=True) if not np.isnan(b)]
    for name, a, b in zip(kept, *pair, strict=True):
        yield name, float(a), float(b), _apart(a, b, abs(b))


def _apart(a: float, b: float, unit: float) -> float:
    return 0.0 if a == b or (np.isnan(a) and np.isnan(b)) else float(abs(a - b) / unit) if unit > 0 else float("inf")
