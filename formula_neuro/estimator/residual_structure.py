"""Residuals of linear mixed models that are neither equal in spread nor independent, in nlme's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VarIdent:
    """A residual standard deviation for each level of a column: nlme's weights = varIdent(form = ~1 | group).

    >>> VarIdent("treatment").columns
    ('treatment',)
    """

    group: str

    def __post_init__(self) -> None:
        _check_name(self.group, "VarIdent", "group", "varIdent(form = ~1 | treatment)")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.group,)


@dataclass(frozen=True)
class AR1:
    """Residuals of a group correlated by phi to the power of their distance in time: nlme's corAR1.

    time: a column of whole numbers or an ordered factor; without it the rows of a group follow one another in the
    data's order. group: a column; without it the finest grouping factor of the random terms, as in nlme.

    >>> AR1("trial", group="mouseID").columns
    ('trial', 'mouseID')
    """

    time: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        for field in ("time", "group"):
            if getattr(self, field) is not None:
                _check_name(getattr(self, field), "AR1", field, "corAR1(form = ~time | group)")

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name in (self.time, self.group) if name is not None)


ResidualStructure = VarIdent | AR1


def _check_name(given: Any, kind: str, field: str, theirs: str) -> None:
    if not isinstance(given, str) or "~" in given or "|" in given:
        raise ValueError(
            f"{kind}: {field}= is the name of a column, as {kind}('treatment') for nlme's {theirs}; got {given!r}"
        )


def as_structures(given: Any) -> tuple[ResidualStructure, ...]:
    """One structure, or several of different kinds, as a tuple; None is none.

    >>> as_structures(VarIdent("treatment"))
    (VarIdent(group='treatment'),)
    """
    several = () if given is None else tuple(given) if isinstance(given, Sequence) else (given,)
    strange = [item for item in several if not isinstance(item, ResidualStructure)]
    if strange:
        raise ValueError(
            f"residual= takes VarIdent('treatment') (unequal spread), AR1('time', group='mouse') (correlation), or a "
            f"list of both; got {strange[0]!r}"
        )
    if len({type(item) for item in several}) < len(several):
        raise ValueError(
            "residual= takes one structure of a kind; make one column of the factors that VarIdent crosses"
        )
    return several
