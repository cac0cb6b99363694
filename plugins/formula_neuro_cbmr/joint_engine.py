"""What inference asks of maps and global coefficients that were searched together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.foci.engine import KINDS
from formula_neuro.foci.fit import FociFit
from formula_neuro.foci.request import FociRequest

from .bordered import Bordered
from .corrected import Corrected
from .gram import Gram
from .jackknife import Regression, jackknife
from .joint import Joint, JointFound, pattern_rows
from .on_splines import OnSplines
from .problem import Index, Problem, added
from .simulation import check_family, placed
from .totals import small_sample


@dataclass(frozen=True, eq=False)
class JointEngine(OnSplines):
    """Maps b (C, P) and global coefficients of a joint search."""

    model: Joint
    found: JointFound

    @property
    def problem(self) -> Problem:
        return self.model.problem

    @property
    def gram(self) -> Gram:
        return self.problem.splined.gram

    @cached_property
    def b(self) -> Array:
        return np.asarray(self.model.to_maps @ self.found.beta)

    @property
    def gamma(self) -> Array:
        return self.found.gamma

    # ---- covariances -------------------------------------------------------------------------------
    def covariance(self, r: Array, s: Array, kind: str) -> Array:
        """Of the coefficients r b and s b, (P, P)."""
        if kind == "robust":
            left, right = self.influence(r), self.influence(s)
            return np.asarray(small_sample(left.shape[1]) * (left @ right.T))
        return self.information(kind).covariance(r @ self.model.to_maps, s @ self.model.to_maps)

    def moderator_covariance(self, kind: str) -> Array:
        """Of gamma, (q, q)."""
        if kind != "robust":
            return self.information(kind).corner
        influences = self._influences[self.b.size :]
        return np.asarray(small_sample(influences.shape[1]) * (influences @ influences.T))

    def jackknife(self) -> Array:
        """Of gamma, leaving out each study to first order (CR3), (q, q).

        That of the regression of totals on L and Z at these means: what leaving out a study does to the maps' shapes is
        not followed.
        """
        request = self.problem.request
        unit, pull = self.frailties
        D = np.hstack([request.L, request.design.matrix])
        t = request.totals.astype(np.float64)
        given = Regression(D, t, self.found.fitted, self.ratio, request.cluster, unit, pull)
        C = request.L.shape[1]
        return jackknife(given)[C:, C:]

    @property
    def frailties(self) -> tuple[Index, Array]:
        """The unit of every analysis (M,), and what its shared frailty takes from the information (K,)."""
        M = len(self.found.fitted)
        return np.arange(M), np.zeros(M)

    def information(self, kind: str) -> Bordered | Corrected:
        """Of (beta, gamma): expected and observed are the same for Poisson."""
        if kind not in KINDS:
            raise DataError(f"vcov={kind!r} is not known; there are {', '.join(KINDS)}")
        return self.found.information

    @property
    def ratio(self) -> Array:
        """What scores weigh the expected foci of an analysis by, (M,)."""
        return np.ones(len(self.found.fitted))

    def influence(self, r: Array) -> Array:
        """How far each study moves the coefficients r b, to first order, (P, K)."""
        C, P = self.b.shape
        return np.tensordot(r, self._influences[: C * P].reshape(C, P, -1), axes=1)

    @cached_property
    def _influences(self) -> Array:
        return self.solve(self.scores().T)

    # ---- scores ------------------------------------------------------------------------------------
    @cached_property
    def expected(self) -> Array:
        """X'e_p of every pattern, (G, P)."""
        return pattern_rows(self.model, self.found.beta)

    def scores(self, by: Index | None = None) -> Array:
        """Sums of scores over the analyses of every study, (K, C P + q), or by the numbers `by` (M,)."""
        problem = self.problem
        request = problem.request
        number = request.cluster if by is None else by
        size = int(number.max(initial=-1)) + 1
        w = self.ratio * self.model.weights(self.gamma)
        parts = []
        for column in request.L.T:
            on = np.flatnonzero(column)
            rest = problem.analysis_rows[on].multiply(column[on][:, None]).tocsr()
            observed = added(rest, number[on], size).toarray()
            weights = np.zeros((size, len(self.model.M)))
            np.add.at(weights, (number[on], problem.pattern[on]), column[on] * w[on])
            parts.append(observed - weights @ self.expected)
        levels = np.zeros((size, len(self.gamma)))
        np.add.at(levels, number, (request.totals - self.ratio * self.found.fitted)[:, None] * request.design.matrix)
        return np.hstack([*parts, levels])

    def solve(self, right: Array, kind: str = "fisher") -> Array:
        """(Penalised) information^-1 times right (C P + q, m)."""
        (C, P), m, W = self.b.shape, right.shape[1], self.model.to_maps
        inner = np.tensordot(W.T, right[: C * P].reshape(C, P, m), axes=1).reshape(C * P, m)
        found = self.information(kind).solve(np.vstack([inner, right[C * P :]]))
        maps = np.tensordot(W, found[: C * P].reshape(C, P, m), axes=1).reshape(C * P, m)
        return np.vstack([maps, found[C * P :]])

    def simulate(self, rng: np.random.Generator) -> FociRequest:
        """The request with foci drawn from the fit; raises Unable where the family is no distribution."""
        request = self.problem.request
        check_family(request.family)
        t = np.asarray(rng.poisson(self.found.fitted), dtype=np.intp)
        maps, M = self.expand(self.found.beta), self.model.M
        return placed(request, self.problem.pattern, lambda p: M[p] @ maps, t, rng)

    def refit(self, request: FociRequest) -> FociFit:
        """Another model of the same foci; the splines are made again only where the brain or the estimator differ."""
        from .fitting import refit

        return refit(self.problem, request)
