"""Text -> Formula: response, fixed part, bars and offsets, in R's and lme4's syntax.

The text is cut into pieces: variables (columns and whole calls, each read as an R expression), operators and
brackets. The bars and offsets are cut out of the pieces, as lme4 does; `algebra` expands the operators of the
rest into terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from . import expression
from .algebra import expand
from .errors import FormulaError
from .expression import DEEPEST, Call, Name, Node, about_character, label, names, tokens
from .pieces import Piece, pieces_of


@dataclass(frozen=True)
class Part:
    """A sum of terms: each term a tuple of places in `variables`, in order of first appearance."""

    variables: tuple[Node, ...]
    terms: tuple[tuple[int, ...], ...]  # sorted by their number of variables, stably; no ()
    intercept: bool


@dataclass(frozen=True)
class Bar:
    """One random term after `||` and `/` are expanded: `part` varies by the crossing of `group`."""

    part: Part
    group: tuple[Node, ...]  # crossed columns, in the order of the name
    name: str  # as lme4 prints it: "g", "b:a", "c:(b:a)"
    structure: str = "us"
    split: bool = False  # came from `||`


@dataclass(frozen=True)
class Formula:
    """A formula that has been read; `text` is as typed."""

    text: str
    response: Node | None
    fixed: Part
    bars: tuple[Bar, ...]
    offsets: tuple[Node, ...]

    def __str__(self) -> str:
        return self.text


def parse(text: str, columns: Sequence[str] = ()) -> Formula:
    """Read a formula; `columns` are the table's, for the meaning of `.`.

    Raises FormulaError, with a caret, for anything that R or lme4 would not accept.

    >>> f = parse("lick ~ dff + (1 | mouseID)")
    >>> label(f.response), [label(v) for v in f.fixed.variables], [b.name for b in f.bars]
    ('lick', ['dff'], ['mouseID'])
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text such as 'y ~ x + (1|g)', got {type(text).__name__}")
    response, right = _sides(text)
    right, offsets = _cut_offsets(right, text)
    right, bars = _cut_bars(right, text)
    taken = {n.text for node in [response, *(g for b in bars for g in b.group)] if node for n in names(node)}
    right = _expand_dot(right, [c for c in columns if c not in taken], text)
    formula = Formula(text, response, _part(right, text, response), tuple(bars), tuple(offsets))
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


# ---- offsets and bars ----------------------------------------------------------------------------
def _cut_offsets(pieces: list[Piece], text: str) -> tuple[list[Piece], list[Node]]:
    rest, found = list(pieces), []
    for piece in pieces:
        if isinstance(piece.node, Call) and piece.node.function == "offset":
            if len(piece.node.arguments) != 1:
                raise FormulaError("offset() takes one expression", text, piece.at)
            found.append(piece.node.arguments[0][1])
            where = rest.index(piece)
            rest = _remove(rest, where, where + 1, "an offset", text)
    return rest, found


def _cut_bars(pieces: list[Piece], text: str) -> tuple[list[Piece], list[Bar]]:
    bars: list[Bar] = []
    rest = list(pieces)
    while True:
        found = next((i for i, p in enumerate(rest) if p.kind == "tag" or p.text in ("|", "||")), None)
        if found is None:
            return rest, bars
        if rest[found].kind == "tag":
            piece = rest[found]
            structure = piece.text.partition("(")[0]
            inner = pieces_of(text, piece.at + len(structure) + 1, piece.at + len(piece.text) - 1)
            bars += _bars(inner, text, piece.at, structure)
            rest = _remove(rest, found, found + 1, "a random term", text)
            continue
        opening = _innermost(rest, found, text)
        closing = _closing(rest, opening)
        bars += _bars(rest[opening + 1 : closing], text, rest[opening].at, "us")
        rest = _remove(rest, opening, closing + 1, "a random term", text)


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


def _remove(pieces: list[Piece], start: int, stop: int, what: str, text: str) -> list[Piece]:
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
        return _remove(pieces, start - 1, stop + 1, what, text)  # nothing remains inside
    return pieces[:start] + pieces[stop:]


def _bars(inner: list[Piece], text: str, at: int, structure: str) -> list[Bar]:
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
    if not left:
        raise FormulaError("left of a bar stand the columns that vary; write (1 | g) for an intercept", text, bar.at)
    if not right:
        raise FormulaError("right of a bar stands a grouping column", text, bar.at + len(bar.text))
    part = _part(left, text)
    if not part.terms and not part.intercept:
        raise FormulaError("left of the bar nothing is left to vary", text, left[0].at)
    split = bar.text == "||"
    if split and structure != "us":
        raise FormulaError(f"{structure}(...) takes a single bar", text, bar.at)
    parts = _split(part) if split else [part]
    return [Bar(p, g, name, structure, split) for g, name in _groups(right, text) for p in parts]


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
                raise FormulaError(f"groups are joined by ':' or '/', not {piece.text!r}", text, piece.at)
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


# ---- terms ---------------------------------------------------------------------------------------
def _expand_dot(pieces: list[Piece], columns: list[str], text: str) -> list[Piece]:
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


def _part(pieces: list[Piece], text: str, response: Node | None = None) -> Part:
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
            raise FormulaError("an operator is missing here", text, piece.at)
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


def all_variables(formula: Formula) -> Iterable[Node]:
    """Every variable of every part, each once, the response first."""
    parts = [formula.fixed, *(bar.part for bar in formula.bars)]
    found = [formula.response] if formula.response is not None else []
    found += [v for part in parts for v in part.variables]
    found += [*formula.offsets, *(g for bar in formula.bars for g in bar.group)]
    return dict.fromkeys(found)
