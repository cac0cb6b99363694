"""A request with some coefficients held: what likelihood-ratio and score tests and profiles refit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.linalg import null_space

from ...design import TermColumns
from ...errors import Unable
from ...family import Array
from ...request import Request
from ...result import Fit


def hold(request: Request, fixed: Mapping[int, float]) -> Request:
    """The request with columns held at values: they leave the matrix, their products with them join the offset.

    The design's formula and recipe still speak of the whole model, so the answer is for numbers, not for new data.

    >>> from formula_neuro.design import model_matrix
    >>> from formula_neuro.asking import as_request
    >>> from formula_neuro.family import as_family
    >>> D = model_matrix("y ~ x", {"y": [1.0, 2, 4], "x": [0.0, 1, 2]})
    >>> held = hold(as_request(D, as_family("gaussian")), {1: 0.5})
    >>> held.design.names, held.design.offset.tolist()
    (('(Intercept)',), [0.0, 0.5, 1.0])
    """
    design = request.design
    places, values = list(fixed), np.array(list(fixed.values()), dtype=float)
    left = [j for j in range(len(design.names)) if j not in fixed]
    smaller = replace(
        design,
        matrix=design.matrix[:, left],
        names=tuple(design.names[j] for j in left),
        terms=_terms_left(design.terms, left),
        offset=design.offset + design.matrix[:, places] @ values,
    )
    return replace(request, design=smaller)


def _terms_left(terms: Sequence[TermColumns], left: Sequence[int]) -> tuple[TermColumns, ...]:
    found, start = [], 0
    for term in terms:
        stop = start + sum(term.start <= j < term.stop for j in left)
        if stop > start:
            found.append(replace(term, start=start, stop=stop))
        start = stop
    return tuple(found)


def with_hypotheses(request: Request, kept: Sequence[int], L: Array) -> tuple[Request, tuple[int, ...]]:
    """The same model in coordinates of which some are the hypotheses L b (q, p), and the places of these.

    `kept` are the estimable columns; L has rank q and no weight elsewhere. A model is linear in X b = (X T)(T^-1 b),
    with T = [null space of L, right inverse of L]; where each row of L is one coefficient nothing is turned.
    """
    lost = {j: 0.0 for j in range(len(request.design.names)) if j not in set(kept)}
    plain = hold(request, lost) if lost else request
    M = L[:, list(kept)]
    if (np.count_nonzero(M, axis=1) == 1).all() and (M.sum(axis=1) == 1).all():
        return plain, tuple(int(j) for j in M.argmax(axis=1))
    X = plain.design.matrix
    T = coordinates(X, M)
    q, p = M.shape
    names = tuple(f"direction {j + 1}" for j in range(p))
    turned = replace(plain.design, matrix=np.asfortranarray(X @ T), names=names, terms=())
    return replace(plain, design=turned), tuple(range(p - q, p))


def coordinates(X: Array, M: Array) -> Array:
    """T (p, p) with X b = (X T)(T^-1 b) for columns X (n, p), the last q of T^-1 b being M b; M (q, p) of full rank."""
    scale = np.linalg.norm(X, axis=0)  # a coefficient per kilometre and one per micrometre turn alike
    scale[scale == 0] = 1.0
    return np.column_stack([null_space(M / scale), np.linalg.pinv(M / scale)]) / scale[:, None]


def independent_rows(L: Array, value: Array) -> tuple[Array, Array]:
    """The rows of L (q, p), with their values, that are no combinations of earlier ones."""
    chosen: list[int] = []
    for i in range(len(L)):
        if np.linalg.matrix_rank(L[[*chosen, i]]) > len(chosen):
            chosen.append(i)
    return L[chosen], value[chosen]


def check_linear(fit: Fit, what: str) -> None:
    """Raise Unable unless the fit is of a linear or generalized linear model, without random effects."""
    if fit.request.model == "gee":
        raise Unable(
            f"{what} needs a likelihood, and GEE has none; tidy(), contrast() and anova() test by Wald's statistic "
            "with robust standard errors"
        )
    if fit.request.model not in ("lm", "glm"):
        raise Unable(
            f"{what} is for linear and generalized linear models; this is a {fit.request.model}: fit the smaller model "
            "too and compare them by anova(small, large)"
        )
