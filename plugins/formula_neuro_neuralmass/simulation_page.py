"""The page about one run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from formula_neuro.display.page import minus
from formula_neuro.dynamics.durations import shown
from formula_neuro.family import Array

from .parameters import Value
from .pictures import picture
from .reporting import MOST_ROWS, facts, files, section
from .reporting import picture as part

if TYPE_CHECKING:
    from .asking import Asked
    from .simulation import Simulation


def simulation_page(n: Simulation) -> dict[str, Any]:
    """Everything that the template shows of a run."""
    nodes, lasting = len(n.nodes), shown(round(n.asked.duration, 9))
    recorded = {**n.outputs, **({} if n.bold is None else {"bold": n.bold})}
    ranges, parameters = _ranges(recorded), _parameters(n)
    own = [("nodes", f"{nodes:,}"), ("duration", lasting), ("step", f"{n.asked.dt:g} ms"), ("seed", str(n.seed))]
    return {
        "formula": n.model,
        "model": f"simulation of a neural mass model, {f'a network of {nodes} nodes' if nodes > 1 else 'one node'}",
        "facts": facts([*own, ("status", n.status)], n.engine, n.seconds),
        "data": [_data(n)],
        "messages": list(n.messages),
        "sentences": [_sentence(name, values) for name, values in recorded.items()],
        "sections": [
            *([section("What was recorded", ranges, "Over all nodes and samples.")] if len(ranges) else []),
            section("Parameters", parameters, "All values in force; one that differs between nodes by its range."),
        ],
        "wide": [part("At a glance", _caption(n), picture(n, "overview", None))] if recorded else [],
        "figures": [],
        "python": _code(n),
        "summary": str(n.summary()),
        "files": files({"parameters.csv": parameters, **_samples(n)}),
    }


def _data(n: Simulation) -> str:
    given = [name for name in n.params if name in n.asked.params]
    told = f"given were {', '.join(given)}" if given else "all parameters are the model's own"
    place = "One node" if n.connectome is None else f"A connectome of {len(n.nodes)} nodes"
    return f"{place}; {told}."


def _ranges(recorded: dict[str, Array]) -> pd.DataFrame:
    rows = []
    for name, values in recorded.items():
        sound = values[np.isfinite(values)]
        known = [f(sound) for f in (np.mean, np.std, np.min, np.max)] if sound.size else [np.nan] * 4
        rows.append([name, *map(float, known), len(values)])
    return pd.DataFrame(rows, columns=["recorded", "mean", "sd", "lowest", "highest", "samples"])


def _sentence(name: str, values: Array) -> str:
    sound = values[np.isfinite(values)]
    if not sound.size:
        return f"{name} has no finite value."
    mean, low, high = (minus(f"{value:.4g}") for value in (sound.mean(), sound.min(), sound.max()))
    return f"{name} is {mean} in the mean, and runs from {low} to {high}."


def _parameters(n: Simulation) -> pd.DataFrame:
    rows = [[name, _value(value), "yes" if name in n.asked.params else "no"] for name, value in n.params.items()]
    return pd.DataFrame(rows, columns=["parameter", "value", "given"])


def _value(value: Value) -> str:
    return f"{value:g}" if np.ndim(value) == 0 else f"{np.min(value):g} to {np.max(value):g}"


def _caption(n: Simulation) -> str:
    many = " Where there are many nodes, each is a row of the picture." if len(n.nodes) > 1 else ""
    return f"The course of what was recorded, and the nodes' connectivity where there are several.{many}"


def _samples(n: Simulation) -> dict[str, pd.DataFrame]:
    """The course itself, where a page can hold it."""
    found = {"outputs.csv": n.to_frame()} if n.outputs and n.t.size * len(n.nodes) <= MOST_ROWS else {}
    if n.bold is not None and n.bold.size <= MOST_ROWS:
        found["bold.csv"] = n.to_frame("bold")
    return found


def _code(n: Simulation) -> str:
    """The call, "..." for arrays and other objects."""
    a = n.asked
    words = [f'"{n.model}"', *(["..."] if n.connectome is not None else []), *_values(n), *settings(a)]
    call = f"n = fn.simulate({', '.join([*words, f'seed={n.seed}'])})"
    return f"import formula_neuro as fn\n{call}{left_out(call)}"


def _values(n: Simulation) -> list[str]:
    given = {name: value for name, value in n.params.items() if name in n.asked.params}
    told = [f'"{name}": {value:.12g}' if np.ndim(value) == 0 else f'"{name}": ...' for name, value in given.items()]
    return [f"params={{{', '.join(told)}}}"] if told else []


def settings(a: Asked) -> list[str]:
    """The arguments that simulate and explore share, those that differ from their default."""
    words = [f"{name}=..." for name in ("init", "stimulus") if getattr(a, name)]
    words += [f"duration={a.duration:.12g}, dt={a.dt:.12g}, every={a.every * a.dt:.12g}"]
    words += [f"skip={a.skip * a.dt:.12g}"] if a.skip else []
    words += [f"outputs={json.dumps(list(a.keep))}"]
    words += ["bold=..."] if a.bold is not None else []
    usual = {"sampling": "mean", "noise": "stream", "tables": "compatible", "device": "cpu", "dtype": "float64"}
    words += [f'{name}="{getattr(a, name)}"' for name, value in usual.items() if getattr(a, name) != value]
    return [*words, *(['ou="exact"'] if a.exact else [])]


def left_out(call: str) -> str:
    return "\n# ... stands for what was given" if "..." in call else ""
