"""The operators among terms, `a*b`, `(a + b)^2`, `a/b`, `a %in% b`: formulaic's parser with R's meanings.

formulaic builds the syntax tree and evaluates it; the operators below say what R means by each. As in R, `1`
and `0` are no terms but switch the intercept of the whole sum, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from formulaic.parser.types import FormulaParser, Operator, OperatorResolver, OrderedSet, Term, Token

from .errors import FormulaError
from .pieces import Piece

MOST = 2000  # terms that a product may have: an accident such as (a + ... + z)^9 must not hang

Terms: TypeAlias = Any  # an OrderedSet of Term; formulaic ships no types


def expand(pieces: Sequence[Piece], variables: Sequence[int | None], text: str) -> tuple[list[tuple[int, ...]], bool]:
    """The terms of a sum, each a tuple of variables, sorted by size (stably), and whether an intercept is left.

    `variables` has the number of the variable for every piece that is one. The pieces must alternate properly
    (formula.py has checked them). Raises FormulaError when a product has more than MOST terms.
    """
    parser = FormulaParser(RAlgebra())
    tree = parser.get_ast_from_tokens(_tokens(pieces, variables), context={})
    try:
        found = _plain(tree.to_terms()) if tree is not None else OrderedSet()
    except _TooMany:
        raise FormulaError(f"this formula has more than {MOST} terms", text, pieces[0].at) from None
    terms = [tuple(sorted(int(str(factor)[1:]) for factor in term.factors)) for term in found]
    return sorted(terms, key=len), _intercept(pieces, variables)


def _tokens(pieces: Sequence[Piece], variables: Sequence[int | None]) -> Iterable[Token]:
    """formulaic reads no signs in a row: behind the first, which may join, they are one minus if any of them is one."""
    signs: list[str] = []
    joined = 0  # how many of the signs join two operands
    for piece, variable in zip(pieces, variables, strict=True):
        if variable is None and piece.text in ("+", "-"):
            signs.append(piece.text)
            continue
        minus = ["-"] if "-" in signs[joined:] else []
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

        def sign(symbol: str, meaning: object) -> Operator:
            return Operator(symbol, arity=1, precedence=100, associativity="right", fixity="prefix", to_terms=meaning)

        return [
            binary("+", 100, lambda a, b: _plain(a) | _plain(b)),
            binary("-", 100, lambda a, b: _plain(a) - _plain(b)),
            sign("+", lambda a: a),
            sign("-", lambda a: OrderedSet()),  # takes its terms from nothing
            # right of nothing, as in `(a - a)*b` or `0*b`, R finds nothing
            binary("*", 200, lambda a, b: _plain(a) | _plain(b) | _products(a, b) if _plain(a) else OrderedSet()),
            binary("/", 200, lambda a, b: _plain(a) | _products(_union(a), b)),
            binary("%in%", 250, lambda a, b: _products(a, _union(b)) if _plain(b) else _plain(a)),
            binary(":", 300, _products),
            binary("^", 500, _power),
        ]


class _TooMany(Exception):
    """A product has more than MOST terms."""


def _plain(terms: Terms) -> Terms:
    """The terms without the numbers, which only switch the intercept."""
    return OrderedSet(term for term in terms if not str(term).isdigit())


def _products(left: Terms, right: Terms) -> Terms:
    """Every term of one side crossed with every term of the other."""
    a, b = _plain(left), _plain(right)
    if len(a) * len(b) > MOST**2:
        raise _TooMany
    found = OrderedSet(x * y for x in a for y in b)
    if len(found) > MOST:
        raise _TooMany
    return found


def _union(terms: Terms) -> Terms:
    """One term with the variables of all."""
    factors = [factor for term in _plain(terms) for factor in term.factors]
    return OrderedSet([Term(list(dict.fromkeys(factors)))]) if factors else OrderedSet()


def _power(base: Terms, power: Terms) -> Terms:
    terms = base = _plain(base)
    for _ in range(int(str(next(iter(power)))) - 1):
        longer = _products(terms, base)
        if list(longer) == list(terms):  # every variable is in: a higher power changes nothing, nor the order
            break
        terms = longer
    return terms
