"""Adaptive Gauss-Hermite quadrature with one random effect a group, for B responses at once.

Value and gradient are exact (agq.py has the formulas); Laplace's Hessian stands for the Hessian, which is near enough
for Newton's steps to converge fast.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from formula_neuro.family import Array

from .laplace import Derivatives, Laplace, Modes
from .newton import Which
from .problem import Problem, group_sums


def normal_nodes(count: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss-Hermite quadrature for the standard normal density; the weights sum to 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


class Quadrature(Laplace):
    """F by quadrature, as a target of minimise_many."""

    def __init__(self, problem: Problem, wy: Array, count: int):
        super().__init__(problem, wy)
        self.nodes, self.node_weights = normal_nodes(count)
        self.of_columns = group_sums(problem, self.columns)
        self.of_rows = group_sums(problem, np.ones_like(problem.z))

    def value(self, psi: Array, which: Which) -> Array:
        return self.expand(psi, which)[0]

    def expand(self, psi: Array, which: Which) -> tuple[Array, Array, Array]:
        with np.errstate(all="ignore"):
            wy = self._responses(which)
            at = self.modes(psi, which, wy)
            moved = Derivatives(self, psi[:, 0], at, self.sums(wy, at.eta))
            value, gradient = self._integrated(wy, psi[:, 0], at, moved)
            return self._remembered(psi, which, at, moved, self._checked(value, psi, at), gradient, moved.hessian())

    def _integrated(self, wy: Array, t: Array, at: Modes, moved: Derivatives) -> tuple[Array, Array]:
        """F (A,) and dF (A, m): L_g = D^-1/2 sum_k w_k exp[h_g(v + z_k D^-1/2) + z_k^2 / 2]."""
        p, m, D = self.problem, moved.m, moved.D
        dD = np.stack(moved.dD)
        logs, slopes = [], []
        for node, weight in zip(self.nodes, self.node_weights, strict=True):
            vk = at.v + node / np.sqrt(D)
            eta = at.eta + (t * p.z) * (vk - at.v)[p.codes]
            h = self.of_rows @ self.rows.kernel(wy, p.w, eta) - vk**2 / 2
            score = (self.of_columns @ self.rows.score(wy, p.w, eta)[0]).reshape(m, p.G, -1)
            dvk = moved.dv - node / 2 * D**-1.5 * dD
            slope = (t * score[0] - vk) * dvk
            slope += np.concatenate([(score[0] * vk)[None], score[1:]])
            logs.append(h + node**2 / 2 + np.log(weight))
            slopes.append(slope)
        log = np.stack(logs)
        total = logsumexp(log, axis=0)
        dlog = np.einsum("kga,kmga->mga", np.exp(log - total), np.stack(slopes)) - dD / (2 * D)
        return -2 * (total - np.log(D) / 2).sum(axis=0), -2 * dlog.sum(axis=1).T
