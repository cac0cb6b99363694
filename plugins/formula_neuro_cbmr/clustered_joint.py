"""Maps and global coefficients with a gamma frailty a unit, searched together where the likelihood does not split.

Given the frailties' means rho the score and the first part of the information are Poisson's with exposures rho w; each
unit then takes pull_k g_k g_k' away, g_k = dL_k/d(beta, gamma) (frailty.py). Newton steps in (beta, gamma), and in
between the best alpha of every group given the expected totals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from . import frailty
from .corrected import Corrected, without
from .frailty import Counts
from .joint import Joint, JointFound, Point, at, derivatives, pattern_rows, pattern_sums
from .poisson import HALVINGS
from .problem import Index

ENOUGH = 1e-10  # of the decrement of (beta, gamma), and of the change of log alpha
STEPS = 100


@dataclass(frozen=True, eq=False)
class Units:
    """What shares a frailty: `unit` (M,) of each analysis, `group` (K,) whose alpha each unit has, their counts.

    `held` (groups,) marks groups whose alpha is 0 whatever the data.
    """

    unit: Index
    group: Index
    groups: int
    counts: Counts
    held: NDArray[np.bool_]

    def holding(self, held: NDArray[np.bool_]) -> Units:
        return replace(self, held=held)

    def sums(self, values: Array) -> Array:
        """Over the analyses of each unit, (K, ...)."""
        out = np.zeros((len(self.group), *values.shape[1:]))
        np.add.at(out, self.unit, values)
        return out

    def best_alpha(self, means: Array) -> Array:
        """Of every group, given the units' expected totals (K,)."""
        found = np.zeros(self.groups)
        for g in np.flatnonzero(~self.held):
            mine = self.group == g
            found[g] = frailty.best(Counts(self.counts.t[mine]), means[mine])
        return found


@dataclass(frozen=True, eq=False)
class ClusteredFound:
    """The optimum: beta and gamma as for Poisson's, alpha (groups,), standard errors of log alpha, rho (M,).

    `expected` and `observed` are informations of (beta, gamma), in the latter alpha estimated.
    """

    found: JointFound
    alpha: Array
    alpha_se: Array
    ratio: Array
    expected: Corrected
    observed: Corrected


def clustered_joint(model: Joint, units: Units, begin: JointFound, smoothing: float) -> ClusteredFound:
    """Maximum (penalised) likelihood, from the optimum for Poisson; raises FitError where no step rises."""
    search = _Search(model, units, smoothing)
    beta, gamma = begin.beta, begin.gamma
    alpha = units.best_alpha(search.means(beta, gamma))
    for step in range(1, STEPS + 1):
        point, gradient, information = search.linearised(beta, gamma, alpha)
        way = information.solve(gradient[:, None])[:, 0]
        decrement = float(gradient @ way)
        beta, gamma = search.ahead(point, alpha, way, decrement)
        new = units.best_alpha(search.means(beta, gamma))
        change = float(np.abs(np.log(np.maximum(new, 1e-12)) - np.log(np.maximum(alpha, 1e-12))).max())
        alpha = new
        if decrement < ENOUGH and change < ENOUGH:
            return search.found(beta, gamma, alpha, (begin.steps + step, decrement, True))
    return search.found(beta, gamma, alpha, (begin.steps + STEPS, decrement, False))


class _Search:
    """The penalised log-likelihood and its derivatives at given alphas."""

    def __init__(self, model: Joint, units: Units, smoothing: float):
        self.model, self.units, self.smoothing = model, units, smoothing

    def fitted(self, beta: Array, gamma: Array) -> Array:
        """Expected foci of every analysis, (M,)."""
        sums = pattern_sums(self.model, beta)
        return np.asarray(self.model.weights(gamma) * sums[self.model.problem.pattern])

    def means(self, beta: Array, gamma: Array) -> Array:
        return self.units.sums(self.fitted(beta, gamma))

    def value(self, beta: Array, gamma: Array, alpha: Array) -> float:
        model = self.model
        with np.errstate(over="ignore", invalid="ignore"):
            means = self.means(beta, gamma)
            ways = float(frailty.loglik(self.units.counts, means, alpha[self.units.group]).sum())
        rough = sum(model.problem.splined.penalty.roughness(b) for b in beta)
        known = float((model.r * beta).sum()) + model.t_offset + float(model.tz @ gamma)
        return known + ways - 0.5 * self.smoothing * rough

    def linearised(self, beta: Array, gamma: Array, alpha: Array) -> tuple[Point, Array, Corrected]:
        """The point with exposures rho w, the gradient (C P + q,) there and the observed information, alpha known."""
        fitted = self.fitted(beta, gamma)
        means, own = self.units.sums(fitted), alpha[self.units.group]
        rho = frailty.ratio(self.units.counts, means, own)[self.units.unit]
        weighted = replace(self.model, ratio=rho)
        point = at(weighted, beta, gamma, self.smoothing)
        gradient, base = derivatives(weighted, point, self.smoothing)
        g = self.directions(beta, gamma, fitted)
        return point, gradient, without(base, g, frailty.pull(self.units.counts, means, own, observed=True))

    def directions(self, beta: Array, gamma: Array, fitted: Array) -> Array:
        """g (K, C P + q)."""
        model, units = self.model, self.units
        rows, w = pattern_rows(model, beta), model.weights(gamma)
        parts = []
        for column in model.M.T:
            weights = np.zeros((len(units.group), len(model.M)))
            np.add.at(weights, (units.unit, model.problem.pattern), column[model.problem.pattern] * w)
            parts.append(weights @ rows)
        return np.hstack([*parts, units.sums(fitted[:, None] * model.problem.request.design.matrix)])

    def ahead(self, point: Point, alpha: Array, way: Array, decrement: float) -> tuple[Array, Array]:
        """Coefficients after as much of the step as does not lower the likelihood."""
        beta, gamma = point.beta, point.gamma
        maps, rest = way[: beta.size].reshape(beta.shape), way[beta.size :]
        before, length = self.value(beta, gamma, alpha), 1.0
        for _ in range(HALVINGS):
            there = beta + length * maps, gamma + length * rest
            value = self.value(*there, alpha)
            if np.isfinite(value) and value >= before - 1e-13 * (abs(before) + 1.0):
                return there
            length /= 2
        if decrement > 1e-6:
            raise FitError("no step along Newton's direction raises the log-likelihood of maps and global terms")
        return beta, gamma

    def found(self, beta: Array, gamma: Array, alpha: Array, search: tuple[int, float, bool]) -> ClusteredFound:
        units, model = self.units, self.model
        _, gradient, given = self.linearised(beta, gamma, alpha)
        fitted = self.fitted(beta, gamma)
        means, own = units.sums(fitted), alpha[units.group]
        g = self.directions(beta, gamma, fitted)
        _, base = derivatives(model, at(model, beta, gamma, self.smoothing), self.smoothing)
        expected = without(base, g, frailty.pull(units.counts, means, own, observed=False))
        observed, alpha_se = self.with_alpha(given, g, means, alpha)
        rough = sum(model.problem.splined.penalty.roughness(b) for b in beta)
        loglik = self.value(beta, gamma, alpha) + 0.5 * self.smoothing * rough
        rho = frailty.ratio(units.counts, means, own)[units.unit]
        steps, decrement, converged = search
        least = np.full(len(model.M), np.nan)  # not looked for again
        optimum = JointFound(
            beta, gamma, base, loglik, fitted, least, steps, decrement, float(np.abs(gradient).max()), converged
        )
        return ClusteredFound(optimum, alpha, alpha_se, rho, expected, observed)

    def with_alpha(self, given: Corrected, g: Array, means: Array, alpha: Array) -> tuple[Corrected, Array]:
        """The observed information of (beta, gamma) with log alpha estimated, and the standard errors of log alpha."""
        units, free = self.units, np.flatnonzero(alpha > 0)
        own = alpha[units.group]
        slope = own * frailty.slope(units.counts, means, own)
        bend = own**2 * frailty.curvature(units.counts, means, own) + slope
        mixed = own * frailty.cross(units.counts, means, own)
        mine = units.group == free[:, None]
        border = -((mine * mixed) @ g).T
        observed, block = given.bordered_by(border, np.diag(-(mine @ bend)))
        alpha_se = np.full(len(alpha), np.nan)
        alpha_se[free] = np.sqrt(np.diagonal(block))
        return observed, alpha_se
