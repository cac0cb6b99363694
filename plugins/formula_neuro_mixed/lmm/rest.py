"""What is left of the random effects when the levels of one factor are eliminated: independent dense blocks.

The remaining effects fall into components that share no level of the eliminated factor: the outer groups of a
nested design (many small blocks), all levels of a crossed factor (one block). Blocks are padded to a common size m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from ..grouping_factors import Factor, Index
from .pairs import Pairs, pairs_of

MEMORY = 6e9  # bytes of dense work above which a fit is refused
SQUARES = 8  # arrays of the size of the blocks that are alive at the same time


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the effects of the remaining factors stand in B blocks of size m: factor by factor, a slot a level."""

    factors: tuple[Factor, ...]
    B: int
    m: int
    slices: tuple[slice, ...]  # of each factor's slots among the m
    places: tuple[Index, ...]  # (levels * K,) place of each factor's effects among the B * m

    @property
    def scalar(self) -> bool:
        """Whether one factor with one effect a level is all there is, so that templates are numbers."""
        return len(self.factors) == 1 and self.factors[0].K == 1

    def pack(self, parts: Sequence[Array]) -> Array:
        """(B, m, c) blocks from one (levels, K, c) array a factor."""
        out = np.zeros((self.B * self.m, parts[0].shape[-1]))
        for places, part in zip(self.places, parts, strict=True):
            out[places] = part.reshape(len(places), -1)
        return out.reshape(self.B, self.m, -1)

    def unpack(self, blocks: Array) -> list[Array]:
        """The inverse of pack."""
        flat = blocks.reshape(self.B * self.m, -1)
        return [
            flat[places].reshape(factor.levels, factor.K, -1)
            for factor, places in zip(self.factors, self.places, strict=True)
        ]

    def apply(self, matrices: Sequence[Array], blocks: Array) -> Array:
        """Each factor's (K, K) matrix times its rows of the blocks (B, m, c), level by level."""
        if self.scalar:
            return np.asarray(matrices[0][0, 0] * blocks)
        out = np.empty_like(blocks)
        for factor, where, matrix in zip(self.factors, self.slices, matrices, strict=True):
            rows = blocks[:, where]
            if factor.K == 1:
                out[:, where] = matrix[0, 0] * rows
            else:
                shaped = rows.reshape(self.B, -1, factor.K, blocks.shape[-1])
                out[:, where] = (matrix @ shaped).reshape(rows.shape)
        return out

    def both_sides(self, matrices: Sequence[Array], blocks: Array) -> Array:
        """matrix' block matrix, for symmetric blocks (B, m, m)."""
        if self.scalar:
            return np.asarray(float(matrices[0][0, 0]) ** 2 * blocks)
        transposed = [matrix.T for matrix in matrices]
        half = self.apply(transposed, blocks)
        return self.apply(transposed, half.transpose(0, 2, 1))


@dataclass(frozen=True, eq=False)
class Rest:
    """The sums over rows for the factors that stay: Z2'Z2 (B, m, m), Z1'Z2, and which pairs of effects meet."""

    layout: Layout
    ZZ: Array
    Z12: sparse.csr_array  # (L1 * K1, B * m)
    Z21: sparse.csc_array  # its transpose, the same memory
    pairs: Pairs


def arrange(factors: Sequence[Factor], codes: Sequence[Index]) -> tuple[list[int], Layout]:
    """The order of the factors in which eliminating the first costs least, and the blocks of the others."""
    candidates = []
    for first in range(len(factors)):
        order = [first, *(i for i in range(len(factors)) if i != first)]
        layout = _layout([factors[i] for i in order], [codes[i] for i in order])
        candidates.append(
            (layout.B * layout.m**3 + factors[first].levels * factors[first].K ** 3, first, order, layout)
        )
    _, _, order, layout = min(candidates, key=lambda c: c[:2])
    check_memory(layout.B, layout.m)
    return order, layout


def _layout(factors: Sequence[Factor], codes: Sequence[Index]) -> Layout:
    """The blocks of all factors but the first."""
    others = tuple(factors[1:])
    component = _components(codes, [f.levels for f in factors])
    B = int(max(c.max() for c in component)) + 1
    widths = [int(np.bincount(c, minlength=B).max()) for c in component]
    m = sum(w * f.K for w, f in zip(widths, others, strict=True))
    if B * m**2 > sum(f.levels * f.K for f in others) ** 2:
        # one large component among many small ones: padding would cost more than a single block
        B, widths, component = 1, [f.levels for f in others], [np.zeros_like(c) for c in component]
        m = sum(f.levels * f.K for f in others)
    slices, places, start = [], [], 0
    for factor, width, own in zip(others, widths, component, strict=True):
        slots = own * m + start + _ranks(own) * factor.K
        places.append((slots[:, None] + np.arange(factor.K)).ravel())
        slices.append(slice(start, start + width * factor.K))
        start += width * factor.K
    return Layout(others, B, m, tuple(slices), tuple(places))


def check_memory(B: int, m: int) -> None:
    need = SQUARES * 8.0 * B * m * m
    if need > MEMORY:
        raise FitError(
            f"crossed random effects need dense blocks of {m} of them here, about {need / 1e9:.0f} GB "
            f"(limit {MEMORY / 1e9:.0f} GB); use fewer levels or terms, or backend='lme4', whose matrices are sparse"
        )


def _components(codes: Sequence[Index], levels: Sequence[int]) -> list[Index]:
    """For every factor but the first, the component (levels,) of each of its levels."""
    starts = np.concatenate([[0], np.cumsum(levels)])
    ends = [c + s for c, s in zip(codes[1:], starts[1:-1], strict=True)]
    row, column = np.tile(codes[0], len(ends)), np.concatenate(ends)
    graph = sparse.coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(starts[-1], starts[-1]))
    labels = connected_components(graph.tocsr(), directed=False)[1].astype(np.intp)
    found = np.unique(labels[levels[0] :], return_inverse=True)[1]  # those without a level of the others do not count
    return np.split(found, starts[2:-1] - starts[1])


def _ranks(component: Index) -> Index:
    """The place of each level among those of its component."""
    order = np.argsort(component, kind="stable")
    sorted_ = component[order]
    begins = np.searchsorted(sorted_, sorted_)
    ranks = np.empty(len(component), dtype=np.intp)
    ranks[order] = np.arange(len(component)) - begins
    return ranks


def rest_of(first: Factor, layout: Layout, codes: Sequence[Index], bases: Sequence[Array]) -> Rest:
    """One pass over the rows; codes (n,) and weighted bases (n, K) are the first factor's, then the others'."""
    m, size = layout.m, layout.B * layout.m
    columns = [
        places.reshape(f.levels, f.K)[c] for f, places, c in zip(layout.factors, layout.places, codes[1:], strict=True)
    ]
    where, Z2 = np.hstack(columns), np.hstack(bases[1:])  # (n, s)
    ZZ = np.zeros(layout.B * m * m)
    for a in range(Z2.shape[1]):
        block = where[:, a] // m * (m * m) + where[:, a] % m * m
        for b in range(Z2.shape[1]):
            ZZ += np.bincount(block + where[:, b] % m, Z2[:, a] * Z2[:, b], minlength=len(ZZ))
    rows = codes[0][:, None] * first.K + np.arange(first.K)
    s, K = Z2.shape[1], first.K
    Z12 = sparse.coo_array(
        (
            (bases[0][:, :, None] * Z2[:, None, :]).ravel(),
            (np.repeat(rows.ravel(), s), np.tile(where, (1, K)).ravel()),
        ),
        shape=(first.levels * K, size),
    ).tocsr()
    Z12.sum_duplicates()
    return Rest(layout, ZZ.reshape(layout.B, m, m), Z12, Z12.T, pairs_of(Z12, first.levels, K, layout.B, m))
