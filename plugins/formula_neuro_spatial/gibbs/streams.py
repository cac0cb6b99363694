"""Random numbers that belong to a chain, a sweep and a part of it, whoever draws them and in whatever order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STRETCH = 512  # voxels that have a stream of their own in every sweep
LEVEL, FIELD, PRECISION, FIRST = 0, 1, 2, 16  # parts of a sweep; the stretches of voxels follow


@dataclass(frozen=True)
class Streams:
    """The streams of one chain: Philox with the seed and the chain as its key (Salmon et al. 2011).

    >>> Streams(1, 0).of(3, LEVEL).random() == Streams(1, 0).of(3, LEVEL).random()
    True
    """

    seed: int
    chain: int

    def of(self, sweep: int, part: int) -> np.random.Generator:
        """The stream of a part of a sweep, from its start."""
        return np.random.Generator(np.random.Philox(counter=[0, 0, part, sweep], key=[self.seed, self.chain]))
