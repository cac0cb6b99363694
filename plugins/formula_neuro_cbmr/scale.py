"""One scale for log-likelihoods: that of the counts of every analysis in every voxel, with all constants.

On it Poisson, clustered and voxel-wise negative binomial fits of the same foci in the same mask can be compared, and
with them AIC and BIC.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from formula_neuro.family import Array
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


def from_voxel_totals(located: Located, group_voxel_counts: Array, log_weights: Array, t: Array, voxels: int) -> float:
    """What brings the log-likelihood of voxel totals, with its -log Y_v!, to the common scale.

    Given a total, its foci fall on the group's analyses by their weights w_i / S1: sum_v log Y_v! - sum log y_iv!
    + sum_i t_i log(w_i / S1). group_voxel_counts holds the Y_v of all groups; log_weights (M,) are log(w_i / S1).
    """
    return float(gammaln(group_voxel_counts + 1.0).sum()) - log_factorials(located, voxels) + float(t @ log_weights)


def aic(loglik: float, df: float) -> float:
    """-2 loglik + 2 df; df counts coefficients (effective ones under a penalty) and dispersions."""
    return 2 * df - 2 * loglik


def bic(loglik: float, df: float, studies: int) -> float:
    """-2 loglik + df log(studies): the studies are what is independent, not analyses or voxels."""
    return float(df * np.log(studies) - 2 * loglik)
