"""What a linear mixed model needs of its rows: sums by level, taken in one pass. n never appears again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from formula_neuro.family import Array

from ..grouping_factors import Factor, Index, factors_of
from ..terms import Term
from .reduction import Sums
from .rest import arrange, rest_of


def sums(terms: tuple[Term, ...], W: Array, root: Array | None, *, n: int, reml: bool, constant: float) -> Sums:
    """W (rows, r + 1) are the scaled [X y], root (rows,) the roots of the weights (None: all 1); n rows count."""
    factors = factors_of(terms)
    codes = [terms[f.members[0][0]].given.codes for f in factors]
    bases = [_basis(terms, f, root) for f in factors]
    rest = None
    if len(factors) > 1:
        order, layout = arrange(factors, codes)
        factors = tuple(factors[i] for i in order)
        codes, bases = [codes[i] for i in order], [bases[i] for i in order]
        rest = rest_of(factors[0], layout, codes, bases)
    return Sums(
        terms=terms,
        factors=factors,
        ZZ=_squares(codes[0], factors[0].levels, bases[0]),
        ZW=tuple(level_sums(c, f.levels, basis, W) for f, c, basis in zip(factors, codes, bases, strict=True)),
        rest=rest,
        yy=float(W[:, -1] @ W[:, -1]),
        n=n,
        reml=reml,
        constant=constant,
    )


def _basis(terms: Sequence[Term], factor: Factor, root: Array | None) -> Array:
    bases = [terms[i].basis for i, _ in factor.members]
    basis = bases[0] if len(bases) == 1 else np.hstack(bases)
    return basis if root is None else basis * root[:, None]


def level_sums(codes: Index, levels: int, left: Array, right: Array) -> Array:
    """(levels, K, c): left' right over the rows of each level; left (n, K), right (n, c)."""
    out = np.empty((levels, left.shape[1], right.shape[1]))
    for a in range(left.shape[1]):
        for b in range(right.shape[1]):
            out[:, a, b] = _sum(codes, levels, left[:, a], right[:, b])
    return out


def _squares(codes: Index, levels: int, basis: Array) -> Array:
    K = basis.shape[1]
    out = np.empty((levels, K, K))
    for a in range(K):
        for b in range(a + 1):
            out[:, a, b] = out[:, b, a] = _sum(codes, levels, basis[:, b], basis[:, a])
    return out


def _sum(codes: Index, levels: int, left: Array, right: Array) -> Array:
    """Of the products by level; an intercept's column costs no product."""
    if (left == left[0]).all():
        return np.asarray(left[0] * np.bincount(codes, right, levels), dtype=np.float64)
    return np.asarray(np.bincount(codes, left * right, levels), dtype=np.float64)
