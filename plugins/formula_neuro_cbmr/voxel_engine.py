"""What a fit of negative binomial voxel totals answers: cells have nothing in common but lambda."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.foci.engine import KINDS
from formula_neuro.foci.fit import FociFit
from formula_neuro.foci.request import FociRequest

from .dispersion import Dispersions, of_voxels
from .gram import Gram
from .on_splines import OnSplines
from .problem import Index, Problem, added
from .simulation import drawn_in_voxels, with_foci
from .totals import small_sample
from .voxel_maps import VoxelMaps


@dataclass(frozen=True, eq=False)
class VoxelEngine(OnSplines):
    """Maps b (C, P); there are no global coefficients."""

    problem: Problem
    maps: VoxelMaps

    @property
    def gram(self) -> Gram:
        return self.problem.splined.gram

    @property
    def gamma(self) -> Array:
        return np.empty(0)

    @cached_property
    def to_maps(self) -> Array:
        """W (C, G): maps are W times the patterns' coefficients."""
        return np.asarray(np.linalg.inv(self.problem.patterns))

    @cached_property
    def b(self) -> Array:
        return np.asarray(self.to_maps @ np.stack([one.b for one in self.maps.found]))

    @cached_property
    def fitted(self) -> Array:
        """Expected foci of every analysis (M,)."""
        per = np.array([np.exp(one.s).sum() for one in self.maps.found])
        return np.asarray(np.exp(self.problem.request.design.offset) * per[self.problem.pattern])

    def covariance(self, r: Array, s: Array, kind: str) -> Array:
        """Of the coefficients r b and s b, (P, P)."""
        if kind not in KINDS:
            raise DataError(f"vcov={kind!r} is not known; there are {', '.join(KINDS)}")
        if kind == "robust":
            left, right = self.influence(r), self.influence(s)
            return np.asarray(small_sample(left.shape[1]) * (left @ right.T))
        out = np.zeros((self.gram.basis.P,) * 2)
        for weight, one in zip((r @ self.to_maps) * (s @ self.to_maps), self.maps.found, strict=True):
            if weight:
                out += weight * (one.observed if kind == "observed" else one.A.inverse)
        return out

    def moderator_covariance(self, kind: str) -> Array:
        """There are no moderators: (0, 0)."""
        return np.empty((0, 0))

    def influence(self, r: Array) -> Array:
        """How far each study moves the coefficients r b, to first order, (P, K)."""
        by_pattern = self._pattern_scores(self.problem.request.cluster)
        weights = r @ self.to_maps
        return np.asarray(
            sum(w * one.A.solve(u.T) for w, one, u in zip(weights, self.maps.found, by_pattern, strict=True))
        )

    def scores(self, by: Index | None = None) -> Array:
        """Sums of scores over the analyses of every study, (K, C P), or by the numbers `by` (M,)."""
        by_pattern = np.stack(self._pattern_scores(self.problem.request.cluster if by is None else by))  # (G, K, P)
        maps = np.einsum("gc,gkp->kcp", self.problem.patterns, by_pattern)
        return np.asarray(maps.reshape(len(maps), -1))

    def _pattern_scores(self, number: Index) -> list[Array]:
        """Of the patterns' coefficients, (K, P) each: analysis i adds X'((y_i - w_i e^s) / (1 + phi m))."""
        problem, size = self.problem, int(number.max(initial=-1)) + 1
        w, basis = np.exp(problem.request.design.offset), self.gram.basis
        out = []
        for g, one in enumerate(self.maps.found):
            mine = problem.pattern == g
            rows = added(self._focus_scores(g), number[problem.request.located.analysis[self._foci(g)]], size)
            expected = basis.project(np.exp(one.s) / (1 + one.phi * one.m))
            exposure = np.bincount(number[mine], weights=w[mine], minlength=size)
            out.append(np.asarray(rows.toarray()) - np.outer(exposure, expected))
        return out

    def _foci(self, g: int) -> Index:
        return np.flatnonzero(self.problem.pattern[self.problem.request.located.analysis] == g)

    def _focus_scores(self, g: int) -> sparse.csr_array:
        """What each focus of a pattern adds to its score: its row, less what its voxel's frailty takes of it."""
        foci, one, located = self._foci(g), self.maps.found[g], self.problem.request.located
        voxel = located.voxel[foci]
        taken = one.phi * one.m[voxel] / (1 + one.phi * one.m[voxel])
        shape = self.problem.request.brain.grid.shape
        at = np.stack(np.unravel_index(self.problem.request.brain.voxels[voxel], shape), axis=1).astype(np.float64)
        centres = sparse.csr_array(self.gram.basis.rows(at).multiply(taken[:, None]))
        return sparse.csr_array(self.problem.rows[foci] - centres)

    def solve(self, right: Array, kind: str = "fisher") -> Array:
        """(Penalised) information^-1 times right (C P, m)."""
        (C, P), m = self.b.shape, right.shape[1]
        cells = np.tensordot(self.to_maps.T, right.reshape(C, P, m), axes=1)
        observed = kind == "observed"
        solved = np.stack(
            [
                one.observed @ cell if observed else one.A.solve(cell)
                for one, cell in zip(self.maps.found, cells, strict=True)
            ]
        )
        return np.tensordot(self.to_maps, solved, axes=1).reshape(C * P, m)

    def dispersions(self) -> Dispersions:
        """Of the voxels' totals, by cell."""
        return of_voxels(self.maps, self.problem)

    def simulate(self, rng: np.random.Generator) -> FociRequest:
        """The request with foci drawn from the fit."""
        request, pattern = self.problem.request, self.problem.pattern
        w = np.exp(request.design.offset)
        voxels, analyses = [], []
        for g, one in enumerate(self.maps.found):
            mine = np.flatnonzero(pattern == g)
            voxel, analysis = drawn_in_voxels(one.m, one.phi, mine, w[mine], rng)
            voxels.append(voxel)
            analyses.append(analysis)
        return with_foci(request, np.concatenate(voxels), np.concatenate(analyses))

    def refit(self, request: FociRequest) -> FociFit:
        """Another model of the same foci; the splines are made again only where the brain or the estimator differ."""
        from .fitting import refit

        return refit(self.problem, request)
