"""Which random effects a prediction takes in: all, none, or those that a formula names, as lme4's re.form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...design import Design, RandomTerm
from ...errors import FormulaError, NewLevels, Unable
from ...family import Array
from ...formula import parse
from ...result import Fit
from ...syntax.bars import Bar
from ...syntax.expression import label


@dataclass(frozen=True, eq=False)
class Conditioned:
    """The columns (K,) of every random term whose modes a prediction adds."""

    columns: tuple[NDArray[np.bool_], ...]

    @property
    def places(self) -> tuple[int, ...]:
        """The terms of which any column is taken in."""
        return tuple(i for i, own in enumerate(self.columns) if own.any())

    @property
    def all(self) -> bool:
        return all(own.all() for own in self.columns)

    @property
    def whole(self) -> bool:
        """Whether every term is taken in with all its columns or with none."""
        return all(own.all() or not own.any() for own in self.columns)


def conditioned(fit: Fit, random: bool | str) -> Conditioned:
    """What `random` asks for: True, False, or a formula as "~ (1 | mouse)" that names terms of the fit.

    Raises FormulaError for a term that the fit has not.
    """
    terms = fit.request.design.random if fit.random else ()
    if isinstance(random, bool):
        return Conditioned(tuple(np.full(len(term.columns), random) for term in terms))
    if not isinstance(random, str):
        raise ValueError(f"random= is True, False or a formula of random terms as '~ (1 | mouse)'; got {random!r}")
    asked = parse(random if "~" in random else f"~ {random}")
    if asked.fixed.terms or asked.offsets or not asked.bars:
        raise FormulaError("random= names random terms only, as '~ (1 | mouse)'", random, 0)
    masks = [np.zeros(len(term.columns), dtype=bool) for term in terms]
    for bar in asked.bars:
        names = _names(bar)
        i = next((i for i, own in enumerate(terms) if own.group == bar.name and names <= _parts(own)), None)
        if i is None:
            has = ", ".join(f"({' + '.join(own.columns)} | {own.group})" for own in terms) or "none"
            raise FormulaError(
                f"({' + '.join(sorted(names))} | {bar.name}) is no random term of the fit ({has})", random
            )
        for part in terms[i].parts:
            masks[i][part.start : part.stop] |= part.name in names
    return Conditioned(tuple(masks))


def _names(bar: Bar) -> set[str]:
    names = {":".join(label(bar.part.variables[i]) for i in term) for term in bar.part.terms}
    return names | ({"(Intercept)"} if bar.part.intercept else set())


def _parts(term: RandomTerm) -> set[str]:
    return {part.name for part in term.parts}


def contribution(fit: Fit, design: Design, chosen: Conditioned, new_levels: str) -> Array:
    """Z u (n,) of the chosen effects; a level that was not seen is an error, or has effects of zero."""
    total = np.zeros(len(design.rows))
    for term, effect, own in zip(design.random, fit.random, chosen.columns, strict=True):
        if not own.any():
            continue
        if new_levels == "error":
            _check_levels(term)
        modes = np.vstack([effect.modes, np.zeros(effect.modes.shape[1])])  # code -1: the last row, zero
        total += np.einsum("nk,nk->n", term.basis * own, modes[term.codes])
    return total


def _check_levels(term: RandomTerm) -> None:
    strange = term.codes < 0
    if strange.any():
        raise NewLevels(
            f"{term.group}: {int(strange.sum())} of {len(strange)} rows have a level that did not occur when the "
            "model was fitted, or none; predict(..., new_levels='zero') gives them a random effect of zero, "
            "random=False leaves all random effects out"
        )


def check_whole(chosen: Conditioned) -> None:
    if not chosen.whole:
        raise Unable(
            "interval='prediction' takes a random term in or leaves it out with all its columns; "
            "name whole terms in random=, or take interval='confidence'"
        )
