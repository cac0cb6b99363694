"""Covariances of a GEE's coefficients: model-based, the sandwich, and its corrections for few clusters.

With rows whitened by the working covariance, D (m, p) and e (m,), B = D'D and H_g = D_g B^-1 D_g' (Liang & Zeger 1986):

    B^-1 [sum D_g' (I - H_g)^-c e_g e_g' (I - H_g)^-c D_g] B^-1

c = 0 is the sandwich, 1 Mancl & DeRouen's (2001) correction, 1/2 Kauermann & Carroll's (2001). Residuals are too small
by about (I - H_g), which with few clusters is far from I. H_g is similar to their D_g B^-1 D_g' V_g^-1, so that the
corrections are theirs whatever root whitens.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .clusters import Clusters

POWERS = {"none": 0.0, "kc": 0.5, "md": 1.0}


def naive(D: Array, phi: float) -> Array:
    """phi B^-1 (p, p): right where the working correlation is the true one."""
    R = np.linalg.qr(D, mode="r")
    root = solve_triangular(R, np.eye(len(R)))
    return np.asarray(phi * root @ root.T)


def sandwich(D: Array, e: Array, clusters: Clusters, bias: str) -> Array:
    """The covariance (p, p) for rows D (m, p) and residuals e (m,) whitened cluster by cluster.

    By D_g R^-1 = U d V' the corrected scores are V d (1 - d^2)^-c U'e: no matrix of a cluster's size squared.
    Raises FitError where a coefficient hangs on one cluster alone, so that its d is 1.
    """
    Q, R = np.linalg.qr(D)
    power = POWERS[bias]
    if power == 0:
        scores = clusters.totals(Q * e[:, None])
    else:
        scores = np.array([_score(Q[block], e[block], power, bias) for block in clusters.blocks])
    half = solve_triangular(R, scores.T)
    return np.asarray(half @ half.T)


def _score(Q: Array, e: Array, power: float, bias: str) -> Array:
    U, d, Vt = np.linalg.svd(Q, full_matrices=False)
    if (d**2 > 1 - 1e-10).any():  # (1 - d^2) would have no digits left
        raise FitError(
            f"GEE: one cluster alone determines a coefficient (a level that occurs in no other?), so the correction "
            f"bias={bias!r} divides by 0; leave the column out, or take bias='none', which is too small there"
        )
    return np.asarray(Vt.T @ (d * (1 - d**2) ** -power * (U.T @ e)))
