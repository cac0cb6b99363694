"""Tables that print what is said beside them: `attrs["messages"]` below the rows."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd


class Told(pd.DataFrame):
    """A DataFrame whose messages are printed with it, also of rows and columns taken from it.

    >>> table = pd.DataFrame({"p_value": [0.5]})
    >>> table.attrs["messages"] = ("the fits are compared by their REML likelihoods",)
    >>> print(told(table)[["p_value"]])
       p_value
    0      0.5
    the fits are compared by their REML likelihoods
    """

    @property
    def _constructor(self) -> Callable[..., Told]:
        return Told

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *self.attrs.get("messages", ())])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(text)}</p>" for text in self.attrs.get("messages", ()))
        shown: Any = pd.DataFrame(self)._repr_html_()  # type: ignore[operator]
        return f"{shown or ''}{said}"


def told(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its messages printed below it."""
    found = Told(table)
    found.attrs.update(table.attrs)
    return found
