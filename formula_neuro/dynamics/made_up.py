"""A connectome made up by geometry, with the orders of magnitude of diffusion tractography."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..family import Array
from .connectome import Connectome

CENTRE, AXES = np.array([34.0, -18.0, 12.0]), np.array([26.0, 78.0, 52.0])  # of the right hemisphere's surface, MNI mm
CROSSING = np.array([0.0, -15.0, 18.0])  # where tracts between hemispheres cross the midline
BEND = 1.25  # tracts over the straight line
DECAY = 0.03  # per mm: how log weights fall with length, and
SPREAD = 1.3  # their standard deviation about that: means of tractographies of 80 areas have .03 and 1.36


def made_up(n: int, seed: int) -> Connectome:
    """n areas, left and right in turn as in AAL, with log-normal weights (largest 1) that fall with length."""
    if n < 2 or n % 2:
        raise DataError(f"n is {n}; an even number of areas is expected, one of a pair in each hemisphere")
    rng = np.random.default_rng(seed)
    coordinates = _places(n // 2, rng)
    lengths = _lengths(coordinates, rng)
    log_weights = -DECAY * lengths + SPREAD * _symmetric(rng.standard_normal((n, n)))
    weights = np.exp(log_weights)
    np.fill_diagonal(weights, 0.0)
    names = [f"Area{i + 1}_{side}" for i in range(n // 2) for side in "LR"]
    return Connectome(
        weights / weights.max(),
        lengths,
        names=names,
        coordinates=coordinates,
        messages=("the connectome is made up, of no real brain",),
    )


def _places(pairs: int, rng: np.random.Generator) -> Array:
    """(2 pairs, 3): points spread evenly over a hemisphere's surface by a golden spiral, and mirrored."""
    k = np.arange(pairs) + 0.5
    height, turn = 1 - 2 * k / pairs, np.pi * (1 + np.sqrt(5)) * k + rng.uniform(0, 2 * np.pi)
    ring = np.sqrt(1 - height**2)
    right = CENTRE + AXES * np.column_stack([ring * np.cos(turn), ring * np.sin(turn), height])
    right = right[np.argsort(-right[:, 1], kind="stable")]  # from front to back
    right[:, 0] = np.maximum(right[:, 0], 4.0)
    return np.stack([right * [-1, 1, 1], right], axis=1).reshape(2 * pairs, 3)


def _lengths(coordinates: Array, rng: np.random.Generator) -> Array:
    """Straight lines within a hemisphere, lines over the crossing between them, bent and with a scatter of 5 %."""
    straight = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=-1)
    out = np.linalg.norm(coordinates - CROSSING, axis=-1)
    across = (coordinates[:, None, 0] > 0) != (coordinates[None, :, 0] > 0)
    bent = BEND * np.where(across, np.maximum(straight, 0.85 * (out[:, None] + out[None])), straight)
    lengths: Array = bent * np.exp(0.05 * _symmetric(rng.standard_normal(bent.shape)))
    return lengths


def _symmetric(x: Array) -> Array:
    upper = np.triu(x, 1)
    return upper + upper.T
