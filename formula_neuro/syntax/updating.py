"""R's update.formula: a formula changed by another in which `.` stands for what was there, `. ~ . - x + z`."""

from __future__ import annotations

from dataclasses import replace

from ..errors import FormulaError
from ..formula import Bar, Formula, Part, parse
from .bars import HOMOGENEOUS
from .expression import Token, label, tokens


def updated(old: Formula, change: str) -> str:
    """The text of `old` as `change` has it, in R's order of terms; a `change` without `.` stays as it is typed.

    Without a left side the response stays. Random terms and offsets are added and taken away like any other term.
    Raises FormulaError, as for what is taken away and is not there.

    >>> updated(parse("y ~ x * f + (1 | g)"), ". ~ . - x:f + log(z)")
    'y ~ x + f + log(z) + (1 | g)'
    >>> updated(parse("y ~ x + (1 | g) + (1 | h)"), "sqrt(.) ~ . - (1 | h)")
    'sqrt(y) ~ x + (1 | g)'
    """
    found = list(tokens(change))
    tilde = next((i for i, token in enumerate(found) if token.text == "~" and token.kind == "operator"), None)
    if tilde is None:
        raise FormulaError("a change of a formula needs a '~', as in '. ~ . - x'", change, 0)
    left, right = found[:tilde], found[tilde + 1 : -1]
    if left and not any(_is_dot(token) for token in found):
        return change
    response = label(old.response) if old.response is not None else ""
    right, rest = _without_removed(right, old, change)
    new_left = _filled(left, change, response) if left else response
    new_right = _filled(right, change, f"({_as_typed(rest, old)})")
    return text_of(parse(f"{new_left} ~ {new_right}"))


def text_of(formula: Formula) -> str:
    """The formula written anew: main effects first, then interactions, random terms and offsets.

    >>> text_of(parse("y ~ 0 + a*b + (x || g)"))
    'y ~ a + b + a:b + (1 | g) + (0 + x | g) - 1'
    """
    response = f"{label(formula.response)} " if formula.response is not None else ""
    return f"{response}~ {_right(formula)}"


def _right(formula: Formula) -> str:
    fixed = _terms(formula.fixed)
    others = (
        [_map(part) for part in formula.spatial]
        + [_bar(bar) for bar in formula.bars]
        + [f"offset({label(node)})" for node in formula.offsets]
    )
    if not fixed:
        fixed = ["1"] if formula.fixed.intercept else ["0"]
        return " + ".join([*fixed, *others])
    return " + ".join([*fixed, *others]) + ("" if formula.fixed.intercept else " - 1")


def _as_typed(rest: Formula, old: Formula) -> str:
    """The right side of a formula as it was typed, so that its variables keep their order; anew where it cannot be."""
    found = list(tokens(old.text))
    if rest != old or any(_is_dot(token) for token in found):
        return _right(rest)
    tilde = next(token for token in found if token.text == "~" and token.kind == "operator")
    return old.text[tilde.end :].strip()


def _terms(part: Part) -> list[str]:
    return [":".join(label(part.variables[i]) for i in term) for term in part.terms]


def _map(part: Part) -> str:
    return f"s({' + '.join([*([] if part.intercept else ['0']), *_terms(part)]) or '1'})"


def _bar(bar: Bar) -> str:
    columns = _terms(bar.part)
    left = " + ".join(["1" if bar.part.intercept else "0", *columns]) if columns else "1"
    tag = "" if bar.structure == "us" else bar.structure
    hom = "" if bar.hom == HOMOGENEOUS[bar.structure] else f", hom = {str(bar.hom).upper()}"
    return f"{tag}({left} | {':'.join(label(node) for node in bar.group)}{hom})"


# ---- the change ----------------------------------------------------------------------------------
def _is_dot(token: Token) -> bool:
    return token.kind == "name" and token.text == "."


def _filled(side: list[Token], change: str, old: str) -> str:
    """The text of a side, `.` replaced by what stood there."""
    found = []
    for before, token in zip([None, *side], side, strict=False):
        blank = " " if before is not None and token.at > before.end else ""
        found.append(blank + (old if _is_dot(token) else change[token.at : token.end]))
    return "".join(found)


def _without_removed(side: list[Token], old: Formula, change: str) -> tuple[list[Token], Formula]:
    """The right side without `- (1 | g)`, `- s(x)` and `- offset(x)`, and the formula that has lost them."""
    i, kept = 0, list[Token]()
    while i < len(side):
        stop = _removed_until(side, i)
        if stop is None:
            kept.append(side[i])
            i += 1
            continue
        old = _lose(old, change[side[i + 1].at : side[stop - 1].end], change, side[i].at)
        i = stop
    return kept, old


def _removed_until(side: list[Token], i: int) -> int | None:
    """Where `- (...|...)`, `- tag(...|...)`, `- s(...)` or `- offset(...)` from i on ends; None for anything else."""
    if side[i].text != "-" or i + 1 >= len(side):
        return None
    named = side[i + 1].kind == "name"
    opening = i + 1 + named
    if opening >= len(side) or side[opening].text != "(":
        return None
    depth, bars = 0, False
    for j in range(opening, len(side)):
        depth += {"(": 1, ")": -1}.get(side[j].text, 0)
        bars |= side[j].text in ("|", "||") and depth == 1
        if depth == 0:
            return j + 1 if bars or side[i + 1].text in ("s", "offset") else None
    return None


def _lose(old: Formula, text: str, change: str, at: int) -> Formula:
    if text.startswith("offset"):
        gone = parse(f"~ {text}").offsets
        left = tuple(node for node in old.offsets if node not in gone)
        if len(left) < len(old.offsets):
            return replace(old, offsets=left)
    elif text.startswith("s("):
        maps = [_map(part) for part in parse(f"~ {text}").spatial]
        kept = tuple(part for part in old.spatial if _map(part) not in maps)
        if len(kept) < len(old.spatial):
            return replace(old, spatial=kept)
    else:
        wanted = {_bar(bar) for bar in parse(f"~ {text}").bars}
        bars = tuple(bar for bar in old.bars if _bar(bar) not in wanted)
        if len(bars) == len(old.bars) - len(wanted):
            return replace(old, bars=bars)
    offsets = [f"offset({label(node)})" for node in old.offsets]
    has = ", ".join([*map(_map, old.spatial), *map(_bar, old.bars), *offsets]) or "none"
    raise FormulaError(
        f"{text} is not in the formula, so it cannot be taken away (s(...), random terms and offsets: {has})",
        change,
        at,
    )
