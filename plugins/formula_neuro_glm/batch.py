"""Many responses of one linear or generalized linear model at once: refits that share the design, for the bootstrap.

Linear models need one product. Generalized ones step together by Fisher scoring (irls.py has the equations), the steps
of each response shortened on their own; responses of which it is not certain that the single fit ends there too (no
convergence, means at the edge of their range, where separation is looked for) are fitted one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import ML
from formula_neuro.family import Array, Family
from formula_neuro.inference.bootstrap.refits import Refits, again
from formula_neuro.kernels.rank import GLM_TOLERANCE, Basis, orthonormal_basis
from formula_neuro.result import Fit

LINKS = {"binomial": ("logit", "probit", "cloglog"), "poisson": ("log",)}  # whose means cannot leave the range
EDGE = 1e-4  # of a mean from its limit: nearer, a single fit looks for separation
TOLERANCE = 1e-16  # of the deviance, relative: what one more step would gain at the end
ITERATIONS = 50


def linear(fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
    """What fits a linear model to responses Y (n, B)."""
    request = fit.request
    if request.estimator != ML():
        return None
    used, root = request.weights > 0, np.sqrt(request.weights[request.weights > 0])[:, None]
    basis = orthonormal_basis(request.design.matrix[used] * root)
    offset, constant = request.design.offset[used][:, None], float(np.log(root).sum())

    def refits(Y: Array) -> Refits:
        z = (Y[used] - offset) * root
        b = basis.Q.T @ z
        rss, n = ((z - basis.Q @ b) ** 2).sum(axis=0), len(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            loglik = constant - n * (np.log(2 * np.pi * rss / n) + 1) / 2
            sigma = np.sqrt(rss / (n - basis.rank))
        out = Refits(loglik, coefficients(basis, b), np.empty((len(rss), 0)), sigma, ("",) * len(rss))
        sure = np.isfinite(loglik)
        return out if sure.all() else again(out, fit, Y, np.flatnonzero(~sure))

    return refits


def generalized(fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
    """What fits a generalized linear model to responses Y (n, B), drawn from `near`; None for other families."""
    request, family = fit.request, fit.request.family
    if request.estimator != ML() or family.link.name not in LINKS.get(family.name, ()):
        return None
    used = request.weights > 0
    w = request.weights[used]
    basis = orthonormal_basis(request.design.matrix[used], GLM_TOLERANCE)
    offset = request.design.offset[used]
    start = basis.Q.T @ (near.eta[used] - offset)

    def refits(Y: Array) -> Refits:
        y = np.ascontiguousarray(Y[used])
        b, eta, done = scored(basis.Q, y, w[:, None], offset[:, None], family, start)
        mu = family.link.inverse(eta)
        loglik = np.array([family.loglik(one, at, w, 1.0) for one, at in zip(y.T, mu.T, strict=True)])
        out = Refits(loglik, coefficients(basis, b), np.empty((len(loglik), 0)), np.ones(len(loglik)), ("",) * len(b.T))
        high = 1 - EDGE if family.name == "binomial" else np.inf
        sure = done & ((mu > EDGE) & (mu < high)).all(axis=0) & np.isfinite(loglik)
        return out if sure.all() else again(out, fit, Y, np.flatnonzero(~sure))

    return refits


def coefficients(basis: Basis, b: Array) -> Array:
    """(B, p) coefficients of X from those of Q (r, B); NaN where a column was dropped."""
    full = np.full((b.shape[1], basis.columns), np.nan)
    full[:, basis.kept] = np.linalg.solve(basis.R, b).T
    return full


def scored(
    Q: Array, y: Array, w: Array, offset: Array, family: Family, start: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Coefficients (r, B), linear predictors (n, B) and which converged, of eta = Q b + offset; w, offset (n, 1)."""
    b = np.repeat(start[:, None], y.shape[1], axis=1)
    eta, done = Q @ b + offset, np.zeros(y.shape[1], dtype=bool)
    value = deviance(family, y, eta, w)
    for _ in range(ITERATIONS):
        todo = np.flatnonzero(~done)
        if not len(todo):
            break
        step, decrement = _step(Q, y[:, todo], w, eta[:, todo], family)
        arrived = decrement < TOLERANCE * (0.1 + np.abs(value[todo]))
        done[todo[arrived]] = True
        todo, step = todo[~arrived], step[:, ~arrived]
        moved = np.zeros(len(todo), dtype=bool)
        for k in range(20):
            left = np.flatnonzero(~moved)
            if not len(left):
                break
            at = todo[left]
            candidate = b[:, at] + step[:, left] / 2**k
            there = Q @ candidate + offset
            new = deviance(family, y[:, at], there, w)
            fine = new <= value[at] + 1e-12 * np.abs(value[at])
            b[:, at[fine]], eta[:, at[fine]], value[at[fine]] = candidate[:, fine], there[:, fine], new[fine]
            moved[left[fine]] = True
        if not moved.any():
            break
    return b, eta, done


def deviance(family: Family, y: Array, eta: Array, w: Array) -> Array:
    """(B,) deviances; inf where a step went too far."""
    with np.errstate(all="ignore"):
        total = family.deviance(y, family.link.inverse(eta), w).sum(axis=0)
    return np.where(np.isfinite(total), total, np.inf)


def _step(Q: Array, y: Array, w: Array, eta: Array, family: Family) -> tuple[Array, Array]:
    """Fisher's steps (r, B) and the falls of the deviance that they predict (B,)."""
    mu, mu1 = family.link.inverse(eta), family.link.derivative(eta)
    V = family.variance(mu)
    score = Q.T @ (w * (y - mu) * mu1 / V)
    information = np.einsum("ni,nb,nj->bij", Q, w * mu1**2 / V, Q, optimize=True)
    step = np.linalg.solve(information, score.T[:, :, None])[:, :, 0].T
    return step, (score * step).sum(axis=0)
