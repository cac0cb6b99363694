"""The operators among terms: `a*b`, `(a + b)^2`, `a/b`, `a %in% b`, `. - x` -> a list of terms, as R expands them.

A term is a set of variables, held as the bits of an integer. As in R, `1` and `0` are no terms but switch the
intercept of the whole sum, wherever they stand; a `-` before them turns the switch round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from .errors import FormulaError

MOST = 2000  # terms that a product may have: an accident such as (a + ... + z)^9 must not hang


class Piece(Protocol):
    """A token of the formula with its place."""

    @property
    def text(self) -> str: ...

    @property
    def at(self) -> int: ...


Terms = dict[int, None]  # an ordered set


def expand(pieces: Sequence[Piece], variables: Sequence[int | None], text: str) -> tuple[list[tuple[int, ...]], bool]:
    """The terms of a sum, each a tuple of variables, sorted by size (stably), and whether an intercept is left.

    `variables` has the number of the variable for every piece that is one. The pieces must alternate properly
    (formula.py has checked them). Raises FormulaError when a product has more than MOST terms.
    """
    reader = _Reader(pieces, variables, text)
    masks = reader.sum(True)
    return sorted(map(_variables, masks), key=len), reader.intercept


class _Reader:
    """One method a level of precedence; `adds` is False right of an odd number of minus signs."""

    def __init__(self, pieces: Sequence[Piece], variables: Sequence[int | None], text: str):
        self.pieces, self.variables, self.text = pieces, variables, text
        self.i = 0
        self.intercept = True

    def take(self, *signs: str) -> Piece | None:
        """The next piece when it is one of these operators or brackets."""
        piece = self.pieces[self.i] if self.i < len(self.pieces) else None
        if piece is None or self.variables[self.i] is not None or piece.text not in signs:
            return None
        self.i += 1
        return piece

    def sum(self, adds: bool) -> Terms:
        terms = self.signed(adds)
        while sign := self.take("+", "-"):
            if sign.text == "+":
                terms |= self.signed(adds)
            else:
                gone = self.signed(not adds)
                terms = {term: None for term in terms if term not in gone}
        return terms

    def signed(self, adds: bool) -> Terms:
        """What stands behind signs of its own: a minus there takes its terms from nothing."""
        negative = False
        while sign := self.take("+", "-"):
            if sign.text == "-":
                adds, negative = not adds, True
        terms = self.product(adds)
        return {} if negative else terms

    def product(self, adds: bool) -> Terms:
        left = self.inside(adds)
        while sign := self.take("*", "/"):
            right = self.inside(adds)
            if sign.text == "*":
                left = left | right | self.cross(left, right, sign)
            elif left:
                left = left | self.cross({_union(left): None}, right, sign)
        return left

    def inside(self, adds: bool) -> Terms:
        left = self.interaction(adds)
        while sign := self.take("%in%"):
            left = self.cross(left, {_union(self.interaction(adds)): None}, sign)
        return left

    def interaction(self, adds: bool) -> Terms:
        left = self.power(adds)
        while sign := self.take(":"):
            left = self.cross(left, self.power(adds), sign)
        return left

    def power(self, adds: bool) -> Terms:
        base = self.operand(adds)
        sign = self.take("^")
        if sign is None:
            return base
        terms = base
        for _ in range(int(self.pieces[self.i].text) - 1):
            longer = self.cross(terms, base, sign)
            if longer == terms:  # every variable is in: a higher power adds nothing
                break
            terms = longer
        self.i += 1
        if again := self.take("^"):
            raise FormulaError("a power has no power of its own", self.text, again.at)
        return terms

    def operand(self, adds: bool) -> Terms:
        if self.take("("):
            terms = self.sum(adds)
            self.take(")")
            return terms
        piece, variable = self.pieces[self.i], self.variables[self.i]
        self.i += 1
        if variable is not None:
            return {1 << variable: None}
        self.intercept = (piece.text == "1") == adds
        return {}

    def cross(self, left: Terms, right: Terms, sign: Piece) -> Terms:
        found: Terms = {}
        for a in left:
            for b in right:
                found[a | b] = None
            if len(found) > MOST:
                raise FormulaError(f"this product has more than {MOST} terms", self.text, sign.at)
        return found


def _variables(mask: int) -> tuple[int, ...]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return tuple(found)


def _union(terms: Iterable[int]) -> int:
    mask = 0
    for term in terms:
        mask |= term
    return mask
