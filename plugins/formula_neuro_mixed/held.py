"""The least deviance of a mixed model with one standard deviation, correlation or sigma held: profiles are made of it.

The search is over F_t of every term, lower-triangular with Cov(u_t) = F_t F_t', and over the rest (log sigma of a
linear model, b and a shape of a generalized one). With the columns of the term so ordered that what is held comes
first, an sd is F_11 and a correlation F_21 / sqrt(F_21^2 + F_22^2), so that what is left free is free of conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from formula_neuro.family import Array
from formula_neuro.inference.intervals.held import Held
from formula_neuro.inference.prediction.joint_covariance import root_of
from formula_neuro.kernels.templates import lower_factor, positions, vech

from .terms import Term

LEVELS = 40.0  # a guess of the deviance's curvature: twice the levels of a small study
STEP = 1e-4  # of the free elements, in units of their size: central differences then err by about 1e-8
LEAST = 0.02  # a start below this share of its unit is raised: a variance of exactly 0 is a stationary point


@dataclass(frozen=True, eq=False)
class Place:
    """Where a search ended, with the inverse of the curvature that it met: a near search starts from there."""

    x: Array
    curved: Array


@dataclass(frozen=True, eq=False)
class Deviance:
    """-2 log-likelihood as a function of (theta, rest), theta in inner coordinates."""

    terms: tuple[Term, ...]
    value: Callable[[Array, Array], float]
    slope: Callable[[Array, Array], tuple[float, Array, Array]]  # the value, its gradients in theta and in the rest
    scaled: bool  # a linear model, whose theta is in units of sigma
    covariances: tuple[Array, ...]  # at the estimates, in the user's coordinates
    units: tuple[Array, ...]  # (K,) of every term: standard deviations that matter
    rest: Array  # at the estimates
    sigma: int | None = None  # where log sigma stands in the rest, times `power`
    power: float = 1.0

    def held(self, what: Held, value: float, start: Place | None) -> tuple[float, Place]:
        """See inference.held.Profiler."""
        space = _Space(self, what, value)
        x0 = space.start() if start is None else start.x
        if len(x0) == 0:
            return space.value(x0), Place(x0, np.empty((0, 0)))
        curved = np.eye(len(x0)) / LEVELS if start is None else start.curved
        options: Any = {"gtol": 1e-5, "maxiter": 200, "hess_inv0": (curved + curved.T) / 2}
        found = optimize.minimize(space.slope, x0, jac=True, method="BFGS", options=options)
        return float(found.fun), Place(np.asarray(found.x), np.asarray(found.hess_inv))


@dataclass(frozen=True, eq=False)
class _Space:
    """The free elements x: of the F_t in their units, term by term, then of the rest."""

    of: Deviance
    what: Held
    at: float

    def orders(self) -> list[list[int]]:
        """The columns of every term, those of what is held first."""
        found = []
        for t, term in enumerate(self.of.terms):
            first = list(dict.fromkeys([self.what.i, self.what.j])) if t == self.what.term else []
            found.append([*first, *(k for k in range(term.K) if k not in first)])
        return found

    def start(self) -> Array:
        parts = []
        for t, order in enumerate(self.orders()):
            F = lower_factor(root_of(self.of.covariances[t])[order]) / self.of.units[t][order][:, None]
            diagonal = np.arange(len(F))
            F[diagonal, diagonal] = np.maximum(F[diagonal, diagonal], LEAST)
            parts.append(self._taken(t, F))
        return np.concatenate([*parts, self._free_rest(self.of.rest)])

    def _taken(self, t: int, F: Array) -> Array:
        """The free elements of F (K, K), column by column."""
        if t != self.what.term:
            return vech(F)
        if self.what.kind == "sd":
            return vech(F)[1:]
        F = F.copy()
        F[1, 1] = np.hypot(F[1, 0], F[1, 1])
        return np.delete(vech(F), 1)

    def _free_rest(self, rest: Array) -> Array:
        return np.delete(rest, self.of.sigma) if self.what.kind == "sigma" and self.of.sigma is not None else rest

    def parts(self, x: Array) -> tuple[Array, Array]:
        """theta, in inner coordinates, and the rest."""
        rest = self._rest(x[self._size() :])
        scale, first, thetas = self._scale(rest), 0, []
        for t, (term, order) in enumerate(zip(self.of.terms, self.orders(), strict=True)):
            size = self._sizes()[t]
            F = self._filled(t, x[first : first + size]) * self.of.units[t][order][:, None]
            if t == self.what.term and self.what.kind == "sd":
                F[0, 0] = self.at
            inner = np.linalg.solve(term.change, F[np.argsort(order)])
            thetas.append(vech(lower_factor(np.asarray(inner / scale, dtype=np.float64))))
            first += size
        return np.concatenate(thetas), rest

    def _scale(self, rest: Array) -> float:
        return float(np.exp(rest[self.of.sigma])) if self.of.scaled and self.of.sigma is not None else 1.0

    def _filled(self, t: int, x: Array) -> Array:
        K = self.of.terms[t].K
        F = np.zeros((K, K))
        rows, columns = positions(K)
        if t != self.what.term:
            F[rows, columns] = x
        elif self.what.kind == "sd":
            F[rows[1:], columns[1:]] = x
        else:
            kept = np.delete(np.arange(len(rows)), 1)
            F[rows[kept], columns[kept]] = x
            F[1, :2] = F[1, 1] * np.array([self.at, np.sqrt(1 - self.at**2)])
        return F

    def _rest(self, x: Array) -> Array:
        if self.what.kind == "sigma" and self.of.sigma is not None:
            return np.insert(x, self.of.sigma, self.of.power * np.log(self.at))
        return x

    def _sizes(self) -> list[int]:
        taken = [1 if t == self.what.term else 0 for t in range(len(self.of.terms))]
        return [term.K * (term.K + 1) // 2 - one for term, one in zip(self.of.terms, taken, strict=True)]

    def _size(self) -> int:
        return sum(self._sizes())

    def value(self, x: Array) -> float:
        return self.of.value(*self.parts(x))

    def slope(self, x: Array) -> tuple[float, Array]:
        """The value and its gradient: exact where all terms are scalar, else by differences in what moves theta.

        Templates of several effects have no derivative where they are singular; differences do not mind.
        """
        scalar = all(term.K == 1 for term in self.of.terms)
        if self.of.scaled and not scalar:
            return self.value(x), np.array([self._difference(x, k) for k in range(len(x))])
        theta, rest = self.parts(x)
        value, of_theta, of_rest = self.of.slope(theta, rest)
        if not scalar:
            of_F = np.array([self._difference(x, k) for k in range(self._size())])
            return value, np.concatenate([of_F, self._free_rest(of_rest)])
        if self.of.scaled and self.of.sigma is not None:  # theta = F / sigma
            of_rest = of_rest.copy()
            of_rest[self.of.sigma] -= of_theta @ theta
        F = x[: self._size()]
        free = [t for t in range(len(self.of.terms)) if t != self.what.term]
        of_F = np.divide((of_theta * theta)[free], F, out=np.zeros(len(F)), where=F != 0)
        return value, np.concatenate([of_F, self._free_rest(of_rest)])

    def _difference(self, x: Array, k: int) -> float:
        moved = np.zeros(len(x))
        moved[k] = STEP
        return (self.value(x + moved) - self.value(x - moved)) / (2 * STEP)


def units_of(terms: Sequence[Term], sigma: float, covariances: Sequence[Array]) -> tuple[Array, ...]:
    """(K,) a term: the larger of the estimated sd and that which moves rows by a tenth of sigma."""
    found = []
    for term, S in zip(terms, covariances, strict=True):
        size = np.sqrt((term.given.basis**2).mean(axis=0))
        found.append(np.maximum(np.sqrt(np.diag(S)), 0.1 * sigma / np.where(size > 0, size, 1.0)))
    return tuple(found)
