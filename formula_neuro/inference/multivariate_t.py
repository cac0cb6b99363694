"""The largest of several correlated t: its distribution, to 1e-5 or better, by quasi-Monte Carlo.

With T = C y / S, y (r,) independent normals, S^2 chi-squared over its df, and C (q, r) in echelon form, every row
bounds the last normal that it holds given the earlier ones, so that one normal after another is integrated out and
drawn within its bounds (Genz & Bretz 2009, sections 3.1 and 4.1; Genz & Kwong 2000 for correlations without full rank).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import interpolate, optimize, special, stats

from ..family import Array

ERROR = 1e-5  # two standard errors of a probability
COPIES = 8  # of the points, scrambled differently: their spread tells the error
FIRST, LAST = 2**12, 2**16  # points a copy; the last leaves 1e-5 to 3e-5 for the pairs of eight means


@dataclass(frozen=True, eq=False)
class LargestT:
    """max |T_j| of q t statistics with a correlation matrix (q, q), of any rank, and common df (inf: normal).

    >>> bool(abs(LargestT(np.eye(2), np.inf).tail(1.959964) - (1 - 0.95**2)) < 1e-5)
    True
    """

    correlation: Array
    df: float
    seed: int = 0

    @cached_property
    def root(self) -> Array:
        return echelon_root(self.correlation)

    def tail(self, c: float) -> float:
        """P(max |T_j| > c)."""
        points = FIRST
        while True:
            found = 1 - self._means(c, points)
            if 2 * found.std(ddof=1) / np.sqrt(COPIES) < ERROR or points >= LAST:
                return float(found.mean())
            points *= 2

    def quantile(self, alpha: float) -> float:
        """The c that max |T_j| exceeds with probability alpha, to about 1e-4."""
        low, high = (float(stats.t.isf(a / 2, self.df)) for a in (alpha, alpha / (1.001 * len(self.root))))
        return float(optimize.brentq(lambda c: 1 - self._means(c, FIRST).mean() - alpha, 0.999 * low, high, xtol=1e-7))

    def _means(self, c: float, points: int) -> Array:
        """P(max |T_j| <= c) by each of the copies (COPIES,)."""
        if self.root.shape[1] == 1:  # one statistic, perhaps several times
            return np.full(COPIES, stats.t.cdf(c, self.df) - stats.t.cdf(-c, self.df))
        return np.array([within(self.root, c, *self._draws(points, k)).mean() for k in range(COPIES)])

    def _draws(self, points: int, copy: int) -> tuple[Array, Array]:
        """Uniform points (points, r - 1) and scales S (points,)."""
        r = self.root.shape[1]
        u = stats.qmc.Sobol(r, seed=np.random.default_rng([self.seed, copy])).random(points)
        return u[:, 1:], _scale(u[:, 0], self.df)


def echelon_root(R: Array) -> Array:
    """C (q, r) with C C' = R, r the rank: row k of the first r ends at column k, by pivoting on what is left of R.

    >>> echelon_root(np.ones((2, 2))).tolist()
    [[1.0], [1.0]]
    """
    left, columns = R.astype(float).copy(), []
    order: list[int] = []
    for _ in range(len(R)):
        pivot = int(np.argmax(np.diag(left)))
        if left[pivot, pivot] < 1e-9:
            break
        column = left[:, pivot] / np.sqrt(left[pivot, pivot])
        column[order] = 0.0
        left -= np.outer(column, column)
        columns.append(column)
        order.append(pivot)
    C = np.column_stack(columns)
    C[np.abs(C) < 1e-9] = 0.0
    return C


def within(C: Array, c: float, u: Array, S: Array) -> Array:
    """The integrand (points,) of P(|C y| <= c S): the product of each normal's probability between its bounds."""
    r = C.shape[1]
    last = r - 1 - np.argmax(C[:, ::-1] != 0, axis=1)
    y = np.zeros((len(S), r))
    value = np.ones(len(S))
    bound = c * S[:, None]
    for m in range(r):
        rows = C[last == m]
        centre = -(y[:, :m] @ rows[:, :m].T) / rows[:, m]
        half = bound / np.abs(rows[:, m])
        low = special.ndtr((centre - half).max(axis=1))
        wide = np.maximum(special.ndtr((centre + half).min(axis=1)) - low, 0.0)
        value *= wide
        if m < r - 1:
            y[:, m] = special.ndtri(np.clip(low + u[:, m] * wide, 1e-300, 1 - 1e-16))
    return value


def _scale(u: Array, df: float) -> Array:
    """sqrt(chi2 / df) at probabilities u, by a spline in their normal scores (right to 1e-9)."""
    if np.isinf(df):
        return np.ones(len(u))
    scores = np.linspace(-8.0, 8.0, 400)
    known = np.sqrt(stats.chi2.ppf(special.ndtr(scores), df) / df)
    return np.asarray(interpolate.CubicSpline(scores, known)(np.clip(special.ndtri(u), -8.0, 8.0)))
