"""Text -> Formula: response, fixed part, bars and offsets, in R's and lme4's syntax.

formulaic's tokeniser splits the text; the bars and offsets are cut out of the token stream, as lme4
does; each remaining variable is read as an R expression; formulaic's parser then expands the operators
(`*`, `/`, `^`, `-`) of what is left, which by now holds plain names only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from formulaic.errors import FormulaSyntaxError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.algos.tokenize import tokenize

from . import expression
from .errors import FormulaError
from .expression import Call, Name, Node, label, names

STRUCTURES = ("us", "diag", "cs", "ar1")


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


@dataclass(frozen=True)
class _Piece:
    """A token with its place; a variable carries its tree."""

    text: str
    kind: str  # "variable", "number", "operator", "(", ")"
    at: int
    node: Node | None = None


def parse(text: str, columns: Sequence[str] = ()) -> Formula:
    """Read a formula; `columns` are the table's, for the meaning of `.`.

    Raises FormulaError, with a caret, for anything that R or lme4 would not accept.

    >>> f = parse("lick ~ dff + (1 | mouseID)")
    >>> label(f.response), [label(v) for v in f.fixed.variables], [b.name for b in f.bars]
    ('lick', ['dff'], ['mouseID'])
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text such as 'y ~ x + (1|g)', got {type(text).__name__}")
    left, right = _sides(_pieces(text), text)
    response = _response(left, text)
    right, offsets = _cut_offsets(right, text)
    right, bars = _cut_bars(right, text)
    taken = {n.text for node in [response, *(g for b in bars for g in b.group)] if node for n in names(node)}
    right = _expand_dot(right, [c for c in columns if c not in taken], text)
    fixed = _part(right, text)
    if response is not None:
        fixed = _without(fixed, response)
    return Formula(text, response, fixed, tuple(bars), tuple(offsets))


# ---- tokens --------------------------------------------------------------------------------------
def _pieces(text: str) -> list[_Piece]:
    try:
        tokens = list(tokenize(text))
    except FormulaSyntaxError:
        raise FormulaError(_unclosed(text), text, len(text)) from None
    pieces: list[_Piece] = []
    for token in tokens:
        at, kind = token.source_start or 0, token.kind.value if token.kind else ""
        if kind == "operator":
            pieces += _operators(token.token, at, text)
        elif text[at] == "{":
            raise FormulaError("'{' has no meaning in a formula", text, at)
        elif kind == "context":
            if token.token not in "()":
                raise FormulaError(f"{token.token!r} has no meaning in a formula", text, at)
            if token.token == "(" and pieces and pieces[-1].kind == "variable":
                raise FormulaError("an operator is missing here (a call is written without a blank)", text, at)
            pieces.append(_Piece(token.token, token.token, at))
        elif kind == "value":
            if token.token[0] in "\"'":
                raise FormulaError("a text cannot be a term", text, at)
            dot = Name(".", at) if token.token == "." else None
            pieces.append(_Piece(token.token, "variable" if dot else "number", at, dot))
        elif kind == "name" and text[at] == "`":
            pieces.append(_Piece(token.token, "variable", at, Name(token.token, at)))
        else:
            node = None if _tag(token.token) else expression.read(token.token, text, at)
            pieces.append(_Piece(token.token, "variable", at, node))
    return pieces


def _unclosed(text: str) -> str:
    for opening, closing in ("()", "[]", "``", '""', "''"):
        if (text.count(opening) % 2) if opening == closing else text.count(opening) > text.count(closing):
            return f"the formula ends before {opening!r} is closed"
    return "the formula ends too early"


def _operators(run: str, at: int, text: str) -> list[_Piece]:
    """Adjacent operators arrive as one token: `+-` is two, `||` and `**` are one."""
    if run == "in":  # %in%; formulaic's token has lost the signs
        return [_Piece(":", "operator", at)]  # `b %in% a` is the one term of b and a
    found, i = [], 0
    while i < len(run):
        step = 2 if run[i : i + 2] in ("||", "**") else 1
        sign = run[i : i + step]
        if sign not in ("~", "+", "-", "*", "/", ":", "^", "**", "|", "||"):
            raise FormulaError(f"{sign!r} has no meaning in a formula", text, at + i)
        found.append(_Piece("^" if sign == "**" else sign, "operator", at + i))
        i += step
    return found


def _tag(token: str) -> bool:
    """Whether the token is a structure tag around a bar, such as `diag(x | g)`."""
    head, bracket, inside = token.partition("(")
    return bool(bracket) and head in STRUCTURES and "|" in inside


def _sides(pieces: list[_Piece], text: str) -> tuple[list[_Piece], list[_Piece]]:
    tildes = [i for i, piece in enumerate(pieces) if piece.text == "~" and piece.kind == "operator"]
    if not tildes:
        raise FormulaError("a formula needs a '~', as in 'y ~ x'", text, 0)
    if len(tildes) > 1:
        raise FormulaError("a formula has one '~' only", text, pieces[tildes[1]].at)
    left, right = pieces[: tildes[0]], pieces[tildes[0] + 1 :]
    if not right:
        raise FormulaError("the right side is empty; write 1 for an intercept alone", text, len(text))
    _balanced(pieces, text)
    return left, right


def _balanced(pieces: list[_Piece], text: str) -> None:
    depth: list[_Piece] = []
    for piece in pieces:
        if piece.kind == "(":
            depth.append(piece)
        elif piece.kind == ")":
            if not depth:
                raise FormulaError("this ')' closes nothing", text, piece.at)
            depth.pop()
    if depth:
        raise FormulaError("this '(' is never closed", text, depth[-1].at)


def _response(left: list[_Piece], text: str) -> Node | None:
    if not left:
        return None
    start, end = left[0].at, text.index("~", left[-1].at + len(left[-1].text))
    return expression.read(text[start:end].rstrip(), text, start)


# ---- offsets and bars ----------------------------------------------------------------------------
def _cut_offsets(pieces: list[_Piece], text: str) -> tuple[list[_Piece], list[Node]]:
    rest, found = list(pieces), []
    for piece in pieces:
        if isinstance(piece.node, Call) and piece.node.function == "offset":
            if len(piece.node.arguments) != 1:
                raise FormulaError("offset() takes one expression", text, piece.at)
            found.append(piece.node.arguments[0][1])
            where = rest.index(piece)
            rest = _remove(rest, where, where + 1, "an offset", text)
    return rest, found


def _cut_bars(pieces: list[_Piece], text: str) -> tuple[list[_Piece], list[Bar]]:
    bars: list[Bar] = []
    rest = list(pieces)
    while True:
        found = next((i for i, p in enumerate(rest) if p.text in ("|", "||") or _tag(p.text)), None)
        if found is None:
            return rest, bars
        if rest[found].kind == "variable":
            piece = rest[found]
            head, _, inside = piece.text.partition("(")
            shift = piece.at + len(head) + 1
            inner = [replace(p, at=p.at + shift, node=_moved(p, text, shift)) for p in _pieces(inside[:-1])]
            bars += _bars(inner, text, piece.at, head)
            rest = _remove(rest, found, found + 1, "a random term", text)
            continue
        opening = _innermost(rest, found, text)
        closing = _closing(rest, opening)
        bars += _bars(rest[opening + 1 : closing], text, rest[opening].at, "us")
        rest = _remove(rest, opening, closing + 1, "a random term", text)


def _moved(piece: _Piece, text: str, shift: int) -> Node | None:
    """The variable read again, so that its positions count in the whole formula."""
    if piece.kind != "variable" or isinstance(piece.node, Name):
        return piece.node
    return expression.read(piece.text, text, piece.at + shift)


def _innermost(pieces: list[_Piece], bar: int, text: str) -> int:
    depth = 0
    for i in range(bar - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(pieces[i].kind, 0)
        if depth < 0:
            return i
    raise FormulaError("a random term stands in parentheses: write (x | g)", text, pieces[bar].at)


def _closing(pieces: list[_Piece], opening: int) -> int:
    depth = 0
    for i in range(opening, len(pieces)):
        depth += {"(": 1, ")": -1}.get(pieces[i].kind, 0)
        if depth == 0:
            return i
    raise AssertionError("parentheses were checked")


def _remove(pieces: list[_Piece], start: int, stop: int, what: str, text: str) -> list[_Piece]:
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


def _bars(inner: list[_Piece], text: str, at: int, structure: str) -> list[Bar]:
    """The random terms of one bar: `||` splits the left side by terms, `/` the right side by nesting."""
    depth, places = 0, []
    for i, piece in enumerate(inner):
        depth += {"(": 1, ")": -1}.get(piece.kind, 0)
        if piece.text in ("|", "||"):
            places.append(i)
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


def _groups(pieces: list[_Piece], text: str) -> list[tuple[tuple[Node, ...], str]]:
    """The grouping factors right of a bar: `a/b` gives b:a and a."""
    flat = [p for p in pieces if p.kind not in "()"]
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
        found.insert(0, (group, name))
    return found


# ---- terms ---------------------------------------------------------------------------------------
def _expand_dot(pieces: list[_Piece], columns: list[str], text: str) -> list[_Piece]:
    found: list[_Piece] = []
    for piece in pieces:
        if piece.node != Name("."):
            found.append(piece)
            continue
        if not columns:
            raise FormulaError("'.' stands for all other columns of the data, and there are none", text, piece.at)
        found.append(_Piece("(", "(", piece.at))
        for i, column in enumerate(columns):
            found += [_Piece("+", "operator", piece.at)] if i else []
            found.append(_Piece(column, "variable", piece.at, Name(column, piece.at)))
        found.append(_Piece(")", ")", piece.at))
    return found


def _part(pieces: list[_Piece], text: str) -> Part:
    """Expand the operators through formulaic, with plain names in place of the variables."""
    if not pieces:
        return Part((), (), True)
    _check_order(pieces, text)
    variables: dict[Node, int] = {}
    words = []
    for piece in pieces:
        if piece.node is not None:
            words.append(f"v{variables.setdefault(piece.node, len(variables))}")
        else:
            words.append(piece.text)
    terms = [
        tuple(sorted(int(str(f)[1:]) for f in term.factors if str(f) != "1"))
        for term in DefaultFormulaParser(include_intercept=True).get_terms(" ".join(words))
    ]
    ordered = sorted((term for term in terms if term), key=len)
    return Part(tuple(variables), tuple(dict.fromkeys(ordered)), () in terms)


def _check_order(pieces: list[_Piece], text: str) -> None:
    """Operands and operators must alternate, so that formulaic meets no text that it cannot read."""
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
            want_operand = not operand
        elif operand or piece.kind == "(":
            raise FormulaError("an operator is missing here", text, piece.at)
        elif piece.kind == "operator":
            want_operand = True
        before = piece.text
    if want_operand:
        raise FormulaError("the formula ends with an operator", text, pieces[-1].at)


def _check_number(piece: _Piece, before: str, text: str) -> None:
    if before == "^":
        if not piece.text.isdigit() or int(piece.text) < 1:
            raise FormulaError("the power is a whole number above 0, as in (a + b)^2", text, piece.at)
    elif piece.text not in ("0", "1"):
        raise FormulaError("of numbers only 0 and 1 can be terms; write I(...) for arithmetic", text, piece.at)


def _without(part: Part, response: Node) -> Part:
    """R drops a response that is repeated on the right side."""
    if response not in part.variables:
        return part
    place = part.variables.index(response)
    return replace(part, terms=tuple(term for term in part.terms if term != (place,)))


def all_variables(formula: Formula) -> Iterable[Node]:
    """Every variable of every part, each once, the response first."""
    parts = [formula.fixed, *(bar.part for bar in formula.bars)]
    found = [formula.response] if formula.response is not None else []
    found += [v for part in parts for v in part.variables]
    found += [*formula.offsets, *(g for bar in formula.bars for g in bar.group)]
    return dict.fromkeys(found)
