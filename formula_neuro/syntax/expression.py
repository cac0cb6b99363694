"""One R expression, such as `log(dff + 1)` or `I(age^2)`: text -> tree, and tree -> R's label.

The tree is data: names, numbers, texts and calls. Nothing here runs anything; `transforms.evaluate`
walks the tree and knows only the functions that it lists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import FormulaError


@dataclass(frozen=True)
class Name:
    """A column."""

    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Number:
    value: float
    integer: bool = False  # written 2L


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Truth:
    """TRUE, FALSE, or NA (None); a column of that name is written in backticks."""

    value: bool | None


@dataclass(frozen=True)
class Call:
    """A function or an operator with its arguments; ("", value) is an unnamed one, "(" is a parenthesis."""

    function: str
    arguments: tuple[tuple[str, Node], ...]
    at: int = field(default=0, compare=False)


Node = Name | Number | Text | Truth | Call
CONSTANTS: dict[str, Truth | Number] = {
    "TRUE": Truth(True), "FALSE": Truth(False), "NA": Truth(None), "Inf": Number(math.inf), "NaN": Number(math.nan),
}  # fmt: skip

# Binary operators by R's precedence; a higher number binds tighter. `^` alone groups to the right.
BINARY = {"|": 1, "||": 1, "&": 2, "&&": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4,
          "+": 5, "-": 5, "*": 6, "/": 6, "%%": 7, "%/%": 7, "%in%": 7, ":": 8, "^": 10}  # fmt: skip
UNARY = {"!": 3, "-": 9, "+": 9}
ASSIGNMENTS = {"<-", "<<-", "->", "->>"}
TIGHT = {"^", ":", "/", "%%", "%/%"}  # R prints these without spaces
_SYNTACTIC = re.compile(r"(?:[^\W\d_]|\.(?![0-9]))[\w.]*|\.")
_RESERVED = {"if", "else", "repeat", "while", "function", "for", "next", "break", "TRUE", "FALSE", "NULL",
             "Inf", "NaN", "NA", "NA_integer_", "NA_real_", "NA_character_", "in"}  # fmt: skip
_TOKEN = re.compile(
    r"""(?P<blank>\s*)(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)
    |(?P<name>(?:[^\W\d]|\.)[\w.]*)|`(?P<quoted>(?:[^`\\]|\\.)+)`
    |"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'
    |(?P<operator>%[^%\s]*%|\*\*|<<-|<-|->>?|==|!=|<=|>=|&&|\|\||[-+*/^:<>&|!(),=~])|(?P<end>$)|(?P<bad>.))""",
    re.VERBOSE | re.DOTALL,
)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
ESCAPES = {character: letter for letter, character in ESCAPED.items()}
DEEPEST = 100  # levels of an expression: far above what people write, far below where recursion ends
LOOK_ALIKES = dict(zip("\u2212\u2013\u223c\u02dc\u00d7\u2217\u201c\u201d\u2018\u2019", "--~~**\"\"''", strict=True))


@dataclass(frozen=True)
class Token:
    """A piece of text[at:end]; `text` is without its quotes."""

    kind: str  # "number", "name", "quoted", "double", "single", "operator", "end", "bad"
    text: str
    at: int
    end: int


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens of text[start:], an "end" last; what is no token is "bad", one character each."""
    at = start
    while True:
        match = _TOKEN.match(text, at)
        assert match is not None and match.lastgroup is not None
        kind = match.lastgroup
        yield Token(kind, match[kind], match.end("blank"), match.end())
        if kind == "end":
            return
        at = match.end()


def _unescaped(text: str) -> str:
    """What a text or a quoted name says; a backslash is read as R reads it, or R would see other quotes than we."""
    return re.sub(r"\\(.)", lambda m: ESCAPED.get(m[1], m[1]), text, flags=re.DOTALL)


def _plain_name(token: Token) -> str:
    return _unescaped(token.text) if token.kind == "quoted" else token.text


def about_character(character: str) -> str:
    """Why this character cannot be read."""
    if character in LOOK_ALIKES:
        return f"{character!r} looks like {LOOK_ALIKES[character]!r} but is another character; type it again"
    if character in "`\"'":
        return f"this {character} is never closed"
    if character == "%":
        return "an operator in % signs is never closed; there is %in%"
    return f"{character!r} has no meaning in a formula; names that hold it are written in `backticks`"


class _Reader:
    """Precedence climbing over the tokens of one expression; private state, one use."""

    def __init__(self, text: str, whole: str, offset: int):
        self.tokens = list(tokens(text))
        self.i = 0
        self.whole, self.offset = whole, offset
        self.level = 0
        self.depths: dict[int, int] = {}  # of the calls made, by identity

    def error(self, message: str, token: Token) -> FormulaError:
        return FormulaError(message, self.whole, self.offset + token.at)

    @property
    def next(self) -> Token:
        return self.tokens[self.i]

    def take(self) -> Token:
        self.i += 1
        return self.tokens[self.i - 1]

    def expect(self, text: str) -> None:
        if self.next.kind == "bad":
            raise self.error(about_character(self.next.text), self.next)
        if self.next.kind != "operator" or self.next.text != text:
            raise self.error(f"expected {text!r} here", self.next)
        self.take()

    def call(self, function: str, arguments: tuple[tuple[str, Node], ...], token: Token) -> Call:
        call = Call(function, arguments, self.offset + token.at)
        self.depths[id(call)] = depth = 1 + max((self.depths.get(id(v), 0) for _, v in arguments), default=0)
        if depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} operations in one another; compute a column first", token)
        return call

    def expression(self, least: int = 0) -> Node:
        self.level += 1
        if self.level > DEEPEST:
            raise self.error(f"nested more than {DEEPEST} deep; compute a column first", self.next)
        left, compared = self.operand(), False
        while self.next.kind == "operator":
            token = self.next
            operator = "^" if token.text == "**" else token.text
            if operator not in BINARY:
                if operator in ASSIGNMENTS:
                    hint = "; write x < -1 with a blank" if operator == "<-" else ""
                    raise self.error(f"R reads {operator} as an assignment{hint}", token)
                if operator.startswith("%"):
                    raise self.error(f"the operator {operator} is not known; there are %in%, %% and %/%", token)
                break
            precedence = BINARY[operator]
            if precedence < least:
                break
            if precedence == BINARY["=="]:
                if compared:
                    raise self.error("two comparisons in a row; join them by &", token)
                compared = True
            self.take()
            right = self.expression(precedence if operator == "^" else precedence + 1)
            left = self.call(operator, (("", left), ("", right)), token)
        self.level -= 1
        return left

    def operand(self) -> Node:
        token = self.take()
        if token.kind == "number":
            value = float(token.text.rstrip("L"))
            whole = token.text.endswith("L") and value.is_integer() and value < 2**31  # R: others are doubles
            return Number(value, whole)
        if token.kind in ("double", "single"):
            return Text(_unescaped(token.text))
        if token.kind == "name" and token.text in CONSTANTS:
            return CONSTANTS[token.text]
        if token.kind in ("quoted", "name"):
            if token.kind == "name" and self.next.kind == "operator" and self.next.text == "(":
                self.take()
                return self.call(token.text, self.arguments(), token)
            return Name(_plain_name(token), self.offset + token.at)
        if token.kind == "operator" and token.text == "(":
            inside = self.expression()
            self.expect(")")
            return self.call("(", (("", inside),), token)
        if token.kind == "operator" and token.text in UNARY:
            return self.call(token.text, (("", self.expression(UNARY[token.text])),), token)
        if token.kind == "end":
            raise self.error("the expression ends too early", token)
        if token.kind == "bad":
            raise self.error(about_character(token.text), token)
        raise self.unexpected(token)

    def unexpected(self, token: Token) -> FormulaError:
        before = self.tokens[self.tokens.index(token) - 1]
        words = token.kind == before.kind == "name" and token is not self.tokens[0]
        hint = f"; a column's name with a space stands in backticks, as `{before.text} {token.text}`" if words else ""
        return self.error(f"{token.text!r} was not expected here{hint}", token)

    def arguments(self) -> tuple[tuple[str, Node], ...]:
        found: list[tuple[str, Node]] = []
        while not (self.next.kind == "operator" and self.next.text == ")"):
            if found:
                self.expect(",")
            name = ""
            after = self.tokens[min(self.i + 1, len(self.tokens) - 1)]
            if self.next.kind in ("name", "quoted") and after.kind == "operator" and after.text == "=":
                name = _plain_name(self.take())
                self.take()
            found.append((name, self.expression()))
        self.take()
        return tuple(found)


def read(text: str, whole: str | None = None, offset: int = 0) -> Node:
    """The tree of one R expression; errors point into `whole`, where the text stands at `offset`.

    >>> label(read("sin(2*pi*k/24)")), label(read("poly( x,2,raw=TRUE )"))
    ('sin(2 * pi * k/24)', 'poly(x, 2, raw = TRUE)')
    """
    reader = _Reader(text, text if whole is None else whole, offset)
    node = reader.expression()
    if reader.next.kind == "bad":
        raise reader.error(about_character(reader.next.text), reader.next)
    if reader.next.kind != "end":
        raise reader.unexpected(reader.next)
    return node


def label(node: Node) -> str:
    """R's print of the expression: what model.matrix puts in front of its column names."""
    if isinstance(node, Name):
        return quoted(node.text)
    if isinstance(node, Number):
        return f"{node.value:.0f}" if node.integer else number_label(node.value)
    if isinstance(node, Text):
        return '"' + re.sub(r'[\\"\n\t\r]', _escape, node.value) + '"'
    if isinstance(node, Truth):
        return "NA" if node.value is None else "TRUE" if node.value else "FALSE"
    values = [label(value) for _, value in node.arguments]
    if node.function == "(":
        return f"({values[0]})"
    if node.function in BINARY and len(values) == 2:
        space = "" if node.function in TIGHT else " "
        return f"{values[0]}{space}{node.function}{space}{values[1]}"
    if node.function in UNARY and len(values) == 1:
        return node.function + values[0]
    named = [f"{quoted(n)} = {v}" if n else v for (n, _), v in zip(node.arguments, values, strict=True)]
    return f"{node.function}({', '.join(named)})"


def _escape(character: re.Match[str]) -> str:
    return "\\" + ESCAPES.get(character[0], character[0])


def quoted(name: str) -> str:
    """The name as R prints it: in backticks where it is not syntactic."""
    plain = _SYNTACTIC.fullmatch(name) and name not in _RESERVED
    return name if plain else "`" + re.sub(r"[\\`\n\t\r]", _escape, name) + "`"


def number_label(value: float) -> str:
    """R's print of a number: at most 15 digits, scientific where that is shorter.

    >>> number_label(100000), number_label(0.1), number_label(1e-4), number_label(1234567)
    ('1e+05', '0.1', '1e-04', '1234567')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    value = value + 0.0  # no negative zero
    digits = next(d for d in range(1, 16) if d == 15 or float(f"{value:.{d - 1}e}") == float(f"{value:.14e}"))
    scientific = f"{value:.{digits - 1}e}"
    exponent = int(scientific.partition("e")[2])
    fixed = f"{value:.{max(0, digits - 1 - exponent)}f}"
    return fixed if len(fixed) <= len(scientific) else scientific


def names(node: Node) -> Iterator[Name]:
    """All columns that the expression names, in order of appearance."""
    if isinstance(node, Name):
        yield node
    elif isinstance(node, Call):
        for _, value in node.arguments:
            yield from names(value)
