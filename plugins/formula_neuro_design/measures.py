"""What a design does to each member of the family: bias, variance, and the weights phi that trade them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .family import Family
from .objective import estimator, misfit


@dataclass(frozen=True, eq=False)
class Measures:
    """Of each design (m,): bias C_b, variance change CV and variance bias V_b, as shares; for s contrasts (s, m).

    `leak` is the standard deviation of what nuisances of unknown amplitude add to the estimate, in units of the
    noise's; 0 where amplitudes are known. The variance bias is the same for all contrasts, (m,).
    """

    bias: Array
    variance_change: Array
    variance_bias: Array
    leak: Array


def measures(Z: Array, c: Array, family: Family, g: Array) -> Measures:
    """C_b = a'v / l - 1 (a'v itself where l = 0), V_b = D / (n - p), CV = (1 + V_b) c'(Z'Z)^-1 c / g - 1.

    g (m,), or (s, m) for s contrasts, are the Gauss-Markov variances of the true designs. CV below 0 is possible,
    because the estimate is biased. A design of several columns (second moments) has the bias E(l a'v) / E(l^2) - 1,
    and what is not that share of its truth leaks.
    """
    n, p = Z.shape
    a = estimator(Z, c)
    found = a @ family.v
    truth = family.by_design(family.l**2)
    some = truth > 0
    share = family.by_design(family.l * found) / np.where(some, truth, 1.0)
    # without a truth, the estimate itself: a column's, or the root of its second moment
    null = found if family.of is None else np.sqrt(family.by_design(found**2))
    bias = np.where(some, share - 1, null)
    leak = np.sqrt(family.by_design((found - family.l * family.by_column(share)) ** 2) * some)
    variance_bias = family.by_design(misfit(Z, family.v)) / (n - p)
    variance = (a**2).sum(axis=-1)[..., None] * (1 + variance_bias)
    return Measures(bias, variance / g - 1, variance_bias, leak)


def gauss_markov(X: Array, contrast: Array) -> Array:
    """g (m,) = cX (X'X)^-1 cX' of designs X (m, n, k), NaN where the columns are collinear."""
    size = np.sqrt((X**2).sum(axis=1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        U = np.where(size > 0, X / size, 0.0)
        c = np.where(size[:, 0] > 0, contrast / size[:, 0], 0.0)
    _, s, Vt = np.linalg.svd(U, full_matrices=False)
    whole = s[:, -1] > 1e-10
    along = np.einsum("mij,mj->mi", Vt, c) / np.where(whole[:, None], s, 1.0)
    return np.where(whole, (along**2).sum(axis=1), np.nan)


def phi_by_squared_bias(l: Array, g: Array, k: float = 1e3) -> Array:
    """The paper's choice A: C_b^2 weighs k times as much as CV + 1; phi = l^2 / (l^2 + k g), 0 where l = 0."""
    _check_k(k)
    return l**2 / (l**2 + k * g)


def phi_by_bias(l: Array, g: Array, k: float = 1e2) -> Array:
    """The paper's choice B: |C_b| weighs k times as much as CV + 1; phi = 2 / (1 + sqrt(1 + 4 alpha)).

    alpha = 2 g^2 k^2 / l^2; where l = 0 phi is its limit, 0.
    """
    _check_k(k)
    some = l != 0
    alpha = 2 * (g * k / np.where(some, l, 1.0)) ** 2
    return np.where(some, 2 / (1 + np.sqrt(1 + 4 * alpha)), 0.0)


def _check_k(k: float) -> None:
    if not (np.isfinite(k) and k > 0):
        raise DataError(f"k is {k}; a number above 0 is expected: how much more the bias weighs than the variance")
