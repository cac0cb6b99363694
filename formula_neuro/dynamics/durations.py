"""Durations as people write them, in ms."""

from __future__ import annotations

import difflib
import math
import re
from typing import Any

from ..errors import DataError

UNITS = {"ms": 1.0, "s": 1000.0, "sec": 1000.0, "min": 60_000.0, "h": 3_600_000.0}
_TEXT = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Z]+)\s*")
CLOSE = 1e-9  # of a step: what a division of decimal fractions such as 0.3 / 0.1 may be off


def milliseconds(value: Any, what: str) -> float:
    """A duration in ms: a number of ms, or a text such as "60 s". Raises DataError.

    >>> milliseconds("5 min", "duration"), milliseconds(20, "dt")
    (300000.0, 20.0)
    """
    if isinstance(value, str):
        found = _TEXT.fullmatch(value)
        if found is None or found[2] not in UNITS:
            near = difflib.get_close_matches(found[2], UNITS, n=1) if found else []
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise DataError(
                f"{what}={value!r}{hint}; a number of ms, or one of ms, s, min or h as in '60 s', is expected"
            )
        try:
            value = float(found[1]) * UNITS[found[2]]
        except ValueError:
            raise DataError(f"{what}={value!r} holds no number; '60 s' would be one minute") from None
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise DataError(
            f"{what} is of type {type(value).__name__}; a number of ms or a text such as '60 s' is expected"
        )
    value = float(value)
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"{what} is {value:g} ms; it must be above 0")
    return value


def whole_steps(value: float, dt: float, what: str) -> int:
    """How many steps of dt a duration in ms has. Raises DataError unless they are whole.

    >>> whole_steps(0.3, 0.1, "every")
    3
    """
    steps = value / dt
    if abs(steps - round(steps)) > CLOSE * max(1.0, steps) or round(steps) < 1:
        below = max(1, math.floor(steps)) * dt
        raise DataError(
            f"{what} is {value:g} ms, no multiple of dt, {dt:g} ms; take {below:g} or {below + dt:g} ms, or another dt"
        )
    return round(steps)


def shown(value: float) -> str:
    """A duration for a person: 0.1 ms, 2 s, 5 min.

    >>> shown(0.1), shown(2000), shown(300_000)
    ('0.1 ms', '2 s', '5 min')
    """
    for unit in ("min", "s"):
        if value >= UNITS[unit] and value % UNITS[unit] == 0:
            return f"{value / UNITS[unit]:g} {unit}"
    return f"{value:g} ms"
