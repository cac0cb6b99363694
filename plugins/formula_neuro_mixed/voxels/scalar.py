"""A linear mixed model with one random effect a level in every voxel: one pass over the data, then numbers by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from formula_neuro.design import RandomTerm
from formula_neuro.family import Array
from formula_neuro.kernels.device import as_device

from ..checks import SINGULAR
from .answer import Answer, Solved, answer, information_inverse, inverse, joined
from .line_search import Bottom, Criterion, minimise
from .rows import Rows
from .spectrum import Spectrum
from .words import effect, words_of

AT_ONCE = 600_000  # numbers of the data that are looked at together: few enough for the cache, enough for its products
NO_VARIATION = 1e-24  # of a voxel's sum of squares: what X leaves of a constant image
NO_RESIDUAL = 1e-11  # of what X leaves: what the levels' means leave of an image that is constant within levels


@dataclass(frozen=True, eq=False)
class Sums:
    """Of C voxels: y'y of the values, of their residuals from X; Q'y (r, C) and, of the residuals, Z'y (G, C)."""

    total: Array
    yy: Array
    b: Array
    Zy: Array


@dataclass(frozen=True, eq=False)
class Scalar:
    """What all blocks share; small enough to be pickled to other processes."""

    rows: Rows
    spectrum: Spectrum
    term: RandomTerm
    device: str = "cpu"

    @classmethod
    def of(cls, term: RandomTerm, rows: Rows, device: str = "cpu") -> Scalar | None:
        """None where there are too many levels with different sums of squares."""
        as_device(device)
        spectrum = Spectrum.of(term, rows)
        return None if spectrum is None else cls(rows, spectrum, term, device)

    def fit(self, Y: NDArray[Any]) -> Answer:
        """The answer for responses Y (C, n)."""
        Y = self.rows.taken(Y)
        size = max(16, AT_ONCE // max(Y.shape[1], 1))
        return joined([self._some(Y[first : first + size]) for first in range(0, len(Y), size)])

    def _some(self, Y: NDArray[Any]) -> Answer:
        sums = self.sums(Y)
        squares = self.spectrum.squares(sums.Zy)
        within = np.maximum(sums.yy - squares.sum(axis=1), 0.0)
        fine = np.isfinite(sums.yy) & (sums.yy > NO_VARIATION * sums.total) & (within > NO_RESIDUAL * sums.yy)
        squares[~fine], within[~fine] = 0.0, 1.0
        f = self.criterion(squares, within)
        found = minimise(f)
        at = self._solved(f, found, sums, fine)
        return answer(self.rows.basis, at, self._words(found, at))

    def sums(self, Y: NDArray[Any]) -> Sums:
        """The one pass over the data Y (C, n)."""
        rows, Q = self.rows, self.rows.basis.Q
        y = np.array(Y.T, dtype=np.float64, order="C")
        if rows.offset is not None:
            y -= rows.offset
        if rows.root is not None:
            y *= rows.root
        total = np.einsum("nc,nc->c", y, y)
        b = Q.T @ y
        y -= Q @ b
        y -= Q @ (Q.T @ y)  # once more: orthogonal to the last digit
        return Sums(total, np.einsum("nc,nc->c", y, y), b, np.asarray(self.spectrum.Z @ y))

    def criterion(self, squares: Array, within: Array) -> Criterion:
        s, where = self.spectrum, as_device(self.device)
        nu, counts = (s.mu, s.counts) if self.rows.reml else (s.zz_distinct, s.levels)
        mu, A, inside, of, times = (torch.as_tensor(v, device=where) for v in (s.mu, squares, within, nu, counts))
        return Criterion(mu, A.contiguous(), inside, of, times, self.rows.df)

    def _solved(self, f: Criterion, found: Bottom, sums: Sums, fine: NDArray[np.bool_]) -> Solved:
        """Coefficients and what their degrees of freedom are made of, at the minima."""
        s, rows = self.spectrum, self.rows
        lam, theta = _numpy(found.lam), np.sqrt(_numpy(found.lam))
        r, ratio = s.ZX.shape[1], 1 / (1 + lam[:, None] * s.zz_distinct)
        C = inverse(np.eye(r) - ((lam[:, None] * ratio) @ s.XX).reshape(-1, r, r))
        P = (ratio**2 @ s.XX).reshape(-1, r, r)
        moved = np.einsum("cij,cj->ci", C, -(lam * sums.Zy / (1 + s.zz[:, None] * lam)).T @ s.ZX)
        r2, slope, bend = (_numpy(part) for part in f.r2(found.lam))
        _, V1, V2 = (_numpy(part) for part in f.logdet(found.lam))
        s2 = r2 / rows.df
        own = 2 * (V1 + slope / s2) + 4 * lam * (V2 + bend / s2)
        constant = rows.df * (1 + np.log(2 * np.pi / rows.df)) + rows.constant
        return Solved(
            value=_numpy(found.value) + constant,
            b=sums.b.T + moved,
            C=C,
            s2=s2,
            theta=s.scale * theta[:, None],
            slopes=(2 * theta[:, None, None] * (C @ P @ C))[:, None],
            A=_covariance(own, -2 * theta * slope / s2, np.full(len(lam), float(rows.df))),
            iterations=_numpy(found.iterations),
            converged=_numpy(found.converged),
            singular=theta < SINGULAR,
            fine=fine,
        )

    def _words(self, found: Bottom, at: Solved) -> dict[str, Array]:
        """The maps of words.py, and the test that the variance is 0, half of whose p value is at 0."""
        covariance = (at.s2 * at.theta[:, 0] ** 2)[:, None, None]
        lrt = np.maximum(_numpy(found.at_zero) - _numpy(found.value), 0.0)
        p = np.where(at.theta[:, 0] > 0, special.chdtrc(1, lrt) / 2, 1.0)
        name = effect(self.term, 0)
        return {**words_of([self.term], [covariance], at.s2), f"lrt_{name}": lrt, f"p_{name}": p}


def _covariance(own: Array, edge: Array, last: Array) -> Array:
    """(C, 2, 2): twice the inverse of [[own, edge], [edge, last]], of directions with a curvature above 0 only."""
    H = np.empty((len(own), 2, 2))
    H[:, 0, 0], H[:, 0, 1], H[:, 1, 0], H[:, 1, 1] = own, edge, edge, last
    return information_inverse(H)


def _numpy(values: torch.Tensor) -> NDArray[Any]:
    return np.asarray(values.cpu())
