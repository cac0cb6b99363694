"""What tests of coefficients stand on: a covariance, degrees of freedom, and an F test of several rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import stats

from ..family import Array
from ..result import Fit
from .ability import ability
from .freedom import degrees_of_freedom, pooled_df

LEAST = 1e-10  # of the largest variance, below which a direction repeats others


class Adjusted(Protocol):
    """What a backend gives for df="kenward-roger"."""

    @property
    def covariance(self) -> Array: ...  # (p, p), NaN for aliased coefficients

    def df(self, L: Array) -> Array: ...  # (q,) of rows L (q, p)

    def f_test(self, L: Array, e: Array) -> tuple[float, float]: ...  # F of L b - r = e (q,), and its ddf


@dataclass(frozen=True, eq=False)
class Joint:
    """Several rows tested together: F on q and df, or chi-squared on q where df is inf."""

    statistic: float
    q: int
    df: float
    p_value: float

    def to_frame(self) -> pd.DataFrame:
        """One row: test, statistic, df, df_resid where the test is an F, p_value."""
        row = {"test": "F", "statistic": self.statistic, "df": self.q, "df_resid": self.df, "p_value": self.p_value}
        if np.isinf(self.df):
            row = {key: row[key] for key in row if key != "df_resid"} | {"test": "chi-squared"}
        return pd.DataFrame([row])


@dataclass(frozen=True, eq=False)
class Precision:
    """How well a fit knows its coefficients: `df` as in tidy(); with "kenward-roger" the covariance differs too."""

    fit: Fit
    df: str | None
    covariance: Array  # (p, p)
    adjusted: Adjusted | None = None

    @property
    def se(self) -> Array:
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.covariance))

    def of(self, L: Array) -> Array:
        """Covariance (q, q) of the rows L (q, p), which have no weight on aliased coefficients."""
        known = ~np.isnan(self.fit.beta)
        rows = L[:, known]
        return np.asarray(rows @ self.covariance[np.ix_(known, known)] @ rows.T)

    def freedom(self, L: Array) -> Array:
        """Degrees of freedom (q,) of each row of L (q, p)."""
        if self.adjusted is None:
            return degrees_of_freedom(self.fit, L, self.df)
        found = np.full(len(L), np.nan)
        asked = ~(L[:, np.isnan(self.fit.beta)] != 0).any(axis=1)  # a contrast of an aliased coefficient has no answer
        found[asked] = self.adjusted.df(L[asked])
        return found

    def jointly(self, L: Array, e: Array) -> Joint:
        """The test of L b = r for all rows of L (q, p), e = L b - r (q,): t_m^2 along the axes of their covariance.

        F is their mean (scaled, by Kenward and Roger's method); rows that repeat others add nothing.
        """
        V = self.of(L)
        if not np.isfinite(V).all():  # no residual degrees of freedom, so no variances
            return Joint(np.nan, len(L), 0.0, np.nan)
        d, U = _axes(V)
        axes = U.T @ e
        if self.adjusted is not None:
            return _tested(*self.adjusted.f_test(U.T @ L, axes), len(d))
        return _tested(float((axes**2 / d).mean()), self._denominator(L, U), len(d))

    def _denominator(self, L: Array, U: Array) -> float:
        if self.df == "containment":  # nlme's: the fewest of the coefficients tested
            return float(self.freedom(L).min())
        return pooled_df(self.freedom(U.T @ L))


def with_df(V: Array, e: Array, df: float, rank: int) -> Joint:
    """The test of e (q,) against its covariance V (q, q), of `rank` directions, on degrees of freedom known before."""
    if not np.isfinite(V).all():
        return Joint(np.nan, len(e), 0.0, np.nan)
    d, U = _axes(V)
    if len(d) < rank:  # fewer clusters than rows: a direction without a variance
        return Joint(np.nan, len(e), df, np.nan)
    return _tested(float(((U.T @ e) ** 2 / d).mean()), df, len(d))


def _tested(F: float, ddf: float, q: int) -> Joint:
    if np.isinf(ddf):
        return Joint(q * F, q, ddf, float(stats.chi2.sf(q * F, q)))
    return Joint(F, q, ddf, float(stats.f.sf(F, q, ddf)))


def _axes(V: Array) -> tuple[Array, Array]:
    """Variances d (q,) along directions U (rows, q): lmerTest's where the rows are independent and of one scale."""
    d, U = np.linalg.eigh(V)
    if (d > LEAST * d.max()).all():
        return d, U
    size = np.sqrt(np.diag(V))
    size[size == 0] = 1.0
    d, U = np.linalg.eigh(V / np.outer(size, size))
    kept = d > LEAST * d.max()
    return d[kept], (U / size[:, None])[:, kept]


def precision(fit: Fit, df: str | None) -> Precision:
    """The fit's own covariance with the degrees of freedom that `df` names, or Kenward and Roger's."""
    word = df or (getattr(fit.engine, "default_df", None) if fit.request.model == "lmm" else None)
    if word != "kenward-roger" or fit.request.model != "lmm":
        return Precision(fit, word, fit.covariance)
    adjusted: Adjusted = ability(fit, "kenward_roger", "df='kenward-roger'")(fit)
    return Precision(fit, word, adjusted.covariance, adjusted)
