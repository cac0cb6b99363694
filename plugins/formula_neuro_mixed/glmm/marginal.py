"""What a GLMM minimises over psi = (theta, b, tau): value, exact gradient and exact Hessian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from . import laplace as laplace
from . import quadrature as quadrature
from . import scalar as scalar
from .modes import Mode, Model, modes

LARGEST_THETA = 50.0  # on a logit or log scale: effects of e^50 mean that the variance is infinite
LARGEST_LOG_SHAPE = 11.0  # over the counts' size; beyond, a shape is as good as its limit, and its derivatives noise
LARGEST_TAU = 100.0  # beyond e^100 and e^-100 there is no number left
UNLIMITED = ("identity", "sqrt", "inverse", "1/mu^2")  # links whose linear predictor has units of the response


@dataclass(frozen=True, eq=False)
class Penalty:
    """A normal prior of the coefficients: b'Qb is added to the criterion."""

    Q: Array  # (r, r)


@dataclass(frozen=True, eq=False)
class _Known:
    """What was found at one psi."""

    key: bytes
    mode: Mode | None
    nodes: quadrature.Nodes | None


class Marginal:
    """F(psi) for one model; it keeps the last modes and how they move, from which the next search starts."""

    def __init__(self, model: Model, nodes: int = 1, penalty: Penalty | None = None):
        self.model, self.nodes, self.penalty = model, nodes, penalty
        self.limit = np.inf if model.rows.family.link.name in UNLIMITED else LARGEST_THETA
        self.widest = _widest(model)
        self._start = np.zeros(model.layout.q)
        self._last: _Known | None = None
        self._path: tuple[Array, Array, Array] | None = None  # psi, v, dv/dpsi
        self._derived: tuple[bytes, tuple[float, Array, Array], _Known] | None = None

    def mode(self, psi: Array) -> Mode | None:
        """The modes at psi, or None where there are none (means outside the family's range)."""
        return self._at(psi).mode

    def _at(self, psi: Array) -> _Known:
        key = psi.tobytes()
        if self._last is not None and self._last.key == key:
            return self._last
        if self._derived is not None and self._derived[0] == key:
            return self._derived[2]
        mode = self._search(psi)
        nodes = None
        if mode is not None and self.nodes > 1:
            nodes = quadrature.nodes_at(self.model, mode, self.model.parts(psi)[2], self.nodes)
        self._last = _Known(key, mode, nodes)
        return self._last

    def _search(self, psi: Array) -> Mode | None:
        start = self._start
        if self._path is not None:
            at, v, slope = self._path
            ahead = slope @ (psi - at)
            start = v + ahead * min(1.0, 3.0 / max(np.abs(ahead).max(), 1e-300))
        with np.errstate(all="ignore"):
            try:
                found = modes(self.model, psi, start)
                if found is None and start.any():  # the start may lie where a link is flat
                    found = modes(self.model, psi, np.zeros_like(start))
            except LinAlgError:
                return None
        if found is not None and self._path is None:
            self._start = found.v
        return found

    def beyond(self, psi: Array) -> bool:
        """Whether a standard deviation or a shape has left all sense."""
        theta = self.model.parts(psi)[0]
        return bool(
            self.model.layout.largest(theta) > self.limit or (self.model.rows.shaped and abs(psi[-1]) > self.widest)
        )

    def value(self, psi: Array) -> float:
        """F alone; infinite where there are no modes, and where parameters are beyond any sense."""
        if self.beyond(psi):
            return float("inf")
        known = self._at(psi)
        if known.mode is None:
            return float("inf")
        F = self._plain(known) + self.penalised(psi)
        return F if np.isfinite(F) else float("inf")

    def _plain(self, known: _Known) -> float:
        assert known.mode is not None
        return known.mode.criterion if known.nodes is None else known.nodes.value

    def penalised(self, psi: Array) -> float:
        """The prior's part of F."""
        if self.penalty is None:
            return 0.0
        b = psi[self._penalised]
        return float(b @ self.penalty.Q @ b)

    @property
    def _penalised(self) -> slice:
        """Where the coefficients with a prior stand: all but those of zero inflation."""
        cut = self.model.n_theta
        return slice(cut, cut + self.model.X.shape[1] - self.model.rows.n_inflation)

    def sure_mode(self, psi: Array) -> Mode:
        """The modes at psi; FitError where there are none."""
        mode = self.mode(psi)
        if mode is None:
            raise FitError(
                "no modes of the random effects were found near the current estimates; "
                "rescale the covariates, simplify the random terms or use another link"
            )
        return mode

    def derivatives(self, psi: Array) -> tuple[float, Array, Array]:
        """F, its gradient and its Hessian."""
        if self._derived is not None and self._derived[0] == psi.tobytes():
            return self._derived[1]
        mode, known = self.sure_mode(psi), self._at(psi)
        if self.model.scalar:
            g, H, slope = scalar.derivatives(self.model, psi, mode, known.nodes)
            self._path = (psi.copy(), mode.v, slope)
        else:
            g, H = laplace.derivatives(self.model, *self._paths(psi))
        if self.penalty is not None:
            own = self._penalised
            g[own] += 2 * self.penalty.Q @ psi[own]
            H[own, own] += 2 * self.penalty.Q
        found = (self._plain(known) + self.penalised(psi), g, H)
        self._derived = (known.key, found, known)
        return found

    def gradient(self, psi: Array) -> tuple[float, Array]:
        """F and dF/dpsi."""
        known = self._derived is not None and self._derived[0] == psi.tobytes()
        if known or self.nodes > 1:
            return self.derivatives(psi)[:2]
        mode, p = self._paths(psi)
        g = laplace.gradient(self.model, mode, p)
        if self.penalty is not None:
            g[self._penalised] += 2 * self.penalty.Q @ psi[self._penalised]
        return self._plain(self._at(psi)) + self.penalised(psi), g

    def _paths(self, psi: Array) -> tuple[Mode, laplace.Paths]:
        """The modes at psi and how they move, from where the next search starts."""
        mode = self.sure_mode(psi)
        p = laplace.paths(self.model, psi, mode)
        self._path = (psi.copy(), mode.v, p.v)
        return mode, p


def _widest(model: Model) -> float:
    """How far the logarithm of a shape may go."""
    rows = model.rows
    size = {"nbinom1": 1.0, "nbinom2": float(np.average(rows.y, weights=rows.w)), "betabinomial": float(rows.w.max())}
    name = rows.family.name
    return LARGEST_LOG_SHAPE + float(np.log(max(1.0, size[name]))) if name in size else LARGEST_TAU
