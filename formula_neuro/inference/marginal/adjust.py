"""p values and critical values for several tests at once, for t statistics (df inf: normal)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from ...family import Array
from ..sides import TWO, beyond
from .multivariate_t import LargestT
from .studentized_range import range_tail

STEPWISE = ("holm", "hochberg", "fdr", "bh", "by")  # their intervals are Bonferroni's
TWO_SIDED = ("tukey", "dunnettx", "scheffe")  # whose distributions are of sizes
METHODS = ("none", "tukey", "sidak", "bonferroni", "dunnettx", "scheffe", "mvt", *STEPWISE)


@dataclass(frozen=True, eq=False)
class Statistics:
    """One family: statistics t (q,), degrees of freedom (q,), the covariance of the estimates (q, q), the number of
    means whose pairs are compared, 0 where the family is another, and the side of the tests, as as_side's."""

    t: Array
    df: Array
    covariance: Array
    means: int = 0
    side: int = TWO

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.t) & ~np.isnan(self.df)

    def only(self, known: NDArray[np.bool_]) -> Statistics:
        return replace(self, t=self.t[known], df=self.df[known], covariance=self.covariance[np.ix_(known, known)])

    @property
    def single(self) -> Array:
        """p values (q,) of each test on its own."""
        return beyond(self.t, self.df, self.side)

    @property
    def q(self) -> int:
        return len(self.covariance)


def adjusted(tests: Statistics, method: str) -> Array:
    """p values (q,) that hold for the whole family; NaN statistics take no part.

    tukey: the studentized range of all pairs of means. sidak, bonferroni, holm, hochberg, fdr (or bh; Benjamini and
    Hochberg 1995), by (Benjamini and Yekutieli 2001). scheffe: all combinations of the estimates, by F. mvt: the
    largest of correlated t, by quasi-Monte Carlo to about 1e-5. dunnettx: emmeans's approximation of that for
    comparisons with one control.

    >>> tests = Statistics(np.array([2.5, 1.0]), np.array([20.0, 20.0]), np.eye(2))
    >>> adjusted(tests, "bonferroni").round(4).tolist()
    [0.0425, 0.6585]
    """
    _check_side(tests, method)
    known = tests.known
    found = np.full(len(tests.t), np.nan)
    if not known.any():
        return found
    part = tests.only(known)
    found[known] = _stepwise(part.single, method) if method in STEPWISE else np.clip(_beyond(part, method), 0, 1)
    return found


def _check_side(tests: Statistics, method: str) -> None:
    if tests.side != TWO and method in TWO_SIDED:
        raise ValueError(f"adjust={method!r} is of two-sided tests; take 'sidak', 'mvt', 'holm' or 'bonferroni'")


def critical(tests: Statistics, method: str, conf_level: float) -> Array:
    """How many standard errors (q,) the limits lie off, so that all intervals hold together; Bonferroni's for the
    methods that work step by step."""
    _check_side(tests, method)
    way = "bonferroni" if method in STEPWISE else method
    known = tests.known
    part, found = tests.only(known), np.full(len(tests.t), np.nan)
    for df in np.unique(part.df):
        same = known & (tests.df == df)
        found[same] = _critical(float(df), way, part, 1 - conf_level)
    return found


def _critical(df: float, method: str, part: Statistics, alpha: float) -> float:
    at, q = np.array([df]), part.q
    if method in ("none", "bonferroni", "sidak"):
        one = {"none": alpha, "bonferroni": alpha / q, "sidak": -np.expm1(np.log1p(-alpha) / q)}[method]
        return float(stats.t.isf(one / 2 if part.side == TWO else one, df))
    if method == "mvt":
        return LargestT(_correlation(part), df, sides=2 - abs(part.side)).quantile(alpha)

    def tail(t: float) -> float:
        return float(_beyond(replace(part, t=np.array([t]), df=at), method)[0]) - alpha

    high = float(stats.t.isf(alpha / (20 * max(q, part.means, 2) ** 2), df))  # beyond Bonferroni's of all pairs
    while tail(high) > 0:
        high *= 2
    return float(optimize.brentq(tail, 0.0, high, xtol=1e-10))


def _beyond(part: Statistics, method: str) -> Array:
    """The probability that some statistic of the family is beyond each t, in size or to the tests' side."""
    single, q, df, means = part.single, part.q, part.df, part.means
    t = np.abs(part.t) if part.side == TWO else part.side * part.t
    if method == "none":
        return single
    if method == "bonferroni":
        return q * single
    if method == "sidak":
        return _sidak(single, q)
    if method == "tukey":
        return np.maximum(_range(t, df, means), single)  # where the range's tail is below its quadrature's
    if method == "scheffe":
        rank = np.linalg.matrix_rank(_correlation(part), tol=1e-8)
        with np.errstate(invalid="ignore"):
            finite = stats.f.sf(t**2 / rank, rank, np.where(np.isinf(df), 1.0, df))
        return np.where(np.isinf(df), stats.chi2.sf(t**2, rank), finite)
    if method == "dunnettx":  # between Sidak and Tukey, of as many means as have q pairs
        weight = (q - 1) / q
        tukey = _range(t, df, (1 + np.sqrt(1 + 8 * q)) / 2)
        return weight * tukey + (1 - weight) * _sidak(single, q)
    largest = {float(d): LargestT(_correlation(part), float(d), sides=2 - abs(part.side)) for d in np.unique(df)}
    p = np.array([largest[float(d)].tail(float(x)) for x, d in zip(t, df, strict=True)])
    return np.clip(p, single, q * single)  # what holds whatever the correlations


def _sidak(single: Array, q: int) -> Array:
    with np.errstate(divide="ignore"):  # a p value of 1 stays 1
        return -np.expm1(q * np.log1p(-single))


def _range(t: Array, df: Array, means: float) -> Array:
    """P(range of `means` standard normals / s > sqrt(2) t); one normal pair is the t distribution itself."""
    if means == 2:
        return np.asarray(2 * stats.t.sf(t, df))
    return np.array([range_tail(np.sqrt(2) * x, means, d) for x, d in zip(t, df, strict=True)])


def _correlation(part: Statistics) -> Array:
    V = part.covariance
    sd = np.sqrt(np.diag(V))
    return V / np.outer(sd, sd)


def _stepwise(p: Array, method: str) -> Array:
    if method in ("fdr", "bh", "by"):
        return np.asarray(stats.false_discovery_control(p, method="by" if method == "by" else "bh"))
    q = len(p)
    order = np.argsort(p)
    scaled = p[order] * np.arange(q, 0, -1)
    steps = np.maximum.accumulate(scaled) if method == "holm" else np.minimum.accumulate(scaled[::-1])[::-1]
    found = np.empty(q)
    found[order] = np.minimum(steps, 1)
    return found
