"""What is tested of each term of a mixed model: rows L of L b = 0 for types I, II and III, as lmerTest's.

Type I adds terms in turn: rows of the triangle U of X'X = U'DU. Type II puts a term after all that do not contain it
and before those that do. Type III averages over the levels of other factors, each as often, whatever the contrasts of
the fit (Goodnight 1976; Kuznetsova, Brockhoff & Christensen 2017). A term contains another if it has all its variables,
and besides these factors only: a:x contains x, but not a, which is then tested at x = 0. Where a margin is left out
(a + a:b) lmerTest's type III depends on the contrasts; here it averages all the same. Of a single term all types
are the same hypothesis; lmerTest takes it in the rows of type I, on which Satterthwaite's degrees of freedom depend.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import lstsq

from ...columns.blocks import Block
from ...design import Design, TermColumns
from ...errors import Unable
from ...family import Array
from ...nearest import not_known
from ...result import Fit
from . import term_tests as tt
from .sum_contrasts import in_sums
from .term_tables import TYPES


def hypotheses(fit: Fit, type: str) -> list[tuple[str, Array]]:
    """Each term but the intercept with its rows (q, p); a term without an estimable column has none and is left out."""
    if type not in TYPES:
        raise ValueError(not_known("type", type, TYPES, {"1": "I", "2": "II", "3": "III"}))
    terms = tested_terms(fit)
    if len(terms) == 1:
        type = "I"
    if type == "III":
        tt.refuse_aliased(fit, "an anova of type III")
        return _averaged(fit)
    found = [(term.name, _adjusted(fit, terms, term, type)) for term in terms]
    return [(name, L) for name, L in found if len(L)]


def tested_terms(fit: Fit) -> tuple[TermColumns, ...]:
    """The terms of the fixed part without the intercept; Unable where there is none."""
    terms = tt.terms_of(fit)
    if not terms:
        raise Unable("the fixed part has no term but the intercept, so there is nothing to test")
    return terms


def contains(design: Design, large: TermColumns, small: TermColumns) -> bool:
    """Whether `large` is `small` times factors."""
    factors = {name for name, _ in design.recipe.factors}
    more = set(large.variables) - set(small.variables)
    return bool(more) and set(small.variables) < set(large.variables) and more <= factors


def left_out(fit: Fit, term: TermColumns) -> Array:
    """The term after all others: the hypothesis of type I, in the rows that lmerTest's degrees of freedom belong to."""
    p = len(fit.names)
    if len(tested_terms(fit)) == 1:
        return _in_turn(fit, list(range(p)), term)
    return np.eye(p)[[j for j in tt.columns_of([term]) if not np.isnan(fit.beta[j])]]


def _adjusted(fit: Fit, terms: Sequence[TermColumns], term: TermColumns, type: str) -> Array:
    p, own = len(fit.names), tt.columns_of([term])
    if type == "I":
        return _in_turn(fit, list(range(p)), term)
    above = tt.columns_of(other for other in terms if contains(fit.request.design, other, term))
    if not above:
        return left_out(fit, term)
    return _in_turn(fit, [j for j in range(p) if j not in {*own, *above}] + own + above, term)


def _in_turn(fit: Fit, order: list[int], term: TermColumns) -> Array:
    """The term's rows of U, the unit triangle of X'X with the columns in this order (those estimable)."""
    known = [j for j in order if not np.isnan(fit.beta[j])]
    X = fit.request.design.matrix[fit.request.weights > 0][:, known]
    R = np.linalg.qr(X, mode="r")
    L = np.zeros((len(known), len(fit.names)))
    L[:, known] = R / np.diag(R)[:, None]
    L[np.abs(L) < 1e-12 * np.abs(L).max(axis=1, keepdims=True)] = 0.0
    return L[[i for i, j in enumerate(known) if term.start <= j < term.stop]]


def _averaged(fit: Fit) -> list[tuple[str, Array]]:
    """Differences from the first level of effects that sum to 0: X b = S M b, S in sum-to-zero contrasts."""
    sums = in_sums(fit.request.design)
    used = fit.request.weights > 0
    size = np.linalg.norm(sums.matrix[used], axis=0)
    M = lstsq(sums.matrix[used] / size, fit.request.design.matrix[used])[0] / size[:, None]
    M[np.abs(M) < 1e-11 * np.abs(M).max(axis=1, keepdims=True)] = 0.0
    blocks = {block.name: block for block in sums.recipe.fixed}
    return [(t.name, _differences(blocks[t.name]) @ M[t.start : t.stop]) for t in sums.terms if t.variables]


def _differences(block: Block) -> Array:
    """(k, k) from a term's coefficients in sum-to-zero contrasts to the levels' differences from the first."""
    out = np.ones((1, 1))
    for piece in block.pieces:
        k = len(piece.names)
        by_contrasts = piece.coding is not None and len(piece.coding.matrix) > k
        C = piece.coding.matrix if piece.coding is not None else np.eye(k)
        out = np.kron(C[1:] - C[0] if by_contrasts else np.eye(k), out)  # the leftmost runs fastest
    return out
