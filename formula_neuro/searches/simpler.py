"""A mixed model's next simpler one, as the change of formula that refit() takes."""

from __future__ import annotations

from collections.abc import Sequence

from ..columns.matrices import RandomTerm


def as_bar(term: RandomTerm, kept: Sequence[str] | None = None) -> str:
    """The random term as it is written in a formula, "(x | g)", with some of its parts only; "" where none is left.

    A part is a term left of the bar: the intercept, a slope variable, all columns of a factor.
    """
    names = [part.name for part in term.parts if kept is None or part.name in kept]
    others = [name for name in names if name != "(Intercept)"]
    if not names:
        return ""
    if not others:
        return f"(1 | {term.group})"
    return f"({'' if '(Intercept)' in names else '0 + '}{' + '.join(others)} | {term.group})"


def simpler(random: Sequence[RandomTerm], term: int | None = None) -> str:
    """The change of formula that leaves out the last part of a term, or the term; "" where that cannot be written.

    Without an index the term with the most columns is made simpler.

    >>> import formula_neuro as fn
    >>> d = fn.model_matrix("dff ~ lick + (lick | mouseID)", fn.datasets.waterlick())
    >>> simpler(d.random)
    '. ~ . - (lick | mouseID) + (1 | mouseID)'
    """
    if not random:
        return ""
    index = max(range(len(random)), key=lambda i: len(random[i].columns)) if term is None else term
    one = random[index]
    if one.structure != "us" or not one.parts:
        return ""
    left = as_bar(one, [part.name for part in one.parts[:-1]])
    return f". ~ . - {as_bar(one)}{f' + {left}' if left else ''}"


def ways_on(random: Sequence[RandomTerm]) -> str:
    """What to call where a search has not ended well: more steps, other optimizers, a simpler model."""
    change = simpler(random)
    last = f", and fn.refit(m, {change!r}) is simpler" if change else ""
    return f"fn.refit(m, start=m, iterations=1000) goes on, fn.all_fit(m) tries other optimizers and starts{last}"
