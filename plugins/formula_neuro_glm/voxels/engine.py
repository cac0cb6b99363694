"""What inference asks of a fit in every voxel: smaller models of the same images, and the rows of their scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import ML, Estimator
from formula_neuro.family import Array, Family
from formula_neuro.kernels.cone import recession_cone
from formula_neuro.kernels.cones import moved_rows
from formula_neuro.kernels.separation import SIGMOID, _sides
from formula_neuro.maps.inference.nulls import Nulls

from ..moments import moments
from ..newton import search
from ..problem import Problem as TableProblem
from .answer import Answer
from .cells import Cells
from .design import Rows
from .estimates import OVERLAP, QUASI
from .patterns import distinct
from .problem import Problem

Limits = tuple[Array, Array, NDArray[np.bool_]]  # coefficients, deviance, whether they were found


@dataclass(frozen=True, eq=False)
class Engine:
    """The abilities of a linear or generalized linear model in every voxel."""

    family: Family
    estimator: Estimator
    device: str | None = None

    def null(self, X: Array, weights: Array, offset: Array) -> NullModel:
        """Maximum likelihood of another design X (n, p) for the same images, whatever the fit's own estimator."""
        return NullModel(X, weights, offset, self.family, self.device)

    def held(self, X: Array, held: int, weights: Array, offset: Array) -> HeldModel:
        """The fit's own estimator with the last columns of X held at 0."""
        return HeldModel(X, held, weights, offset, self.family, self.estimator)


@dataclass(frozen=True, eq=False)
class NullModel:
    """A design X (n, p) of full rank, fitted by maximum likelihood where that is infinite by its limit."""

    X: Array
    weights: Array
    offset: Array
    family: Family
    device: str | None = None

    def fit(self, Y: NDArray[Any]) -> Nulls:
        """The fits of responses Y (C, n).

        Where the model is separated in part, rows that a direction of recession moves have their limits, and the others
        overlap among themselves (Geyer 2009), so that the deviance, scores and information have limits as well. Where
        all rows are moved nothing is left to test.
        """
        problem = self._problem(np.arange(Y.shape[1]))
        out = problem.fit(Y)
        apart = np.flatnonzero(out["class"] == QUASI)
        first, place = distinct(Y[apart])
        gone, limits = self._limits(problem, Y[apart[first]])
        found = _known(out)
        for whole, some in zip((found.b, found.deviance, found.fine), limits, strict=True):
            whole[apart] = some[place]
        return replace(found, apart=apart, gone=np.packbits(gone[place], axis=1))

    def _problem(self, rows: NDArray[np.intp]) -> Problem:
        """Maximum likelihood in these rows."""
        w, o = self.weights[rows], self.offset[rows]
        return Problem.of(self.X[rows], self.family, ML(), weights=w, offset=o, device=self.device)

    def _pure(self, problem: Problem, Y: NDArray[Any]) -> NDArray[np.bool_]:
        """(C, n) rows in levels that have no event, or nothing else: most often all that have their limits."""
        used = problem.rows.used
        cells = Cells.of(problem.rows)
        gone = np.zeros(Y.shape, dtype=bool)
        gone[:, used] = np.abs(cells.pure(problem.rows, Y[:, used])).astype(np.float32) @ cells.masks > 0
        return gone

    def _moved(self, Y: NDArray[Any]) -> NDArray[np.bool_]:
        """Which rows have their limits (C, n), exactly, for responses that are separated in part."""
        used = self.weights > 0
        X, some = self.X[used], Y[:, used]
        moved, sure = np.zeros(some.shape, dtype=bool), np.zeros(len(Y), dtype=bool)
        if self.family.link.name in SIGMOID and Y.dtype == np.uint8:
            moved, sure = moved_rows(X, np.where(some > 0, 1, -1).astype(np.int8))
        for c in np.flatnonzero(~sure):
            sides = _sides(some[c].astype(float), self.family)
            cone = None if sides is None else recession_cone(X, sides)
            moved[c] = False if cone is None else cone.moved
        out = np.zeros(Y.shape, dtype=bool)
        out[:, used] = moved
        return out

    def _limits(self, problem: Problem, Y: NDArray[Any]) -> tuple[NDArray[np.bool_], Limits]:
        """Of separated responses Y (m, n), the rows that have their limits (m, n) and the fits of the others."""
        gone = self._pure(problem, Y)
        b, deviance, fine = np.zeros((len(Y), self.X.shape[1])), np.zeros(len(Y)), np.zeros(len(Y), dtype=bool)
        for again in (False, True):
            if again and not fine.all():
                gone[~fine] = self._moved(Y[~fine])
            kinds, which = np.unique(gone[~fine], axis=0, return_inverse=True)
            left = np.flatnonzero(~fine)
            for k, moved in enumerate(kinds):
                rest, at = np.flatnonzero(~moved), left[which.ravel() == k]
                if moved.any() and len(rest):
                    part = _known(self._problem(rest).fit(Y[np.ix_(at, rest)]))
                    b[at], deviance[at], fine[at] = part.b, part.deviance, part.fine
        return gone, (b, deviance, fine)

    def rows(self, b: Array, Y: NDArray[Any]) -> tuple[Array, Array, Array]:
        """Of coefficients b (C, p) and responses Y (C, n): scores q (y - mu), information W and y - mu, each (C, n)."""
        found = moments(self.family, b @ self.X.T + self.offset, Y.astype(np.float64), self.weights)
        return found.q * found.residual, found.W, found.residual


def _known(out: Answer) -> Nulls:
    """An answer as null models; those that are separated are not fine."""
    b = np.nan_to_num(out["coef"], nan=0.0, posinf=0.0, neginf=0.0)
    fine = np.asarray((out["class"] == OVERLAP) & out["converged"])
    return Nulls(b, out["deviance"].copy(), fine, np.zeros(0, np.intp), np.zeros((0, 0), np.uint8))


@dataclass(frozen=True, eq=False)
class HeldModel:
    """The fit's own penalised likelihood with the last columns of X (n, p) held at 0, which stay in the penalty."""

    X: Array
    held: int
    weights: Array
    offset: Array
    family: Family
    estimator: Estimator

    def fit(self, Y: NDArray[Any]) -> Array:
        """The largest log-likelihood + power log det I for responses Y (C, n), (C,); NaN where none was found.

        Each pattern by the search of a table's model (Heinze and Schemper 2002).
        """
        rows = Rows.of(self.X, self.weights, self.offset, self.family, self.estimator)
        first, place = distinct(Y)
        return np.array([self._highest(rows, y) for y in Y[first][:, rows.used].astype(float)])[place]

    def _highest(self, rows: Rows, y: Array) -> float:
        free = np.eye(rows.rank)[:, : rows.rank - self.held]  # R is triangular: the last coordinates are the columns'
        problem = TableProblem(
            self.estimator, self.family, rows.Q, rows.R, y, rows.w, rows.offset, free, np.zeros(rows.rank)
        )
        for a in problem.starts():
            start = problem.point(a)
            if start is None:
                continue
            found = search(problem.point, start, problem.cap)
            state = problem.state(found.point.a) if found.converged else None
            if state is not None:
                return -problem.criterion(state) / 2
        return float("nan")
