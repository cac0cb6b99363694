"""ns() and bs(): bases of natural cubic splines and of B-splines, with R's knots, columns and signs.

Source: de Boor (1978), A Practical Guide to Splines, for the B-splines; Hastie (1992), chapter 7 of Statistical
Models in S, for knots at quantiles and for the natural basis: B-splines projected onto the null space of their
second derivatives at the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.values import Matrix
from ..errors import DataError
from ..family import Array
from .arguments import Argument, column, counted, numbers, truth, whole


@dataclass(frozen=True, eq=False)
class Knots:
    """What a spline learns: its knots inside and the two at the boundary."""

    inner: Array  # (m,)
    boundary: tuple[float, float]

    def sequence(self, degree: int) -> Array:
        """With the boundary repeated, (m + 2 degree + 2,)."""
        low, high = self.boundary
        return np.concatenate([np.full(degree + 1, low), self.inner, np.full(degree + 1, high)])


def ns(
    x: Argument,
    df: Argument | None = None,
    knots: Argument | None = None,
    intercept: Argument = False,
    Boundary_knots: Argument | None = None,
    *,
    state: Knots | None,
) -> tuple[Matrix, Knots | None]:
    """Natural cubic splines, linear beyond the boundary knots; df - 1 (- 1 with an intercept) knots inside."""
    constant = truth(intercept, "intercept")
    values = column(x, "ns")
    inside = 0 if df is None else _count(df, 1 + constant) - 1 - constant
    state = state or _knots(values, inside, knots, Boundary_knots)
    if state is None:
        return _nothing(len(values), inside + 1 + constant)
    return counted(natural(values, state, constant)), state


def bs(
    x: Argument,
    df: Argument | None = None,
    knots: Argument | None = None,
    degree: Argument = 3.0,
    intercept: Argument = False,
    Boundary_knots: Argument | None = None,
    *,
    state: Knots | None,
) -> tuple[Matrix, Knots | None]:
    """B-splines of a degree; beyond the boundary knots their outermost polynomials go on, as in R."""
    constant, d = truth(intercept, "intercept"), whole(degree, "degree=", 1, 20)
    values = column(x, "bs")
    inside = 0 if df is None else _count(df, d + constant) - d - constant
    state = state or _knots(values, inside, knots, Boundary_knots)
    if state is None:
        return _nothing(len(values), inside + d + constant)
    basis = _evaluated(values, state, d)
    return counted(basis if constant else basis[:, 1:]), state


def natural(x: Array, knots: Knots, intercept: bool) -> Array:
    """The basis (n, m + 1 + intercept) of natural cubic splines.

    B (n, q) cubic B-splines, without the first one unless intercept; S (2, q) their second derivatives at the two
    boundary knots; S' = Q R. Columns of B Q beyond the second have S = 0.
    """
    from scipy.interpolate import BSpline

    t = knots.sequence(3)
    spline = BSpline(t, np.eye(len(t) - 4), 3)
    at = np.clip(x, *knots.boundary)
    B = spline(at) + (x - at)[:, None] * spline(at, nu=1)
    S = spline(np.array(knots.boundary), nu=2)
    first = 0 if intercept else 1
    Q, _ = np.linalg.qr(S[:, first:].T, mode="complete")
    basis: Array = (B[:, first:] @ Q)[:, 2:]
    return basis


def _evaluated(x: Array, knots: Knots, degree: int) -> Array:
    from scipy.interpolate import BSpline

    t = knots.sequence(degree)
    basis: Array = BSpline(t, np.eye(len(t) - degree - 1), degree)(x)
    return basis


def _count(df: Argument, least: int) -> int:
    """The number of columns asked for."""
    if not isinstance(df, float) or df != np.floor(df) or df < least or df > 1000:
        raise DataError(f"df= is the number of columns, here a whole number of {least} or more")
    return int(df)


def _nothing(n: int, columns: int) -> tuple[Matrix, None]:
    """Of a column without a value: every row will be dropped, and the column named."""
    return counted(np.full((n, columns), np.nan)), None


def _knots(x: Array, inside: int, given: Argument | None, boundary: Argument | None) -> Knots | None:
    """Knots as given, else `inside` of them at quantiles (type 7) of the values between the boundary knots."""
    known = x[~np.isnan(x)]
    if not len(known):
        return None
    if np.isinf(known).any():
        raise DataError("the column has infinite values")
    low, high = (float(known.min()), float(known.max())) if boundary is None else _pair(boundary)
    if not low < high:
        raise DataError(f"the column is {low:g} throughout, so no spline runs through it")
    if given is not None:
        inner = np.sort(numbers(given, "knots"))
    else:
        between = known[(known >= low) & (known <= high)]
        if inside and not len(between):
            raise DataError("no value lies between the boundary knots, so there are no quantiles for knots")
        inner = np.quantile(between, np.arange(1, inside + 1) / (inside + 1)) if inside else np.empty(0)
    return _checked(Knots(inner, (low, high)), given is None)


def _pair(boundary: Argument) -> tuple[float, float]:
    ends = np.sort(numbers(boundary, "Boundary.knots"))
    if len(ends) != 2 or ends[0] == ends[1] or not np.isfinite(ends).all():
        raise DataError("Boundary.knots= are two different numbers, as c(0, 1)")
    return float(ends[0]), float(ends[1])


def _checked(knots: Knots, at_quantiles: bool) -> Knots:
    """R goes on with knots on the boundary, and gives columns of zeros or of noise."""
    low, high = knots.boundary
    bad = (knots.inner <= low) | (knots.inner >= high)
    if bad.any():
        shown, ends = ", ".join(f"{k:g}" for k in knots.inner), f"{low:g} and {high:g}"
        why = "many values are equal; ask for fewer df or give knots=" if at_quantiles else "give others"
        raise DataError(f"the knots ({shown}) do not all lie between the boundary knots {ends}: {why}")
    return knots
