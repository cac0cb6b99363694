"""Where foci count: shared among the eight voxels around them, or in the voxel that they fall into.

A focus between voxels counts in each of the eight around it by its nearness (trilinear weights), so that the mean place
of its shares is its own; those outside the mask are left out. Splines evaluated between voxels would not do, as
intensities are summed over voxels only: one could grow without bound between them, or half a voxel beyond the last.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import sparse

from formula_neuro.foci.request import Located
from formula_neuro.images.brain import Brain


def shares(located: Located, brain: Brain, snap: str) -> sparse.csr_array:
    """How much of each focus every voxel of the brain has, (J, V); rows sum to 1. snap: "exact" or "voxel"."""
    J, V = len(located.voxel), len(brain.voxels)
    if snap == "voxel":
        return sparse.csr_array((np.ones(J), (np.arange(J), located.voxel)), shape=(J, V))
    affine, shape = brain.grid.affine, np.array(brain.grid.shape)
    at = (located.points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    number = np.full(brain.grid.size, -1, dtype=np.intp)
    number[brain.voxels] = np.arange(V)
    below = np.floor(at).astype(np.intp)
    part = at - below
    weights, voxels = np.zeros((J, 8)), np.zeros((J, 8), dtype=np.intp)
    for n, corner in enumerate(itertools.product((0, 1), repeat=3)):
        there = below + corner
        fine = ((there >= 0) & (there < shape)).all(axis=1)
        voxel = np.where(fine, number[np.ravel_multi_index(tuple(np.clip(there, 0, shape - 1).T), tuple(shape))], -1)
        near = np.where(np.array(corner) == 1, part, 1 - part).prod(axis=1)
        weights[:, n], voxels[:, n] = np.where(voxel >= 0, near, 0.0), np.maximum(voxel, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    i, k = np.nonzero(weights)
    return sparse.csr_array((weights[i, k], (i, voxels[i, k])), shape=(J, V))
