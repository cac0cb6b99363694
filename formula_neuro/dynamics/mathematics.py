"""The functions that a model's equations may call, for numbers, numpy arrays, torch tensors and traced symbols alike.

An equation written with them is one definition for every engine. A symbol, of whatever engine, answers
`elementary(name, *arguments)`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np


def exp(x: Any) -> Any:
    """e to the power x."""
    return _apply("exp", x)


def expm1(x: Any) -> Any:
    """exp(x) - 1, exact near 0."""
    return _apply("expm1", x)


def log(x: Any) -> Any:
    """The natural logarithm."""
    return _apply("log", x)


def sqrt(x: Any) -> Any:
    """The square root."""
    return _apply("sqrt", x)


def sin(x: Any) -> Any:
    """The sine, x in radians."""
    return _apply("sin", x)


def cos(x: Any) -> Any:
    """The cosine, x in radians."""
    return _apply("cos", x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return _apply("tanh", x)


def absolute(x: Any) -> Any:
    """|x|."""
    return _apply("absolute", x)


def maximum(x: Any, y: Any) -> Any:
    """The larger of both, element by element."""
    return _apply("maximum", x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of both, element by element."""
    return _apply("minimum", x, y)


def remainder(x: Any, y: Any) -> Any:
    """x modulo y, with the sign of y."""
    return _apply("remainder", x, y)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, y elsewhere; both are evaluated. An `if` on a state cannot be traced."""
    return _apply("where", condition, x, y)


def _apply(name: str, *arguments: Any) -> Any:
    for argument in arguments:
        if hasattr(argument, "elementary"):
            return argument.elementary(name, *arguments)
    if any(type(argument).__module__.startswith("torch") for argument in arguments):
        return _in_torch(name, arguments)
    return getattr(np, name)(*arguments)


def _in_torch(name: str, arguments: tuple[Any, ...]) -> Any:
    import torch

    like = next(a for a in arguments if isinstance(a, torch.Tensor) and a.dtype != torch.bool)
    tensors = [a if isinstance(a, torch.Tensor) else _constant(float(a), like.dtype, like.device) for a in arguments]
    return getattr(torch, name)(*tensors)


@lru_cache(maxsize=256)
def _constant(value: float, dtype: Any, device: Any) -> Any:
    """The number as a tensor, kept: making one again in each step would wait for the device."""
    import torch

    return torch.as_tensor(value, dtype=dtype, device=device)
