"""What a reader found in a file, before its coordinates are checked and brought to MNI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .ids import KEY

AXES = ["x", "y", "z"]
MINUS = str.maketrans("\u2212\u2013", "--")  # the minus and the dash of typeset tables, as one copies them


@dataclass(frozen=True, eq=False)
class Found:
    """`foci` has study, analysis, x, y, z, where stated space, and more; `studies` a row an analysis.

    `places` say where in the `source` each focus stands ("line 12").
    """

    source: str
    foci: pd.DataFrame
    studies: pd.DataFrame
    places: Sequence[str]
    messages: tuple[str, ...] = ()


def from_records(
    source: str, foci: list[dict[str, Any]], studies: list[dict[str, Any]], messages: Sequence[str] = ()
) -> Found:
    """From one dict a focus, whose "place" says where it stands, and one dict an analysis."""
    table = pd.DataFrame([{k: v for k, v in focus.items() if k != "place"} for focus in foci])
    for name in [*KEY, *AXES]:
        if name not in table.columns:
            table[name] = pd.Series(dtype=object)
    front = [*KEY, *AXES]
    table = table[[*front, *(name for name in table.columns if name not in front)]]
    analyses = pd.DataFrame(studies, columns=None if studies else KEY)
    return Found(source, table, analyses, [focus["place"] for focus in foci], tuple(messages))
