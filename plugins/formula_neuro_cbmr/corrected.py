"""Informations from which clusters take a part away: A - sum_k pull_k g_k g_k', one direction a cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .bordered import Bordered


@dataclass(frozen=True, eq=False)
class Corrected:
    """The inverse is that of `base` plus low low'; low (n + q, r)."""

    base: Bordered
    low: Array

    @property
    def corner(self) -> Array:
        """The covariance of the global coefficients, (q, q)."""
        rest = self.low[len(self.base.B) :]
        return np.asarray(self.base.corner + rest @ rest.T)

    def solve(self, right: Array) -> Array:
        """The inverse times right (n + q, m)."""
        return np.asarray(self.base.solve(right) + self.low @ (self.low.T @ right))

    def covariance(self, u: Array, v: Array) -> Array:
        """Of the combinations u and v (C,) of the C maps, (P, P)."""
        maps = self.low[: len(self.base.B)].reshape(len(u), -1, self.low.shape[1])
        left, right = np.tensordot(u, maps, axes=1), np.tensordot(v, maps, axes=1)
        return np.asarray(self.base.covariance(u, v) + left @ right.T)

    def bordered_by(self, border: Array, corner: Array) -> tuple[Corrected, Array]:
        """The top of the inverse of [[self, border], [border', corner]], and its lowest block (r, r)."""
        if not border.shape[1]:
            return self, corner
        side = self.solve(border)
        lower = _cholesky(corner - border.T @ side)
        half = np.linalg.inv(lower)
        return Corrected(self.base, np.hstack([self.low, side @ half.T])), half.T @ half


def without(base: Bordered, g: Array, pull: Array) -> Corrected:
    """base - g' diag(pull) g, g (K, n + q), by the identity of Sherman, Morrison and Woodbury."""
    rows = np.sqrt(pull[pull > 0])[:, None] * g[pull > 0]
    solved = base.solve(rows.T)
    lower = _cholesky(np.eye(len(rows)) - rows @ solved)
    return Corrected(base, np.asarray(np.linalg.solve(lower, solved.T).T, dtype=np.float64))


def _cholesky(A: Array) -> Array:
    try:
        return np.asarray(np.linalg.cholesky((A + A.T) / 2), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise FitError(
            "the joint information of maps, global terms and dispersions is singular: leave terms out, or smooth the "
            "maps (smooth='reml')"
        ) from error
