"""The operators among terms, `a*b`, `(a + b)^2`, `a/b`, `a %in% b`: formulaic's parser with R's meanings.

formulaic builds the syntax tree and evaluates it; the operators below say what R means by each. As in R, `1`
and `0` are no terms but switch the intercept of the whole sum, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from formulaic.parser.types import FormulaParser, Operator, OperatorResolver, OrderedSet, Token

from ..errors import FormulaError
from .pieces import Piece

MOST = 2000  # terms that a product may have: an accident such as (a + ... + z)^9 must not hang

Terms: TypeAlias = Any  # what an operator is handed: formulaic's leaves, or the _Sum of an operator below


def expand(pieces: Sequence[Piece], variables: Sequence[int | None], text: str) -> tuple[list[tuple[int, ...]], bool]:
    """The terms of a sum, each a tuple of variables, sorted by size (stably), and whether an intercept is left.

    `variables` has the number of the variable for every piece that is one. The pieces must alternate properly
    (formula.py has checked them). Raises FormulaError when a product has more than MOST terms.
    """
    parser = FormulaParser(RAlgebra())
    tree = parser.get_ast_from_tokens(_tokens(pieces, variables), context={})
    try:
        found = _plain(tree.to_terms()) if tree is not None else _Sum()
    except _TooMany:
        raise FormulaError(f"this formula has more than {MOST} terms", text, pieces[0].at) from None
    return sorted(map(_variables, found), key=len), _intercept(pieces, variables)


def _variables(term: int) -> tuple[int, ...]:
    """The bits that are set, in order."""
    found = []
    while term:
        lowest = term & -term
        found.append(lowest.bit_length() - 1)
        term ^= lowest
    return tuple(found)


def _tokens(pieces: Sequence[Piece], variables: Sequence[int | None]) -> Iterable[Token]:
    """formulaic reads no signs in a row: behind the first, which may join, they are one `!` if one is a minus."""
    signs: list[str] = []
    joined = 0  # how many of the signs join two operands
    for piece, variable in zip(pieces, variables, strict=True):
        if variable is None and piece.text in ("+", "-"):
            signs.append(piece.text)
            continue
        minus = ["!"] if "-" in signs[joined:] else []
        yield from (Token(sign, kind="operator") for sign in [*signs[:joined], *minus])
        signs = []
        if variable is not None:
            yield Token(f"v{variable}", kind="name")
        elif piece.text in ("(", ")"):
            yield Token(piece.text, kind="context")
        else:
            yield Token(piece.text, kind="value" if piece.text.isdigit() else "operator")
        joined = int(variable is not None or piece.text == ")" or piece.text.isdigit())


def _intercept(pieces: Sequence[Piece], variables: Sequence[int | None]) -> bool:
    """The last `1` or `0` decides; a minus before it, or before brackets around it, turns it round."""
    outer, adds, stays, before = [True], True, True, ""
    for piece, variable in zip(pieces, variables, strict=True):
        if variable is None:
            if piece.text in "+-":
                signs_meet = before in ("+", "-")
                adds = (adds if signs_meet else outer[-1]) == (piece.text == "+")
            elif piece.text == "(":
                outer.append(adds)
            elif piece.text == ")":
                adds = outer.pop()
            elif piece.text in ("0", "1") and before != "^":
                stays = (piece.text == "1") == adds
        before = piece.text if variable is None else ""
    return stays


# ---- R's meanings --------------------------------------------------------------------------------
class RAlgebra(OperatorResolver):  # type: ignore[misc]
    """Precedences as in R: `^`, `:`, `%in%`, `*` and `/`, `+` and `-`."""

    @property
    def operators(self) -> list[Operator]:
        def binary(symbol: str, precedence: int, meaning: object) -> Operator:
            return Operator(symbol, arity=2, precedence=precedence, associativity="left", to_terms=meaning)

        minus = Operator("!", arity=1, precedence=100, associativity="right", fixity="prefix", to_terms=_taken_away)
        return [
            binary("+", 100, _joined),
            binary("-", 100, _without),
            minus,
            # right of nothing, as in `(a - a)*b` or `0*b`, R finds nothing
            binary(
                "*", 200, lambda a, b: _joined(_Sum(_plain(a)), _plain(b), _products(a, b)) if _plain(a) else _Sum()
            ),
            binary("/", 200, lambda a, b: _joined(_Sum(_plain(a)), _products(_union(a), b))),
            binary("%in%", 250, lambda a, b: _products(a, _union(b)) if _plain(b) else _plain(a)),
            binary(":", 300, _products),
            binary("^", 500, _power),
        ]


class _Sum(OrderedSet):  # type: ignore[misc]
    """Terms in order, each an integer whose bits are its variables, so that crossing two terms is their `|`."""


class _TooMany(Exception):
    """A product has more than MOST terms."""


def _plain(terms: Terms) -> _Sum:
    """The terms without the numbers, which only switch the intercept."""
    if isinstance(terms, _Sum):
        return terms
    return _Sum(1 << int(str(leaf)[1:]) for leaf in terms if not str(leaf).isdigit())


def _joined(left: Terms, *others: Terms) -> _Sum:
    """The left sum with the terms of the others behind.

    In place: the tree has no other use for the left sum, and 5,000 copies of ever longer sums take many seconds.
    """
    found = _plain(left)
    for terms in others:
        found.values.update(_plain(terms).values)
    return found


def _taken_away(terms: Terms) -> _Sum:
    """A sign takes its terms from nothing."""
    return _Sum()


def _without(left: Terms, right: Terms) -> _Sum:
    """The left sum without the terms of the right one."""
    found = _plain(left)
    for term in _plain(right):
        found.values.pop(term, None)
    return found


def _products(left: Terms, right: Terms) -> _Sum:
    """Every term of one side crossed with every term of the other."""
    a, b = _plain(left), _plain(right)
    found = _Sum()
    for x in a:
        found.values.update(dict.fromkeys([x | y for y in b]))
        if len(found) > MOST:
            raise _TooMany
    return found


def _union(terms: Terms) -> _Sum:
    """One term with the variables of all."""
    found = _plain(terms)
    return _Sum([reduce(or_, found)]) if found else _Sum()


def _power(base: Terms, power: Terms) -> _Sum:
    terms = base = _plain(base)
    for _ in range(int(str(next(iter(power)))) - 1):
        longer = _products(terms, base)
        if list(longer) == list(terms):  # every variable is in: a higher power changes nothing, nor the order
            break
        terms = longer
    return terms
