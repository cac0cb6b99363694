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

from ...family import Array

ERROR = 4e-6  # two standard errors of a probability
COPIES = 8  # of the points, scrambled differently: their spread tells the error
SETTLED = 1e-9  # of a variance of 1: what is left of a row that holds no other normal
BLOCK = 2**12  # points at a time, which the processor's cache holds
FIRST, LAST = 2**12, 2**16  # points a copy


@dataclass(frozen=True, eq=False)
class LargestT:
    """max |T_j| of q t statistics with a correlation matrix (q, q), of any rank, and common df (inf: normal).

    sides: 2, or 1 for max T_j.

    >>> bool(abs(LargestT(np.eye(2), np.inf).tail(1.959964) - (1 - 0.95**2)) < 1e-5)
    True
    """

    correlation: Array
    df: float
    seed: int = 0
    sides: int = 2

    @cached_property
    def root(self) -> Array:
        return echelon_root(self.correlation)

    def tail(self, c: float) -> float:
        """P(max |T_j| > c), or P(max T_j > c)."""
        points = FIRST
        while True:
            found = 1 - self._means(c, points)
            if 2 * found.std(ddof=1) / np.sqrt(COPIES) < ERROR or points >= LAST:
                return float(found.mean())
            points *= 2

    def quantile(self, alpha: float) -> float:
        """The c that max |T_j| exceeds with probability alpha, to about 1e-4."""
        bounds = (alpha, alpha / (1.001 * len(self.root)))
        low, high = (float(stats.t.isf(a / self.sides, self.df)) for a in bounds)
        low -= 1e-3 * max(abs(low), 1.0)
        return float(optimize.brentq(lambda c: 1 - self._means(c, FIRST).mean() - alpha, low, high, xtol=1e-7))

    def _means(self, c: float, points: int) -> Array:
        """P(max |T_j| <= c) by each of the copies (COPIES,)."""
        if self.root.shape[1] == 1:  # one statistic, perhaps several times
            both = self.sides == 2 or np.ptp(np.sign(self.root)) > 0  # one statistic and its negative
            below = stats.t.cdf(-c, self.df) if both else 0.0
            return np.full(COPIES, max(stats.t.cdf(c, self.df) - below, 0.0))
        return np.array([self._mean(c, *self._draws(points, k)) for k in range(COPIES)])

    def _mean(self, c: float, u: Array, S: Array) -> float:
        starts = range(0, len(S), BLOCK)
        return sum(within(self.root, c, u[:, i : i + BLOCK], S[i : i + BLOCK], self.sides).sum() for i in starts) / len(
            S
        )

    def _draws(self, points: int, copy: int) -> tuple[Array, Array]:
        """Uniform points (r - 1, points) and scales S (points,)."""
        r = self.root.shape[1]
        u = stats.qmc.Sobol(r, seed=np.random.default_rng([self.seed, copy])).random(points).T
        scale = np.ones(points) if np.isinf(self.df) else self._scale(np.clip(special.ndtri(u[0]), -8.0, 8.0))
        return np.ascontiguousarray(u[1:]), scale

    @cached_property
    def _scale(self) -> interpolate.CubicSpline:
        """sqrt(chi2 / df) at normal scores, right to 1e-9."""
        scores = np.linspace(-8.0, 8.0, 400)
        return interpolate.CubicSpline(scores, np.sqrt(stats.chi2.ppf(special.ndtr(scores), self.df) / self.df))


def echelon_root(R: Array) -> Array:
    """C (q, r) with C C' = R, r the rank, in echelon form.

    The next normal is the rest of the row that then settles the most others, and of these of the largest: bounds that
    come early leave less to chance (a sixth of the error for all pairs of eight means).

    >>> echelon_root(np.ones((2, 2))).tolist()
    [[1.0], [1.0]]
    """
    left, columns = R.astype(float).copy(), list[Array]()
    while (size := np.diag(left)).max() > SETTLED:
        open_ = size > SETTLED
        halves = left / np.sqrt(np.where(open_, size, np.inf))  # column i is the step with row i as its pivot
        settles = ((size[:, None] - halves**2 <= SETTLED) & open_[:, None]).sum(axis=0)
        pivot = int(np.lexsort((size, np.where(open_, settles, -1)))[-1])
        columns.append(np.where(open_, halves[:, pivot], 0.0))
        left = left - np.outer(columns[-1], columns[-1])
    C = np.column_stack(columns)
    C[np.abs(C) < SETTLED] = 0.0
    return C


def within(C: Array, c: float, u: Array, S: Array, sides: int = 2) -> Array:
    """The integrand (points,) of P(|C y| <= c S), of P(C y <= c S) where `sides` is 1: the product of each normal's
    probability between its bounds.

    u (r - 1, points) uniform, S (points,).
    """
    r = C.shape[1]
    last = r - 1 - np.argmax(C[:, ::-1] != 0, axis=1)
    y, value = list[Array](), np.ones(len(S))
    for m in range(r):
        low, high = np.full(len(S), -np.inf), np.full(len(S), np.inf)
        for row in C[last == m]:
            half, centre = S * (c / abs(row[m])), np.zeros(len(S))
            for j in np.flatnonzero(row[:m]):
                centre -= (row[j] / row[m]) * y[j]
            if sides == 2 or row[m] < 0:
                np.maximum(low, centre - half, out=low)
            if sides == 2 or row[m] > 0:
                np.minimum(high, centre + half, out=high)
        below = special.ndtr(low)
        wide = np.maximum(special.ndtr(high) - below, 0.0)
        value *= wide
        if m < r - 1:
            y.append(special.ndtri(np.clip(below + u[m] * wide, 1e-300, 1 - 1e-16)))
    return value
