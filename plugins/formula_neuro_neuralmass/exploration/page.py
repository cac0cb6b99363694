"""The page about an exploration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from formula_neuro.display.page import minus

from ..engine import chosen
from ..reporting import facts, files, picture, section
from ..simulation_page import left_out, network_code, network_tables, settings
from .measuring import Measures, usual
from .pictures import plot

if TYPE_CHECKING:
    from .answer import Exploration

MOST_PICTURES = 6
MOST_VALUES = 60  # of a parameter in a line of code


def exploration_page(e: Exploration) -> dict[str, Any]:
    """Everything that the template shows of an exploration."""
    table = e.table
    numbers = [name for name in e.measures if is_numeric_dtype(table[name]) and table[name].notna().any()]
    own = [("runs", f"{len(table):,}"), ("sets", f"{table['set'].nunique():,}")]
    own += [
        ("failed", f"{int((table['status'] != 'ok').sum()):,}"),
        ("seed", ", ".join(map(str, table["seed"].unique()[:3]))),
    ]
    return {
        "formula": f"{e.model}: {' × '.join(e.parameters)}",
        "model": f"exploration of {e.model}",
        "facts": facts(own, _engine(e), e.seconds),
        "data": [f"{e.words}."],
        "messages": list(e.messages),
        "sentences": [_extremes(e, name) for name in numbers],
        "sections": [section("Parameters and measures", _ranges(e), "Over all rows; failed runs have no measures.")],
        "figures": [picture(name, _caption(e), plot(e, name, None, None)) for name in numbers[:MOST_PICTURES]],
        "python": _code(e),
        "summary": str(e.summary()),
        "files": files({"runs.csv": table, "ranges.csv": _ranges(e), **_network(e)}),
    }


def _engine(e: Exploration) -> str:
    return chosen(e.runs.engine, e.runs.first.device) if e.runs is not None else "read from a folder"


def _network(e: Exploration) -> dict[str, pd.DataFrame]:
    """The connectome's tables, where all runs have the same."""
    return network_tables(e.runs.first.connectome) if e.runs is not None and len(e.runs.asked) == 1 else {}


def _ranges(e: Exploration) -> pd.DataFrame:
    numbers = e.table[[*e.parameters, *e.measures]].select_dtypes("number")
    rows = [[name, v.mean(), v.std(), v.min(), v.max()] for name, v in numbers.items()]
    return pd.DataFrame(rows, columns=["column", "mean", "sd", "lowest", "highest"])


def _extremes(e: Exploration, measure: str) -> str:
    """Where a measure is lowest and highest."""
    values = e.table[measure].to_numpy(dtype=float)
    low, high = (e.table.iloc[int(at)] for at in (np.nanargmin(values), np.nanargmax(values)))
    least, most = (minus(f"{row[measure]:.4g}") for row in (low, high))
    return f"{measure} runs from {least} ({_at(e, low)}) to {most} ({_at(e, high)})."


def _at(e: Exploration, row: pd.Series[Any]) -> str:
    told = (
        f"{name} {value:g}" if isinstance(value := row[name], float) else f"{name} {value}" for name in e.parameters
    )
    return ", ".join(told)


def _caption(e: Exploration) -> str:
    spread = ", with the repetitions' spread where there are lines" if e.table["replicate"].nunique() > 1 else ""
    averaged = "; the mean is taken over all else" if len(e.parameters) > 2 or spread else ""
    return f"Over {' and '.join(e.parameters[:2])}{averaged}{spread}."


def _code(e: Exploration) -> str:
    """The call, "..." for what a line does not hold; of an exploration from a folder, how to read it."""
    if e.runs is None:
        return 'import formula_neuro as fn\ne = fn.load_exploration("folder")'
    runs, axes = e.runs, e.runs.sets.axes
    values = [f'"{name}": {_told(axes.get(name, ()))}' for name in e.parameters]
    before, network = network_code(runs.first.connectome)
    if len(runs.asked) > 1:
        before, network = network_code(None)[0], ["..."]
    words = [f'"{e.model}"', f"{{{', '.join(values)}}}", *network]
    words += ["params=..."] if runs.first.params else []
    words += [] if runs.sets.kind == "grid" else [f'kind="{runs.sets.kind}"']
    words += [*_measures(runs.measures), *([f"replicates={runs.replicates}"] if runs.replicates > 1 else [])]
    words += [f'random="{"own" if runs.own else "common"}"', *settings(runs.first), f"seed={runs.first.seed}"]
    call = f"e = fn.explore({', '.join(words)})"
    return f"{before}{call}{left_out(call)}"


def _measures(measures: Measures) -> list[str]:
    """The argument; none for the usual measures. A function has no text, its name has."""
    functions = measures.functions
    if list(functions.values()) == [usual] and not measures.targets:
        return []
    given = f"{{{', '.join(f'{json.dumps(name)}: ...' for name in functions)}}}" if all(functions) else "..."
    return [f"measure={given}", *(["targets=..."] if measures.targets else [])]


def _told(values: Sequence[Any]) -> str:
    short = 0 < len(values) <= MOST_VALUES and all(isinstance(value, (int, float, np.number)) for value in values)
    return f"[{', '.join(_number(value) for value in values)}]" if short else "..."


def _number(value: float) -> str:
    """With as many digits as give it back.

    >>> _number(0.5), _number(3.0), _number(0.1 + 0.2)
    ('0.5', '3', '0.30000000000000004')
    """
    return short if float(short := f"{value:.12g}") == float(value) else repr(float(value))
