"""The page about one run."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from formula_neuro.display.page import minus
from formula_neuro.dynamics.durations import shown
from formula_neuro.family import Array

from .pictures import picture
from .problem import Balloon
from .reporting import MOST_ROWS, facts, files, section
from .reporting import picture as part
from .simulation import Simulation, in_words

if TYPE_CHECKING:
    from formula_neuro.dynamics.connectome import Connectome

    from .asking import Asked


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
        "sections": [section("What was recorded", ranges, "Over all nodes and samples.")] if len(ranges) else [],
        "wide": [part("At a glance", _caption(n), picture(n, "overview", None))] if recorded else [],
        "figures": [],
        "after": [
            section("Parameters", parameters, "All values in force; one that differs between nodes by its range.")
        ],
        "python": _code(n),
        "summary": str(n.summary()),
        "files": files({"parameters.csv": parameters, **network_tables(n.connectome), **_samples(n)}),
    }


def _data(n: Simulation) -> str:
    given = [f"{name} = {text}" for name, text in in_words(n).items() if name in n.asked.params]
    told = f"given: {', '.join(given)}" if given else "all parameters are the model's own"
    place = "One node" if n.connectome is None else f"A connectome of {len(n.nodes)} nodes"
    return f"{place}; {told}."


def _ranges(recorded: dict[str, Array]) -> pd.DataFrame:
    rows = []
    for name, values in recorded.items():
        sound = values[np.isfinite(values)]
        known = [f(sound) for f in (np.mean, np.std, np.min, np.max)] if sound.size else [np.nan] * 4
        rows.append([name, *map(float, known), f"{values.size:,}"])
    return pd.DataFrame(rows, columns=["recorded", "mean", "sd", "lowest", "highest", "samples"])


def _sentence(name: str, values: Array) -> str:
    sound = values[np.isfinite(values)]
    if not sound.size:
        return f"{name} has no finite value."
    mean, low, high = (minus(f"{value:.4g}") for value in (sound.mean(), sound.min(), sound.max()))
    return f"{name} is {mean} in the mean, and runs from {low} to {high}."


def _parameters(n: Simulation) -> pd.DataFrame:
    about = n.asked.model.parameters
    rows = [
        [name, text, about[name].unit, "yes" if name in n.asked.params else "", about[name].help]
        for name, text in in_words(n).items()
    ]
    return pd.DataFrame(rows, columns=["parameter", "value", "unit", "given", "meaning"])


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
    before, given = network_code(n.connectome)
    words = [f'"{n.model}"', *given, *_values(n), *settings(a)]
    call = f"n = fn.simulate({', '.join([*words, f'seed={n.seed}'])})"
    return f"{before}{call}{left_out(call)}"


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
    words += [] if a.bold is None else [f"bold={_bold(a.bold)}"]
    usual = {"sampling": "mean", "noise": "stream", "tables": "compatible", "device": "cpu", "dtype": "float64"}
    words += [f'{name}="{getattr(a, name)}"' for name, value in usual.items() if getattr(a, name) != value]
    return [*words, *(['ou="exact"'] if a.exact else [])]


def _bold(settings: Balloon) -> str:
    """The settings that are not usual, as bold= takes them; "..." where one differs between nodes."""
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    other = {name: value for name, value in values.items() if np.ndim(value) or value != getattr(Balloon(), name)}
    if any(np.ndim(value) for value in other.values()):
        return "..."
    return f"{{{', '.join(f'{json.dumps(name)}: {value!r}' for name, value in other.items())}}}" if other else "True"


def network_tables(connectome: Connectome | None) -> dict[str, pd.DataFrame]:
    """The connectome's matrices, where a page can hold them: a row and a column a node."""
    if connectome is None or connectome.nodes**2 > 2 * MOST_ROWS:
        return {}
    known = {name: getattr(connectome, name) for name in ("weights", "lengths_mm", "delays_ms")}
    names = list(connectome.names)
    return {
        f"{name}.csv": pd.DataFrame(values, index=pd.Index(names, name="node"), columns=names).reset_index()
        for name, values in known.items()
        if np.ndim(values)
    }


def network_code(connectome: Connectome | None) -> tuple[str, list[str]]:
    """Lines before a call, and the connectome among its arguments: read from the page's tables, or "..."."""
    start = "import formula_neuro as fn\n"
    if connectome is None:
        return start, []
    files = [name.removesuffix(".csv") for name in network_tables(connectome)]
    if not files:
        return start, ["..."]
    delay = connectome.delays_ms
    told = [f'{name}=pd.read_csv("{name}.csv", index_col=0)' for name in files]
    told += [f"delays_ms={float(delay):.12g}"] if delay is not None and np.ndim(delay) == 0 else []
    return f"import pandas as pd\n{start}connectome = fn.Connectome({', '.join(told)})\n", ["connectome"]


def left_out(call: str) -> str:
    return "\n# ... stands for what was given" if "..." in call else ""
