"""What a user calls a contrast -> rows of weights over the variables, with labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from formula_neuro.errors import DataError, FormulaError
from formula_neuro.family import Array
from formula_neuro.inference.hypothesis import as_rows


def contrasts(given: Any, names: Sequence[str]) -> tuple[Array, list[str]]:
    """W (s, k) over the variables `names`, and s labels.

    given: a variable, "a - b", {"a": 1, "b": -1} or a vector; or several of these in a list, or by label in a dict.
    Raises DataError and FormulaError.

    >>> contrasts({"both": "a + b", "difference": [1, -1]}, ["a", "b"])
    (array([[ 1.,  1.], [ 1., -1.]]), ['both', 'difference'])
    """
    if isinstance(given, Mapping) and given and not any(map(_is_number, given.values())):
        rows, labels = [_row(one, names)[0] for one in given.values()], [str(label) for label in given]
    elif isinstance(given, (list, tuple, np.ndarray)) and len(given) and not any(map(_is_number, given)):
        found = [_row(one, names) for one in given]
        rows, labels = [row for row, _ in found], [label for _, label in found]
    else:
        row, label = _row(given, names)
        rows, labels = [row], [label]
    if len(set(labels)) < len(labels):
        raise DataError(f"contrast gives {max(labels, key=labels.count)!r} twice")
    return np.array(rows), labels


def _row(given: Any, names: Sequence[str]) -> tuple[Array, str]:
    if isinstance(given, str) and given in names:
        return np.array([float(name == given) for name in names]), given
    if isinstance(given, str) and not re.search(r"[-+*= ]", given):
        raise DataError(f"contrast names {given!r}; the formula's variables are {', '.join(names)}")
    try:
        rows, value, labels = as_rows(given, names)
    except FormulaError as error:
        raise FormulaError(error.message.replace("coefficient", "variable"), error.text, error.position) from None
    except ValueError as error:
        raise DataError(f"contrast {given!r}: {str(error).replace('coefficient', 'variable')}") from None
    if value.any():
        raise DataError(f"contrast {given!r}: a number on the right of = has no meaning for a design")
    if isinstance(given, str):
        return rows[0], given
    weights = [f"{weight:g}*{name}" for name, weight in zip(names, rows[0], strict=True) if weight]
    return rows[0], " + ".join(weights).replace("+ -", "- ") if not isinstance(given, Mapping) else labels[0]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number))
