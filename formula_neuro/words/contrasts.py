"""C(f, contr.sum) and C(f, c(1, 0, -1)): a factor with the contrast that shall code it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..columns.contrast_matrices import completed
from ..data.values import CONTRASTS, Categorical, Contrast
from ..errors import DataError, FormulaError
from ..syntax.expression import Call, Name, Node, Text, label
from .arguments import Argument, Constants, factor_of, formal_names

SHORT = {"treatment", "sum", "helmert", "poly", "SAS"}
FORMALS = ("object", "contr", "how.many", "base", "scores")


def with_contrast(node: Call, value_of: Callable[[Node], Argument], whole: str, learn: bool) -> Categorical:
    """The factor that a call of C() names, with its contrast; the contrast is a name, so it is read, not evaluated.

    New data (not `learn`) may lack levels; it is coded by the contrast of training, so it needs none.
    """
    given = _matched(node, FORMALS, whole)
    if "object" not in given:
        raise FormulaError(f"C() takes a factor and one of {', '.join(CONTRASTS)}", whole, node.at)
    factor = factor_of(value_of(given["object"]))
    if not learn:
        return factor
    call = given.get("contr")
    if isinstance(call, Call) and not call.function.startswith("contr."):
        if len(given) > 2:
            raise FormulaError("a contrast given as a matrix takes no other arguments", whole, node.at)
        return replace(factor, contrast=_matrix(call, len(factor.levels), value_of))
    contrast = _contrast(call, factor, node, whole)
    if isinstance(call, Call):
        inner = _matched(call, ("n", "base", "scores"), whole)
        _check_n(inner, len(factor.levels), call, value_of, whole)
        given |= {name: v for name, v in inner.items() if name != "n"}
        contrast = replace(contrast, numbered=True)
    if "base" in given:
        base = _whole(value_of(given["base"]), len(factor.levels), "base=", node, whole)
        contrast = replace(contrast, base=base, numbered=True)
    if "scores" in given:
        contrast = replace(contrast, scores=_scores(value_of(given["scores"]), len(factor.levels), node, whole))
    if "how.many" in given:
        many = _whole(value_of(given["how.many"]), len(factor.levels) - 1, "how.many=", node, whole)
        contrast = replace(contrast, how_many=many, numbered=True)
    return replace(factor, contrast=contrast)


def _matched(node: Call, formals: tuple[str, ...], whole: str) -> dict[str, Node]:
    """Arguments by name, which may be cut short: named ones first, the others to the places that are left."""
    meant = formal_names([name for name, _ in node.arguments if name], formals)
    named = [(meant[name], value) for name, value in node.arguments if name]
    given = dict(named)
    free = [name for name in formals if name not in given]
    unnamed = [value for name, value in node.arguments if not name]
    if set(given) - set(formals) or len(given) < len(named) or len(unnamed) > len(free):
        raise FormulaError(f"{node.function}() takes {', '.join(formals)}", whole, node.at)
    return given | dict(zip(free, unnamed, strict=False))


def _matrix(call: Call, k: int, value_of: Callable[[Node], Argument]) -> Contrast:
    """c(1, 0, -1), 1:3, or cbind(...) of several such, completed to k - 1 columns."""
    what = label(call)
    columns = call.arguments if call.function == "cbind" else (("", call),)
    values = [value_of(node) for _, node in columns]
    if not values or not all(isinstance(v, tuple) and len(v) == k and _finite(v) for v in values):
        raise DataError(f"{what} is no contrast for a factor with {k} levels: it takes a finite number for each")
    named = tuple(name for name, _ in columns)
    return completed(np.array(values, dtype=float).T, named if any(named) else None, what)


def _finite(values: Constants) -> bool:
    return all(isinstance(v, float) and np.isfinite(v) for v in values)


def _contrast(asked: Node | None, factor: Categorical, node: Call, whole: str) -> Contrast:
    if asked is None:
        return Contrast("contr.poly" if factor.ordered else "contr.treatment")
    if isinstance(asked, Name) and asked.text in SHORT:
        return Contrast(f"contr.{asked.text}")
    kind = asked.value if isinstance(asked, Text) else getattr(asked, "text", getattr(asked, "function", ""))
    if kind not in CONTRASTS:
        raise FormulaError(f"C() takes a factor and one of {', '.join(CONTRASTS)}", whole, node.at)
    # R calls a contrast that is given as a function with the number of levels, so their names are lost
    return Contrast(kind, numbered=not isinstance(asked, Text))


def _check_n(given: dict[str, Node], k: int, call: Call, value_of: Callable[[Node], Argument], whole: str) -> None:
    if "n" not in given:
        raise FormulaError(
            f"{call.function}() is a contrast for a number of levels: write C(f, {call.function}, ...) with its "
            f"arguments behind it, or {call.function}({k}, ...)",
            whole,
            call.at,
        )
    n = value_of(given["n"])
    if not isinstance(n, float) or n != k:
        raise FormulaError(f"{label(call)} is not a contrast for the {k} levels of the factor", whole, call.at)


def _whole(value: Argument, most: int, name: str, node: Call, whole: str) -> int:
    if not isinstance(value, float) or value != np.floor(value) or not 1 <= value <= most:
        raise FormulaError(f"{name} is a whole number from 1 to {most}", whole, node.at)
    return int(value)


def _scores(value: Argument, k: int, node: Call, whole: str) -> tuple[float, ...]:
    if not isinstance(value, tuple) or len(set(value)) != k or not all(isinstance(v, float) for v in value):
        raise FormulaError(f"scores= are {k} different numbers, one a level", whole, node.at)
    return tuple(float(v) for v in value)
