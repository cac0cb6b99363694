"""Lists of what there is, which print whole where a DataFrame would leave columns out."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import pandas as pd

WIDTH = 110


class Listing(pd.DataFrame):
    """A table of names that prints as a line or two a row; all else is a DataFrame's, which its parts are.

    >>> Listing([["lm", True, "", "least squares"]], columns=["name", "ready", "why_not", "help"])
    lm  least squares
    """

    def __repr__(self) -> str:
        if self.empty or not {"name", "help"} <= set(self.columns):
            return super().__repr__()
        rows = self.to_dict("records")
        broad = max(len(str(row["name"])) for row in rows)
        return "\n".join(line for row in rows for line in _lines(row, broad))

    __str__ = __repr__


def _lines(row: dict[Any, Any], broad: int) -> list[str]:
    said = [row["help"] if row.get("ready", True) else f"not ready: {row['why_not']}"]
    said += [f"families: {row['families']}"] if row.get("families") else []
    said += [f"estimators: {row['estimators']}"] if row.get("estimators") else []
    lines = [line for text in said for line in wrap(str(text), WIDTH - broad - 2, break_on_hyphens=False)]
    return [f"{row['name'] if i == 0 else '':{broad}}  {line}" for i, line in enumerate(lines)]
