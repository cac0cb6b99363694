"""The pieces of a formula's text: variables (columns and whole calls, read as R expressions), operators, brackets."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import FormulaError
from . import expression
from .expression import DEEPEST, Name, Node, Number, Text, Token, Truth, about_character, number_label, tokens

STRUCTURES = ("us", "diag", "cs", "ar1")
OPERATORS = {"+", "-", "*", "/", ":", "^", "**", "|", "||", "%in%"}


@dataclass(frozen=True)
class Piece:
    """A token with its place; a variable carries its tree."""

    text: str
    kind: str  # "variable", "number", "operator", "(", ")", "tag" for diag(x | g), "spatial" for s(x)
    at: int
    node: Node | None = None


def pieces_of(text: str, start: int = 0, stop: int | None = None) -> list[Piece]:
    """The pieces of text[start:stop], with their places in the whole text."""
    found = list(tokens(text[:stop], start))
    closing = _brackets(found, text)
    pieces: list[Piece] = []
    i = 0
    while found[i].kind != "end":
        token = found[i]
        if token.kind == "name" and i + 1 in closing and found[i + 1].at == token.at + len(token.text):
            last = closing[i + 1]
            tag = token.text in STRUCTURES and any(t.text in ("|", "||") for t in found[i + 1 : last])
            pieces.append(_call(token, found[last].at + 1, tag, text))
            i = last + 1
        else:
            pieces.append(_piece(token, pieces, text))
            i += 1
    return pieces


def _brackets(found: list[Token], text: str) -> dict[int, int]:
    """The place of each opening bracket -> that of its closing one."""
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for i, token in enumerate(found):
        if token.kind == "operator" and token.text == "(":
            opened.append(i)
            if len(opened) > DEEPEST:
                raise FormulaError(f"brackets are nested more than {DEEPEST} deep", text, token.at)
        elif token.kind == "operator" and token.text == ")":
            if not opened:
                raise FormulaError("this ')' closes nothing", text, token.at)
            pairs[opened.pop()] = i
    if opened:
        raise FormulaError("this '(' is never closed", text, found[opened[-1]].at)
    return pairs


def _call(name: Token, end: int, tag: bool, text: str) -> Piece:
    written = text[name.at : end]
    if tag or name.text == "s":
        return Piece(written, "tag" if tag else "spatial", name.at)
    return Piece(written, "variable", name.at, expression.read(written, text, name.at))


def _piece(token: Token, before: list[Piece], text: str) -> Piece:
    at = token.at
    if token.kind == "operator" and token.text in "()":
        if token.text == "(" and before and before[-1].kind == "variable":
            raise FormulaError("an operator is missing here (a call is written without a blank)", text, at)
        return Piece(token.text, token.text, at)
    if token.kind == "operator":
        if token.text not in OPERATORS:
            hint = "terms are joined by '+'" if token.text in ",=" else "write I(...) for arithmetic and comparisons"
            raise FormulaError(f"{token.text!r} has no meaning among terms; {hint}", text, at)
        return Piece("^" if token.text == "**" else token.text, "operator", at)
    if token.kind == "bad":
        raise FormulaError(about_character(token.text), text, at)
    node = expression.read(text[at : token.end], text, at)
    if isinstance(node, Name):
        return Piece(node.text, "variable", at, node)
    if isinstance(node, Text):
        raise FormulaError("a text cannot be a term", text, at)
    if isinstance(node, Number):
        return Piece(number_label(node.value) if node.integer else token.text, "number", at)
    return Piece("1" if node == Truth(True) else token.text, "number", at)


def remove(pieces: list[Piece], start: int, stop: int, what: str, text: str) -> list[Piece]:
    """The pieces without start:stop and the `+` that joined it; only `+` may join it."""
    before = pieces[start - 1] if start else None
    after = pieces[stop] if stop < len(pieces) else None
    if before is not None and before.kind != "(" and before.text != "+":
        raise FormulaError(f"{what} can only be added, not joined by {before.text!r}", text, before.at)
    if after is not None and after.kind != ")" and after.text not in ("+", "-"):
        raise FormulaError(f"{what} can only be added, not joined by {after.text!r}", text, after.at)
    if before is not None and before.text == "+":
        start -= 1
    elif after is not None and after.text == "+":
        stop += 1
    elif before is not None and before.kind == "(" and after is not None and after.kind == ")":
        return remove(pieces, start - 1, stop + 1, what, text)  # nothing remains inside
    return pieces[:start] + pieces[stop:]
