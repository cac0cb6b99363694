"""nlme's way of saying random effects, in lme4's bars: from_nlme().

`random = list(midx = ~1, cidx = ~treatment)` becomes (1 | midx) + (treatment | midx:cidx); pdDiag, pdIdent,
pdCompSymm and pdBlocked become structures of bars, varIdent and corAR1 the residual= of an estimator (Pinheiro & Bates
2000, chapters 4 and 5). Texts are read, never run.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import FormulaError
from ..estimator import ML, REML
from ..estimator.residual_structure import AR1, ResidualStructure, VarIdent
from . import nlme_words

if TYPE_CHECKING:
    from ..estimator import Estimator

FULL = ("pdSymm", "pdLogChol", "pdNatural", "reStruct")  # a variance for each column and all correlations
STRUCTURES = (*FULL, "pdDiag", "pdIdent", "pdCompSymm", "pdBlocked")
WIDTH = 95  # of printed lines
NAME = r"(?:[A-Za-z.][\w.]*|`[^`]+`)"


@dataclass(frozen=True)
class Block:
    """The effects of one grouping factor that vary together: `columns` as left of a bar, `structure` as nlme's."""

    columns: str
    group: tuple[str, ...]  # from the outermost on
    structure: str = "pdLogChol"

    def __str__(self) -> str:
        group = ":".join(self.group)
        if self.structure == "pdDiag":
            return f"(1 | {group})" if self.columns == "1" else f"diag({self.columns} | {group})"
        if self.structure == "pdIdent":
            return f"(1 | {group})" if self.columns == "1" else f"diag({self.columns} | {group}, hom = TRUE)"
        if self.structure == "pdCompSymm":
            return f"cs({self.columns} | {group}, hom = TRUE)"
        return f"({self.columns} | {group})"


@dataclass(frozen=True)
class FromNlme:
    """A model of nlme's in this package's words: `fn.fit(t.formula, data, estimator=t.estimator)`.

    `explanation` says, in sentences, what nlme does with such a call and what is the same here.
    """

    formula: str
    estimator: Estimator
    explanation: tuple[str, ...]

    def __str__(self) -> str:
        named = re.sub(r"\b(\w+\()", r"fn.\1", repr(self.estimator))
        how = "" if self.estimator == REML() else f", estimator={named}"
        said = [textwrap.fill(f"- {text}", WIDTH, subsequent_indent="  ") for text in self.explanation]
        return "\n".join([f'fn.fit("{self.formula}", data{how})', *said])

    __repr__ = __str__


def from_nlme(
    fixed: str,
    random: str | Mapping[str, str] | None = None,
    *,
    weights: str | None = None,
    correlation: str | None = None,
    method: str = "REML",
    data: Any = None,
) -> FromNlme:
    """The formula in lme4's bars, and the estimator, that a call of nlme's lme() stands for.

    fixed: the fixed formula, "res ~ treatment"; or the whole call as it stands in R, "lme(res ~ treatment, ...)".
    random: as in R, "~ 1 | a/b", "list(midx = ~1, cidx = ~treatment)", "list(g = pdDiag(~x))"; or a mapping from group
    to formula, {"midx": "~1", "cidx": "~treatment"}, from the outermost group on.
    weights, correlation: "varIdent(form = ~1 | g)", "corAR1(form = ~time | g)". method: "REML" or "ML".
    data: a table, to be told where rows are too few for the effects.

    Raises FormulaError for what has no counterpart here.

    >>> from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~treatment)").formula
    'res ~ treatment + (1 | midx) + (treatment | midx:cidx)'
    >>> from_nlme("lme(y ~ x, d, random = ~x | a/b, method = 'ML')").formula
    'y ~ x + (x | a/b)'
    """
    if re.match(r"\s*(?:nlme\s*::\s*)?lme\s*\(", fixed):
        fixed, random, weights, correlation, method = _of_call(fixed, random, weights, correlation, method)
    if "~" not in fixed:
        raise FormulaError("the fixed part is a formula, as 'res ~ treatment'", fixed, 0)
    if random is None:
        raise FormulaError("lme() takes random effects: give random='~1 | g' or 'list(a = ~1, b = ~x)'", fixed, 0)
    blocks, bars = _random(random)
    word = method.strip("\"' ").upper()
    if word not in ("REML", "ML"):
        raise ValueError(f"method={method!r} is not known; there are 'REML' and 'ML'")
    residual = tuple(_structures(weights, correlation))
    estimator = (REML if word == "REML" else ML)(residual=residual)
    listed = isinstance(random, Mapping) or random.lstrip().startswith("list")
    return FromNlme(" + ".join([fixed.strip(), *bars]), estimator, nlme_words.explanation(blocks, listed, data))


# ---- the call ------------------------------------------------------------------------------------
ARGUMENTS = (
    "fixed", "data", "random", "correlation", "weights", "subset", "method", "na.action", "control", "contrasts",
    "keep.data",
)  # fmt: skip


def _of_call(
    text: str, random: Any, weights: str | None, correlation: str | None, method: str
) -> tuple[str, Any, str | None, str | None, str]:
    """The arguments of lme(...), by name or by place as R matches them."""
    inside = _inside(text, text.index("("))
    given: dict[str, str] = {}
    for name, value in _arguments(inside):
        place = name or next(argument for argument in ARGUMENTS if argument not in given)
        if place not in ARGUMENTS:
            raise FormulaError(
                f"lme() has no argument {place!r}; it has {', '.join(ARGUMENTS)}", text, text.find(place)
            )
        given[place] = value
    lost = [name for name in ("subset", "contrasts") if name in given]
    if lost:
        where = text.find(lost[0])
        raise FormulaError(f"{lost[0]}= belongs to fn.fit(..., {lost[0]}=...); leave it out here", text, where)
    if "fixed" not in given:
        raise FormulaError("lme() without a fixed formula", text, 0)
    return (
        given["fixed"],
        random or given.get("random"),
        weights or given.get("weights"),
        correlation or given.get("correlation"),
        given.get("method", method),
    )


def _inside(text: str, opening: int) -> str:
    """What stands between a bracket and the one that closes it; nothing but spaces may follow."""
    depth = 0
    for i in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            if text[i + 1 :].strip():
                raise FormulaError("something stands behind the closing bracket", text, i + 1)
            return text[opening + 1 : i]
    raise FormulaError("a bracket is not closed", text, opening)


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    """(name or "", value) of what commas outside brackets and quotes separate."""
    depth, start, quote = 0, 0, ""
    for i, sign in enumerate(f"{text},"):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "," and depth == 0:
            piece = text[start:i].strip()
            start = i + 1
            named = re.match(rf"({NAME})\s*=(?!=)\s*(.*)", piece, re.DOTALL)
            if piece:
                yield (named[1].strip("`"), named[2].strip()) if named else ("", piece)


# ---- random effects ------------------------------------------------------------------------------
def _random(given: str | Mapping[str, str]) -> tuple[list[Block], list[str]]:
    """The blocks, and the bars that say them."""
    if isinstance(given, Mapping):
        blocks = _nested([(str(name), str(value)) for name, value in given.items()], str(dict(given)))
        return blocks, [str(block) for block in blocks]
    text = given.strip()
    call = re.match(r"(\w+)\s*\(", text)
    if call and call[1] == "list":
        items = list(_arguments(_inside(text, text.index("("))))
        if any(not name for name, _ in items) or not items:
            raise FormulaError("each item of the list is named by its grouping factor, as list(midx = ~1)", text, 0)
        blocks = _nested(items, text)
        return blocks, [str(block) for block in blocks]
    if call:
        raise FormulaError(
            f"{call[1]}(...) says no grouping factor (nlme takes it from a groupedData object): name it, as "
            f"list(midx = {text})",
            text,
            0,
        )
    columns, _, path = text.removeprefix("~").partition("|")
    if not text.startswith("~") or not path.strip():
        raise FormulaError("random effects are '~ columns | group', as '~1 | midx/cidx', or a list", text, 0)
    names = [name.strip() for name in path.split("/")]
    strange = [name for name in names if not re.fullmatch(NAME, name)]
    if strange:
        raise FormulaError("right of the bar stand grouping columns, nested by '/'", text, text.find("|") + 1)
    blocks = [Block(_columns(columns, text), tuple(names[: i + 1])) for i in range(len(names))]
    return blocks, [f"({blocks[0].columns} | {'/'.join(names)})"]


def _nested(items: list[tuple[str, str]], text: str) -> list[Block]:
    """Each group within those before it in the list, as nlme has it."""
    names = [name for name, _ in items]
    return [block for i, (_, value) in enumerate(items) for block in _blocks(value, tuple(names[: i + 1]), text)]


def _blocks(value: str, group: tuple[str, ...], text: str) -> list[Block]:
    value = value.strip()
    if value.startswith("~"):
        if "|" in value:
            raise FormulaError("the group stands before the '=' of the list, not right of a bar too", text, 0)
        return [Block(_columns(value[1:], text), group)]
    call = re.match(r"(?:nlme\s*::\s*)?(\w+)\s*\(", value)
    if call is None or call[1] not in STRUCTURES:
        known = ", ".join(name for name in STRUCTURES if name != "reStruct")
        raise FormulaError(f"{value!r} is no formula such as ~1 and none of {known}", text, max(text.find(value), 0))
    inner = list(_arguments(_inside(value, value.index("("))))
    if call[1] == "pdBlocked":
        parts = inner[0][1] if inner else ""
        listed = _arguments(_inside(parts, parts.index("("))) if parts.startswith("list") else iter(())
        return [block for _, part in listed for block in _blocks(part, group, text)]
    formula = next((v for name, v in inner if name in ("", "form", "object", "value") and v.startswith("~")), None)
    if formula is None:
        raise FormulaError(f"{call[1]}() takes a formula, as {call[1]}(~x)", text, max(text.find(value), 0))
    structure = "pdLogChol" if call[1] in FULL else call[1]
    return [Block(_columns(formula[1:], text), group, structure)]


def _columns(text: str, whole: str) -> str:
    columns = " ".join(text.split())
    if not columns:
        raise FormulaError("left of the bar stand the columns that vary; ~1 for an intercept", whole, 0)
    return columns


# ---- residuals -----------------------------------------------------------------------------------
def _structures(weights: str | None, correlation: str | None) -> Iterator[ResidualStructure]:
    if weights is not None:
        form = rf"(?:form\s*=\s*)?~\s*1\s*\|\s*({NAME})\s*"
        found = re.fullmatch(rf"\s*(?:nlme\s*::\s*)?varIdent\s*\(\s*{form}\)\s*", weights)
        if found is None:
            raise FormulaError(
                "of nlme's variance functions there is varIdent(form = ~1 | group), with one column as group; "
                "weights by a known variance are fn.fit(..., weights=)",
                weights,
                0,
            )
        yield VarIdent(found[1].strip("`"))
    if correlation is not None:
        start = r"(?:(?:value\s*=\s*)?-?[\d.]+\s*,?\s*)?"  # a value to begin from
        form = r"(?:form\s*=\s*)?~\s*(\S+?)\s*(?:\|\s*([^)]+?)\s*)?"
        found = re.fullmatch(rf"\s*(?:nlme\s*::\s*)?corAR1\s*\(\s*{start}(?:{form})?\)\s*", correlation)
        if found is None:
            raise FormulaError(
                "of nlme's correlations there is corAR1(form = ~time | group); its starting value is not needed",
                correlation,
                0,
            )
        time = None if found[1] in (None, "1") else found[1].strip("`")
        group = None if found[2] is None or "/" in found[2] else found[2].strip("`")
        yield AR1(time, group)
