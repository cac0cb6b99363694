"""Totals whose units share a gamma frailty: Newton's method in the level's coefficients and the log variances.

With Q the columns, rho the frailties' means given the totals, L the units' expected totals and g = dL/d theta, the
score of theta is Q'(t - rho mu) and its information Q' diag(rho mu) Q - sum_k alpha rho g g' / (1 + alpha L)
(observed), or with rho = 1 (expected). For a known alpha the log-likelihood is concave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from . import frailty
from .frailty import Counts
from .totals import Level, Totals, poisson_level

ENOUGH = 1e-16  # of the log-likelihood's scale: the predicted rise at which the search ends, near rounding
STEPS = 200
LARGEST = 2.0  # change of log alpha, or of a log mean in standard terms, that one step may make
VANISHING = 1e-9  # of alpha times the largest expected total: the unit's variance is Poisson's to rounding
NEARLY = 1e-4  # of the same, where the likelihood does not rise from 0: the search only creeps towards it


@dataclass(frozen=True, eq=False)
class _Point:
    """Parameters, and what all derivatives share; alpha 0 is held there."""

    theta: Array
    alpha: Array
    mu: Array
    means: Array  # by unit
    value: float


def clustered_level(totals: Totals, poisson: NDArray[np.bool_] | None = None) -> Level:
    """Maximum likelihood of totals with a frailty a unit, its variance by group.

    `poisson` (G,) marks groups whose variance is held at 0. Where totals vary no more than Poisson's, the variance's
    maximum likelihood is 0 and a message says so.
    """
    model = _Model(totals, poisson)
    point = model.start(poisson_level(totals))
    steps, decrement, settled = 0, np.inf, False
    while not settled and steps < STEPS:
        steps += 1
        step, decrement = model.step(point)
        moved = model.moved(point, step, decrement)
        settled = moved is None or decrement < ENOUGH * (1 + abs(point.value))
        point = point if moved is None else moved
        changed = model.at_the_edge(point)
        if changed is not None:
            point, settled = changed, False
    return model.level(point, steps, decrement)


class _Model:
    """The log-likelihood of totals and its derivatives in orthonormal columns."""

    def __init__(self, totals: Totals, poisson: NDArray[np.bool_] | None):
        self.totals, self.Q = totals, totals.basis.Q
        self.counts = Counts(totals.by_unit(totals.t))
        self.group = totals.unit_group
        self.held = np.zeros(totals.groups, dtype=bool) if poisson is None else poisson

    def at(self, theta: Array, alpha: Array) -> _Point:
        with np.errstate(over="ignore"):
            eta = self.Q @ theta + self.totals.offset
            mu = np.exp(eta)
            means = self.totals.by_unit(mu)
            value = frailty.loglik(self.counts, means, alpha[self.group]).sum() + self.totals.t @ eta
        return _Point(theta, alpha, mu, means, float(value) if np.isfinite(value) else -np.inf)

    def by_group(self, values: Array) -> Array:
        return np.bincount(self.group, weights=values, minlength=self.totals.groups).astype(np.float64)

    def start(self, level: Level) -> _Point:
        """Poisson's coefficients and the variances that match the moments, where totals vary more than Poisson's."""
        point = self.at(self.totals.basis.R @ level.theta, np.zeros(self.totals.groups))
        return self.at(point.theta, np.where(self.rising(point), np.maximum(self.moments(point), 1e-3), 0.0))

    def moments(self, point: _Point) -> Array:
        excess = self.by_group((self.counts.t - point.means) ** 2 - self.counts.t)
        return np.asarray(excess / np.maximum(self.by_group(point.means**2), 1e-300))

    def rising(self, point: _Point) -> NDArray[np.bool_]:
        """Whether the likelihood rises as a group's variance leaves 0."""
        return np.asarray(frailty.rises(self.counts, point.means, self.by_group) & ~self.held)

    def at_the_edge(self, point: _Point) -> _Point | None:
        """The point with variances set to 0 that vanish, or freed where the likelihood rises; None if all stay."""
        largest = np.zeros_like(point.alpha)
        np.maximum.at(largest, self.group, point.means)
        rising, size = self.rising(point), point.alpha * largest
        vanish = (point.alpha > 0) & ((size < VANISHING) | ((size < NEARLY) & ~rising))
        free = (point.alpha == 0) & rising
        if not (vanish | free).any():
            return None
        moments = np.clip(self.moments(point), 1e-3, 10.0)
        return self.at(point.theta, np.where(vanish, 0.0, np.where(free, moments, point.alpha)))

    def theta_information(self, point: _Point, observed: bool) -> Array:
        alpha = point.alpha[self.group]
        rho = frailty.ratio(self.counts, point.means, alpha)[self.totals.unit] if observed else 1.0
        g = self.totals.by_unit(point.mu[:, None] * self.Q)
        pull = frailty.pull(self.counts, point.means, alpha, observed)
        whole = self.Q.T @ ((rho * point.mu)[:, None] * self.Q)
        return np.asarray(whole - g.T @ (pull[:, None] * g))

    def derivatives(self, point: _Point) -> tuple[Array, Array, NDArray[np.intp]]:
        """Score and observed information of theta and the log variances that are not 0, whose groups come third."""
        free = np.flatnonzero(point.alpha > 0)
        alpha = point.alpha[self.group]
        rho = frailty.ratio(self.counts, point.means, alpha)
        slope = point.alpha * self.by_group(frailty.slope(self.counts, point.means, alpha))
        bend = point.alpha**2 * self.by_group(frailty.curvature(self.counts, point.means, alpha)) + slope
        weight = alpha * frailty.cross(self.counts, point.means, alpha)
        g = self.totals.by_unit(point.mu[:, None] * self.Q)
        border = np.stack([((self.group == j) * weight) @ g for j in free], axis=1) if len(free) else g[:0].T
        score = np.concatenate([self.Q.T @ (self.totals.t - rho[self.totals.unit] * point.mu), slope[free]])
        top = np.hstack([self.theta_information(point, observed=True), -border])
        return score, np.vstack([top, np.hstack([-border.T, -np.diag(bend[free])])]), free

    def step(self, point: _Point) -> tuple[Array, float]:
        """Newton's step, or where the information is not positive definite one whose variances go by their slopes."""
        score, information, free = self.derivatives(point)
        if np.linalg.eigvalsh(information).min() <= 0:
            p = len(score) - len(free)
            safe = np.zeros_like(information)
            safe[:p, :p] = information[:p, :p]
            safe[p:, p:] = np.diag(np.maximum(np.abs(np.diagonal(information)[p:]), np.abs(score[p:]) / LARGEST))
            information = safe
        step = np.linalg.solve(information, score)
        largest = float(np.abs(step[len(score) - len(free) :]).max(initial=0.0))
        whole = np.zeros(len(point.theta) + len(point.alpha))
        whole[: len(point.theta)] = step[: len(point.theta)]
        whole[len(point.theta) + free] = step[len(point.theta) :]
        return whole * min(1.0, LARGEST / max(largest, 1e-300)), float(score @ step) / 2

    def moved(self, point: _Point, step: Array, decrement: float) -> _Point | None:
        """The point after as much of the step as does not lower the likelihood; None where none is left."""
        p = len(point.theta)
        for halvings in range(40):
            share = 0.5**halvings
            there = self.at(point.theta + share * step[:p], point.alpha * np.exp(share * step[p:]))
            if there.value >= point.value - 1e-14 * abs(point.value):
                return there
        return None

    def level(self, point: _Point, steps: int, decrement: float) -> Level:
        basis, p = self.totals.basis, len(point.theta)
        joint = inverse(self.derivatives(point)[1])
        free = np.flatnonzero(point.alpha > 0)
        alpha_se = np.full(len(point.alpha), np.nan)
        alpha_se[free] = np.sqrt(np.diagonal(joint)[p:])
        converged = decrement < 1e-8  # of the log-likelihood: estimates within 1e-4 standard errors
        return Level(
            theta=basis.coefficients(point.theta),
            means=point.mu,
            ratio=frailty.ratio(self.counts, point.means, point.alpha[self.group])[self.totals.unit],
            alpha=point.alpha,
            alpha_se=alpha_se,
            fisher=basis.covariance(inverse(self.theta_information(point, observed=False))),
            observed=basis.covariance(joint[:p, :p]),
            loglik=point.value,
            steps=steps,
            decrement=decrement,
            converged=converged,
            messages=(*self.about(point), *(() if converged else (f"the totals' search stopped after {steps} steps",))),
        )

    def about(self, point: _Point) -> tuple[str, ...]:
        flat = [self.totals.names[j] for j in np.flatnonzero((point.alpha == 0) & ~self.held)]
        if not flat:
            return ()
        return (f"alpha is 0 in {', '.join(flat)}: totals vary no more than Poisson's there",)


def inverse(information: Array) -> Array:
    """Of an information at a maximum; raises FitError where it is singular."""
    try:
        return np.asarray(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        reason = "a coefficient or a variance is not determined by so few analyses"
        raise FitError(f"the information of the totals is singular: {reason}; leave terms out") from None
