"""Likelihood-ratio tests of variances: a variance cannot be negative, so its chi-squared is a mixture.

Self & Liang (1987), Stram & Lee (1994): where the larger model has one variance more, and with it q covariances, the
statistic is distributed as 0.5 chi2_{d-1} + 0.5 chi2_d, d counting all parameters that are tested (q + 1 here, and any
fixed coefficients beside). The plain chi2_d, which R prints, has p values that are too large: up to twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...estimator import REML
from ...family import Array
from ...request import Request
from ...result import Fit

NOTHING = 1e-6  # a smaller statistic is rounding: the larger model's variance is estimated as 0


@dataclass(frozen=True)
class Step:
    """What a larger model has more than a smaller one, as far as variances go."""

    nested: bool  # every random effect of the smaller is one of the larger
    variances: tuple[str, ...]  # that only the larger has, in words
    df: int  # all parameters that the larger has more


def step(small: Request, large: Request, df: int) -> Step:
    """What the random part of `large` adds to that of `small`; df: the parameters of all kinds that it has more."""
    had, has = _effects(small), _effects(large)
    simple = all(term.structure in ("us", "diag") and not term.hom for r in (small, large) for term in r.design.random)
    nested = simple and not had - has and all(_holds(large, term.group, term.columns) for term in small.design.random)
    new = tuple(f"{column} within {group}" for group, column in (has - had).elements())
    return Step(nested, new, df)


def _effects(request: Request) -> Counter[tuple[str, str]]:
    return Counter((term.group, column) for term in request.design.random for column in term.columns)


def _holds(request: Request, group: str, columns: tuple[str, ...]) -> bool:
    """Whether one term of the request lets all these columns vary together, with their covariances."""
    return any(term.group == group and set(columns) <= set(term.columns) for term in request.design.random)


def p_value(statistic: float, made: Step) -> float:
    """Of the mixture where there is one new variance, else of the plain chi-squared."""
    if made.df <= 0:
        return float("nan")
    plain = float(stats.chi2.sf(statistic, made.df))
    return (plain + _below(statistic, made.df)) / 2 if _mixed(made) else plain


def _mixed(made: Step) -> bool:
    return made.nested and len(made.variances) == 1


def _below(statistic: float, df: int) -> float:
    """P(chi2_{df-1} >= statistic); chi2_0 is 0 always."""
    return float(statistic <= NOTHING) if df == 1 else float(stats.chi2.sf(statistic, df - 1))


def reference(made: Step) -> str:
    """The distribution that the p value is of: "0.5 chi2_0 + 0.5 chi2_1", "chi2_2", "chi2_2 (conservative)"."""
    if _mixed(made):
        return f"0.5 chi2_{made.df - 1} + 0.5 chi2_{made.df}"
    return f"chi2_{made.df}{' (conservative)' if made.variances or not made.nested else ''}"


def words(statistic: float, made: Step) -> str | None:
    """A sentence on the p value, where variances are tested."""
    if made.df <= 0 or (made.nested and not made.variances):
        return None
    plain = f"the plain chi2_{made.df}"
    if not made.nested:
        return f"the random parts differ in more than new effects: the p value, of {plain}, is a rough guide only"
    if _mixed(made):
        return (
            f"the variance of {made.variances[0]} cannot be negative: the p value is of {reference(made)} "
            f"({plain}, as R's, would give {stats.chi2.sf(statistic, made.df):.3g})"
        )
    return (
        f"{len(made.variances)} variances are tested at once ({', '.join(made.variances)}), and none can be negative: "
        f"the p value, of {plain}, is too large (conservative); bootstrap_test(small, large) gives the right one"
    )


# ---- REML --------------------------------------------------------------------------------------------
def same_fixed_part(one: Request, other: Request) -> bool:
    """Whether two requests have the same columns and offset, so that their REML likelihoods can be compared."""
    a, b = one.design, other.design
    return a.names == b.names and np.array_equal(a.matrix, b.matrix) and np.array_equal(a.offset, b.offset)


def comparable_by_reml(fits: tuple[Fit, ...]) -> bool:
    requests = [fit.request for fit in fits]
    return all(isinstance(r.estimator, REML) and same_fixed_part(requests[0], r) for r in requests)


def loglik_without_random(request: Request) -> float:
    """The Gaussian (restricted) log-likelihood of the fixed part alone, on the scale of the mixed model's.

    -2 l = log|X'WX| [REML] + m (1 + log(2 pi rss / m)) - sum log w,   m = n - p for REML, else n
    """
    X, z, log_weights = _scaled(request)
    n, p = X.shape
    Q, R = np.linalg.qr(X)
    rss = float(np.sum((z - Q @ (Q.T @ z)) ** 2))
    reml = isinstance(request.estimator, REML)
    m = n - p if reml else n
    determinant = 2 * np.log(np.abs(np.diag(R))).sum() if reml else 0.0
    return float(-(determinant + m * (1 + np.log(2 * np.pi * rss / m)) - log_weights) / 2)


def _scaled(request: Request) -> tuple[Array, Array, float]:
    """Independent columns of sqrt(w) X, sqrt(w) (y - offset) and sum log w, of the rows of positive weight."""
    used = request.weights > 0
    root = np.sqrt(request.weights[used])
    X = request.design.matrix[used] * root[:, None]
    z = (request.y - request.design.offset)[used] * root
    return X[:, _independent(X)], z, 2 * float(np.log(root).sum())


def _independent(X: Array) -> list[int]:
    """Columns that are no combinations of earlier ones, to R's tolerance."""
    kept: list[int] = []
    Q = np.empty((len(X), 0))
    for j, column in enumerate(X.T):
        left = column - Q @ (Q.T @ column)
        left -= Q @ (Q.T @ left)
        if np.linalg.norm(left) > 1e-7 * np.linalg.norm(column):
            kept.append(j)
            Q = np.column_stack([Q, left / np.linalg.norm(left)])
    return kept
