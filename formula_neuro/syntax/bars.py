"""Random terms, `(x | g)` and `diag(x | g)`: cut out of the pieces of a formula, `||` and `/` expanded."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import FormulaError
from .expression import DEEPEST, Name, Node, label, tokens
from .pieces import Piece, pieces_of, remove
from .terms import Part, part_of

HOMOGENEOUS = {"us": False, "diag": False, "cs": False, "ar1": True}  # lme4's defaults


@dataclass(frozen=True)
class Bar:
    """One random term after `||` and `/` are expanded: `part` varies by the crossing of `group`."""

    part: Part
    group: tuple[Node, ...]  # crossed columns, in the order of the name
    name: str  # as lme4 prints it: "g", "b:a", "c:(b:a)"
    structure: str = "us"
    hom: bool = False  # one variance for all columns; R's argument of diag, cs and ar1
    split: bool = False  # came from `||`


def cut_bars(pieces: list[Piece], text: str) -> tuple[list[Piece], list[Bar]]:
    bars: list[Bar] = []
    rest = list(pieces)
    while True:
        found = next((i for i, p in enumerate(rest) if p.kind == "tag" or p.text in ("|", "||")), None)
        if found is None:
            return rest, bars
        if rest[found].kind == "tag":
            bars += _tagged(rest[found], text)
            rest = remove(rest, found, found + 1, "a random term", text)
            continue
        opening = _innermost(rest, found, text)
        closing = _closing(rest, opening)
        bars += _bars(rest[opening + 1 : closing], text, rest[opening].at)
        rest = remove(rest, opening, closing + 1, "a random term", text)


def _innermost(pieces: list[Piece], bar: int, text: str) -> int:
    depth = 0
    for i in range(bar - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(pieces[i].kind, 0)
        if depth < 0:
            return i
    raise FormulaError("a random term stands in parentheses: write (x | g)", text, pieces[bar].at)


def _closing(pieces: list[Piece], opening: int) -> int:
    depth = 0
    for i in range(opening, len(pieces)):
        depth += {"(": 1, ")": -1}.get(pieces[i].kind, 0)
        if depth == 0:
            return i
    raise AssertionError("parentheses were checked")


def _tagged(piece: Piece, text: str) -> list[Bar]:
    """The random terms of `cs(x | g, hom = TRUE)`."""
    structure = piece.text.partition("(")[0]
    start, stop = piece.at + len(structure) + 1, piece.at + len(piece.text) - 1
    found, depth = list(tokens(text[:stop], start)), 0
    for i, token in enumerate(found):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "operator" else 0
        if depth == 0 and token.kind == "operator" and token.text == ",":
            hom = _homogeneity([t.text for t in found[i + 1 : -1]], structure, text, token.end)
            return _bars(pieces_of(text, start, token.at), text, piece.at, structure, hom)
    return _bars(pieces_of(text, start, stop), text, piece.at, structure, HOMOGENEOUS[structure])


def _homogeneity(words: list[str], structure: str, text: str, at: int) -> bool:
    """The truth of `hom = TRUE`."""
    if structure == "us":
        raise FormulaError("us(x | g) has a variance a column; hom= belongs to diag, cs and ar1", text, at)
    known = {"TRUE": True, "T": True, "FALSE": False, "F": False}
    if words[:2] != ["hom", "="] or len(words) != 3 or words[2] not in known:
        raise FormulaError(f"{structure}(x | g) takes hom = TRUE or FALSE beside the bar, nothing else", text, at)
    return known[words[2]]


def _bars(inner: list[Piece], text: str, at: int, structure: str = "us", hom: bool = False) -> list[Bar]:
    """The random terms of one bar: `||` splits the left side by terms, `/` the right side by nesting."""
    inside = next((piece for piece in inner if piece.kind == "tag"), None)
    if inside is not None:
        raise FormulaError("a random term cannot stand inside another", text, inside.at)
    places = [i for i, piece in enumerate(inner) if piece.text in ("|", "||")]
    if len(places) != 1:
        where = inner[places[1]].at if len(places) > 1 else at
        raise FormulaError("a random term has one bar, with columns left and a group right of it", text, where)
    bar = inner[places[0]]
    left, right = inner[: places[0]], inner[places[0] + 1 :]
    opened = [piece.at for piece in left if piece.kind == "("]
    if len(opened) != sum(piece.kind == ")" for piece in left):
        raise FormulaError("this bracket holds a part of the random term only", text, opened[-1])
    if not left:
        raise FormulaError("left of a bar stand the columns that vary; write (1 | g) for an intercept", text, bar.at)
    if not right:
        raise FormulaError("right of a bar stands a grouping column", text, bar.at + len(bar.text))
    part = part_of(left, text)
    if not part.terms and not part.intercept:
        raise FormulaError("left of the bar nothing is left to vary", text, left[0].at)
    split = bar.text == "||"
    if split and structure != "us":
        raise FormulaError(f"{structure}(...) takes a single bar", text, bar.at)
    parts = _split(part) if split else [part]
    return [Bar(p, g, name, structure, hom, split) for p in parts for g, name in _groups(right, text)]


def _split(part: Part) -> list[Part]:
    """`(x || g)`: one block a term, as lme4."""
    blocks = [Part((), (), True)] if part.intercept else []
    for term in part.terms:
        variables = tuple(part.variables[i] for i in term)
        blocks.append(Part(variables, (tuple(range(len(term))),), False))
    return blocks


def _groups(pieces: list[Piece], text: str) -> list[tuple[tuple[Node, ...], str]]:
    """The grouping factors right of a bar: `a/b` gives b:a and a."""
    _check_nesting(pieces, text)
    flat = [p for p in pieces if p.kind not in ("(", ")")]
    levels: list[list[Node]] = [[]]
    expected = "variable"
    for piece in flat:
        if expected == "variable":
            if piece.kind != "variable" or piece.node is None:
                raise FormulaError("right of a bar stand grouping columns, joined by ':' or '/'", text, piece.at)
            levels[-1].append(piece.node)
            expected = "operator"
        else:
            if piece.text not in (":", "/"):
                words = piece.kind == "variable" and isinstance(levels[-1][-1], Name)
                hint = "; a column's name with a space stands in backticks" if words else ""
                raise FormulaError(f"groups are joined by ':' or '/', not {piece.text!r}{hint}", text, piece.at)
            if piece.text == "/":
                levels.append([])
            expected = "variable"
    if expected == "variable":
        raise FormulaError("a grouping column is missing here", text, flat[-1].at + 1 if flat else len(text))
    found: list[tuple[tuple[Node, ...], str]] = []
    group: tuple[Node, ...] = ()
    name = ""
    for inner in levels:
        own = ":".join(label(node) for node in inner)
        name = f"{own}:{f'({name})' if ':' in name else name}" if name else own
        group = (*inner, *group)
        alone = group[0].text if len(group) == 1 and isinstance(group[0], Name) else name
        found.insert(0, (group, alone))  # R quotes odd names within a call, not one that stands alone
    return found


def _check_nesting(pieces: list[Piece], text: str) -> None:
    """Brackets right of a bar may stand around crossed columns, not around nested ones that are then crossed."""
    depth, outermost = 0, DEEPEST
    for piece in pieces:
        depth += {"(": 1, ")": -1}.get(piece.kind, 0)
        outermost = min(outermost, depth) if piece.text == ":" else outermost
    for piece in pieces:
        depth += {"(": 1, ")": -1}.get(piece.kind, 0)
        if piece.text == "/" and depth > outermost:
            raise FormulaError(
                "'/' inside brackets cannot be crossed by ':'; write the terms one by one", text, piece.at
            )
