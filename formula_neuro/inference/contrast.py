"""contrast(): linear hypotheses about the coefficients, one by one and jointly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import DataError
from ..family import Array
from ..result import Fit
from .coefficients import check_level, degrees_of_freedom, wald
from .hypothesis import as_rows
from .likelihood_tests import check_test, jointly, retested
from .robust import Robust, chosen


@dataclass(frozen=True, eq=False)
class Contrast:
    """Hypotheses matrix @ coef = value: `table` has one row each, `joint` tests all rows together.

    The table's columns are those of tidy(); estimates are of matrix @ coef, p values against `value`. `joint`
    has statistic ("F" with df and df_resid, or "chi-squared" with df), and p_value.
    """

    matrix: Array  # (q, p)
    value: Array  # (q,)
    table: pd.DataFrame
    joint: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        return self.table

    def __repr__(self) -> str:
        shown = self.table.to_string(index=False)
        return shown if len(self.table) == 1 else f"{shown}\n\njointly\n{self.joint.to_string(index=False)}"


def contrast(
    fit: Fit, hypothesis: Any, *, df: str | None = None, conf_level: float = 0.95, test: str = "wald", vcov: Any = None
) -> Contrast:
    """Test one or several linear hypotheses about the coefficients.

    hypothesis: "treatment2 - treatment3 = 0", a list of such texts (also tested jointly), a mapping from
    coefficient to weight, a vector (p,) or a matrix (q, p). df, test, vcov: as in tidy(); "lr" and "score" fit again
    with the combinations held at their values, row by row and all together.
    Raises FormulaError, ValueError, and DataError where an aliased coefficient is named.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4], "y": [1., 3, 2, 5]})
    >>> fn.contrast(m, "2*x").table.estimate.round(3).tolist()
    [2.2]
    """
    check_level(conf_level)
    check_test(test)
    L, value, labels = as_rows(hypothesis, fit.names)
    known = ~np.isnan(fit.beta)
    touched = [
        name for name, gone, used in zip(fit.names, ~known, np.any(L, axis=0).tolist(), strict=True) if gone and used
    ]
    if touched:
        raise DataError(f"{', '.join(touched)} is aliased (a combination of earlier columns), so it cannot be tested")
    estimate = L @ np.nan_to_num(fit.beta)
    robust = chosen(fit, vcov, test)
    covariance = fit.covariance if robust is None else robust.matrix
    used = known & L.any(axis=0)  # a coefficient that is not asked about may lack a robust variance
    V = L[:, used] @ covariance[np.ix_(used, used)] @ L[:, used].T
    freedom = degrees_of_freedom(fit, L, df) if robust is None else robust.freedom(fit, len(L), df)
    _check_consistent(L, value)
    with np.errstate(invalid="ignore"):  # with several ways of clustering a variance can come out negative
        table = wald(labels, estimate, np.sqrt(np.diag(V)), freedom, conf_level, value)
    if robust is not None:
        table.attrs.update(robust.attrs)
    if test != "wald":
        table = retested(fit, table, L, value, conf_level, test)
        return Contrast(L, value, table, jointly(fit, L, value, float(freedom[0]), test))
    return Contrast(L, value, table, _joint(fit, L, estimate - value, V, freedom, df, robust))


def _check_consistent(L: Array, value: Array) -> None:
    """Rows that are combinations of others must have the same combination of values."""
    U, d, _ = np.linalg.svd(L)
    rank = int((d > d[0] * 1e-10).sum())
    gap = U[:, rank:].T @ value
    if (np.abs(gap) > 1e-8 * np.abs(value).max(initial=0.0)).any():
        raise ValueError(
            "the hypotheses contradict one another, so they cannot be tested together; test them one by one"
        )


def _joint(
    fit: Fit, L: Array, estimate: Array, V: Array, freedom: Array, df: str | None, robust: Robust | None
) -> pd.DataFrame:
    """F or chi-squared of all rows: along the axes of V, t_m^2 = (U'e)_m^2 / d_m, F = their mean."""
    if not np.isfinite(V).all():  # no residual degrees of freedom, so no variances
        return _untested(len(L), 0.0)
    d, U = np.linalg.eigh(V)
    kept = d > d.max() * 1e-10  # rows that repeat others add nothing
    U, d = U[:, kept], d[kept]
    q = int(kept.sum())
    if robust is not None and q < np.linalg.matrix_rank(L):  # fewer clusters than rows: a direction without a variance
        return _untested(len(L), float(freedom[0]))
    squares = (U.T @ estimate) ** 2 / d
    if np.isinf(freedom).all():
        chi2 = float(squares.sum())
        return pd.DataFrame(
            {"test": ["chi-squared"], "statistic": [chi2], "df": [q], "p_value": [stats.chi2.sf(chi2, q)]}
        )
    F = float(squares.mean())
    ddf = pooled_df(degrees_of_freedom(fit, U.T @ L, df) if robust is None else freedom)
    return pd.DataFrame(
        {"test": ["F"], "statistic": [F], "df": [q], "df_resid": [ddf], "p_value": [float(stats.f.sf(F, q, ddf))]}
    )


def _untested(q: int, df_resid: float) -> pd.DataFrame:
    """The joint test where there is none."""
    return pd.DataFrame({"test": ["F"], "statistic": [np.nan], "df": [q], "df_resid": [df_resid], "p_value": [np.nan]})


def pooled_df(nu: Array) -> float:
    """One denominator for an F test from its q one-row degrees of freedom (Kuznetsova et al. 2017, lmerTest).

    nu if all are equal, 2 if any is at most 2, else 2E/(E - q) with E = sum nu/(nu - 2).
    """
    if np.isnan(nu).any():
        return float("nan")
    if np.ptp(nu) < 1e-8 * abs(nu[0]) or len(nu) == 1:
        return float(nu[0])
    if (nu <= 2).any():
        return 2.0
    total = float((nu / (nu - 2)).sum())
    return 2 * total / (total - len(nu)) if total > len(nu) else float("inf")
