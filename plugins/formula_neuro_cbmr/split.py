"""The likelihood that splits: where foci are (a map a pattern) and how many (a regression of totals).

The coefficients b_g of pattern g are its shape's plus a constant, its level, as equal coefficients are a constant
intensity. Shape and level are orthogonal: with A_g the shape's information, N_g its foci and xbar_g = sum_v pi_v x_v,

    Cov(x_v'b_g, x_u'b_h) = [g = h] (x_v'A_g^-1 x_u - 1/N_g) + Cov(level_g, level_h).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.foci.engine import KINDS
from formula_neuro.foci.fit import FociFit
from formula_neuro.foci.request import FociRequest

from . import totals as level_scores
from .clustered import clustered_level
from .dispersion import Dispersions, of_totals
from .gram import Gram
from .jackknife import jackknife, of_level
from .on_splines import OnSplines
from .problem import Index, Problem, added
from .shapes import Shapes
from .simulation import check_family, drawn_totals, placed
from .totals import Level, Totals


@dataclass(frozen=True, eq=False)
class SplitEngine(OnSplines):
    """Maps b (C, P) and global coefficients of a likelihood that splits."""

    problem: Problem
    shapes: Shapes
    totals: Totals
    level: Level

    @property
    def gram(self) -> Gram:
        return self.problem.splined.gram

    @cached_property
    def to_maps(self) -> Array:
        """W (C, G): maps are W times the patterns' coefficients."""
        return np.asarray(np.linalg.inv(self.problem.patterns))

    @cached_property
    def pattern_b(self) -> Array:
        """The coefficients of the patterns' log intensities, (G, P)."""
        found = self.shapes.found
        log_sums = np.array([special.logsumexp(one.eta) for one in found])  # mu may be 0 to rounding far from foci
        shift = self.level.levels - log_sums
        return np.stack([one.b for one in found]) + shift[:, None]

    @cached_property
    def b(self) -> Array:
        return np.asarray(self.to_maps @ self.pattern_b)

    @property
    def gamma(self) -> Array:
        return self.level.gamma

    @cached_property
    def centres(self) -> Array:
        """xbar (G, P)."""
        return np.stack([one.projected / one.projected.sum() for one in self.shapes.found])

    # ---- covariances -------------------------------------------------------------------------------
    def covariance(self, r: Array, s: Array, kind: str) -> Array:
        """Of the coefficients r b and s b, (P, P), up to what no x_v feels."""
        if kind == "robust":
            left, right = self.influence(r), self.influence(s)
            return np.asarray(level_scores.small_sample(left.shape[1]) * (left @ right.T))
        u, v = r @ self.to_maps, s @ self.to_maps
        levels = self.level_covariance(kind)[: len(u), : len(u)]
        constant = float(u @ levels @ v)
        out = np.zeros((self.gram.basis.P,) * 2)
        for weight, one in zip(u * v, self.shapes.found, strict=True):
            if weight:
                out += weight * one.A.inverse
                constant -= weight / float(one.projected.sum())
        return out + constant

    def level_covariance(self, kind: str) -> Array:
        """Of the patterns' levels and gamma, (G + q, G + q)."""
        if kind == "robust":
            return level_scores.robust(self.totals, self.level)
        if kind not in KINDS:
            raise DataError(f"vcov={kind!r} is not known; there are {', '.join(KINDS)}")
        return self.level.observed if kind == "observed" else self.level.fisher

    def moderator_covariance(self, kind: str) -> Array:
        """Of gamma, (q, q)."""
        G = len(self.problem.patterns)
        return self.level_covariance(kind)[G:, G:]

    def jackknife(self) -> Array:
        """Of gamma, leaving out each study to first order (CR3), (q, q)."""
        G = len(self.problem.patterns)
        return jackknife(of_level(self.totals, self.level))[G:, G:]

    def influence(self, r: Array) -> Array:
        """How far each study moves the coefficients r b, to first order, (P, K)."""
        out = np.zeros((self.gram.basis.P, self.problem.studies))
        for weight, each in zip(r @ self.to_maps, self._influences, strict=True):
            if weight:
                out += weight * each
        return out

    @cached_property
    def _influences(self) -> tuple[Array, ...]:
        """A_g^-1 w_g + level_g, w_g = X'y_k - t_k xbar_g of the studies' foci in pattern g: (P, K) each."""
        problem, G = self.problem, len(self.problem.patterns)
        levels = level_scores.scores(self.totals, self.level) @ self.level.fisher[:, :G]
        out = []
        for g, one in enumerate(self.shapes.found):
            mine = np.flatnonzero(problem.pattern == g)
            rows = added(problem.analysis_rows[mine], problem.request.cluster[mine], problem.studies).toarray()
            w = rows - rows.sum(axis=1, keepdims=True) * self.centres[g]
            out.append(one.A.solve(w.T) + levels[:, g])
        return tuple(out)

    # ---- scores ------------------------------------------------------------------------------------
    def scores(self, by: Index | None = None) -> Array:
        """Sums of scores over the analyses of every study, (K, C P + q), or by the numbers `by` (M,)."""
        problem = self.problem
        number = problem.request.cluster if by is None else by
        size = int(number.max(initial=-1)) + 1
        fitted = self.level.ratio * self.level.means
        maps = np.zeros((size, *self.b.shape))
        for g, row in enumerate(problem.patterns):
            mine = np.flatnonzero(problem.pattern == g)
            observed = added(problem.analysis_rows[mine], number[mine], size).toarray()
            expected = np.bincount(number[mine], weights=fitted[mine], minlength=size)
            maps += row[:, None] * (observed - expected[:, None] * self.centres[g])[:, None, :]
        levels = np.zeros((size, self.totals.Z.shape[1]))
        np.add.at(levels, number, (self.totals.t - fitted)[:, None] * self.totals.Z)
        return np.hstack([maps.reshape(size, -1), levels])

    def solve(self, right: Array, kind: str = "fisher") -> Array:
        """(Penalised) information^-1 times right (C P + q, m)."""
        (C, P), m = self.b.shape, right.shape[1]
        cells = np.tensordot(self.to_maps.T, right[: C * P].reshape(C, P, m), axes=1)  # (G, P, m)
        level = self.level_covariance(kind) @ np.vstack([cells.sum(axis=1), right[C * P :]])
        for g, one in enumerate(self.shapes.found):
            rest = cells[g] - np.outer(self.centres[g], cells[g].sum(axis=0))
            cells[g] = one.A.solve(rest) + level[g]
        maps = np.tensordot(self.to_maps, cells, axes=1).reshape(C * P, m)
        return np.vstack([maps, level[len(cells) :]])

    def dispersions(self) -> Dispersions:
        """Of the frailties of totals, by pattern; those of the clustered family for the other ones too."""
        clustered = self.problem.request.family.name == "clustered_negative_binomial"
        return of_totals(self.totals, self.level if clustered else clustered_level(self.totals))

    def simulate(self, rng: np.random.Generator) -> FociRequest:
        """The request with foci drawn from the fit; raises Unable where the family is no distribution."""
        request, totals = self.problem.request, self.totals
        check_family(request.family)
        t = drawn_totals(self.level.means, self.level.alpha[totals.unit_group], totals.unit, rng)
        maps = [one.eta for one in self.shapes.found]
        return placed(request, self.problem.pattern, maps.__getitem__, t, rng)

    def refit(self, request: FociRequest) -> FociFit:
        """Another model of the same foci; the splines are made again only where the brain or the estimator differ."""
        from .fitting import refit

        return refit(self.problem, request)
