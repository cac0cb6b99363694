"""Tables that print whole: every column, and below the rows what is said beside them, `attrs["messages"]`."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd

WIDTH = 120  # pandas' own is that of the terminal, which hides the p values of a table of coefficients


class Told(pd.DataFrame):
    """A DataFrame that prints all its columns, and its messages too; so do rows and columns taken from it.

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
        with pd.option_context("display.max_columns", None, "display.width", WIDTH):
            shown = super().__repr__()
        return "\n".join([shown, *self.attrs.get("messages", ())])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(text)}</p>" for text in self.attrs.get("messages", ()))
        shown: Any = pd.DataFrame(self)._repr_html_()  # type: ignore[operator]
        return f"{shown or ''}{said}"


def told(table: pd.DataFrame) -> pd.DataFrame:
    """The table, to be printed whole and with its messages."""
    found = Told(table)
    found.attrs.update(table.attrs)
    return found
