"""What an engine shows beside the maps of its fit: tables of its own, and how its search ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...display import digits

if TYPE_CHECKING:
    from ..fit import MapFit


@dataclass(frozen=True)
class OwnTable:
    """A table in words: a column of `columns` under each of `heads`, a row a name, and a sentence below."""

    title: str
    heads: list[str]
    columns: list[list[str]]
    names: list[str]
    note: str = ""

    def __str__(self) -> str:
        grid = digits.columns(self.heads, self.columns, self.names)
        return "\n".join(part for part in (f"{self.title}:", grid, self.note) if part)


def own_tables(fit: MapFit) -> list[OwnTable]:
    """The tables of a fit's engine; none where it has none."""
    return list(getattr(fit.engine, "tables", ()))


def own_convergence(fit: MapFit) -> str:
    """How a search for the whole brain ended; "" where every voxel has a search of its own."""
    return str(getattr(fit.engine, "convergence", ""))
