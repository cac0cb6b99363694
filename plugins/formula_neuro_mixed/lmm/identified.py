"""Variances that the data cannot tell from others, or from the fixed part: found before the search, and named."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from formula_neuro.design import RandomTerm
from formula_neuro.family import Array
from formula_neuro.kernels.rank import Basis, independent_columns
from formula_neuro.result import RandomEffect

from ..terms import Term

DUST = 1e-14  # of the largest of theta: rounding
ABSORBED = 1e-10  # of a term's sum of squares: what may be left of it outside the columns of X


def about_identification(random: Sequence[RandomTerm]) -> tuple[str, ...]:
    """Notes on columns of a term that others make up, and on groups that are the same rows by another name."""
    return (*itertools.chain.from_iterable(map(_dependent, random)), *_same_levels(random))


def _dependent(term: RandomTerm) -> list[str]:
    columns, gram = np.array(term.columns), term.basis.T @ term.basis
    norms = np.sqrt(np.diag(gram))
    found = [
        f"{name} is 0 in all rows: nothing tells the variance of its effect within {term.group}"
        for name in columns[norms == 0]
    ]
    if len(columns) == 1 or found or np.linalg.eigvalsh(gram / np.outer(norms, norms))[0] > 1e-8:
        return found  # far from dependent
    lost = np.setdiff1d(np.arange(len(columns)), independent_columns(term.basis / norms))
    return [
        f"{name} is a linear combination of the other columns that vary within {term.group}: "
        "the data cannot tell their variances apart; leave one out"
        for name in columns[lost]
    ]


def _same_levels(random: Sequence[RandomTerm]) -> list[str]:
    found = []
    for one, two in itertools.combinations(random, 2):
        shared = [name for name in one.columns if name in two.columns]
        m = len(one.levels)
        if one.group == two.group or m != len(two.levels) or not shared:
            continue
        if len(np.unique(one.codes.astype(np.int64) * m + two.codes)) == m:
            found.append(
                f"{one.group} and {two.group} group the rows in the same way, so that the data cannot tell the "
                f"variances of {' and '.join(shared)} within them apart; keep one"
            )
    return found


def absorbed(random: Sequence[RandomTerm], weights: Array, basis: Basis) -> dict[int, list[str]]:
    """The columns of each term whose effects lie in the columns of X: under REML nothing tells their variances.

    weights (n,) of the rows, basis of the columns of sqrt(w) X.
    """
    root = np.sqrt(weights)
    found = {}
    for index, term in enumerate(random):
        if len(term.levels) > basis.rank:  # a column of a term has that many independent ones in Z
            continue
        inside = [_inside(column * root, term, basis) for column in term.basis.T]
        if any(inside):
            found[index] = [name for name, taken in zip(term.columns, inside, strict=True) if taken]
    return found


def _inside(column: Array, term: RandomTerm, basis: Basis) -> bool:
    """Whether nothing is left of Z (n, levels), the column's parts in the levels, beside Q Q'Z."""
    QZ = [np.bincount(term.codes, column * q, len(term.levels)) for q in basis.Q.T]
    whole = float(column @ column)
    return whole - float((np.array(QZ) ** 2).sum()) <= ABSORBED * whole


def set_to_zero(random: Sequence[RandomTerm], taken: Mapping[int, list[str]]) -> dict[int, list[str]]:
    """The columns whose variances are set to 0: all of them but parts of a covariance that has a structure."""
    return {i: names for i, names in taken.items() if random[i].structure == "us" or _whole(random[i], names)}


def _whole(term: RandomTerm, names: Sequence[str]) -> bool:
    return len(names) == len(term.columns)


def without(term: RandomTerm, names: Sequence[str]) -> RandomTerm | None:
    """The term without some of its columns; None where nothing is left."""
    if not names:
        return term
    kept = [k for k, name in enumerate(term.columns) if name not in names]
    if not kept:
        return None
    return replace(term, columns=tuple(term.columns[k] for k in kept), basis=term.basis[:, kept], parts=())


def widened(smaller: Sequence[Term], terms: Sequence[Term], theta: Array) -> Array:
    """theta of all terms from that of what `without` left of them: no variance in the columns that are gone."""
    left, found = list(smaller), []
    for term in terms:
        F = np.zeros((term.K, term.K))
        if left and left[0].given.group == term.given.group and set(left[0].given.columns) <= set(term.given.columns):
            own = left.pop(0)
            kept = [term.given.columns.index(name) for name in own.given.columns]
            F[np.ix_(kept, range(own.K))] = own.users_template(theta)
        found.append(term.theta_of(np.asarray(np.linalg.solve(term.change, F), dtype=float)))
    whole = np.concatenate(found)
    return np.where(np.abs(whole) < DUST * np.abs(whole).max(), 0.0, whole)


def cleared(effects: tuple[RandomEffect, ...], gone: Mapping[int, Sequence[str]]) -> tuple[RandomEffect, ...]:
    """The effects with exact zeros, where rounding is left, of columns whose variances are set to 0."""
    found = list(effects)
    for i, names in gone.items():
        kept = np.array([name not in names for name in effects[i].columns], dtype=float)
        found[i] = replace(
            effects[i],
            covariance=effects[i].covariance * np.outer(kept, kept),
            modes=effects[i].modes * kept,
            mode_covariance=effects[i].mode_covariance * np.outer(kept, kept),
        )
    return tuple(found)


def about_absorbed(random: Sequence[RandomTerm], taken: Mapping[int, list[str]]) -> tuple[str, ...]:
    """Notes on such columns, and on what was done about them."""
    gone = set_to_zero(random, taken)
    return tuple(
        f"the fixed part has a coefficient for every effect of {' and '.join(columns)} within {random[i].group}, so "
        f"that nothing tells {'their variances' if len(columns) > 1 else 'its variance'}"
        f"{', set to 0' if i in gone else ', on which standard errors depend'}; leave one of the two out"
        for i, columns in taken.items()
    )
