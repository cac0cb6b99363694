"""Where the search for theta starts: one step of minimum norm quadratic unbiased estimation (Rao 1971).

It is exact where the design is balanced, so Newton's method has little left to do on designs that nearly are.
By maximum likelihood it is Fisher's scoring (Anderson 1973), with tr(V^-1 B) for tr(P B) and n for n - r.
"""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array
from formula_neuro.kernels.templates import lower_factor, vech

from ..terms import Term
from .information import OnFactor
from .moments import moments_of
from .profiled import Products, solve

INSIDE = 0.8  # of a structure's limits of correlations, where the likelihood is flat
SMALLEST = 0.1  # of standard deviations, in the residual's: at 0 the gradient vanishes whatever the data


def minque_theta(products: Products, prior: Array) -> Array:
    """theta after one step from `prior`, no direction below SMALLEST.

    With V = I + sum g_j B_j at the prior, B_0 = I and P as in `moments`, solves sum_j tr(P B_i P B_j) c_j = y'P B_i P y
    for the components c; what concerns I follows from P V P = P.
    """
    directions, gamma, places = list[OnFactor](), list[float](), list[int]()
    own = [term.directions() for term in products.terms]
    for f, factor in enumerate(products.factors):
        for index, where in factor.members:
            L = products.terms[index].template(prior)
            wide = np.zeros((len(own[index]), factor.K, factor.K))
            wide[:, where, where] = own[index]
            directions += [(f, D) for D in wide]
            # no two share an element
            gamma += (np.tensordot(own[index], L @ L.T) / (own[index] ** 2).sum(axis=(1, 2))).tolist()
            places += range(products.terms[index].theta.start, products.terms[index].theta.stop)
    at, g = solve(products, prior), np.array(gamma)
    found = moments_of(at, directions)
    theta = np.empty(len(g))
    traces = found.projected(at.C) if products.reml else (found.trace, found.traces)
    theta[places] = ratios(products, g, *traces, at.r2, found.linear)
    for term, D in zip(products.terms, own, strict=True):
        theta[term.theta] = _inside(term, np.tensordot(theta[term.theta], D, 1))
    return theta


def _inside(term: Term, S: Array) -> Array:
    """The term's part of theta from components that may be no covariances."""
    if term.structure is not None:
        return term.structure.nearest(S, least=SMALLEST, inside=INSIDE)
    if term.K == 1:
        return np.asarray(np.sqrt(np.maximum(S[0], SMALLEST**2)))
    values, vectors = np.linalg.eigh(S)
    return vech(lower_factor(vectors * np.sqrt(np.maximum(values, SMALLEST**2))))


def ratios(products: Products, g: Array, single: Array, double: Array, r2: float, linear: Array) -> Array:
    """c_j / c_0, from tr(T B_i), tr(T B_i T B_j), y'Py and y'P B_i P y at the prior g; T is P, or V^-1 by ML."""
    edge = single - double @ g  # tr(T B_i T)
    corner = products.df - g @ single - g @ edge  # tr(T T)
    left, right = np.empty((len(g) + 1, len(g) + 1)), np.empty(len(g) + 1)
    left[0, 0], left[0, 1:], left[1:, 0], left[1:, 1:] = corner, edge, edge, double
    right[0], right[1:] = r2 - g @ linear, linear
    components = np.linalg.lstsq(left, right)[0]
    return np.asarray(components[1:] / max(components[0], 1e-2 * r2 / products.df))
