"""The page about an exploration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from ..reporting import facts, files, picture, section
from .pictures import plot

if TYPE_CHECKING:
    from .answer import Exploration

MOST_PICTURES = 6


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
        "facts": facts(own, e.runs.engine if e.runs is not None else "read from a folder", e.seconds),
        "data": [f"{e.words}."],
        "messages": list(e.messages),
        "sentences": [_extremes(e, name) for name in numbers],
        "sections": [section("Parameters and measures", _ranges(e), "Over all rows; failed runs have no measures.")],
        "figures": [picture(name, _caption(e), plot(e, name, None, None)) for name in numbers[:MOST_PICTURES]],
        "python": _code(e),
        "summary": str(e.summary()),
        "files": files({"runs.csv": table, "ranges.csv": _ranges(e)}),
    }


def _ranges(e: Exploration) -> pd.DataFrame:
    numbers = e.table[[*e.parameters, *e.measures]].select_dtypes("number")
    rows = [[name, v.mean(), v.std(), v.min(), v.max()] for name, v in numbers.items()]
    return pd.DataFrame(rows, columns=["column", "mean", "sd", "lowest", "highest"])


def _extremes(e: Exploration, measure: str) -> str:
    """Where a measure is lowest and highest."""
    values = e.table[measure]
    low, high = (e.table.loc[at] for at in (values.idxmin(), values.idxmax()))
    return f"{measure} runs from {low[measure]:.4g} ({_at(e, low)}) to {high[measure]:.4g} ({_at(e, high)})."


def _at(e: Exploration, row: pd.Series[Any]) -> str:
    told = (
        f"{name} {value:g}" if isinstance(value := row[name], float) else f"{name} {value}" for name in e.parameters
    )
    return ", ".join(told)


def _caption(e: Exploration) -> str:
    spread = ", with the repetitions' spread where there are lines" if e.table["replicate"].nunique() > 1 else ""
    return f"Over the first parameters that vary; the mean is taken over all else{spread}."


def _code(e: Exploration) -> str:
    """Reading the table of this page, which needs no run."""
    call = f'd = pd.read_csv("runs.csv")\nm = fn.fit("{(*e.measures, "y")[0]} ~ {" * ".join(e.parameters)}", d)'
    return f"import formula_neuro as fn\nimport pandas as pd\n{call}"
