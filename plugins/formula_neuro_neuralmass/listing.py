"""models(): what can be simulated, and the parameters of a model."""

from __future__ import annotations

from typing import Any

import pandas as pd

from formula_neuro.display.listing import Listing
from formula_neuro.dynamics.model import OU, Model

from .models import find, names


class Models(pd.DataFrame):
    """A table of models or parameters that prints as a line or two a row; all else is a DataFrame's."""

    @property
    def _constructor(self) -> Any:
        return Models

    def __repr__(self) -> str:
        if "help" not in self:
            return super().__repr__()
        told = self.apply(_told, axis=1) if "default" in self else self["help"]
        return str(Listing({"name": self.index, "help": told.tolist()}))

    __str__ = __repr__


def _told(row: pd.Series[Any]) -> str:
    value = f"{row['default']:g}" if isinstance(row["default"], float) else str(row["default"])
    return f"{' '.join(filter(None, (value, row['unit'])))}{': ' if row['help'] else ''}{row['help']} ({row['acts']})"


def models(model: str | Model | None = None) -> pd.DataFrame:
    """The models by name, or the parameters of one: parameter, default, unit, help, acts.

    acts: "in time" where a stimulus can add to it, "network" where it acts only with a connectome, "noise", "one table"
    where a table is made for it and it is one number, "node" otherwise, when it may differ from node to node.

    >>> models().loc["fhn", "outputs"]
    'x, y'
    >>> models("fhn").loc["x_ext"].tolist()
    [1.0, '', 'input to x', 'in time']
    """
    if model is None:
        return Models([_about(find(name)) for name in names()]).set_index("model")
    found = find(model)
    rows = [
        {"parameter": name, "default": p.default, "unit": p.unit, "help": p.help, "acts": _acts(found, name)}
        for name, p in found.parameters.items()
    ]
    return Models(rows).set_index("parameter")


def _about(model: Model) -> dict[str, str]:
    return {
        "model": model.name,
        "help": model.help,
        "states": ", ".join(model.states),
        "outputs": ", ".join(model.outputs),
        "stimuli": ", ".join(model.external),
        "source": model.source,
    }


def _acts(model: Model, name: str) -> str:
    noise = {word for n in model.noise if isinstance(n, OU) for word in (n.mean, n.tau, n.sigma)}
    for word, where in (
        ("in time", model.external),
        ("network", model.network),
        ("one table", model.fixed),
        ("noise", noise),
    ):
        if name in where:
            return word
    return "node"
