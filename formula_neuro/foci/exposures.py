"""exposure(n) in a formula of foci: foci are proportional to n, so that log(n) goes into the offset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..data.values import as_numbers
from ..errors import DataError, FormulaError
from ..formula import Formula, Part
from ..syntax.expression import Call, Name, Node, label
from ..words.transforms import evaluate

if TYPE_CHECKING:
    from .table import Foci


def with_exposure(parsed: Formula) -> Formula:
    """The terms exposure(n) of the fixed part as offsets log(n)."""
    exposed = [i for i, node in enumerate(parsed.fixed.variables) if _is_exposure(node)]
    for part in (*parsed.spatial, Part(parsed.fixed.variables, _joint(parsed.fixed, exposed), True)):
        bad = next((part.variables[i] for t in part.terms for i in t if _is_exposure(part.variables[i])), None)
        if bad is not None:
            raise FormulaError("exposure(n) is added by itself: foci are proportional to n", parsed.text, _at(bad))
    logs = []
    for i in exposed:
        node = parsed.fixed.variables[i]
        assert isinstance(node, Call)
        if len(node.arguments) != 1:
            raise FormulaError(
                "exposure() takes one expression, as exposure(hours); to ask where foci are whatever their number, "
                "leave it out and take what='shape' in fn.contrast",
                parsed.text,
                node.at,
            )
        logs.append(Call("log", (("", node.arguments[0][1]),), node.at))
    left = [i for i in range(len(parsed.fixed.variables)) if i not in exposed]
    terms = tuple(tuple(left.index(i) for i in term) for term in parsed.fixed.terms if not set(term) & set(exposed))
    fixed = Part(tuple(parsed.fixed.variables[i] for i in left), terms, True)
    return replace(parsed, fixed=fixed, offsets=(*parsed.offsets, *logs))


def check_exposure(parsed: Formula, foci: Foci) -> None:
    """Raise DataError for an exposure, or another logarithm in an offset, that is 0 or less."""
    for node in parsed.offsets:
        if not (isinstance(node, Call) and node.function == "log" and len(node.arguments) == 1):
            continue
        inner = node.arguments[0][1]
        if isinstance(inner, (Name, Call)):
            values = as_numbers(evaluate(inner, foci.studies, {}, parsed.text), label(inner))
            bad = np.flatnonzero(values <= 0)
            if len(bad):
                study = foci.studies["study"].iloc[bad[0]]
                raise DataError(
                    f"log({label(inner)}) in the offset: {len(bad)} of {len(values)} analyses have 0 or less (first: "
                    f"{values[bad[0]]:g} in study {study}), of which there is no logarithm; correct these values, or "
                    "set them to missing"
                )


def _is_exposure(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "exposure"


def _joint(part: Part, exposed: list[int]) -> tuple[tuple[int, ...], ...]:
    """Terms in which an exposure stands with other variables."""
    return tuple(term for term in part.terms if len(term) > 1 and set(term) & set(exposed))


def _at(node: Node) -> int:
    return int(getattr(node, "at", 0))
