"""How sure Sigma is: the variance that EM's rate of convergence says is missing (Meng and Rubin 1991).

Given b, Q is Wishart. Near the fixed point a step multiplies a departure by J, the share of information that b lacks,
so that Q's coordinates have the covariance (I - J)^-1 V with V that of the Wishart distribution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from formula_neuro.family import Array

from .precision import coordinates, matrix_of, wishart

AWAY = 0.05  # from the fixed point, in Q's coordinates
DRAWS = 2000


def sigma_draws(step: Callable[[Array], Array], theta: Array, df: float, seed: int) -> tuple[Array, bool]:
    """Draws (DRAWS, P, P) of Q^-1, and whether the information is positive: without that, they are those given b."""
    P = int((np.sqrt(8 * len(theta) + 1) - 1) / 2)
    rng = np.random.default_rng([seed, 1])
    scale = matrix_of(theta, P) / df
    V = np.atleast_2d(np.cov(np.array([coordinates(wishart(df, scale, rng)) for _ in range(DRAWS)]).T))
    here = step(theta)
    J = np.column_stack([(step(theta + AWAY * e) - here) / AWAY for e in np.eye(len(theta))])
    covariance = np.linalg.solve(np.eye(len(theta)) - J, V)
    covariance = (covariance + covariance.T) / 2
    fine = bool(np.linalg.eigvalsh(covariance).min() > 0 and np.abs(np.linalg.eigvals(J)).max() < 1)
    drawn = rng.multivariate_normal(theta, covariance if fine else V, DRAWS)
    return np.linalg.inv(np.array([matrix_of(t, P) for t in drawn])), fine
