"""Calls of a formula that R is sent the values of, because it would make others or none.

R is sent the rows used only, but scale(x) knows the mean of all rows: R itself evaluates a formula's calls before
it drops rows for missing values or subset=, and so do we. Where that makes a difference, the call's values cross
beside the columns, and R takes them in place of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from formula_neuro.data.values import Categorical, Matrix, as_factor
from formula_neuro.design import Design
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.syntax import expression
from formula_neuro.words.arguments import CONSTANT_TYPES, Argument
from formula_neuro.words.transforms import CONSTANTS, constant_or_value, evaluate

from .frame import value_to_r


def learnt_calls(design: Design) -> dict[str, dict[str, Any]]:
    """By R's print of each call that has other values on the rows used alone: its values, as they cross."""
    found = {}
    for call, state in design.recipe.states:
        node = expression.read(call)
        if not all(name.text in (*design.data.columns, *CONSTANTS) for name in expression.names(node)):
            continue  # of weights= or offset=, which cross as numbers
        value = constant_or_value(node, design.data, {**dict(design.recipe.states), call: state}, learn=False)
        try:
            alone = constant_or_value(node, design.data, {})
        except DataError:  # relevel() to a level that the rows used have not
            alone = None
        if alone is None or not _same(value, alone):
            found[call] = _crossing(value)
    return found


def group_calls(design: Design) -> dict[str, dict[str, Any]]:
    """The values of calls right of a bar, as in (1 | cut(x, 3)), which lme4 does not evaluate; R's names of their own.

    Each crosses with its `label`, by which R finds the call in the formula.
    """
    nodes = dict.fromkeys(
        node for bar in design.formula.bars for node in bar.group if isinstance(node, expression.Call)
    )
    found = {}
    for i, node in enumerate(nodes, 1):
        value = evaluate(node, design.data, dict(design.recipe.states), learn=False)
        found[f".fn_group{i}_"] = {**value_to_r(as_factor(value)), "label": expression.label(node)}
    return found


def _crossing(value: Argument) -> dict[str, Any]:
    if isinstance(value, CONSTANT_TYPES):
        return {"kind": "number", "values": _numbers(value)}
    return value_to_r(value)


def _same(a: Argument, b: Argument) -> bool:
    if isinstance(a, Categorical) or isinstance(b, Categorical):
        same = isinstance(a, Categorical) and isinstance(b, Categorical)
        return same and _words(a) == _words(b)
    x, y = _numbers(a), _numbers(b)
    return x.shape == y.shape and bool(np.allclose(x, y, rtol=1e-12, atol=1e-12 * np.abs(x).max(initial=0.0)))


def _numbers(value: Argument) -> Array:
    return np.atleast_1d(np.asarray(value.values if isinstance(value, Matrix) else value, dtype=float))


def _words(value: Argument) -> tuple[Any, ...]:
    assert isinstance(value, Categorical)
    used = value.without_unused()
    return (used.levels, used.codes.tolist())
