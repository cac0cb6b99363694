"""One scale for log-likelihoods: that of the counts of every analysis in every voxel, with all constants.

On it Poisson, clustered and voxel-wise negative binomial fits of the same foci in the same mask can be compared, and
with them AIC and BIC.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from formula_neuro.foci.request import Located


def log_factorials(located: Located, voxels: int) -> float:
    """sum over analyses and voxels of log y_iv!: foci of one analysis that share a voxel.

    >>> three = Located(np.zeros((3, 3)), voxel=np.array([5, 5, 5]), analysis=np.array([0, 0, 1]))
    >>> round(log_factorials(three, 10) / float(np.log(2)), 6)
    1.0
    """
    if not len(located.voxel):
        return 0.0
    counts = np.unique(located.analysis.astype(np.int64) * voxels + located.voxel, return_counts=True)[1]
    return float(gammaln(counts + 1.0).sum())
