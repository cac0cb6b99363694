"""What a GLMM minimises over psi = (theta, b): value, exact gradient, and Hessian by differences of the gradient."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from ..terms import Term
from . import agq, laplace
from .pirls import Mode, Problem, modes

LARGEST_THETA = 50.0  # on a logit or log scale: effects of e^50 mean that the variance is infinite
UNLIMITED = ("identity", "sqrt")  # links whose linear predictor has the units of the response


class Objective:
    """F(psi) for one problem; it keeps the last modes, from which the next search for them starts."""

    def __init__(self, problem: Problem, nodes: int):
        self.problem, self.nodes = problem, nodes
        self.limit = np.inf if problem.family.link.name in UNLIMITED else LARGEST_THETA
        self._last = np.zeros(problem.n_effects)

    def mode(self, psi: Array) -> Mode | None:
        """The modes at psi, or None where there are none (means outside the family's range)."""
        cut = self.problem.n_theta
        try:
            found = modes(self.problem, psi[:cut], psi[cut:], self._last)
            if found is None and self._last.any():  # the last modes may lie where a link is flat
                found = modes(self.problem, psi[:cut], psi[cut:], np.zeros_like(self._last))
        except LinAlgError:
            return None
        if found is not None:
            self._last = found.v
        return found

    def value(self, psi: Array) -> float:
        """F alone; infinite where there are no modes, and where theta is beyond any sense."""
        if np.abs(psi[: self.problem.n_theta]).max() > self.limit:
            return float("inf")
        mode = self.mode(psi)
        if mode is None:
            return float("inf")
        return laplace.criterion(mode) if self.nodes == 1 else self._quadrature(psi, mode)[0]

    def sure_mode(self, psi: Array) -> Mode:
        """The modes at psi; FitError where there are none."""
        mode = self.mode(psi)
        if mode is None:
            raise FitError(
                "no modes of the random effects were found near the current estimates; "
                "rescale the covariates, simplify the random terms or use another link"
            )
        return mode

    def gradient(self, psi: Array) -> tuple[float, Array]:
        """F and dF/dpsi."""
        mode = self.sure_mode(psi)
        if self.nodes > 1:
            return self._quadrature(psi, mode)
        return laplace.criterion(mode), laplace.gradient(self.problem, psi[: self.problem.n_theta], mode)

    def _quadrature(self, psi: Array, mode: Mode) -> tuple[float, Array]:
        return agq.value_and_gradient(self.problem, psi[: self.problem.n_theta], mode, self.nodes)

    def derivatives(self, psi: Array) -> tuple[float, Array, Array]:
        """F, its gradient, and its Hessian to about 7 digits (enough for Newton's steps)."""
        value, gradient = self.gradient(psi)
        return value, gradient, self._differences(psi, 1e-4 * self._steps(), ((1, 0.5), (-1, -0.5)))

    def hessian(self, psi: Array) -> Array:
        """The Hessian for standard errors: differences of fourth order, about 9 digits."""
        weights = ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))
        return self._differences(psi, 5e-3 * self._steps(), weights)

    def _steps(self) -> Array:
        """Step lengths such that no row's linear predictor moves by more than about 3 units."""
        reach = [reach for term in self.problem.terms for reach in _reach(term)]
        return 3 / np.maximum(np.concatenate([reach, np.abs(self.problem.X).max(axis=0)]), 3.0)

    def _differences(self, psi: Array, steps: Array, weights: tuple[tuple[int, float], ...]) -> Array:
        rows = []
        for j, step in enumerate(steps):
            move = np.zeros(len(psi))
            move[j] = step
            rows.append(sum(weight * self.gradient(psi + k * move)[1] for k, weight in weights) / step)
        H = np.array(rows)
        return np.asarray((H + H.T) / 2)


def _reach(term: Term) -> list[float]:
    """The largest change of a row's U with each element of theta; of a structure that of any of its columns."""
    if term.structure is not None:
        return [float(np.abs(term.basis).max())] * term.structure.size
    return [float(np.abs(term.basis[:, i]).max()) for i, _ in term.elements]
