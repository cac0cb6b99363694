"""Text -> Formula: response, fixed part, bars, offsets and s(...), in R's and lme4's syntax.

The text is cut into pieces: variables (columns and whole calls, each read as an R expression), operators and
brackets. Bars, offsets and s(...) are cut out of the pieces, as lme4 does with bars; `algebra` expands the
operators of the rest into terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .errors import FormulaError
from .syntax import expression
from .syntax.bars import Bar, cut_bars
from .syntax.expression import Call, Name, Node, about_character, names, tokens
from .syntax.pieces import Piece, pieces_of, remove
from .syntax.terms import Part, expand_dot, part_of

__all__ = ["Bar", "Formula", "Part", "all_variables", "parse"]


@dataclass(frozen=True)
class Formula:
    """A formula that has been read; `text` is as typed. `spatial` are the insides of s(...), each a sum of its own:

    terms with a map of their own, where `fixed` ones act on the whole brain.
    """

    text: str
    response: Node | None
    fixed: Part
    bars: tuple[Bar, ...]
    offsets: tuple[Node, ...]
    spatial: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return self.text


def parse(text: str, columns: Sequence[str] = ()) -> Formula:
    """Read a formula; `columns` are the table's, for the meaning of `.`.

    Raises FormulaError, with a caret, for anything that R or lme4 would not accept.

    >>> from formula_neuro.syntax.expression import label
    >>> f = parse("lick ~ dff + (1 | mouseID)")
    >>> label(f.response), [label(v) for v in f.fixed.variables], [b.name for b in f.bars]
    ('lick', ['dff'], ['mouseID'])
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text such as 'y ~ x + (1|g)', got {type(text).__name__}")
    return _parsed(text, tuple(columns) if "." in text else ())


@lru_cache(maxsize=256)
def _parsed(text: str, columns: tuple[str, ...]) -> Formula:
    """`parse` once: refits and bootstraps read the same text again and again."""
    response, right = _sides(text)
    right, offsets = _cut_offsets(right, text)
    right, spatial = _cut_spatial(right, text)
    right, bars = cut_bars(right, text)
    elsewhere = [*(g for b in bars for g in b.group), *(v for part in spatial for v in part.variables)]
    taken = {n.text for node in [response, *elsewhere] if node for n in names(node)}
    right = expand_dot(right, [c for c in columns if c not in taken], text)
    formula = Formula(text, response, part_of(right, text, response), tuple(bars), tuple(offsets), tuple(spatial))
    for dot in (node for variable in all_variables(formula) for node in names(variable) if node.text == "."):
        raise FormulaError("'.' stands for all other columns, as a term of the fixed part only", text, dot.at)
    return formula


# ---- sides ---------------------------------------------------------------------------------------
def _sides(text: str) -> tuple[Node | None, list[Piece]]:
    """The response as an expression, None without one, and the pieces of the right side."""
    found = list(tokens(text))
    tildes = [token for token in found if token.kind == "operator" and token.text == "~"]
    strange = next((token for token in found if token.kind == "bad"), None)
    if not tildes and strange:
        raise FormulaError(about_character(strange.text), text, strange.at)
    if not tildes:
        raise FormulaError("a formula needs a '~', as in 'y ~ x'", text, 0)
    if len(tildes) > 1:
        raise FormulaError("a formula has one '~' only", text, tildes[1].at)
    tilde = tildes[0]
    left = text[: tilde.at].rstrip()
    response = expression.read(left, text) if left else None
    for node in _inside(response) if response else ():
        if node == Name(".") or (isinstance(node, Call) and node.function == "offset"):
            what = "offset()" if isinstance(node, Call) else "'.'"
            raise FormulaError(f"{what} belongs on the right side of the '~'", text, node.at)
    right = pieces_of(text, tilde.at + 1)
    if not right:
        raise FormulaError("the right side is empty; write 1 for an intercept alone", text, len(text))
    return response, right


def _inside(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, Call):
        for _, value in node.arguments:
            yield from _inside(value)


# ---- offsets and s(...) -----------------------------------------------------------------------------
def _cut_offsets(pieces: list[Piece], text: str) -> tuple[list[Piece], list[Node]]:
    rest, found = list(pieces), []
    for piece in pieces:
        if isinstance(piece.node, Call) and piece.node.function == "offset":
            if len(piece.node.arguments) != 1:
                raise FormulaError("offset() takes one expression", text, piece.at)
            found.append(piece.node.arguments[0][1])
            where = rest.index(piece)
            rest = remove(rest, where, where + 1, "an offset", text)
    return rest, found


def _in_call(text: str, start: int, at: int) -> bool:
    signs = [t.text for t in tokens(text[:at], start) if t.kind == "operator"]
    return signs.count("(") > signs.count(")")


def _cut_spatial(pieces: list[Piece], text: str) -> tuple[list[Piece], list[Part]]:
    rest, found = list(pieces), []
    for piece in pieces:
        if piece.kind != "spatial":
            continue
        start, stop = piece.at + 2, piece.at + len(piece.text) - 1
        comma = next((t for t in tokens(text[:stop], start) if t.text == "," and t.kind == "operator"), None)
        if comma is not None and not _in_call(text, start, comma.at):
            raise FormulaError("s(...) takes a sum of terms; for smooth curves there is ns(x, 3)", text, comma.at)
        inner = pieces_of(text, start, stop)
        inside = next((p for p in inner if p.kind in ("spatial", "tag") or p.text in ("|", "||")), None)
        if inside is not None:
            raise FormulaError("inside s(...) stand fixed terms only", text, inside.at)
        part = part_of(inner, text)
        if not inner or not (part.terms or part.intercept):
            raise FormulaError("s(...) holds the terms that have a map of their own, as in s(group)", text, piece.at)
        found.append(part)
        where = rest.index(piece)
        rest = remove(rest, where, where + 1, "s(...)", text)
    return rest, found


def all_variables(formula: Formula) -> Iterable[Node]:
    """Every variable of every part, each once, the response first."""
    parts = [formula.fixed, *formula.spatial, *(bar.part for bar in formula.bars)]
    found = [formula.response] if formula.response is not None else []
    found += [v for part in parts for v in part.variables]
    found += [*formula.offsets, *(g for bar in formula.bars for g in bar.group)]
    return dict.fromkeys(found)
