"""A fit's mean along one of its predictors, with limits: the numbers behind the picture of an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..family import Array
from ..syntax.expression import names

if TYPE_CHECKING:
    from ..result import Fit

MOST_GROUPS = 40  # more curves than this are a carpet
MOST_PARTNERS = 5


@dataclass(frozen=True, eq=False)
class Curve:
    """The population's mean along one predictor with 95 % limits (m,), and each group's own mean (L, m)."""

    x: Array
    mean: Array
    low: Array
    high: Array
    groups: Array
    eta: Array  # (m,) the mean on the link's scale
    levels: tuple[str, ...] = ()


def predictors(fit: Fit) -> list[str]:
    """The columns of the fixed part, numbers before factors."""
    design = fit.request.design
    variables = design.formula.fixed.variables
    used = dict.fromkeys(n.text for term in design.formula.fixed.terms for i in term for n in names(variables[i]))
    columns = [name for name in used if name in design.data.columns]
    return sorted(columns, key=lambda column: not is_number(pd.Series(design.data[column])))


def partner(fit: Fit, name: str) -> str | None:
    """The first factor of few levels that interacts with `name`."""
    design = fit.request.design
    variables = design.formula.fixed.variables
    for term in design.formula.fixed.terms:
        used = [n.text for i in term for n in names(variables[i]) if n.text in design.data.columns]
        others = [c for c in used if c != name and not is_number(design.data[c])]
        if name in used and others and len(levels_of(design.data[others[0]])) <= MOST_PARTNERS:
            return others[0]
    return None


def is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def levels_of(column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if (column == level).any()]
    return sorted(column.unique())


def fitted_curve(fit: Fit, name: str, at: Array | list[Any], held: Mapping[str, Any] = MappingProxyType({})) -> Curve:
    """Means and Wald limits along `name`; the rest as `held`, else numbers in their middle, factors at their commonest.

    mean = inverse link of X beta, limits = inverse link of X beta -+ 1.96 sqrt(x' V x), random effects zero.
    An offset= given beside the formula, which has no place in the grid, is held at its mean.
    """
    design, link = fit.request.design, fit.request.family.link
    bare = replace(design, recipe=replace(design.recipe, offset=None, free_offset=False))
    made = bare.apply(_grid(design.data, name, at, held))
    beside = 0.0 if design.extra_offset is None else float(design.extra_offset.mean())
    known = ~np.isnan(fit.beta)
    X, V = made.matrix[:, known], fit.covariance[np.ix_(known, known)]
    eta = X @ fit.beta[known] + made.offset + beside
    half = 1.96 * np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", X, V, X), 0.0))
    limits = np.sort([link.inverse(eta - half), link.inverse(eta + half)], axis=0)
    groups = np.empty((0, len(eta)))
    one_group = len({term.group for term in design.random}) == 1
    if one_group and len(fit.random[0].levels) <= MOST_GROUPS:
        own = [effect.modes @ term.basis.T for effect, term in zip(fit.random, made.random, strict=True)]
        groups = link.inverse(eta + np.sum(own, axis=0))
    x = np.arange(len(at), dtype=float) if isinstance(at, list) else at
    words = tuple(map(str, at)) if isinstance(at, list) else ()
    return Curve(x, link.inverse(eta), limits[0], limits[1], groups, eta, words)


def _grid(data: pd.DataFrame, name: str, at: Array | list[Any], fixed: Mapping[str, Any]) -> pd.DataFrame:
    """A table of len(at) rows in which only `name` varies."""
    held = {c: pd.Series([fixed[c] if c in fixed else _middle(data[c])] * len(at)) for c in data.columns}
    held[name] = pd.Series(at)
    return pd.DataFrame(held)


def _middle(column: pd.Series) -> Any:
    """The mean of fractional numbers, the middle one of whole numbers (it may code a level), the commonest level."""
    if not is_number(column):
        return column.mode().iloc[0]
    whole = bool((column == column.round()).all())
    return column.sort_values().iloc[len(column) // 2] if whole else column.mean()
