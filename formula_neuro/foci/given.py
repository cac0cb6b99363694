"""Whether fit() was given foci."""

from __future__ import annotations

from typing import Any

from ..errors import Unable
from ..formula import parse
from ..syntax.expression import Name


def is_foci(data: Any) -> bool:
    """Whether the data are foci that were read already."""
    return hasattr(data, "foci") and hasattr(data, "studies") and hasattr(data, "points")


def refuse_foci(fit: Any, verb: str, instead: str) -> None:
    """Raise Unable where the fit is a meta-regression of foci, saying what there is instead."""
    if getattr(getattr(fit, "request", None), "of_foci", False):
        raise Unable(f"{verb}() is of fits on tables, not of meta-regressions of foci; {instead}")


def names_foci(formula: str) -> bool:
    """Whether a formula is one of foci: its response is foci, and a term stands in s(...)."""
    if not isinstance(formula, str) or "s(" not in formula or "foci" not in formula:
        return False
    parsed = parse(formula)
    return bool(parsed.spatial) and parsed.response == Name("foci")
