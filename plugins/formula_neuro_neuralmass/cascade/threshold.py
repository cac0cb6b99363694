"""Threshold integration (Richardson 2007, Phys Rev E 76:021919): a population's rate and its response to modulation.

The stationary and the modulated Fokker-Planck equations are solved downwards from the spike's voltage, where the
density is 0: lanes are mean inputs and frequencies, the voltage is the loop. The plain version, and the test of
compiled.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .neuron import Cells

Complex = NDArray[np.complex128]


def steady(cells: Cells) -> tuple[Array, Array, Array]:
    """The rate (M,) in kHz, the mean voltage (M,) in mV outside the refractory time, and the density (n, M).

        p[k-1] = p[k] A[k] + B[k] [above the reset],   1/r0 = h sum p,   r = r0 / (1 + r0 T_ref)

    >>> from .neuron import ACCURATE, Neuron
    >>> r, V, _ = steady(Cells.of(Neuron(), np.array([1.0]), 1.5, ACCURATE))
    >>> round(float(r[0]), 5), round(float(V[0]), 3)
    (0.02446, -56.617)
    """
    p = np.zeros_like(cells.A)
    for k in range(len(p) - 1, 0, -1):
        p[k - 1] = p[k] * cells.A[k] + cells.B[k] * (k > cells.reset)
    r0 = 1 / (cells.h * p.sum(0))
    r = r0 / (1 + r0 * cells.T_ref)
    return r, cells.h * r0 * (cells.V[:, None] * p).sum(0), r * p


def source(cells: Cells, r: Array, density: Array, second_order: bool) -> Array:
    """What a modulated mean input takes from the modulated density in each cell (n, M)."""
    if not second_order:
        return cells.B * density
    x = cells.h * cells.F
    small = np.abs(x) < 1e-2
    safe = np.where(small, 1.0, x)
    series = sum(x**n * (n + 1) / float(np.prod(np.arange(1, n + 3))) for n in range(6))
    within = np.where(small, series, (safe * np.exp(safe) - np.expm1(safe)) / safe**2)
    above = np.arange(len(x))[:, None] > cells.reset
    return 2 * cells.h / cells.sigma**2 * cells.A * density + above * r * (2 * cells.h / cells.sigma**2) ** 2 * within


def response(cells: Cells, S: Array, f: Array, second_order: bool) -> Complex:
    """r1 (M, F): the modulation of the rate by a modulation of the mean input at the frequencies f (F,) in kHz.

    The flux q and density p are r1 (q_a, p_a) + (q_b, p_b), and no flux leaves at the bottom: r1 = -q_b / q_a.
    """
    omega = 2 * np.pi * f
    step = 1j * omega * cells.h
    back = np.exp(-1j * omega * cells.T_ref)
    shape = (cells.A.shape[1], len(f))
    q_a, p_a, q_b, p_b = (np.zeros(shape, dtype=complex) for _ in range(4))
    q_a += 1
    for k in range(len(cells.V) - 1, 0, -1):
        A, B, s = cells.A[k, :, None], cells.B[k, :, None], S[k, :, None]
        lands = k == cells.reset + 1
        if second_order:
            q_a, q_b = q_a + step / 2 * p_a, q_b + step / 2 * p_b
            p_a, p_b = p_a * A + B * q_a, p_b * A + B * q_b - s
            q_a, q_b = q_a + step / 2 * p_a - back * lands, q_b + step / 2 * p_b
        else:
            moved = q_a if lands else p_a  # neurolib's slip: the flux instead of the density at the reset
            p_a, p_b, q_a, q_b = (
                p_a * A + B * q_a, p_b * A + B * q_b - s, q_a + step * moved - back * lands, q_b + step * p_b,
            )  # fmt: skip
    return np.asarray(-q_b / q_a, dtype=np.complex128)
