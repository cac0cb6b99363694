"""A request for a GLMM in inner coordinates: what the search sees of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from formula_neuro.design import Design
from formula_neuro.estimator import Laplace, Normal
from formula_neuro.family import Family, NBinom2, Poisson
from formula_neuro.kernels.rank import Basis, orthonormal_basis
from formula_neuro.request import Request

from ..plain.pirls import Problem
from ..terms import Term, inner_terms
from .inflated import InflatedRows
from .layout import layout_of
from .marginal import Penalty
from .modes import Model
from .rows import EXPECTED, Rows


@dataclass(frozen=True, eq=False)
class Inner:
    """A request in inner coordinates: columns of X with mean square 1 and mutually orthogonal."""

    model: Model
    terms: tuple[Term, ...]
    basis: Basis
    scale: float  # inner coefficients times this are the basis's
    used: NDArray[np.bool_]
    inflation: Basis | None = None  # of the columns of zero inflation, on the same scale


def inner(request: Request) -> Inner:
    """The model of the rows of positive weight."""
    design, used = request.design, request.weights > 0
    terms = inner_terms(design.random, used.astype(float))
    layout = layout_of(terms, used)
    basis = orthonormal_basis(design.matrix[used])
    scale = float(np.sqrt(used.sum()))
    X = np.empty((len(used), basis.rank))
    X[used] = basis.Q * scale
    order = layout.order
    rows = Rows(_known(request.family), request.y[order], request.weights[order], _expected(request))
    own = Inner(Model(rows, layout, X[order], design.offset[order]), terms, basis, scale, used)
    return own if request.inflation is None else _inflated(own, request.inflation)


def _inflated(of: Inner, zeros: Design) -> Inner:
    """The same with zeros from elsewhere; their coefficients have columns of zeros in X."""
    basis, order, plain = orthonormal_basis(zeros.matrix[of.used]), of.model.layout.order, of.model.rows
    Z = np.empty((len(of.used), basis.rank))
    Z[of.used] = basis.Q * of.scale
    rows = InflatedRows(plain.family, plain.y, plain.w, False, Z[order], zeros.offset[order])
    X = np.hstack([of.model.X, np.zeros_like(rows.Z)])
    return replace(of, model=replace(of.model, rows=rows, X=X), inflation=basis)


def _known(family: Family) -> Family:
    """A negative binomial whose theta is held at infinity is Poisson's."""
    return Poisson(family.link) if isinstance(family, NBinom2) and family.fixed and np.isinf(family.theta) else family


def _expected(request: Request) -> bool:
    how = request.estimator
    chosen = how.weights if isinstance(how, Laplace) else None
    return request.family.name in EXPECTED if chosen is None else chosen == "expected"


def penalty(request: Request, problem: Inner) -> Penalty | None:
    """The prior's quadratic form in inner coefficients, None without one."""
    prior: Normal | None = getattr(request.estimator, "prior", None)
    if prior is None:
        return None
    kept = problem.basis.kept
    first = request.design.formula.fixed.intercept
    sd = np.array([prior.intercept if first and j == 0 else prior.sd for j in kept])
    T = np.linalg.inv(problem.basis.R) * problem.scale / sd[:, None]
    return Penalty(T.T @ T)


# ---- the plain path, kept as an oracle -----------------------------------------------------------
def inner_problem(request: Request) -> tuple[Problem, Basis, float]:
    """The problem of the plain path (dense A, differenced Hessian), by which the exact one is tested."""
    design, used = request.design, request.weights > 0
    basis = orthonormal_basis(design.matrix[used])
    scale = float(np.sqrt(used.sum()))
    X = np.asarray(np.linalg.solve(basis.R.T, design.matrix[:, basis.kept].T).T * scale)
    terms = inner_terms(design.random, used.astype(float))
    return Problem(request.y, request.weights, design.offset, X, terms, request.family), basis, scale
