"""Whether the fixed part separates the masks of a voxel, so that maximum likelihood is infinite: exact, by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array, Family
from formula_neuro.kernels.cones import recession_cones
from formula_neuro.kernels.separation import classify

OVERLAP, QUASI, COMPLETE, ALL_ZERO, ALL_ONE, UNDEFINED = range(6)
KINDS = {"overlap": OVERLAP, "quasi-complete": QUASI, "complete": COMPLETE, "all 0": ALL_ZERO, "all 1": ALL_ONE}
OPEN = 2  # the sign of a coefficient that is infinite in directions that disagree


@dataclass(frozen=True, eq=False)
class Apart:
    """Of C voxels the class (C,), and by column 0, the sign of an infinite coefficient, or OPEN (C, r)."""

    kind: NDArray[np.int8]
    signs: NDArray[np.int8]


def apart(X: Array, Y: NDArray[np.uint8], family: Family) -> Apart:
    """Of masks Y (C, n) that are not constant and rows X (n, r) of full rank."""
    if not len(Y):
        return Apart(np.zeros(0, dtype=np.int8), np.zeros((0, X.shape[1]), dtype=np.int8))
    cones = recession_cones(X, np.where(Y > 0, 1, -1).astype(np.int8))
    kind = np.where(cones.apart, np.where(cones.complete, COMPLETE, QUASI), OVERLAP).astype(np.int8)
    signs = np.where(cones.infinite, np.where(cones.signs == 0, OPEN, cones.signs), 0).astype(np.int8)
    names = [str(j) for j in range(X.shape[1])]
    for c in np.flatnonzero(~cones.sure):
        found = classify(names, X, Y[c].astype(np.float64), np.ones(len(X)), family)
        kind[c] = KINDS[found.kind]
        signs[c] = [int(found.signs[name]) or OPEN if name in found.signs else 0 for name in names]
    return Apart(kind, signs)


def constant(Y: NDArray[np.uint8]) -> NDArray[np.int8]:
    """(C,) the class of masks that are all 0 or all 1, OVERLAP for the others."""
    total = Y.sum(axis=1, dtype=np.int64)
    return np.where(total == 0, ALL_ZERO, np.where(total == Y.shape[1], ALL_ONE, OVERLAP)).astype(np.int8)
