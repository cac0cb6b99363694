"""contrast(): linear hypotheses about the coefficients, one by one and jointly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import pandas as pd

from ..errors import DataError, Unable
from ..family import Array
from ..maps.fit import MapFit
from ..maps.inference.contrast import MapContrast, contrast_maps
from ..result import Fit
from .coefficients import check_level, wald
from .hypothesis import as_rows
from .infinite import about_infinite
from .intervals.likelihood_tests import check_test, jointly, retested
from .precision import precision, with_df
from .rows.robust import Robust, chosen
from .sides import TWO, as_side


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
    messages: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        return self.table

    def __repr__(self) -> str:
        shown = self.table.to_string(index=False)
        if len(self.table) > 1:
            shown += f"\n\njointly\n{self.joint.to_string(index=False)}"
        return "\n\n".join([shown, *self.messages])


@overload
def contrast(
    fit: Fit,
    hypothesis: Any,
    *,
    df: str | None = ...,
    conf_level: float = ...,
    test: str = ...,
    vcov: Any = ...,
    alternative: str = ...,
) -> Contrast: ...
@overload
def contrast(fit: MapFit, hypothesis: Any, *, test: str = ...) -> MapContrast: ...
def contrast(
    fit: Fit | MapFit,
    hypothesis: Any,
    *,
    df: str | None = None,
    conf_level: float = 0.95,
    test: str = "wald",
    vcov: Any = None,
    alternative: str = "two.sided",
) -> Contrast | MapContrast:
    """Test one or several linear hypotheses about the coefficients; of maps, in every voxel, where test= is all.

    hypothesis: "treatment2 - treatment3 = 0", a list of such texts (also tested jointly), a mapping from
    coefficient to weight, a vector (p,) or a matrix (q, p). df, test, vcov: as in tidy(); "lr" and "score" fit again
    with the combinations held at their values, row by row and all together.
    alternative: "two.sided", "greater" or "less" than the value, of each row's Wald test and interval; the joint test
    has no sides.
    Raises FormulaError, ValueError, and DataError where an aliased coefficient is named.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4], "y": [1., 3, 2, 5]})
    >>> fn.contrast(m, "2*x").table.estimate.round(3).tolist()
    [2.2]
    """
    if isinstance(fit, MapFit):
        if (df, conf_level, vcov, alternative) != (None, 0.95, None, "two.sided"):
            raise Unable("contrasts of maps take test= alone; sides are those of .threshold(tail=...)")
        return contrast_maps(fit, hypothesis, test)
    check_level(conf_level)
    check_test(test)
    side = _side(alternative, test)
    L, value, labels = as_rows(hypothesis, fit.names)
    if not L.size:
        raise ValueError("there is no hypothesis to test: the fit has no coefficients, or no row was given")
    known = ~np.isnan(fit.beta)
    touched = [
        name for name, gone, used in zip(fit.names, ~known, np.any(L, axis=0).tolist(), strict=True) if gone and used
    ]
    if touched:
        raise DataError(f"{', '.join(touched)} is aliased (a combination of earlier columns), so it cannot be tested")
    estimate = L @ np.nan_to_num(fit.beta)
    _check_consistent(L, value)
    robust = chosen(fit, vcov, test)
    said = about_infinite(fit, L)
    if robust is not None:
        return replace(_robustly(fit, robust, (L, value, labels), df, conf_level, side), messages=said)
    own = precision(fit, df)
    freedom = own.freedom(L)
    table = wald(labels, estimate, np.sqrt(np.diag(own.of(L))), freedom, conf_level, value, side)
    if test != "wald":
        table = retested(fit, table, L, value, conf_level, test)
        return Contrast(L, value, table, jointly(fit, L, value, float(freedom[0]), test))
    return Contrast(L, value, table, own.jointly(L, estimate - value).to_frame(), said)


def _side(alternative: str, test: str) -> int:
    side = as_side(alternative)
    if side != TWO and test != "wald":
        raise ValueError(f"alternative={alternative!r} is of Wald tests; test={test!r} has no sides")
    return side


def _check_consistent(L: Array, value: Array) -> None:
    """Rows that are combinations of others must have the same combination of values."""
    U, d, _ = np.linalg.svd(L)
    rank = int((d > d[0] * 1e-10).sum())
    gap = U[:, rank:].T @ value
    if (np.abs(gap) > 1e-8 * np.abs(value).max(initial=0.0)).any():
        raise ValueError(
            "the hypotheses contradict one another, so they cannot be tested together; test them one by one"
        )


def _robustly(
    fit: Fit, robust: Robust, rows: tuple[Array, Array, list[str]], df: str | None, conf_level: float, side: int
) -> Contrast:
    """By a robust covariance; a coefficient that is not asked about may lack a variance."""
    L, value, labels = rows
    estimate = L @ np.nan_to_num(fit.beta)
    used = ~np.isnan(fit.beta) & L.any(axis=0)
    V = L[:, used] @ robust.matrix[np.ix_(used, used)] @ L[:, used].T
    freedom = robust.freedom(fit, len(L), df)
    with np.errstate(invalid="ignore"):  # with several ways of clustering a variance can come out negative
        table = wald(labels, estimate, np.sqrt(np.diag(V)), freedom, conf_level, value, side)
    table.attrs.update(robust.attrs)
    rank = int(np.linalg.matrix_rank(L))
    return Contrast(L, value, table, with_df(V, estimate - value, float(freedom[0]), rank).to_frame())
