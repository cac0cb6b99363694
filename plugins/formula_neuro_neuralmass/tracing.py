"""One call of a model's equations with symbols: the arithmetic of a whole step, as rows of a block of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from formula_neuro.dynamics.model import OU, Equations, Model
from formula_neuro.errors import DataError

from . import balloon
from .problem import Balloon
from .symbols import Graph, Symbol, needed

LANES = 8  # numbers that machine code computes at once


@dataclass(frozen=True, eq=False)
class Program:
    """What one pass over all nodes does: reads rows, writes rows. `steady` rows are filled once, before the run."""

    rows: Mapping[str, int]  # of what changes, by name: s.x, input.c, ou.x_ou, normal.0, p.x_ext, bold.X, ...
    steady: tuple[Symbol, ...]  # their rows follow
    nodes: tuple[Symbol, ...]
    writes: Mapping[str, Symbol]

    @property
    def graph(self) -> Graph:
        return next(iter(self.writes.values())).graph


class Names:
    """The values that equations may ask for, by attribute."""

    def __init__(self, owner: str, values: Mapping[str, Symbol]):
        self.__dict__.update(values)
        self.__dict__["_owner"] = owner

    def __getattr__(self, name: str) -> Any:
        known = ", ".join(sorted(n for n in self.__dict__ if not n.startswith("_")))
        raise DataError(f"the equations of {self._owner} use {name!r}, which is not among its values: {known}")

    def __getitem__(self, name: str) -> Any:
        raise DataError(
            f"the equations of {self._owner} use [{name!r}]; values are attributes, as s.{name} or p.{name}"
        )


def step_program(model: Model, varying: frozenset[str] = frozenset()) -> Program:
    """The step of a model: Euler's, its noise, what `finish` replaces, and the clamped look-ups counted.

    varying: parameters under a stimulus; they change from step to step.
    """
    graph = Graph()
    p = {name: graph.leaf(f"p.{name}", steady=name not in varying) for name in model.parameters}
    old = {name: graph.leaf(f"s.{name}") for name in model.states}
    ou = {noise.name: graph.leaf(f"ou.{noise.name}") for noise in model.noise if isinstance(noise, OU)}
    inputs = {name: graph.leaf(f"input.{name}") for name in model.inputs}
    given = {**inputs, **ou, "indegree": graph.leaf("indegree", steady=True), "nodes": graph.leaf("nodes", steady=True)}
    parameters = Names(model.name, p)
    drift = _mapping(model, "drift", model.drift, Names(model.name, {**old, **given}), parameters)
    new = _stepped(model, graph, old, drift, parameters)
    if model.finish is not None:
        new |= _mapping(model, "finish", model.finish, Names(model.name, {**given, **new}), parameters)
    lost = [name for name in (*model.outputs, *model.transmitted) if name not in new]
    if lost:
        raise DataError(
            f"the equations of {model.name} give no {lost[0]!r}, an output or on a tract; they give {', '.join(new)}"
        )
    writes = {f"s.{name}": graph.symbol(value) for name, value in new.items()}
    writes |= {f"ou.{name}": value for name, value in _ou_updated(model, graph, ou, p).items()}
    cells = [node for node in needed(writes) if node.operation == "cell"]
    if cells:
        writes["clamped"] = sum((graph.beyond(cell) for cell in cells), graph.leaf("clamped"))
    return _program(writes)


def bold_program(model: Model) -> Program:
    """The step of the BOLD model; its drive is what `model.bold` makes of the step's new values."""
    if model.bold is None:
        raise DataError(f"the model {model.name} has no drive of the BOLD model")
    graph = Graph()
    names = dict.fromkeys((*model.states, *model.outputs, *model.transmitted))
    values = Names(model.name, {name: graph.leaf(f"s.{name}") for name in names})
    state = {name: graph.leaf(f"bold.{name}") for name in balloon.STATES}
    constants = balloon.constants(Balloon(), dt=1.0)
    k = SimpleNamespace(**{name: graph.leaf(f"balloon.{name}", steady=True) for name in constants})
    new = balloon.advance(SimpleNamespace(**state, Z=graph.symbol(model.bold(values))), k)
    return _program({f"bold.{name}": value for name, value in new.items()})


def _stepped(
    model: Model, graph: Graph, old: Mapping[str, Symbol], drift: Mapping[str, Any], p: Any
) -> dict[str, Symbol]:
    dt = graph.leaf("dt", steady=True)
    missing = [name for name in model.states if name not in drift]
    if missing:
        raise DataError(f"the drift of {model.name} has no derivative of the state {missing[0]}")
    new = {name: old[name] + dt * drift[name] if name in old else graph.symbol(drift[name]) for name in drift}
    for place, noise in enumerate(model.noise):
        if not isinstance(noise, OU):
            scale = noise.scale(p) * graph.leaf("sqrt_dt", steady=True)
            new[noise.state] = new[noise.state] + scale * graph.leaf(f"normal.{place}")
    return new


def _ou_updated(model: Model, graph: Graph, ou: Mapping[str, Symbol], p: Mapping[str, Symbol]) -> dict[str, Symbol]:
    new = {}
    for place, noise in enumerate(model.noise):
        if isinstance(noise, OU):
            mean = p[noise.mean]
            a, b = (graph.leaf(f"{factor}.{noise.name}", steady=True) for factor in ("keep", "shake"))
            new[noise.name] = mean + a * (ou[noise.name] - mean) + b * graph.leaf(f"normal.{place}")
    return new


def _mapping(model: Model, what: str, equations: Equations, *names: Names) -> dict[str, Any]:
    """What the equations give. Raises DataError."""
    try:
        values = equations(*names)
    except TypeError as error:
        if "__array_ufunc__" not in str(error):
            raise
        raise DataError(
            f"the {what} of {model.name} uses a function of numpy, such as np.exp; use those of "
            "formula_neuro.dynamics.mathematics, which every engine knows"
        ) from None
    if not isinstance(values, Mapping):
        raise DataError(f"the {what} of {model.name} returned a {type(values).__name__}; a mapping by name is expected")
    return dict(values)


def _program(writes: Mapping[str, Symbol]) -> Program:
    nodes = tuple(needed(writes))
    used = {a.number: a for node in nodes for a in node.arguments if a.steady and a.operation != "constant"}
    used |= {s.number: s for s in writes.values() if s.steady and s.operation != "constant"}
    names = dict.fromkeys([*(node.value for node in nodes if node.operation == "leaf"), *writes])
    return Program({name: row for row, name in enumerate(names)}, tuple(used.values()), nodes, dict(writes))
