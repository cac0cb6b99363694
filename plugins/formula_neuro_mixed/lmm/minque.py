"""Where the search for theta starts: one step of minimum norm quadratic unbiased estimation (Rao 1971).

It is exact where the design is balanced, so Newton's method has little left to do on designs that nearly are.
"""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array
from formula_neuro.kernels.templates import lower_factor, vech

from ..terms import Term
from .moments import moments_of
from .profiled import Products, solve

INSIDE = 0.8  # of a structure's limits of correlations, where the likelihood is flat
SMALLEST = 0.1  # of standard deviations, in the residual's: at 0 the gradient vanishes whatever the data


def minque_theta(products: Products, prior: Array) -> Array:
    """theta after one step from `prior`, no direction below SMALLEST.

    With V = I + sum g_j B_j at the prior, B_0 = I and P as in `moments`, solves sum_j tr(P B_i P B_j) c_j = y'P B_i P y
    for the components c; what concerns I follows from P V P = P.
    """
    directions, gamma, places = [], [], []
    for f, factor in enumerate(products.factors):
        for index, where in factor.members:
            term = products.terms[index]
            L = term.template(prior)
            S = L @ L.T
            for place, own in enumerate(term.directions(), term.theta.start):
                D = np.zeros((factor.K, factor.K))
                D[where, where] = own
                directions.append((f, D))
                gamma.append(float(np.vdot(S, own) / np.vdot(own, own)))  # no two share an element
                places.append(place)
    at, g = solve(products, prior), np.array(gamma)
    found = moments_of(at, directions)
    single, double = found.projected(at.C)
    edge = single - double @ g  # tr(P B_i P)
    corner = products.n - products.rank - g @ single - g @ edge  # tr(P P)
    left, right = np.empty((len(g) + 1, len(g) + 1)), np.empty(len(g) + 1)
    left[0, 0], left[0, 1:], left[1:, 0], left[1:, 1:] = corner, edge, edge, double
    right[0], right[1:] = at.r2 - g @ found.linear, found.linear
    components = np.linalg.lstsq(left, right)[0]
    theta = np.empty(len(g))
    theta[np.array(places)] = components[1:] / max(components[0], 1e-2 * at.r2 / products.df)
    for term in products.terms:
        theta[term.theta] = _inside(term, np.tensordot(theta[term.theta], term.directions(), 1))
    return theta


def _inside(term: Term, S: Array) -> Array:
    """The term's part of theta from components that may be no covariances."""
    if term.structure is not None:
        return term.structure.nearest(S, least=SMALLEST, inside=INSIDE)
    if term.K == 1:
        return np.asarray(np.sqrt(np.maximum(S[0], SMALLEST**2)))
    values, vectors = np.linalg.eigh(S)
    return vech(lower_factor(vectors * np.sqrt(np.maximum(values, SMALLEST**2))))
