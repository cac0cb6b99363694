"""A model of population activity: its states, parameters and one function for its equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import DataError
from .tables import Table

Equations: TypeAlias = Callable[[Any, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Parameter:
    """A parameter's default, unit and meaning. `choices` gives words that stand for numbers, as in coupling."""

    default: float | str
    unit: str = ""
    help: str = ""
    choices: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The default as a number."""
        return self.choices[self.default] if isinstance(self.default, str) else self.default


@dataclass(frozen=True)
class Uniform:
    """Start values drawn from U(low, high)."""

    low: float
    high: float


@dataclass(frozen=True)
class Tract:
    """What arrives over the connectome: at node i, sum_j C_ij x_j[t - 1 - d_ij], or C_ij squared in the sum."""

    variable: str
    squared: bool = False


@dataclass(frozen=True)
class Own:
    """A node's own variable some time ago, x_i[t - 1 - delay / dt]; `delay` names a parameter in ms."""

    variable: str
    delay: str


@dataclass(frozen=True)
class OU:
    """An Ornstein-Uhlenbeck input: o += (mean - o) dt / tau_ou + sigma_ou sqrt(dt) xi, after its use in a step.

    `mean`, `tau`, `sigma` name parameters; it starts at its mean.
    """

    name: str
    mean: str
    tau: str = "tau_ou"
    sigma: str = "sigma_ou"


@dataclass(frozen=True)
class White:
    """White noise on a state: x += scale(p) sqrt(dt) xi in every step."""

    state: str
    scale: Callable[[Any], Any]


@dataclass(frozen=True)
class Model:
    """A model of one node; delays, noise, BOLD, batches and devices come with the engine.

    drift(s, p) returns a mapping: for a state, its derivative per ms; for any other name, that variable's value at
    this step. s has, by name, the states, inputs (Tract, Own), noise (OU), `indegree` (sum_j C_ij) and `nodes`
    (their number), all of the step before; p has the parameters. It is written with
    formula_neuro.dynamics.mathematics and tables, without `if` on values. finish(s, p), where given, replaces values
    after the step (s then has the new ones): a state kept above 0, an angle modulo 2 pi, an output of the new states.

    initial: start values in the order in which they are drawn; a transmitted variable that is no state and has none
    starts at what the drift gives at the start without input. bold(s) is the drive of the BOLD model, from the
    step's new values. external: parameters that a stimulus may vary in time. Units: ms, mV, kHz. Raises DataError.
    """

    name: str
    help: str
    states: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    drift: Equations
    outputs: tuple[str, ...]
    initial: Mapping[str, Uniform | float]
    inputs: Mapping[str, Tract | Own] = field(default_factory=dict)
    noise: tuple[OU | White, ...] = ()
    finish: Equations | None = None
    bold: Callable[[Any], Any] | None = None
    external: tuple[str, ...] = ()
    network: tuple[str, ...] = ("K_gl", "signalV")  # parameters that act only with a connectome
    tables: tuple[Table, ...] = ()
    fixed: tuple[str, ...] = ()  # parameters that the tables were made for: one number each in a run
    remade: Callable[[Mapping[str, float], str], Model] | None = None  # (values of fixed, kind of tables) -> the model
    dt: float = 0.1
    duration: float = 2000.0
    connected: bool = True  # False: a model of one node only
    source: str = ""

    def __post_init__(self) -> None:
        self._check_kinds()
        missing = [name for name in self.states if name not in self.initial]
        if missing:
            raise DataError(f"the model {self.name} has no start value for {missing[0]}")
        used = [n for noise in self.noise if isinstance(noise, OU) for n in (noise.mean, noise.tau, noise.sigma)]
        used += [own.delay for own in self.inputs.values() if isinstance(own, Own)]
        unknown = [name for name in [*used, *self.external] if name not in self.parameters]
        if unknown:
            raise DataError(f"the model {self.name} uses the parameter {unknown[0]}, which its parameters do not list")

    def _check_kinds(self) -> None:
        """Raise DataError where a part is of another kind than it has to be."""
        for what in ("states", "outputs", "external", "network", "noise"):
            given = getattr(self, what)
            if not isinstance(given, (tuple, list)):
                raise DataError(
                    f"{what} of the model {self.name} is of type {type(given).__name__}; a tuple of them is expected"
                )
        for name, given in self.parameters.items():
            if not isinstance(given, Parameter):
                raise DataError(
                    f"the parameter {name} of {self.name} is {given!r}; fn.Parameter({given!r}) is expected"
                )
        for noise in self.noise:
            if isinstance(noise, White) and not callable(noise.scale):
                raise DataError(
                    f"the scale of White noise is {noise.scale!r}; a function of the parameters is expected, as "
                    "lambda p: p.sigma"
                )
        for what, given in (("drift", self.drift), ("finish", self.finish), ("bold", self.bold)):
            if given is not None and not callable(given):
                raise DataError(f"{what} of the model {self.name} is {given!r}; a function is expected")

    def __repr__(self) -> str:
        parts = {"states": self.states, "outputs": self.outputs, "parameters": self.parameters}
        told = [f"{what} {', '.join(names)}" for what, names in parts.items() if names]
        return f"Model {self.name}: {'; '.join(told)}"

    @property
    def transmitted(self) -> tuple[str, ...]:
        """Variables whose past is kept, each once."""
        return tuple(dict.fromkeys(i.variable for i in self.inputs.values()))
