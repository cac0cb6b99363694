"""Kenward and Roger's (1997) tests beside unequal residual variances, which V is linear in as in the others'.

With rows whitened, V = sum_g E_g + sum_i gam_i Z D_i Z', where E_g is 1 for the rows of a level. Rows that no grouping
factor joins are independent: everything is a sum over such blocks of rows, each with a V of its own size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from formula_neuro.errors import Unable
from formula_neuro.family import Array
from formula_neuro.result import Fit

from ..lmm.kenward_roger import KenwardRoger, assembled, components
from ..lmm.profiled import solve
from ..terms import Term
from .rows import Rows

LARGEST = 5000  # rows of a block, whose V is dense: 200 MB a matrix


def kenward_roger(inner: Fit, rows: Rows, rho: Array) -> KenwardRoger:
    """The tests of a REML fit whose residuals have a spread by level; `inner` is its fit of the whitened rows.

    Raises Unable for correlated residuals, of whose phi V is no linear function, and for blocks too large.
    """
    if rows.blocks is not None:
        raise Unable(
            "Kenward and Roger's method is of covariances that are sums of components, and AR1's phi makes it none; "
            "df='satterthwaite' takes the uncertainty of phi into account"
        )
    engine, root = inner.engine, np.sqrt(rows.weights(rho))
    products, Q = engine.products, engine.basis.Q
    at = solve(products, engine.theta)
    directions, gamma = components(products, engine.theta)
    pieces = _Pieces(len(rows.levels) + len(directions), Q.shape[1])
    for own in blocks(products.terms, np.flatnonzero(root > 0)):
        changes = [_change(products.terms[t], own, root[own], D) for t, D in directions]
        spreads = [np.diag(np.asarray(rows.codes[own] == g, dtype=float)) for g in range(len(rows.levels))]
        V = np.eye(len(own)) + np.tensordot(gamma, np.array(changes), 1)
        pieces.add(np.asarray(np.linalg.inv(V)), Q[own], [*spreads, *changes])
    return assembled(engine.basis, at.r2 / products.df, at.C, (pieces.P, pieces.Q, pieces.traces))


class _Pieces:
    """P_i = -X'V^-1G_iV^-1X, Q_ij = X'V^-1G_iV^-1G_jV^-1X and tr(V^-1G_iV^-1G_j), summed over blocks of rows."""

    def __init__(self, m: int, r: int):
        self.P, self.Q, self.traces = np.zeros((m, r, r)), np.zeros((m, m, r, r)), np.zeros((m, m))

    def add(self, V_inverse: Array, X: Array, G: Sequence[Array]) -> None:
        VX = V_inverse @ X
        GVX = np.array([B @ VX for B in G])
        VG = np.array([V_inverse @ B for B in G])
        self.P -= np.einsum("nx,iny->ixy", VX, GVX)
        self.Q += np.einsum("inx,jny->ijxy", GVX, V_inverse @ GVX)
        self.traces += np.einsum("inm,jmn->ij", VG, VG)


def blocks(terms: Sequence[Term], used: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The rows used, apart where no grouping factor joins them."""
    starts = np.cumsum([0, *(term.levels for term in terms)])
    places = [start + term.given.codes[used] for start, term in zip(starts[:-1], terms, strict=True)]
    ends = np.concatenate(places)
    graph = sparse.coo_array((np.ones(len(ends)), (np.tile(places[0], len(places)), ends)), shape=(starts[-1],) * 2)
    labels = connected_components(graph.tocsr(), directed=False)[1][places[0]]
    order = np.argsort(labels, kind="stable")
    found = np.split(used[order], np.flatnonzero(np.diff(labels[order])) + 1)
    largest = max(len(own) for own in found)
    if largest > LARGEST:
        raise Unable(
            f"Kenward and Roger's method beside a residual structure needs matrices of the rows that share a level, "
            f"{largest} here (limit {LARGEST}); df='satterthwaite' has no limit"
        )
    return found


def _change(term: Term, own: NDArray[np.intp], root: Array, D: Array) -> Array:
    """Z D Z' (n, n) of the rows of a block, whose roots of weights are (n,)."""
    Z, codes = term.basis[own] * root[:, None], term.given.codes[own]
    return np.where(codes[:, None] == codes, Z @ D @ Z.T, 0.0)
