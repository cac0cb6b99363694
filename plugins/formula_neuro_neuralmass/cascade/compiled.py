"""threshold.response with numba: blocks of frequencies as lanes of a processor's vector registers.

Imports numba: import it inside the function that needs it.
"""

from __future__ import annotations

import numba
import numpy as np

from formula_neuro.family import Array

from .neuron import Cells
from .threshold import Complex

W = 64  # frequencies in a block; its state, 8 W numbers, stays in the nearest cache

compiled = numba.njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")


def response(cells: Cells, S: Array, f: Array, second_order: bool) -> Complex:
    """As threshold.response."""
    r1 = np.empty((cells.A.shape[1], len(f)), dtype=complex)
    padded = np.concatenate([f, np.full(-len(f) % W, f[-1])])
    for m in range(len(r1)):
        coefficients = np.stack([cells.A[:, m], cells.B[:, m], S[:, m]])
        r1[m] = _blocks(second_order, coefficients, cells.reset, cells.h, cells.T_ref, padded)[: len(f)]
    return r1


@compiled
def _first_order(x, w, c, reset, T):  # type: ignore[no-untyped-def]
    n = c.shape[1]
    _first_order_cells(x, w, c, n - 1, reset + 1)
    q_re, q_im = x[:W].copy(), x[W : 2 * W].copy()
    p_re, p_im = x[2 * W : 3 * W].copy(), x[3 * W : 4 * W].copy()
    _first_order_cells(x, w, c, reset + 1, reset)
    # at the reset the flux moves by itself instead of by the density: neurolib's slip
    x[:W] += -w * (q_im - p_im) - np.cos(w * T)
    x[W : 2 * W] += w * (q_re - p_re) + np.sin(w * T)
    _first_order_cells(x, w, c, reset, 0)


@compiled
def _first_order_cells(x, w, c, k0, k1):  # type: ignore[no-untyped-def]
    for k in range(k0, k1, -1):
        A, B, S = c[0, k], c[1, k], c[2, k]
        for j in range(W):
            u = w[j]
            qar, qai, par, pai = x[j], x[W + j], x[2 * W + j], x[3 * W + j]
            qbr, qbi, pbr, pbi = x[4 * W + j], x[5 * W + j], x[6 * W + j], x[7 * W + j]
            x[j] = qar - u * pai
            x[W + j] = qai + u * par
            x[2 * W + j] = par * A + B * qar
            x[3 * W + j] = pai * A + B * qai
            x[4 * W + j] = qbr - u * pbi
            x[5 * W + j] = qbi + u * pbr
            x[6 * W + j] = pbr * A + B * qbr - S
            x[7 * W + j] = pbi * A + B * qbi


@compiled
def _second_order(x, w, c, reset, T):  # type: ignore[no-untyped-def]
    _second_order_cells(x, w, c, c.shape[1] - 1, reset)
    x[:W] -= np.cos(w * T)
    x[W : 2 * W] += np.sin(w * T)
    _second_order_cells(x, w, c, reset, 0)


@compiled
def _second_order_cells(x, w, c, k0, k1):  # type: ignore[no-untyped-def]
    for k in range(k0, k1, -1):
        A, B, S = c[0, k], c[1, k], c[2, k]
        for j in range(W):
            u = w[j] / 2
            par, pai, pbr, pbi = x[2 * W + j], x[3 * W + j], x[6 * W + j], x[7 * W + j]
            qar, qai = x[j] - u * pai, x[W + j] + u * par
            qbr, qbi = x[4 * W + j] - u * pbi, x[5 * W + j] + u * pbr
            par, pai = par * A + B * qar, pai * A + B * qai
            pbr, pbi = pbr * A + B * qbr - S, pbi * A + B * qbi
            x[j], x[W + j] = qar - u * pai, qai + u * par
            x[4 * W + j], x[5 * W + j] = qbr - u * pbi, qbi + u * pbr
            x[2 * W + j], x[3 * W + j], x[6 * W + j], x[7 * W + j] = par, pai, pbr, pbi


@compiled
def _blocks(second_order, c, reset, h, T_ref, f):  # type: ignore[no-untyped-def]  # numba reads them
    r1 = np.empty(len(f), np.complex128)
    x = np.empty(8 * W)  # real and imaginary parts of q_a, p_a, q_b, p_b, one after the other
    w = np.empty(W)
    for first in range(0, len(f), W):
        w[:] = 2 * np.pi * h * f[first : first + W]
        x[:] = 0.0
        x[:W] = 1.0
        if second_order:
            _second_order(x, w, c, reset, T_ref / h)
        else:
            _first_order(x, w, c, reset, T_ref / h)
        for j in range(W):
            r1[first + j] = -complex(x[4 * W + j], x[5 * W + j]) / complex(x[j], x[W + j])
    return r1
