"""The precision Q of differences between neighbours: its coordinates, its draws, faster steps to its fixed point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

DEPTH = 3  # earlier steps that Anderson's acceleration combines
FURTHEST = 8.0  # multiple of a plain step
LONGEST = 1.5  # of a step, in logarithms of the Cholesky factor


def coordinates(Q: Array) -> Array:
    """The Cholesky factor's lower triangle, logarithms on its diagonal, (P (P + 1) / 2,).

    >>> matrix_of(coordinates(np.array([[2.0, 0.5], [0.5, 1.0]])), 2).round(12).tolist()
    [[2.0, 0.5], [0.5, 1.0]]
    """
    C = np.linalg.cholesky(Q)
    np.fill_diagonal(C, np.log(np.diagonal(C)))
    return np.asarray(C[np.tril_indices(len(Q))])


def matrix_of(theta: Array, P: int) -> Array:
    """The positive definite matrix (P, P) of coordinates."""
    C = np.zeros((P, P))
    C[np.tril_indices(P)] = theta
    np.fill_diagonal(C, np.exp(np.diagonal(C)))
    return np.asarray(C @ C.T)


def wishart(df: float, scale: Array, rng: np.random.Generator) -> Array:
    """One draw from Wishart(df, scale), mean df scale, by Bartlett's decomposition."""
    P = len(scale)
    B = np.tril(rng.standard_normal((P, P)), -1)
    B[np.diag_indices(P)] = np.sqrt(rng.chisquare(df - np.arange(P)))
    root = np.linalg.cholesky(scale) @ B
    return np.asarray(root @ root.T)


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Where the map left its point, the size of its last step, and the steps taken."""

    theta: Array
    change: float
    steps: int


def fixed_point(step: Callable[[Array], Array], theta: Array, tolerance: float, most: int) -> FixedPoint:
    """theta with step(theta) = theta, by Anderson's acceleration (Walker and Ni 2011).

    Where earlier moves say that the fixed point lies behind, moves grow on the way to it: the next one is then a
    multiple of the plain one, twice the last multiple. Where a step leads to a move of more than twice the last one's
    size, the search goes back, takes that one's plain step and forgets what came before.
    """
    points: list[Array] = []
    moves: list[Array] = []
    change, multiple = np.inf, 1.0
    for number in range(1, most + 1):
        move = step(theta) - theta
        size = float(np.abs(move).max())
        if size < tolerance:
            return FixedPoint(theta + move, size, number)
        if len(points) > 1 and size > 2 * change:
            theta, multiple = points[-1] + moves[-1], 1.0
            points, moves = [], []
            continue
        change = size
        points, moves = [*points, theta][-DEPTH - 1 :], [*moves, move][-DEPTH - 1 :]
        ahead = _accelerated(points, moves) - theta
        behind = float(ahead @ move) <= 0
        multiple = min(2 * multiple, FURTHEST) if behind else 1.0
        theta = theta + _bounded(multiple * move if behind else ahead)
    return FixedPoint(theta, change, most)


def _accelerated(points: list[Array], moves: list[Array]) -> Array:
    """The next point: the last one's, corrected by what earlier moves say about the map's slope."""
    ahead = points[-1] + moves[-1]
    if len(points) == 1:
        return ahead
    F, X = np.diff(np.array(moves), axis=0).T, np.diff(np.array(points), axis=0).T
    weights, *_ = np.linalg.lstsq(F, moves[-1], rcond=1e-8)
    return np.asarray(ahead - (X + F) @ weights)


def _bounded(move: Array) -> Array:
    return move * min(1.0, LONGEST / max(float(np.abs(move).max()), 1e-300))
