"""A first guess at how much several factors vary: analysis of variance of unbalanced data (Henderson 1953, method I).

With y a residual, n_g the mean square of the columns of level g times its rows, and one variance a factor,

    Q_f = sum_g |Z_g'y|^2 / n_g,    E Q_f = s2 sum_g tr(Z_g'Z_g) / n_g + sum_h s2_h sum_g |Z_g'Z_h|^2 / n_g,
    Q_0 = y'y,                      E Q_0 = s2 n + sum_h s2_h tr(Z_h'Z_h).

What X took of y is neglected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from formula_neuro.family import Array

from ..terms import start_theta
from .minque import SMALLEST
from .profiled import Products
from .reduction import Sums
from .rest import Rest

DEAR = 100  # size of blocks from which the guess is worth its time


def first_guess(products: Products) -> Array:
    """theta with templates that are multiples of the identity; the identity where a step of Newton's costs less."""
    terms = products.terms
    if not isinstance(products, Sums) or products.rest is None or products.rest.layout.m < DEAR:
        return start_theta(terms)
    theta = np.empty(terms[-1].theta.stop)
    for factor, sd in zip(products.factors, _relative_sds(products, products.rest), strict=True):
        for index, _ in factor.members:
            theta[terms[index].theta] = terms[index].theta_of(sd * np.eye(terms[index].K))
    return theta


def _relative_sds(sums: Sums, rest: Rest) -> Array:
    """(factors,) standard deviations in units of the residual's."""
    diagonal = np.diagonal(rest.ZZ, axis1=1, axis2=2).ravel()
    places = rest.layout.places
    squares = [
        np.diagonal(sums.ZZ, axis1=1, axis2=2),
        *(diagonal[p].reshape(-1, f.K) for p, f in zip(places, sums.factors[1:], strict=True)),
    ]
    inverse = [1 / np.maximum(own.mean(axis=1), 1e-300) for own in squares]
    left, right = np.empty((len(squares) + 1, len(squares) + 1)), np.empty(len(squares) + 1)
    left[0, 0], right[0] = sums.n, sums.yy
    left[0, 1:] = [own.sum() for own in squares]
    left[1:, 0] = [own.sum(axis=1) @ weight for own, weight in zip(squares, inverse, strict=True)]
    left[1:, 1:] = _overlaps(sums, rest, inverse)
    right[1:] = [(W[:, :, -1] ** 2).sum(axis=1) @ weight for W, weight in zip(sums.ZW, inverse, strict=True)]
    variances = np.linalg.lstsq(left, right)[0]
    ratios = variances[1:] / max(variances[0], 1e-2 * sums.yy / sums.n)
    return np.asarray(np.sqrt(np.clip(ratios, SMALLEST**2, SMALLEST**-2)))


def _overlaps(sums: Sums, rest: Rest, inverse: Sequence[Array]) -> Array:
    """(f, h): sum_g |Z_g'Z_h|^2 / n_g over the levels g of f."""
    layout, K = rest.layout, sums.factors[0].K
    weights, ones = (np.zeros((layout.B * layout.m, len(layout.factors))) for _ in range(2))
    for h, (factor, places) in enumerate(zip(layout.factors, layout.places, strict=True)):
        weights[places, h], ones[places, h] = np.repeat(inverse[1 + h], factor.K), 1.0
    meeting = rest.Z12.power(2)
    blocks = (layout.B, layout.m, -1)
    others = weights.reshape(blocks).transpose(0, 2, 1) @ (rest.ZZ**2 @ ones.reshape(blocks))
    out = np.empty((len(inverse), len(inverse)))
    out[0, 0] = (sums.ZZ**2).sum(axis=(1, 2)) @ inverse[0]
    out[0, 1:] = np.repeat(inverse[0], K) @ (meeting @ ones)
    out[1:, 0] = (meeting @ weights).sum(axis=0)
    out[1:, 1:] = others.sum(axis=0)
    return out
