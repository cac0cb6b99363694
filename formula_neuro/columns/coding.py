"""R's rules for the columns of a model matrix: which factors are coded by contrasts, which ones, and their names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.values import Categorical, Contrast
from ..errors import DataError
from ..family import Array


@dataclass(frozen=True, eq=False)
class Coding:
    """A factor's columns: row i of `matrix` (levels, columns) is what level i contributes."""

    matrix: Array
    names: tuple[str, ...]  # what follows the label


def full(levels: tuple[str, ...]) -> Coding:
    """One indicator a level."""
    return Coding(np.eye(len(levels)), levels)


def contrasts(factor: Categorical, asked: Contrast | None = None) -> Coding:
    """The k - 1 columns of a factor with k levels; ordered factors get contr.poly, others contr.treatment.

    `asked` goes before what C() asked for.
    """
    asked = asked or factor.contrast or Contrast("contr.poly" if factor.ordered else "contr.treatment")
    coding = _coded(asked, factor.levels)
    return coding if asked.how_many is None else _first(coding, asked.how_many)


def _coded(asked: Contrast, levels: tuple[str, ...]) -> Coding:
    k, kind = len(levels), asked.kind
    if asked.matrix is not None:
        return Coding(np.array(asked.matrix), asked.columns or _numbered(len(asked.matrix[0])))
    names = _numbered(k) if asked.numbered else levels
    if kind in ("contr.treatment", "contr.SAS"):
        base = asked.base - 1 if kind == "contr.treatment" else k - 1
        others = [i for i in range(k) if i != base]
        return Coding(np.eye(k)[:, others], tuple(names[i] for i in others))
    if kind == "contr.sum":
        return Coding(np.vstack([np.eye(k - 1), -np.ones(k - 1)]), _numbered(k - 1))
    if kind == "contr.helmert":
        steps = np.arange(1, k)
        matrix = np.where(np.arange(k)[:, None] < steps, -1.0, 0.0)
        matrix[steps, steps - 1] = steps
        return Coding(matrix, _numbered(k - 1))
    if kind == "contr.poly":
        degrees = tuple((".L", ".Q", ".C")[d - 1] if d <= 3 else f"^{d}" for d in range(1, k))
        return Coding(polynomials(k, asked.scores), degrees)
    raise DataError(f"contrast {kind!r} is not known; there are contr.treatment, .sum, .helmert, .poly and .SAS")


def _first(coding: Coding, columns: int) -> Coding:
    return Coding(coding.matrix[:, :columns], coding.names[:columns])


def polynomials(k: int, scores: tuple[float, ...] | None = None) -> Array:
    """Orthonormal polynomials of degree 1..k-1 over the scores, 1..k if not given, (k, k - 1), R's contr.poly.

    >>> polynomials(3).round(4).tolist()
    [[-0.7071, 0.4082], [0.0, -0.8165], [0.7071, 0.4082]]
    """
    at = np.arange(1, k + 1) if scores is None else np.array(scores)
    q, r = np.linalg.qr(np.vander(at - at.mean(), k, increasing=True))
    columns: Array = (q * np.sign(np.diag(r)))[:, 1:]
    columns[np.abs(columns) < 1e-15] = 0.0  # the middle score of an odd count, whose value is exactly 0
    return columns


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(str(i + 1) for i in range(n))


def coded_by_contrasts(
    terms: tuple[tuple[int, ...], ...], factors: frozenset[int], intercept: bool
) -> tuple[dict[int, bool], ...]:
    """For each term, which of its factors get contrasts (True) and which all indicators (False); R's rule.

    A factor gets contrasts when the term without it is empty or a subset of an EARLIER term; without
    an intercept the first factor met gets all its indicators, whatever the rule says.

    >>> coded_by_contrasts(((0,), (0, 1)), frozenset({0, 1}), True)  # a + a:b
    ({0: True}, {0: False, 1: True})
    """
    found: list[dict[int, bool]] = []
    first = not intercept
    for j, term in enumerate(terms):
        choice: dict[int, bool] = {}
        for f in term:
            if f not in factors:
                continue
            rest = set(term) - {f}
            choice[f] = not rest or any(rest <= set(earlier) for earlier in terms[:j])
            if first:
                choice[f] = first = False
        found.append(choice)
    return tuple(found)
