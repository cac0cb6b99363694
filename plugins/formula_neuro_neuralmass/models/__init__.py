"""The models by name: those shipped here and those that users register."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError
from formula_neuro.nearest import nearest

from .aln import aln_of
from .fhn import FHN
from .hopf import HOPF
from .kuramoto import KURAMOTO
from .thalamus import THALAMUS
from .wc import WC
from .ww import WW, WW_REDUCED

_SHIPPED = {model.name: model for model in (FHN, HOPF, KURAMOTO, THALAMUS, WC, WW, WW_REDUCED)}
_READ = {"aln": aln_of}  # made when asked for: its table is read from a file
_OWN: dict[str, Model] = {}  # the one table that a process fills: by register_model


def register_model(model: Model) -> Model:
    """Make a model known by its name in this process; registering a name again replaces it. Raises DataError.

    >>> import formula_neuro as fn
    >>> leaky = fn.Model(
    ...     name="leaky", help="rates that leak", states=("r",), outputs=("r",), initial={"r": fn.Uniform(0, 1)},
    ...     parameters={"tau": fn.Parameter(10.0, "ms"), "g": fn.Parameter(0.3)},
    ...     inputs={"arriving": fn.Tract("r")},  # the sum over tracts, with their delays
    ...     drift=lambda s, p: {"r": (p.g * s.arriving - s.r) / p.tau},
    ... )
    >>> register_model(leaky).name
    'leaky'
    >>> fn.simulate("leaky", fn.Connectome.simulate(10), {"tau": 5.0}, duration="50 ms", seed=1)["r"].shape
    (500, 10)
    """
    if not isinstance(model, Model):
        raise DataError(f"register_model got {model!r}; an fn.Model(name=..., states=..., drift=..., ...) is expected")
    if model.name in _SHIPPED or model.name in _READ:
        raise DataError(f"{model.name!r} is the name of a model that is shipped; give yours another")
    _OWN[model.name] = model
    return model


def names() -> list[str]:
    """The models' names."""
    return sorted({*_SHIPPED, *_READ, *_OWN})


def find(model: str | Model, params: Mapping[str, Any] | None = None, tables: str = "compatible") -> Model:
    """The model of that name; one that reads tables with those of the neuron in params. Raises DataError."""
    found = model if isinstance(model, Model) else _named(model)
    if found.remade is None:
        return found
    given = params if isinstance(params, Mapping) else {}  # what else was given is refused by ask
    neuron = {name: _one_number(found, name, given[name]) for name in found.fixed if name in given}
    return found.remade(neuron, tables)


def is_found(model: Model) -> bool:
    """Whether its name finds it in every process."""
    return model.remade is not None or _SHIPPED.get(model.name) is model


def _named(name: str) -> Model:
    if name in _READ:
        return _READ[name]({})
    known = {**_SHIPPED, **_OWN}
    if name not in known:
        meant = nearest(str(name).casefold().removesuffix("model"), names())
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise DataError(f"no model is named {name!r}{hint} (there are {', '.join(names())}; register_model adds one)")
    return known[name]


def _one_number(model: Model, name: str, value: Any) -> float:
    """A parameter of which tables are made."""
    if isinstance(value, str) or np.ndim(value) != 0:
        raise DataError(f"{name} fixes the tables of {model.name} and is one number for all nodes; got {value!r}")
    return float(value)
