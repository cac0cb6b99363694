"""Roughness of a map: squared second differences of neighbouring coefficients (Eilers & Marx 1996), three axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from formula_neuro.family import Array

from .basis import Basis


@dataclass(frozen=True, eq=False)
class Penalty:
    """b'Sb, S = D'D; D (n, P) has a row for every three neighbours in line that are all kept."""

    D: sparse.csr_array

    @cached_property
    def S(self) -> sparse.csr_array:
        return sparse.csr_array(self.D.T @ self.D)

    @cached_property
    def rank(self) -> int:
        """Of S: P - 8 where the columns kept hang together, as products of three straight lines are not penalised."""
        size = np.linalg.eigvalsh(self.S.toarray())
        return int((size > 1e-10 * size[-1]).sum())

    def roughness(self, b: Array) -> float:
        """b'Sb of b (P,)."""
        return float(((self.D @ b) ** 2).sum())


def second_differences(basis: Basis) -> Penalty:
    """The penalty of a basis, which a constant does not feel.

    >>> from formula_neuro_cbmr.basis import small_basis
    >>> basis = small_basis()
    >>> second_differences(basis).roughness(np.ones(basis.P))
    0.0
    """
    at = np.stack(np.unravel_index(basis.kept, basis.lattice))
    rows = []
    for k in range(3):
        step = np.eye(3, dtype=np.intp)[k][:, None]
        middle = np.flatnonzero((at[k] > 0) & (at[k] < basis.lattice[k] - 1))
        before, after = (
            basis.column[np.ravel_multi_index(tuple(at[:, middle] + sign * step), basis.lattice)] for sign in (-1, 1)
        )
        fine = (before >= 0) & (after >= 0)
        rows.append(np.stack([before[fine], middle[fine], after[fine]], axis=1))
    columns = np.concatenate(rows)
    values = np.tile([1.0, -2.0, 1.0], len(columns))
    where = (np.repeat(np.arange(len(columns)), 3), columns.reshape(-1))
    return Penalty(sparse.csr_array((values, where), shape=(len(columns), basis.P)))
