"""One bias-reduced estimation as a search: where to begin, and the adjusted score at any place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.estimator import Estimator, Jeffreys, MeanBR
from formula_neuro.family import Array, Family
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.rank import Basis
from formula_neuro.kernels.starts import starts
from formula_neuro.request import Request

from .adjustments import adjustment
from .dispersion import dispersion, information, log_density
from .moments import Moments, moments
from .newton import Point

CANONICAL = (("binomial", "logit"), ("poisson", "log"))  # where mean bias reduction is Jeffreys' penalty
SHORT_OF_THE_EDGE = 0.95  # share of the way to where a mean leaves the family's range
LARGEST_MOVE = 5.0  # of a linear predictor in one step, where its scale is that of a probability or a log rate


@dataclass(frozen=True, eq=False)
class State:
    """The model at coefficients b (r,) of the orthonormal basis; Q'WQ = L'L."""

    b: Array
    rows: Moments
    L: Array
    phi: float


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows of positive weight in the basis Q (n, r); b = b0 + Z a, with a (f,) free and Z (r, f) orthonormal."""

    how: Estimator
    family: Family
    Q: Array
    R: Array
    y: Array
    w: Array
    offset: Array
    Z: Array
    b0: Array

    @classmethod
    def of(cls, request: Request, basis: Basis, fixed: Mapping[int, float]) -> Problem:
        """The problem of a request with the coefficients of some columns held at values."""
        used = request.weights > 0
        held = np.isin(basis.kept, list(fixed))
        values = np.array([fixed[j] for j in basis.kept[held]], dtype=float)
        b0 = basis.R[:, held] @ values
        Z = np.linalg.qr(basis.R[:, ~held])[0] if held.any() else np.eye(basis.rank)
        y, w, offset = request.y[used], request.weights[used], request.design.offset[used]
        return cls(request.estimator, request.family, basis.Q, basis.R, y, w, offset, Z, b0)

    @property
    def df(self) -> int:
        """Residual degrees of freedom: held coefficients take none."""
        return len(self.y) - int(self.Z.shape[1])

    def state(self, a: Array) -> State | None:
        """The model at free coefficients a (f,); None where means leave their range or no information is left."""
        b = self.b0 + self.Z @ a
        eta = self.Q @ b + self.offset
        if not self.family.inside(eta).all():
            return None
        rows = moments(self.family, eta, self.y, self.w)
        if not all(np.isfinite(part).all() for part in (rows.q, rows.W)):
            return None
        L = np.asarray(np.linalg.qr(self.Q * np.sqrt(rows.W)[:, None], mode="r"))  # numpy's types promise a pair
        size = np.abs(np.diag(L))
        if not size.min(initial=np.inf) > 1e-12 * size.max(initial=0.0):
            return None
        return State(b, rows, L, self._dispersion(rows.mu))

    def _dispersion(self, mu: Array) -> float:
        """1 for a family without, and where no degrees of freedom are left to find one."""
        if not self.family.dispersed or self.saturated:
            return 1.0
        rounding = self.w * (np.finfo(float).eps * mu) ** 2 / self.family.variance(mu)  # of a perfect fit
        deviance = float(np.maximum(self.family.deviance(self.y, mu, self.w), rounding).sum())
        return dispersion(self.how, self.family, deviance, self.w, self.Q.shape[1])

    @property
    def saturated(self) -> bool:
        """Whether a dispersion is wanted and cannot be had: the fit is perfect, and maximum likelihood's."""
        return self.family.dispersed and len(self.y) <= self.Q.shape[1]

    def point(self, a: Array) -> Point | None:
        """The adjusted score and the information of the free coefficients, with the dispersion that belongs to them."""
        s = self.state(a)
        if s is None:
            return None
        with np.errstate(all="ignore"):
            f = self.Q.T @ (s.rows.q * s.rows.residual) / s.phi
            if not self.saturated:
                f = f + adjustment(self.how, s.rows, self.Q, self.R, s.L)
        L = np.linalg.qr(s.L @ self.Z, mode="r") / np.sqrt(s.phi)
        return Point(a, self.Z.T @ f, L) if np.isfinite(f).all() else None

    def cap(self, a: Array, step: Array) -> float:
        """The share of a step that keeps means in their range and moves none by more than its scale makes sensible."""
        move = self.Q @ (self.Z @ step)
        low, high = self.family.limits
        if np.isfinite(low) or np.isfinite(high):
            eta = self.Q @ (self.b0 + self.Z @ a) + self.offset
            with np.errstate(all="ignore"):
                room = np.where(move < 0, (low - eta) / move, np.where(move > 0, (high - eta) / move, np.inf))
            return min(1.0, SHORT_OF_THE_EDGE * float(np.nanmin(room, initial=np.inf)))
        if self.family.link.name == "identity":
            return 1.0
        return min(1.0, LARGEST_MOVE / max(float(np.abs(move).max(initial=0.0)), LARGEST_MOVE))

    def criterion(self, s: State) -> float:
        """-2 (log-likelihood + power log det information), NaN where the adjusted score has no such integral.

        The information is that of the design's own columns, and of the dispersion where there is one.
        """
        if isinstance(self.how, Jeffreys):
            power = self.how.power
        elif isinstance(self.how, MeanBR) and (self.family.name, self.family.link.name) in CANONICAL:
            power = 0.5  # Firth (1993)
        else:
            return float("nan")
        penalty = 2 * np.log(np.abs(np.diag(s.L) * np.diag(self.R))).sum() - len(s.b) * np.log(s.phi)
        if self.family.dispersed:
            penalty += np.log(information(self.family, self.w, s.phi))
        return -2 * (log_density(self.family, self.y, s.rows.mu, self.w, s.phi) + power * float(penalty))

    def starts(self) -> Iterator[Array]:
        """Free coefficients (f,) to begin at, the best first."""
        X, offset = self.Q @ self.Z, self.offset + self.Q @ self.b0
        if not self.family.dispersed:
            with np.errstate(all="ignore"):
                level = self.family.link(np.array((self.w @ self.y + 0.5) / (self.w.sum() + 1)))
            yield np.asarray(np.linalg.lstsq(X, level - offset, rcond=None)[0])
        y, w = self._flattened()
        with suppress(FitError):
            yield irls(X, y, w, offset, self.family).b
        yield from starts(X, y, w, offset, self.family)

    def _flattened(self) -> tuple[Array, Array]:
        """Responses a little away from 0 and 1, as brglm2 has them before it starts: r/n of a trial, half a success."""
        share = self.Q.shape[1] / len(self.y)
        if self.family.name == "binomial":
            return (self.w * self.y + share / 2) / (self.w + share), self.w + share
        return (self.y + share / 2 if self.family.name == "poisson" else self.y), self.w
