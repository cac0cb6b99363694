"""Random numbers that belong to a chain, a sweep and a part of it, whoever draws them and in whatever order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VOXELS, BLOCKS, AFFINE, PRECISION = 0, 1, 2, 3  # parts of a sweep


@dataclass(frozen=True)
class Streams:
    """The streams of one chain: Philox with the seed and the chain as its key (Salmon et al. 2011).

    >>> Streams(1, 0).of(3, VOXELS).random() == Streams(1, 0).of(3, VOXELS).random()
    True
    """

    seed: int
    chain: int

    def of(self, sweep: int, part: int) -> np.random.Generator:
        """The stream of a part of a sweep, from its start."""
        return np.random.Generator(np.random.Philox(counter=[0, 0, part, sweep], key=[self.seed, self.chain]))
