"""The terms of a sum, such as `x*f + log(z)`: pieces -> Part."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import FormulaError
from .algebra import expand
from .expression import Name, Node
from .pieces import Piece


@dataclass(frozen=True)
class Part:
    """A sum of terms: each term a tuple of places in `variables`, in order of first appearance."""

    variables: tuple[Node, ...]
    terms: tuple[tuple[int, ...], ...]  # sorted by their number of variables, stably; no ()
    intercept: bool


def expand_dot(pieces: list[Piece], columns: list[str], text: str) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        if piece.node != Name("."):
            found.append(piece)
            continue
        if not columns:
            raise FormulaError("'.' stands for all other columns of the data, and there are none", text, piece.at)
        found.append(Piece("(", "(", piece.at))
        for i, column in enumerate(columns):
            found += [Piece("+", "operator", piece.at)] if i else []
            found.append(Piece(column, "variable", piece.at, Name(column, piece.at)))
        found.append(Piece(")", ")", piece.at))
    return found


def part_of(pieces: list[Piece], text: str, response: Node | None = None) -> Part:
    """The terms of a sum; as in R a response that is named again comes first among its variables, and is no term."""
    if not pieces:
        return Part((), (), True)
    _check_order(pieces, text)
    nodes = dict.fromkeys(piece.node for piece in pieces if piece.node is not None)
    known = [response] if response in nodes else []
    variables = tuple(dict.fromkeys([*known, *nodes]))
    places = {node: i for i, node in enumerate(variables)}
    terms, intercept = expand(pieces, [places[p.node] if p.node is not None else None for p in pieces], text)
    return Part(variables, tuple(term for term in terms if not (known and term == (0,))), intercept)


def _check_order(pieces: list[Piece], text: str) -> None:
    """Operands and operators must alternate, so that the algebra meets no sum that it cannot read."""
    want_operand, before = True, ""
    for piece in pieces:
        operand = piece.kind in ("variable", "number")
        if piece.kind == "number":
            _check_number(piece, before, text)
        elif before == "^":
            raise FormulaError("the power is a whole number above 0, as in (a + b)^2", text, piece.at)
        if want_operand:
            if piece.kind == ")" or (piece.kind == "operator" and piece.text not in "+-"):
                raise FormulaError(f"a column is missing before {piece.text!r}", text, piece.at)
            if piece.kind == "operator" and before not in ("", "(", "+", "-"):
                raise FormulaError(f"{piece.text!r} has no meaning after {before!r}", text, piece.at)
            want_operand = not operand
        elif operand or piece.kind == "(":
            names = isinstance(piece.node, Name) and before.isidentifier()
            hint = f"; a column's name with a space stands in backticks, as `{before} {piece.text}`" if names else ""
            raise FormulaError(f"an operator is missing here{hint}", text, piece.at)
        elif piece.kind == "operator":
            want_operand = True
        before = piece.text
    if want_operand:
        raise FormulaError("the formula ends with an operator", text, pieces[-1].at)


def _check_number(piece: Piece, before: str, text: str) -> None:
    if before == "^":
        if not (piece.text.isdecimal() and len(piece.text) < 5 and int(piece.text) > 0):
            raise FormulaError("the power is a whole number above 0, as in (a + b)^2", text, piece.at)
    elif piece.text not in ("0", "1"):
        raise FormulaError("of numbers only 0 and 1 can be terms; write I(...) for arithmetic", text, piece.at)
