"""The normals of `philox` by machine code, several at a time; importing this module needs numba.

Logarithm, sine and cosine are series, whose next term is below 1e-16, because calls would be done one by one.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from math import factorial, log, pi, sqrt
from typing import Any

import numpy as np

from formula_neuro.family import Array

from .loops import inner, kept
from .philox import KEY_STEPS, MULTIPLIERS, ROUNDS, VARIABLES, WORD, Words

M0, M1, W0, W1, LOW = (np.uint64(n) for n in (*MULTIPLIERS, *KEY_STEPS, WORD))
HALF = np.uint64(32)
LN2, TURN = log(2.0), pi / 2 * 2.0**-30
ROOT2 = int(np.float64(2.0**0.5).view(np.int64))  # numbers from 1 to 2 are in the order of their bits
MANTISSA, ONE = (1 << 52) - 1, 1023 << 52
L3, L5, L7, L9, L11, L13, L15, L17, L19 = (2.0 / n for n in range(3, 20, 2))
S3, S5, S7, S9, S11, S13, S15 = ((-1.0) ** (n // 2) / factorial(n) for n in range(3, 16, 2))
C2, C4, C6, C8, C10, C12, C14, C16 = ((-1.0) ** (n // 2) / factorial(n) for n in range(2, 17, 2))


def normals(seed: int, keys: Words, variable: int, nodes: int, stretch: int, steps: int) -> Array:
    """The same as `philox.normals`, to rounding."""
    out = np.empty((len(keys), nodes, steps))
    first = (stretch * (steps // 4)) & WORD
    _draw(out, np.uint64(seed % 2**64), keys.astype(np.uint64), np.uint64(variable << VARIABLES), np.uint64(first))
    return out


@inner
def _philox(words: Any, first: Any, node: Any, set_key: Any, seed: Any) -> None:
    for q in range(words.shape[1]):
        a, b, c, d = (first + np.uint64(q)) & LOW, node, set_key & LOW, set_key >> HALF
        k, l = seed & LOW, seed >> HALF
        for _ in range(ROUNDS):
            one, two = a * M0, c * M1
            a, b, c, d = (two >> HALF) ^ b ^ k, two & LOW, (one >> HALF) ^ d ^ l, one & LOW
            k, l = (k + W0) & LOW, (l + W1) & LOW
        words[0, q], words[1, q], words[2, q], words[3, q] = a, b, c, d


@inner
def _box_muller(one: Any, two: Any, cosines: Any, sines: Any, number: Any, mantissa: Any, power: Any) -> None:
    """Loops are short, without branches, and write where they do not read: numba does several turns of each at once."""
    for q in range(len(one)):
        number[q] = np.float64(np.int64(one[q])) + 0.5
    bits, mantissa_bits = number.view(np.int64), mantissa.view(np.int64)
    for q in range(len(one)):  # u 2^32 = m 2^e with m from sqrt(1/2) to sqrt(2)
        small = (bits[q] & MANTISSA) | ONE
        large = small > ROOT2
        mantissa_bits[q] = small - (np.int64(large) << 52)
        power[q] = np.float64((bits[q] >> 52) - (1023 + 32) + np.int64(large))
    for q in range(len(one)):  # log m = 2 atanh((m - 1) / (m + 1))
        f = (mantissa[q] - 1.0) / (mantissa[q] + 1.0)
        x = f * f
        high = L11 + x * (L13 + x * (L15 + x * (L17 + x * L19)))
        series = 2.0 + x * (L3 + x * (L5 + x * (L7 + x * (L9 + x * high))))
        number[q] = sqrt(-2.0 * (series * f + power[q] * LN2))
    for q in range(len(one)):  # the nearest quarter of a turn, and what is left of the angle
        angle = np.int64(two[q])
        quarter = (angle + (1 << 29)) >> 30
        a = np.float64(angle - (quarter << 30)) * TURN
        x = a * a
        sine = a * (1.0 + x * (S3 + x * (S5 + x * (S7 + x * (S9 + x * (S11 + x * (S13 + x * S15)))))))
        high = C8 + x * (C10 + x * (C12 + x * (C14 + x * C16)))
        cosine = 1.0 + x * (C2 + x * (C4 + x * (C6 + x * high)))
        odd = np.float64(quarter & 1)
        s, c = sine + odd * (cosine - sine), cosine + odd * (sine - cosine)
        cosines[q] = number[q] * (c - 2.0 * np.float64(((quarter + 1) >> 1) & 1) * c)
        sines[q] = number[q] * (s - 2.0 * np.float64((quarter >> 1) & 1) * s)


@kept
def _draw(out: Any, seed: Any, keys: Any, variable: Any, first: Any) -> None:
    quarter = out.shape[2] // 4
    words = np.empty((4, quarter), dtype=np.uint64)
    number, mantissa, power = np.empty(quarter), np.empty(quarter), np.empty(quarter)
    for s in range(len(keys)):
        for i in range(out.shape[1]):
            _philox(words, first, variable + np.uint64(i), keys[s], seed)
            row = out[s, i]
            _box_muller(words[0], words[1], row[:quarter], row[quarter : 2 * quarter], number, mantissa, power)
            _box_muller(words[2], words[3], row[2 * quarter : 3 * quarter], row[3 * quarter :], number, mantissa, power)
