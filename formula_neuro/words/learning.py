"""The functions of a formula that learn constants from the data, and are given them back for new data.

Each returns its value and what it has learnt; `state` is None when it learns. Sums and quantiles are learnt too:
I(x - mean(x)) has the mean of training for new data (R would take the new data's own, and predict nonsense).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import comb
from typing import Any

import numpy as np

from ..data.values import Matrix
from ..errors import DataError
from ..family import Array
from .arguments import CONSTANT_TYPES, Argument, Constants, column, columns_of, counted, numbers, truth, whole
from .factors import factor, ordered_factor, relevel
from .intervals import cut
from .splines import bs, ns

MOST_COLUMNS = 500  # of poly() of several columns


def _scale(
    x: Argument, center: Argument = True, scale: Argument = True, *, state: tuple[float, float] | None
) -> tuple[Array, tuple[float, float]]:
    """(x - mean) / sd with n - 1, skipping missing values as R does; a number in place of TRUE is used itself.

    Without centring R divides by the root mean square about 0, again with n - 1.
    """
    values = column(x, "scale")
    if not isinstance(center, (float, bool)) or not isinstance(scale, (float, bool)):
        raise DataError("center= and scale= are TRUE, FALSE or a number")
    if state is None:
        known = values[~np.isnan(values)]
        if not len(known):
            return values, (0.0, 1.0)  # every row will be dropped, and the column named
        mean = float(known.mean()) if center is True else float(center)
        spread = float(np.sqrt(((known - mean) ** 2).sum() / max(1, len(known) - 1))) if scale is True else float(scale)
        spread = 1.0 if scale is False else spread
        if not spread > 0:
            raise DataError("the column is constant, so it has no standard deviation to divide by; leave it out")
        state = mean, spread
    return (values - state[0]) / state[1], state


def _center(x: Argument, *, state: float | None) -> tuple[Array, float]:
    values = column(x, "center")
    if state is None:
        known = values[~np.isnan(values)]
        state = float(known.mean()) if len(known) else 0.0
    return values - state, state


# ---- polynomials ---------------------------------------------------------------------------------
def _poly(
    x: Argument,
    *others: Argument,
    degree: Argument = 1.0,
    raw: Argument = False,
    state: tuple[dict[str, Any], ...] | None,
) -> tuple[Matrix, tuple[dict[str, Any], ...]]:
    """Orthonormal polynomials by formulaic's three-term recurrence, or plain powers with raw = TRUE.

    Of several columns: the products up to the degree, named by the powers, "1.0", "2.0", "0.1", ...
    """
    if len(others) == 1 and isinstance(others[0], CONSTANT_TYPES):
        degree, others = others[0], ()
    k, plain = whole(degree, "the degree"), truth(raw, "raw")
    given: list[Argument] = [x, *others]
    if comb(k + len(given), k) > MOST_COLUMNS:
        raise DataError(
            f"{len(given)} columns to degree {k} make {comb(k + len(given), k) - 1} products; ask for a lower degree"
        )
    made = [_powers(column(v, "poly"), k, plain, state[i] if state else None) for i, v in enumerate(given)]
    learnt = tuple(constants for _, constants in made)
    if len(made) == 1:
        return counted(made[0][0]), learnt
    powers = [p for p in _exponents(len(made), k) if any(p)]
    ones = [np.column_stack([np.ones(len(values)), values]) for values, _ in made]
    columns = [np.prod([own[:, d] for own, d in zip(ones, p, strict=True)], axis=0) for p in powers]
    return columns_of(np.column_stack(columns), tuple(".".join(map(str, p)) for p in powers)), learnt


def _exponents(variables: int, most: int) -> Iterator[tuple[int, ...]]:
    """Exponents that add up to `most` at most; the first runs fastest."""
    if not variables:
        yield ()
        return
    for last in range(most + 1):
        for others in _exponents(variables - 1, most - last):
            yield (*others, last)


def _powers(values: Array, k: int, raw: bool, state: dict[str, Any] | None) -> tuple[Array, dict[str, Any]]:
    from formulaic.transforms.poly import poly

    if np.isnan(values).all():
        return np.full((len(values), k), np.nan), dict(state or {})
    if state is None and not raw and len(np.unique(values[~np.isnan(values)])) <= k:
        raise DataError(f"degree {k} needs more than {k} different values")
    constants: dict[str, Any] = {} if state is None else dict(state)
    return np.asarray(poly(values, degree=k, raw=raw, _state=constants), dtype=float).reshape(len(values), k), constants


# ---- one number a column -------------------------------------------------------------------------
def _summary(name: str, function: Callable[[Array], Any]) -> Callable[..., Any]:
    def apply(x: Argument, *, na_rm: Argument = False, state: float | None) -> tuple[float, float]:
        values = column(x, name)
        found = float(function(_known(values, na_rm, name))) if state is None else state
        return found, found

    return apply


def _known(values: Array, na_rm: Argument, name: str) -> Array:
    gone, skip = np.isnan(values), truth(na_rm, "na.rm")
    if gone.all():
        raise DataError(f"the column has no values to take the {name} of")
    if gone.any() and not skip:
        raise DataError(
            f"{int(gone.sum())} of {len(values)} values are missing, so R's {name}() would be missing too and every "
            "row with it; na.rm = TRUE leaves them out"
        )
    return values[~gone]


def _sd(values: Array) -> float:
    if len(values) < 2:
        raise DataError("a standard deviation needs two values or more")
    return float(np.std(values, ddof=1))


def _quantile(
    x: Argument, probs: Argument = (0.0, 0.25, 0.5, 0.75, 1.0), na_rm: Argument = False, *, state: Constants | None
) -> tuple[Constants, Constants]:
    """R's quantiles of type 7, as breaks and knots are given."""
    values, asked = column(x, "quantile"), numbers(probs, "probs")
    if (asked < 0).any() or (asked > 1).any():
        raise DataError("probs= are numbers from 0 to 1")
    if state is None:
        state = tuple(float(v) for v in np.quantile(_known(values, na_rm, "quantile"), asked))
    return state, state


SUMMARIES: dict[str, Callable[[Array], Any]] = {
    "mean": np.mean, "median": np.median, "min": np.min, "max": np.max, "sum": np.sum, "sd": _sd,
    "var": lambda values: _sd(values) ** 2,
}  # fmt: skip
LEARNING: dict[str, Callable[..., Any]] = {
    "scale": _scale, "center": _center, "poly": _poly, "ns": ns, "bs": bs, "cut": cut, "relevel": relevel,
    "factor": factor, "ordered": ordered_factor, "quantile": _quantile,
    **{name: _summary(name, function) for name, function in SUMMARIES.items()},
}  # fmt: skip
