"""What of a request the likelihood needs: rows of the foci, patterns of analyses that share a map, sums by study."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from formula_neuro.errors import DataError
from formula_neuro.estimator import Splines
from formula_neuro.family import Array
from formula_neuro.foci.request import FociRequest

from .basis import basis_of
from .gram import gram
from .penalty import second_differences
from .places import shares
from .poisson import Splined

Index = NDArray[np.intp]
FOCI_A_SPLINE = 10  # below, maps are smoothed by default
CLOSE = 20 - 1e-6  # mm between knots: the same


@dataclass(frozen=True, eq=False)
class Problem:
    """A request with its splines: M analyses, K studies, G patterns (rows of L that differ), C maps of P splines."""

    request: FociRequest
    splined: Splined

    @cached_property
    def rows(self) -> sparse.csr_array:
        """x at every focus, (J, P): of the voxels that share it."""
        brain = self.request.brain
        shared = shares(self.request.located, brain, self.splines.snap)
        voxels = np.unique(shared.indices)
        at = np.stack(np.unravel_index(brain.voxels[voxels], brain.grid.shape), axis=1).astype(np.float64)
        return sparse.csr_array(shared[:, voxels] @ self.splined.basis.rows(at))

    @cached_property
    def analysis_rows(self) -> sparse.csr_array:
        """X'y of every analysis, (M, P)."""
        return added(self.rows, self.request.located.analysis, len(self.request.L))

    @cached_property
    def _patterns(self) -> tuple[Array, Index]:
        L, cells = self.request.L, self.request.cells
        rows = np.array([cells[name] for name in cells], dtype=np.float64).reshape(len(cells), -1)
        group = self.request.group
        if len(rows) and np.array_equal(rows[group], L):
            return rows, np.asarray(group, dtype=np.intp)
        found, index = np.unique(L, axis=0, return_inverse=True)
        return found, np.asarray(index.reshape(-1), dtype=np.intp)

    @property
    def patterns(self) -> Array:
        """The rows of L that differ, (G, C): those of the cells, in their order, where only factors have maps."""
        return self._patterns[0]

    @property
    def pattern(self) -> Index:
        """Of each analysis its row of `patterns`, (M,)."""
        return self._patterns[1]

    @cached_property
    def saturated(self) -> bool:
        """Whether every pattern has a map of its own, whatever contrasts the maps are written in."""
        G, C = self.patterns.shape
        return G == C and np.linalg.matrix_rank(self.patterns) == G

    @property
    def splits(self) -> bool:
        """Whether the likelihood is that of places times that of totals: a free constant in every pattern's map."""
        return self.saturated and self.splined.basis.renormalised

    @property
    def names(self) -> tuple[str, ...]:
        """Of the patterns, where they are cells."""
        cells = tuple(self.request.cells)
        return cells if len(cells) == len(self.patterns) else tuple(f"{k}" for k in range(len(self.patterns)))

    @property
    def studies(self) -> int:
        return int(self.request.cluster.max(initial=-1)) + 1

    @property
    def penalised(self) -> bool:
        """Whether the splines are smoothed, as the estimator says or, by "auto", where they need it."""
        smooth = self.splines.smooth
        if smooth != "auto":
            return smooth not in ("none", 0, 0.0)
        sizes = self.request.brain.grid.voxel_size
        closest = min(step * size for step, size in zip(self.splines.steps(tuple(sizes)), sizes, strict=True))
        enough = FOCI_A_SPLINE * self.splined.basis.P
        few = (
            bool((self.support.sum(axis=1) < enough).any())
            or self.request.totals.sum() < enough * self.support.shape[0]
        )
        return closest < CLOSE or few or bool((self.support == 0).any())

    @property
    def gigabytes(self) -> float:
        """Of the matrices that a fit holds: factor and inverse of each map's information, or of all maps' together."""
        G, C = self.patterns.shape
        maps = 2 * G + 2 if self.saturated else 4 * C**2
        return 8e-9 * maps * self.splined.basis.P**2

    @property
    def splines(self) -> Splines:
        assert isinstance(self.request.estimator, Splines)
        return self.request.estimator

    @cached_property
    def support(self) -> Array:
        """X'y of the analyses that each map is told by, (C, P): of the patterns where these have maps of their own."""
        if self.saturated:
            return self.pattern_rows
        told = sparse.csr_array((self.request.L != 0).T.astype(np.float64))
        return np.asarray((told @ self.analysis_rows).toarray())

    @cached_property
    def pattern_rows(self) -> Array:
        """X'y of every pattern, (G, P)."""
        return np.asarray(added(self.analysis_rows, self.pattern, len(self.patterns)).toarray())

    @cached_property
    def pattern_foci(self) -> Array:
        """Foci of every pattern, (G,)."""
        return np.bincount(self.pattern, weights=self.request.totals, minlength=len(self.patterns)).astype(np.float64)


def problem(request: FociRequest, splined: Splined | None = None) -> Problem:
    """The problem of a request; raises DataError where there is nothing to fit, or too much to hold."""
    if not len(request.located.voxel):
        raise DataError("no focus lies inside the mask: there is no map to fit")
    if request.running.device != "cpu":
        raise ValueError(f"foci are fitted on the cpu, not on device={request.running.device!r}: leave it out")
    made = Problem(request, splined_of(request) if splined is None else splined)
    needed, there = made.gigabytes, memory()
    if needed > there:
        raise DataError(
            f"the information of {len(request.maps)} maps of {made.splined.basis.P:,} splines takes {needed:,.0f} GB, "
            f"and this machine has {there:,.0f}: take a spacing wider than {made.splines.spacing!r}, or fewer maps"
        )
    return made


def memory() -> float:
    """Of this machine, GB; inf where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return float("inf")


def splined_of(request: FociRequest) -> Splined:
    """The splines of a request's estimator in its brain."""
    assert isinstance(request.estimator, Splines)
    basis = basis_of(request.brain, request.estimator)
    return Splined(basis, gram(basis), second_differences(basis))


def added(values: sparse.csr_array, index: Index, size: int) -> sparse.csr_array:
    """Rows (n, P) summed by their numbers (n,): (size, P)."""
    ones = np.ones(len(index))
    sums = sparse.csr_array((ones, (index, np.arange(len(index)))), shape=(size, len(index)))
    return sparse.csr_array(sums @ values)
