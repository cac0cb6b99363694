"""The models by name: those shipped here and those that users register."""

from __future__ import annotations

from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError

from .fhn import FHN

_SHIPPED = {model.name: model for model in (FHN,)}
_OWN: dict[str, Model] = {}  # the one table that a process fills: by register_model


def register_model(model: Model) -> Model:
    """Make a model known by its name in this process; registering a name again replaces it. Raises DataError."""
    if model.name in _SHIPPED:
        raise DataError(f"{model.name!r} is the name of a model that is shipped; give yours another")
    _OWN[model.name] = model
    return model


def find(model: str | Model) -> Model:
    """The model of that name. Raises DataError."""
    if isinstance(model, Model):
        return model
    known = {**_SHIPPED, **_OWN}
    if model not in known:
        raise DataError(f"no model is named {model!r}; there are {', '.join(sorted(known))} (register_model adds one)")
    return known[model]
