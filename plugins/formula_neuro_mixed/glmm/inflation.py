"""Zero inflation around the search: where it begins, what was estimated, and what is said of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from formula_neuro.family import Array
from formula_neuro.inflation import ZeroInflation
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.rank import Basis
from formula_neuro.request import Request

from .inflated import InflatedRows
from .inner import Inner
from .modes import Model
from .start import simpler

ROUNDS = 4  # of expectation and maximisation; a start need not be exact
EDGE = 1e-4  # a probability so near 0 or 1 is on its way there
LOOSE = 100.0  # if its logit's standard error is also above this: a steep slope has a finite maximum, and less


def with_inflation(model: Model, b: Array) -> Array:
    """(b, gamma) to begin from: a few rounds of EM without random effects, one probability for all rows.

    b (r,) are the coefficients of the family without zero inflation; without any zeros gamma begins at p = 0.05.
    """
    rows = model.rows
    if not isinstance(rows, InflatedRows):
        return b
    X, family, share = model.X[:, : len(b)], simpler(rows.family), 0.3
    for _ in range(ROUNDS):
        mu = family.link.inverse(X @ b + model.offset)
        with np.errstate(all="ignore"):
            none = np.exp(rows.plain.w * np.log1p(-mu)) if family.name == "binomial" else np.exp(-mu)
        elsewhere = np.where(rows.zero, share / (share + (1 - share) * none), 0.0)
        share = float(np.clip(np.average(elsewhere, weights=rows.count), 0.05, 0.9))
        found = irls(X, rows.y, rows.w * np.maximum(1 - elsewhere, 1e-3), model.offset, family, tolerance=1e-6)
        if not np.isfinite(found.b).all():
            break
        b = found.b
    gamma = np.linalg.lstsq(rows.Z, special.logit(share) - rows.zeta_offset, rcond=None)[0]
    return np.concatenate([b, gamma])


def inflation_of(problem: Inner, b: Array, covariance: Array | None) -> ZeroInflation | None:
    """The estimates of gamma from b = (b, gamma) and the covariance of (b, gamma, tau)."""
    basis, model = problem.inflation, problem.model
    if basis is None or not isinstance(model.rows, InflatedRows):
        return None
    own = slice(len(b) - model.rows.n_inflation, len(b))
    zeta = model.rows.Z @ b[own] + model.rows.zeta_offset
    C = None if covariance is None else covariance[own, own]
    return ZeroInflation(
        gamma=basis.coefficients(b[own] * problem.scale),
        covariance=_covariance(basis, C, problem.scale),
        joint=None if covariance is None else _joint(problem, basis, covariance[: own.start, own]),
        infinite=bool((_edge(special.expit(zeta)) & _loose(model.rows.Z, C)).any()),
    )


def _joint(problem: Inner, basis: Basis, inner: Array) -> Array:
    """(p, k) covariance of b and gamma from that of inner coefficients, NaN where either is aliased."""
    found = np.full((problem.basis.columns, basis.columns), np.nan)
    half = np.linalg.solve(problem.basis.R, inner)
    found[np.ix_(problem.basis.kept, basis.kept)] = problem.scale**2 * np.linalg.solve(basis.R, half.T).T
    return found


def _edge(p: Array) -> NDArray[np.bool_]:
    return np.asarray((p < EDGE) | (p > 1 - EDGE))


def _loose(Z: Array, C: Array | None) -> NDArray[np.bool_]:
    """Which rows' logits nothing determines."""
    return np.ones(len(Z), dtype=bool) if C is None else ~(np.einsum("nk,kl,nl->n", Z, C, Z) < LOOSE**2)


def _covariance(basis: Basis, inner: Array | None, scale: float) -> Array:
    """(k, k); all NaN where there is none."""
    return np.full((basis.columns, basis.columns), np.nan) if inner is None else scale**2 * basis.covariance(inner)


def inflation_words(request: Request, found: ZeroInflation | None) -> tuple[str, ...]:
    """That p went to 0 or 1, and in how many rows; nothing where it did not."""
    if found is None or request.inflation is None or not found.infinite:
        return ()
    used = request.weights > 0
    p = found.probability(request.inflation)[used]
    y = request.y[used]
    low, high = int((p < EDGE).sum()), int((p > 1 - EDGE).sum())
    if low == len(p):
        why = "no response is 0" if (y > 0).all() else f"there are no more zeros than {request.family.name} explains"
        return (
            f"the zero-inflation probability goes to 0: {why}, so that this is the fit without zero inflation; leave "
            "zero_inflation= out",
        )
    parts = [f"to 0 in {low}" if low else "", f"to 1 in {high}" if high else ""]
    where = " and ".join(part for part in parts if part)
    lost = [name for name, se in zip(request.inflation.names, found.se, strict=True) if not se < LOOSE]
    return (
        f"separation in zero_inflation=: the probability goes {where} of {len(p)} rows, which makes {', '.join(lost)} "
        "infinite; the numbers shown are only where the iteration stopped; use fewer terms there, or join levels",
    )
