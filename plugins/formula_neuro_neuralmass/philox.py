"""Standard normals by number instead of by order: each is a function of where it belongs.

Philox4x32-10 (Salmon et al. 2011) turns a counter of four words of 32 bits and a key of two into four random words; two
words give two normals (Box & Muller 1958). None is above 6.8 in size, as 32 bits end there.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from formula_neuro.dynamics import mathematics as m
from formula_neuro.family import Array

Words: TypeAlias = NDArray[np.int64]

WORD = 0xFFFFFFFF
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
VARIABLES = 24  # bits of the second word of a counter that number the node; those above number the variable


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Four random words of each counter; words are integers of 64 bits from 0 to 2^32 - 1.

    >>> zero = np.zeros(1, dtype=np.int64)
    >>> [hex(word[0]) for word in philox((zero,) * 4, (zero, zero))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    a, b, c, d = counter
    k, l = key
    for _ in range(ROUNDS):
        one, two = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (two >> 32 & WORD) ^ b ^ k, two & WORD, (one >> 32 & WORD) ^ d ^ l, one & WORD
        k, l = k + KEY_STEPS[0] & WORD, l + KEY_STEPS[1] & WORD
    return a, b, c, d


def box_muller(one: Any, two: Any) -> tuple[Any, Any]:
    """Two standard normals of two random words."""
    radius = m.sqrt(-2 * m.log((one + 0.5) * 2.0**-32))
    angle = two * (2 * np.pi * 2.0**-32)
    return radius * m.cos(angle), radius * m.sin(angle)


def normals(seed: int, keys: Words, variable: int, nodes: int, stretch: int, steps: int) -> Array:
    """Standard normals (len(keys), nodes, steps) of a stretch of `steps`, a multiple of 4.

    Step j * steps / 4 + q of the stretch has the normal j of the counter (stretch * steps / 4 + q, node and variable,
    key), under the seed as Philox's key.
    """
    quarter = steps // 4
    place = (stretch * quarter + np.arange(quarter)) & WORD
    node = (variable << VARIABLES) + np.arange(nodes)[:, None]
    found = np.empty((len(keys), nodes, steps))
    for out, key in zip(found, keys.tolist(), strict=True):  # a set's numbers stay in the processor's cache
        a, b, c, d = np.broadcast_arrays(place, node, key & WORD, key >> 32 & WORD)
        one, two, three, four = philox((a, b, c, d), (np.int64(seed & WORD), np.int64(seed >> 32 & WORD)))
        out[:] = np.concatenate([*box_muller(one, two), *box_muller(three, four)], axis=-1)
    return found
