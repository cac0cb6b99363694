"""How far a fit and its refit by another backend lie apart: the numbers, the verdict and its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from .numbers import Compared

Verdict = Literal["agrees", "disagrees", "unfinished"]


@dataclass(frozen=True)
class Agreement:
    """How far a fit and its refit by another backend lie apart; print it for the verdict.

    `native` and `reference` name what was compared, `seconds` are the two fits' times. `unfinished` says what shows
    that the reference has no answer that could confirm or contradict the fit; it is empty where it has one.
    """

    native: str
    reference: str
    compared: tuple[Compared, ...]
    seconds: tuple[float, float]
    notes: tuple[str, ...] = ()
    unfinished: str = ""

    @property
    def worst(self) -> tuple[Compared, ...]:
        """Of every quantity the number with the largest share of its tolerance."""
        quantities = dict.fromkeys(c.quantity for c in self.compared)
        return tuple(max((c for c in self.compared if c.quantity == q), key=lambda c: c.share) for q in quantities)

    @property
    def verdict(self) -> Verdict:
        """ "agrees": every number, within its tolerance; "disagrees"; or "unfinished", where R has no answer."""
        same = all(c.agrees for c in self.compared)
        if self.unfinished and not (same and self.compared):
            return "unfinished"
        return "agrees" if same else "disagrees"

    @property
    def ok(self) -> bool | None:
        """True where every number agrees within its tolerance, False where one does not, None where R did not finish.

        None is no confirmation: `if check.ok:` and `assert check.ok` take it as they take False.
        """
        return {"agrees": True, "disagrees": False, "unfinished": None}[self.verdict]

    def to_frame(self) -> pd.DataFrame:
        """One row a quantity, where it differs most: quantity, item, native, reference, difference, tolerance,
        agrees, unit, reason."""
        return _frame(self.worst)

    @property
    def details(self) -> pd.DataFrame:
        """As `to_frame()`, with one row for every number compared."""
        return _frame(self.compared)

    def __str__(self) -> str:
        count = f": {sum(c.agrees for c in self.worst)} of {len(self.worst)} quantities" if self.compared else ""
        lines = [self.sentence + count, *(_grid(self) if self.compared else ())]
        if self.verdict == "disagrees":
            off = [c for c in self.worst if not c.agrees]
            lines += [f"{c.quantity}: more than {c.tolerance.allowed:g} apart ({c.tolerance.unit})" for c in off]
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    @property
    def sentence(self) -> str:
        """The verdict in words: "native-lmm agrees with lme4 1.1-31 (R 4.2.2 by rpy2)"."""
        if self.verdict == "unfinished":
            return f"{self.native} can be neither confirmed nor contradicted: {self.reference} did not finish"
        return f"{self.native} {'agrees' if self.ok else 'DISAGREES'} with {self.reference}"


# ---- words ---------------------------------------------------------------------------------------
def _grid(agreement: Agreement) -> list[str]:
    lines = [f"  {'':25}{'here':>13}{'there':>13}{'apart':>9}{'allowed':>9}   largest at"]
    for c in agreement.worst:
        sides = "".join(f"{side:>13}" for side in map(_number, (c.native, c.reference)))
        numbers = f"{sides}{abs(c.difference):9.1e}{c.tolerance.allowed:9.0e}"
        lines.append(f"  {c.quantity:25}{numbers}   {c.item}{'' if c.agrees else '  <- too far apart'}".rstrip())
    return lines


def _number(value: float) -> str:
    """Seven digits, or what leaves a blank between two columns."""
    shown = f"{value:.7g}"
    return shown if len(shown) < 13 else f"{value:.5e}"


def _frame(compared: tuple[Compared, ...]) -> pd.DataFrame:
    columns = "quantity item native reference difference tolerance agrees unit reason".split()
    rows = [
        (c.quantity, c.item, c.native, c.reference, c.difference, t.allowed, c.agrees, t.unit, t.reason)
        for c in compared
        for t in [c.tolerance]
    ]
    return pd.DataFrame(rows, columns=columns)
