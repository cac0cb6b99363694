"""Hypotheses about coefficients as text, "treatment2 - treatment3 = 0", and as rows of a matrix."""

from __future__ import annotations

import itertools
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FormulaError
from ..family import Array
from ..nearest import nearest


def as_rows(given: Any, names: Sequence[str]) -> tuple[Array, Array, list[str]]:
    """The matrix L (q, p), the values r (q,) and a label a row of the hypothesis L b = r.

    given: a text, a list of texts (tested jointly), a mapping from coefficient to weight, a vector (p,) or
    a matrix (q, p). Raises FormulaError for a text that cannot be read, ValueError for a wrong shape.

    >>> as_rows("b - 2*c = 1", ["a", "b", "c"])
    (array([[ 0.,  1., -2.]]), array([1.]), ['b - 2*c = 1'])
    """
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        L, labels = _weights(given, names), [_sum_of(given)]
    elif isinstance(given, Sequence) and given and all(isinstance(row, str) for row in given):
        rows, values = zip(*(read(text, names) for text in given), strict=True)
        return np.array(rows), np.array(values), list(given)
    else:
        L = _numbers(given, names)
        labels = [f"row {i + 1}" for i in range(len(L))]
    if not np.isfinite(L).all():
        raise ValueError("a contrast's weights are numbers, none missing or infinite")
    empty = [name for name, row in zip(labels, L, strict=True) if not row.any()]
    if empty:
        raise ValueError(f"{empty[0]} of the contrast has no weight but 0, so there is nothing to test")
    return L, np.zeros(len(L)), labels


def check_consistent(L: Array, value: Array) -> None:
    """Rows that are combinations of others must have the same combination of values."""
    U, d, _ = np.linalg.svd(L)
    rank = int((d > d[0] * 1e-10).sum())
    gap = U[:, rank:].T @ value
    if (np.abs(gap) > 1e-8 * np.abs(value).max(initial=0.0)).any():
        raise ValueError(
            "the hypotheses contradict one another, so they cannot be tested together; test them one by one"
        )


def _weights(given: Mapping[str, float], names: Sequence[str]) -> Array:
    unknown = [name for name in given if name not in names]
    if unknown or not given:
        raise ValueError(f"{unknown[0] if unknown else given!r} is not a coefficient; there are {', '.join(names)}")
    strange = [name for name, weight in given.items() if not isinstance(weight, (int, float, np.number))]
    if strange:
        raise ValueError(f"the weight of {strange[0]} is a number, not {given[strange[0]]!r}")
    return np.array([[float(given.get(name, 0.0)) for name in names]])


def _sum_of(given: Mapping[str, float]) -> str:
    return " + ".join(f"{weight:g}*{name}" for name, weight in given.items()).replace("+ -", "- ")


def _numbers(given: Any, names: Sequence[str]) -> Array:
    wanted = f"one weight a coefficient ({len(names)}: {', '.join(names)})"
    try:
        L = np.atleast_2d(np.asarray(given, dtype=float))
    except (TypeError, ValueError):
        raise ValueError(
            f"a contrast is a text, a list of texts, a mapping, or numbers, {wanted}; got {reprlib.repr(given)}"
        ) from None
    if L.ndim != 2 or L.shape[1] != len(names):
        raise ValueError(f"a contrast needs {wanted}, got numbers of shape {np.shape(given)}")
    return L


_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[\w.]")


@dataclass(frozen=True)
class _Token:
    kind: str  # "name", "number", "sign", "end"
    text: str
    at: int


def read(text: str, names: Sequence[str]) -> tuple[Array, float]:
    """One linear hypothesis: the weights (p,) and the value on the right of '=' (0 without one).

    Coefficient names match longest first, also in backticks: `a:b` and `I(x^2)` need no quoting.
    """
    tokens = _tokens(text, names)
    places = [i for i, token in enumerate(tokens) if token.text == "=" and token.kind == "sign"]
    if len(places) > 1:
        raise FormulaError("a hypothesis has one '=' only", text, tokens[places[1]].at)
    cut = places[0] if places else len(tokens) - 1
    end = [_Token("end", "", tokens[cut].at)]
    weights, constant = _sum([*tokens[:cut], *end], text, names)
    if places:
        other, value = _sum(tokens[cut + 1 :], text, names)
        weights, constant = weights - other, constant - value
    if not weights.any():
        raise FormulaError(f"no coefficient is named here; there are {', '.join(names)}", text, 0)
    if not np.isfinite([*weights, constant]).all():
        raise FormulaError("the numbers of this hypothesis are too large", text, 0)
    return weights, 0.0 - constant


def _tokens(text: str, names: Sequence[str]) -> list[_Token]:
    longest_first = sorted(names, key=len, reverse=True)
    found: list[_Token] = []
    at = 0
    while at < len(text):
        name, written = _name_at(text, at, longest_first)
        number = _NUMBER.match(text, at)
        if written:
            found.append(_Token("name", name, at))
        elif number:
            found.append(_Token("number", number[0], at))
        elif text.startswith("==", at):  # as multcomp writes it
            found.append(_Token("sign", "=", at))
            at += 1
        elif text[at] in "+-*/=":
            found.append(_Token("sign", text[at], at))
        elif text[at] in "()":
            raise FormulaError("brackets are not multiplied out here; write the terms one by one", text, at)
        elif not text[at].isspace():
            raise FormulaError(f"expected a coefficient here{_hint(text, at, names)}", text, at)
        at += len(written or (number[0] if number else " "))
    return [*found, _Token("end", "", len(text))]


def _hint(text: str, at: int, names: Sequence[str]) -> str:
    """What was probably meant by what starts here."""
    if text[at] in "<>":
        return "; one-sided tests are asked for by alternative='greater' or 'less'"
    if text[at] in ",;":
        return "; hypotheses that are tested together stand in a list, ['a = 0', 'b = 0']"
    word = re.match(r"[\w.:]+", text[at:])
    bare = {re.sub(r"(?:as\.)?(?:factor|C)?\(([^()]*)\)", r"\1", name): name for name in names}  # factor(f)b: fb
    near = nearest(word[0], bare) if word else None
    return f"{f'; did you mean {bare[near]}?' if near else ''} (there are {', '.join(names)})"


def _name_at(text: str, at: int, names: Sequence[str]) -> tuple[str, str]:
    """The longest coefficient that starts here and is not part of a longer word, and how it is written.

    Names stand as they are printed, in backticks, or, where none stands so, with other blanks: `I(2*x)`.
    """
    for name in names:
        for written in (name, f"`{name}`"):
            if text.startswith(written, at) and not _runs_on(written, text, at):
                return name, written
    for name in names:
        match = _loosely(name).match(text, at)
        if match and not _runs_on(match[0], text, at):
            return name, match[0]
    return "", ""


def _loosely(name: str) -> re.Pattern[str]:
    """The name with any blanks around its signs; between two words a blank stays one."""
    words = re.findall(r"\w+|[^\w\s]", name)
    gaps = [r"\s+" if _WORD.match(a[-1]) and _WORD.match(b[0]) else r"\s*" for a, b in itertools.pairwise(words)]
    return re.compile("".join(re.escape(word) + gap for word, gap in zip(words, [*gaps, ""], strict=True)))


def _runs_on(written: str, text: str, at: int) -> bool:
    after = text[at + len(written) : at + len(written) + 1]
    return bool(_WORD.match(after)) and bool(_WORD.match(written[-1]))


def _sum(tokens: list[_Token], text: str, names: Sequence[str]) -> tuple[Array, float]:
    """Signed terms up to the end token: number, name, number*name, name/number; weights (p,) and the constant."""
    weights, constant, i = np.zeros(len(names)), 0.0, 0
    while True:
        sign = 1.0
        while tokens[i].text in ("+", "-") and tokens[i].kind == "sign":
            sign, i = (-sign if tokens[i].text == "-" else sign), i + 1
        factor, name, i = _product(tokens, i, text)
        if name:
            weights[list(names).index(name)] += sign * factor
        else:
            constant += sign * factor
        if tokens[i].kind == "end":
            return weights, constant
        if tokens[i].text not in ("+", "-"):
            raise FormulaError("expected a sign here: + or -", text, tokens[i].at)


def _product(tokens: list[_Token], i: int, text: str) -> tuple[float, str, int]:
    """Numbers and at most one coefficient joined by * and /: their factor, the name, and the next place."""
    factor, name, operator = 1.0, "", "*"
    while True:
        token = tokens[i]
        if token.kind == "number" and operator == "/" and float(token.text) == 0:
            raise FormulaError("division by zero", text, token.at)
        if token.kind == "number":
            factor = factor * float(token.text) if operator == "*" else factor / float(token.text)
        elif token.kind == "name" and not name and operator == "*":
            name = token.text
        else:
            what = (
                "the hypothesis ends too early" if token.kind == "end" else "expected a number or one coefficient here"
            )
            raise FormulaError(what, text, token.at)
        i += 1
        if tokens[i].kind != "sign" or tokens[i].text not in "*/":
            return factor, name, i
        operator, i = tokens[i].text, i + 1
