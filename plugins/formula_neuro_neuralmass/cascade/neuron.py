"""One neuron, and the two discretisations of its membrane voltage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array


@dataclass(frozen=True)
class Neuron:
    """An exponential integrate-and-fire neuron: pF, nS, mV, ms. Raises DataError."""

    C: float = 200.0
    gL: float = 10.0
    EL: float = -65.0
    DeltaT: float = 1.5
    VT: float = -50.0
    Vr: float = -70.0
    Vs: float = -40.0
    Tref: float = 1.5

    def __post_init__(self) -> None:
        if not (self.C > 0 and self.gL > 0 and self.DeltaT > 0 and self.Tref >= 0):
            raise DataError(f"C, gL and DeltaT must be above 0 and Tref not below, got {self}")
        if not (LOWEST < self.Vr < self.Vs and LOWEST < self.EL):
            raise DataError(f"Vr below Vs, and both and EL above {LOWEST:g} mV are expected, got {self}")

    @property
    def tau_m(self) -> float:
        return self.C / self.gL

    def drift(self, V: Array) -> Array:
        """dV/dt without input, mV/ms."""
        return (self.EL - V + self.DeltaT * np.exp((V - self.VT) / self.DeltaT)) / self.tau_m


LOWEST = -200.0  # mV, where the density is taken to end


@dataclass(frozen=True)
class Scheme:
    """How the voltage is cut into cells of about h mV.

    second_order False is how neurolib's tables were made, with a slip at the reset: first order, coefficients at the
    cell's upper end. True: coefficients at its middle, sources exact, the reset in its place.
    """

    h: float
    second_order: bool


COMPATIBLE = Scheme(0.01, second_order=False)
ACCURATE = Scheme(0.05, second_order=True)


@dataclass(frozen=True, eq=False)
class Cells:
    """Coefficients of the steps downwards, p[k-1] = p[k] A[k] + B[k], for M mean inputs: V (n,), A and B (n, M)."""

    V: Array
    h: float
    reset: int  # V[reset] is the reset voltage
    F: Array  # (n, M): minus the drift times 2 / sigma^2
    A: Array
    B: Array
    sigma: float
    T_ref: float

    @classmethod
    def of(cls, neuron: Neuron, mu: Array, sigma: float, scheme: Scheme) -> Cells:
        """mu (M,) in mV/ms, sigma in mV/sqrt(ms)."""
        if scheme.second_order:  # the reset and the top are nodes
            above = max(round((neuron.Vs - neuron.Vr) / scheme.h), 1)
            h = (neuron.Vs - neuron.Vr) / above
            reset = round((neuron.Vr - LOWEST) / h)
            V = neuron.Vr + h * np.arange(-reset, above + 1, dtype=float)
            at = V - h / 2
        else:
            h = scheme.h
            V = LOWEST + h * np.arange(round((neuron.Vs - LOWEST) / h) + 1, dtype=float)
            reset, at = int(np.abs(V - neuron.Vr).argmin()), V
        F = -2 / sigma**2 * (neuron.drift(at)[:, None] + mu)
        A = np.exp(h * F)
        still = F == 0
        B = 2 / sigma**2 * np.where(still, h, np.expm1(h * F) / np.where(still, 1.0, F))
        return cls(V, h, reset, F, A, B, float(sigma), neuron.Tref)
