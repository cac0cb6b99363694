"""What was estimated about the random effects, in the user's coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solve_triangular

from formula_neuro.design import RandomTerm
from formula_neuro.family import Array
from formula_neuro.result import RandomEffect

from .lmm.profiled import Products, Solution
from .terms import Term


def random_effects(terms: Sequence[Term], theta: Array, v: Array, A: Array, s2: float) -> tuple[RandomEffect, ...]:
    """Covariances, conditional modes u = L v and conditional covariances s2 L A^-1 L' of every term.

    v (q,) spherical modes, A (q, q) lower Cholesky factor of L'Z'WZL + I.
    """
    inverse = solve_triangular(A, np.eye(len(A)), lower=True)
    out = []
    for term in terms:
        half = inverse[:, term.columns].reshape(-1, term.levels, term.K)
        conditional = np.einsum("qai,qaj->aij", half, half)
        out.append(effects_of_term(term, theta, v[term.columns].reshape(term.levels, term.K), conditional, s2))
    return tuple(out)


def effects_of_term(term: Term, theta: Array, v: Array, conditional: Array, s2: float) -> RandomEffect:
    """One term's effects from its spherical modes v (levels, K) and their conditional covariances (levels, K, K)."""
    L = term.template(theta)
    return _effect(term, theta, v @ L.T, L @ conditional @ L.T, s2)


def solved_effects(products: Products, theta: Array, at: Solution, s2: float) -> tuple[RandomEffect, ...]:
    """Those of a linear mixed model: modes u = S Z'V^-1(y - Xb), conditional covariances s2 (S - S H S)."""
    found = {}
    for factor, W, conditional in zip(products.factors, at.Gk, at.reduced.conditional(), strict=True):
        L = factor.template(theta)
        u = W[:, :, -1] @ (L @ L.T)
        for index, own in factor.members:
            found[index] = _effect(products.terms[index], theta, u[:, own], conditional[:, own, own], s2)
    return tuple(found[index] for index in range(len(products.terms)))


def _effect(term: Term, theta: Array, u: Array, conditional: Array, s2: float) -> RandomEffect:
    """From the inner coordinates of u (levels, K) and its covariances (levels, K, K) to the user's."""
    L, change = term.users_template(theta), term.change
    return RandomEffect(
        group=term.given.group,
        columns=term.given.columns,
        levels=term.given.levels,
        covariance=s2 * L @ L.T,
        modes=u @ change.T,
        mode_covariance=s2 * change @ conditional @ change.T,
    )


def contribution(random: Sequence[RandomTerm], effects: Sequence[RandomEffect]) -> Array:
    """Z u (n,): what the random effects add to each row's linear predictor."""
    columns = (
        term.basis[:, k] * effect.modes[:, k][term.codes]
        for term, effect in zip(random, effects, strict=True)
        for k in range(effect.modes.shape[1])
    )
    return np.asarray(sum(columns))
