"""Random terms whose covariance has a structure, looked at on the data: what cannot have it, and what to know of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..data.values import Categorical, Value
from ..errors import FormulaError
from ..formula import Formula
from ..syntax.bars import HOMOGENEOUS, Bar
from ..syntax.expression import label


def check_structure(bar: Bar, columns: Sequence[str], values: Mapping[str, Value], text: str) -> None:
    """FormulaError where the term's columns cannot have the structure that is asked for."""
    if bar.structure == "us":
        return
    at = max(text.find(f"{bar.structure}("), 0)
    if bar.structure == "ar1":
        _check_series(bar, values, text, at)
    if len(columns) == 1 and (bar.structure in ("cs", "ar1") or bar.hom != HOMOGENEOUS[bar.structure]):
        what = "hom= is" if bar.structure == "diag" else f"{bar.structure}() is"
        raise FormulaError(f"{what} of several columns, and {columns[0]} is one; write (x | g)", text, at)


def _check_series(bar: Bar, values: Mapping[str, Value], text: str, at: int) -> None:
    names = [label(node) for node in bar.part.variables]
    number = next((name for name in names if not isinstance(values[name], Categorical)), None)
    if number is not None:
        raise FormulaError(
            f"ar1() follows the levels of a factor in their order, and {number} is a number; where its values are "
            f"equal steps write ar1(0 + factor({number}) | {bar.name})",
            text,
            at,
        )
    if bar.part.intercept or len(bar.part.terms) != 1:
        raise FormulaError(
            f"ar1() follows the levels of one factor in their order, without an intercept beside them; write "
            f"ar1(0 + {names[0] if names else 'time'} | {bar.name})",
            text,
            at,
        )


def about_structures(formula: Formula, values: Mapping[str, Value]) -> list[str]:
    """Series whose levels are sorted as texts, and one variance for columns of different units."""
    found = []
    for bar in formula.bars:
        inside = [(label(node), values[label(node)]) for node in bar.part.variables]
        if bar.structure == "ar1":
            found += [_order(name, value) for name, value in inside if isinstance(value, Categorical)]
        numbers = [name for name, value in inside if not isinstance(value, Categorical)]
        if bar.structure != "us" and bar.hom and numbers:
            found.append(
                f"{bar.structure}(... | {bar.name}, hom = TRUE) has one variance for all columns, so that the fit "
                f"depends on the unit and the origin of {numbers[0]}"
            )
    return [note for note in found if note]


def _order(name: str, value: Categorical) -> str:
    """That t10 stands before t2."""
    if list(value.levels) == sorted(value.levels, key=_as_read) or list(value.levels) != sorted(value.levels):
        return ""
    shown = ", ".join(value.levels[:4])
    return (
        f"ar1() follows the levels of {name} in the order of texts ({shown}, ...); if that is not the order of time, "
        "give an ordered factor"
    )


def _as_read(level: str) -> list[tuple[float, str]]:
    """A key by which t2 stands before t10."""
    return [(float(part) if part.isdecimal() else -1.0, part) for part in re.split(r"(\d+)", level)]
