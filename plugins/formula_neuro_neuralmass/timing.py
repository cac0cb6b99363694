"""How long a run is, in which steps, and what of it is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from formula_neuro.dynamics.durations import milliseconds, shown, whole_steps
from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError

from .parameters import known, one_of

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


@dataclass(frozen=True)
class Steps:
    """The same in steps of dt, ms; keep: the outputs recorded; told: what was decided and is to be said."""

    dt: float
    steps: int
    every: int
    skip: int
    keep: tuple[str, ...]
    told: tuple[str, ...]


def steps_of(timing: Timing, model: Model, nodes: int) -> Steps:
    """What a user asks for, in steps. Raises DataError."""
    dt = milliseconds(model.dt if timing.dt is None else timing.dt, "dt")
    _check_dt(model, dt)
    duration = milliseconds(model.duration if timing.duration is None else timing.duration, "duration")
    steps = whole_steps(duration, dt, "duration")
    keep = _kept(model, timing.outputs)
    every, told = _every(timing, dt, steps, len(keep) * nodes)
    skip = _skipped(timing, dt, steps)
    return Steps(dt, steps, every, skip, keep, (*told, *_rest(steps - skip, every, dt)))


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
    one_of(timing.sampling, ("mean", "sample"), "sampling")
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
