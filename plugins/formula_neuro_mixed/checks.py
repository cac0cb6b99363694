"""What a mixed model must be told about its groups, before the fit and after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from formula_neuro.design import RandomTerm
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.kernels.rank import column_norms
from formula_neuro.kernels.structures import Structure
from formula_neuro.searches.simpler import simpler

from .terms import Term

SINGULAR = 1e-4  # of the largest standard deviation (at least the residual's): lme4's tolerance of isSingular


def check_groups(random: Sequence[RandomTerm]) -> tuple[str, ...]:
    """Notes on the grouping factors; DataError where one has a single level."""
    for term in random:
        if len(term.levels) < 2:
            raise DataError(
                f"{term.group} has one level only ({term.levels[0]}), but a random effect needs at least 2 "
                "(and 5 or more to be estimated well); leave the term out"
            )
    return tuple(
        f"{column} is constant within every level of {term.group}: the data hardly tell the variance of its slope "
        "from that of the intercept"
        for term in random
        for column in _constant_within(term)
    )


def check_residual(random: Sequence[RandomTerm], rows: int) -> tuple[str, ...]:
    """For Gaussian models: DataError where a factor has as many levels as rows, a note where effects do."""
    notes = []
    for term in random:
        levels, effects = len(term.levels), len(term.levels) * len(term.columns)
        if levels >= rows:
            raise DataError(
                f"{term.group} has {levels} levels for {rows} rows, but there must be fewer levels than rows: with one "
                "row a level the random effects and the residuals cannot be told apart; leave the term out"
            )
        told = term.structure in ("cs", "ar1") and not (term.structure == "cs" and term.hom)
        if effects >= rows and not told:  # what correlates tells its variance from the residuals'
            notes.append(
                f"({' + '.join(term.columns)} | {term.group}) has {effects} random effects for {rows} rows: "
                "their variances and the residual variance are probably not identified"
            )
    return tuple(notes)


def _constant_within(term: RandomTerm) -> list[str]:
    """Columns beside others that vary in the data but not within any level."""
    if len(term.columns) == 1:
        return []
    found = []
    for name, column in zip(term.columns, term.basis.T, strict=True):
        few = slice(0, 1000)  # which settle it for most columns
        if all(_by_level(term, column[rows], term.codes[rows]) for rows in (few, slice(None))) and np.ptp(column) > 0:
            found.append(name)
    return found


def _by_level(term: RandomTerm, column: Array, codes: NDArray[np.intp]) -> bool:
    """Whether every level has one value only."""
    value = np.empty(len(term.levels))
    value[codes] = column  # the last of each level
    return bool((value[codes] == column).all())


def singular_directions(terms: Sequence[Term], theta: Array) -> tuple[str, ...]:
    """One message per term whose covariance is on the boundary, naming the direction."""
    messages = []
    for index, term in enumerate(terms):
        if (lost := small_directions(term.template(theta))).any():
            what = " and ".join(_directions(term, theta, int(lost.sum())))
            change = simpler([t.given for t in terms], index)
            call = f": fn.refit(m, {change!r}) is simpler, fn.all_fit(m) looks from elsewhere" if change else ""
            messages.append(f"singular fit: {what}; the model has more random effects than the data support{call}")
    return tuple(messages)


def small_directions(L: Array) -> Array:
    """Which singular values (K,) of a template in inner coordinates count as 0."""
    return small(np.asarray(np.linalg.svd(L, compute_uv=False), dtype=float) if len(L) > 1 else np.abs(L[0]))


def small(values: Array) -> Array:
    """Which singular values of a template count as 0."""
    return np.asarray(values < SINGULAR * max(1.0, float(values.max())))


def _directions(term: Term, theta: Array, lost: int) -> list[str]:
    """In words: which variances are 0, or which correlations are -1 or 1."""
    if term.structure is not None:
        return _limits(term, term.structure, theta[term.theta])
    given, L = term.given, term.users_template(theta)
    sizes = np.sqrt((L**2).sum(axis=1))
    effect = sizes * column_norms(given.basis) / np.sqrt(len(given.basis))  # in units of the residual's
    zero = effect < SINGULAR * max(1.0, float(effect.max()))
    words = [
        f"the variance of {name} within {given.group} is estimated as 0"
        for name, is_zero in zip(given.columns, zero, strict=True)
        if is_zero
    ]
    rows = L / np.where(sizes > 0, sizes, 1.0)[:, None]
    for j in range(len(rows)):
        for i in range(j):
            r = float(rows[i] @ rows[j])
            if not zero[i] and not zero[j] and abs(r) > 1 - SINGULAR**2:
                words.append(
                    f"the correlation of {given.columns[i]} and {given.columns[j]} within {given.group} "
                    f"is estimated as {int(np.sign(r))}"
                )
    rank = term.K - lost
    return words or [f"the {term.K} effects within {given.group} vary in {rank} direction{'s' * (rank != 1)} only"]


def _limits(term: Term, structure: Structure, own: Array) -> list[str]:
    """The same of a covariance structure: variances of 0, and the correlation at a limit."""
    given, zero = term.given, structure.zero(own)
    what = f"the effects of {given.columns[0]} to {given.columns[-1]} within {given.group} ({given.structure})"
    if structure.hom and zero.all():
        return [f"the one variance of {what} is estimated as 0"]
    words = [
        f"the variance of {name} within {given.group} is estimated as 0"
        for name, is_zero in zip(given.columns, zero, strict=True)
        if is_zero
    ]
    if structure.limited(own):
        rho = structure.rho(own)
        least = rho < 0 and structure.correlation == "cs"
        limit = f"{rho:.3g}, the least that {term.K} effects can have" if least else f"{rho:.0f}"
        words.append(f"the correlation of {what} is estimated as {limit}")
    return words or [f"{what} do not vary in all directions"]
