"""An optimal design in sentences, and the code that makes it again."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from formula_neuro.data.table import source
from formula_neuro.hrf import DoubleGamma, HalfCosine

if TYPE_CHECKING:
    from .answer import OptimalDesign


def sentences(d: OptimalDesign, compared: pd.DataFrame) -> list[str]:
    """What the design does, in words, with the rivals' table."""
    some = d.family.l != 0
    rms = np.sqrt(np.average(d.bias[some] ** 2, weights=d.family.w[some]))
    table = compared.set_index("analysis")
    own, first = table.loc["optimal"], compared.iloc[0]
    return [
        f"One signed amplitude of {d.name} for {int(some.sum())} plausible responses: the estimate is off by "
        f"{percent(rms)} of the truth (root mean square) and by {percent(np.abs(d.bias[some]).max())} at most.",
        f"The root mean squared error over them, noise included, is {own['rmse']:.3g} standard deviations of the "
        f"noise; {_error(first)}.",
        f"A one-sided t test at 0.001 finds the response with a probability of {_chance(own['mean_power'])} on average "
        f"and {_chance(own['min_power'])} at worst; that of the {first['analysis']} with "
        f"{_chance(first['mean_power'])} and {_chance(first['min_power'])}.",
    ]


def _error(first: Any) -> str:
    if np.isnan(first["rmse"]):
        return f"the {first['analysis']} alone has the wrong sign on average"
    return f"that of the {first['analysis']} alone, multiplied to be right on average, is {first['rmse']:.3g}"


def _chance(value: Any) -> str:
    return "less than 0.001" if value < 1e-3 else f"{value:.3f}"


def percent(share: float) -> str:
    """A share as the pages write it.

    >>> percent(0.045)
    '4.5 %'
    """
    return f"{100 * share:.1f} %"


def code(d: OptimalDesign, data: str = "data.csv") -> str:
    """The call that makes the design again; `data` is the file of a table that had none of its own."""
    path = "" if d.data is None else json.dumps(source(d.data) or data, ensure_ascii=False)
    arguments = [json.dumps(d.formula, ensure_ascii=False), path or "..."]
    arguments += [f"{name}={value}" for name, value in d.call.items()]
    unsaid = "  # ... stands for what was given" if "..." in ", ".join(arguments) else ""
    return f"import formula_neuro as fn\nd = fn.optimize_design({', '.join(arguments)}){unsaid}\nd.design, d.contrast"


def called(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, str]:
    """The arguments by name that are not their defaults, as one writes them; positional ones have no part."""
    named = inspect.signature(function).parameters.values()
    own = [one for one in named if one.kind is inspect.Parameter.KEYWORD_ONLY]
    return {one.name: _python(values[one.name]) for one in own if not _same(values[one.name], one.default)}


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, (str, int, float, tuple)) and bool(value == default))


def _python(value: Any) -> str:
    """A value as one writes it, ... for what has no short text."""
    if isinstance(value, (str, bool, int, float, np.number)) or value is None:
        plain = value.item() if isinstance(value, np.number) else value
        return json.dumps(plain, ensure_ascii=False) if isinstance(plain, str) else repr(plain)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_python(key)}: {_python(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_python(one) for one in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    if isinstance(value, (HalfCosine, DoubleGamma)):
        return f"fn.{value!r}"
    if isinstance(value, np.ndarray) and value.ndim == 1 and len(value) <= 12:
        return _python(value.tolist())
    return "..."
