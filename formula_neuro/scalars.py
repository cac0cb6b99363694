"""Whether what a user gave is one number: each place that asks says in its own words what it expected."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import Any


def is_number(value: Any) -> bool:
    """Whether it is a finite number; True and False are none, nor are texts.

    >>> [is_number(value) for value in (2, 0.5, True, "2", float("nan"))]
    [True, True, False, False, False]
    """
    return type(value) is not bool and isinstance(value, Real) and isfinite(value)


def is_whole(value: Any, least: int = 0) -> bool:
    """Whether it is a whole number, `least` or more; 2.0 is none.

    >>> [is_whole(value, least=1) for value in (2, 0, 2.0, True, "2")]
    [True, False, False, False, False]
    """
    return type(value) is not bool and isinstance(value, Integral) and int(value) >= least
