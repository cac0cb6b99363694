"""Linear mixed models whose residuals have a structure: Var(e) = s2 R(rho), by levels (VarIdent) and in time (AR1).

Pinheiro & Bates (2000, section 5.1.2): rows multiplied by R^-1/2 follow an ordinary linear mixed model, whose criterion
plus log|R| is the criterion of the whole. `rows` makes the whitened model, `search` finds the rho for which it is
least; the ordinary fit stands inside, so that theta, sigma and coefficients are at their best for every rho.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from formula_neuro.family import Array
from formula_neuro.inference.intervals.held import Profiler
from formula_neuro.request import Request
from formula_neuro.result import Fit

from ..effects import contribution
from ..lmm.containment import containment, of_rows
from ..lmm.kenward_roger import KenwardRoger
from ..newton import flatness
from .kenward_roger import kenward_roger
from .profile import profiler
from .rows import Rows, rows_of
from .search import Optimum, Profile, search


@dataclass(frozen=True, eq=False)
class Engine:
    """What such a model can do again; `inner` is the ordinary fit of the whitened rows, `slopes` (m, p, p) how its
    covariance changes with rho, `curvature` (m, m) and `gradient` (m,) the criterion's derivatives."""

    inner: Fit
    rows: Rows
    rho: Array
    slopes: Array
    curvature: Array
    gradient: Array

    def refit(self, request: Request) -> Fit:
        return ordinary(request)

    @property
    def residual_weights(self) -> Array:
        return self.rows.weights(self.rho)

    def relative_weights(self, table: pd.DataFrame | None) -> Array:
        """1 over squared sd ratios, of the rows used (None) or of a new table's; NewLevels for a level not seen."""
        return self.rows.relative_weights(self.rho, table)

    def residual_noise(self, rng: np.random.Generator) -> Array:
        """Residuals (n,) of the fitted structure, drawn for sigma = 1."""
        return self.rows.coloured(rng.standard_normal(len(self.residual_weights)), self.rho)

    def profiler(self, fit: Fit) -> Profiler:
        """The deviance with a parameter held, of a fit by maximum likelihood."""
        from ..lmm import fitting as lmm

        along = Profile(self.rows, ordinary)
        return profiler(fit, self.rows, self.rho, lambda request: lmm.cross_products(request)[0], along)

    def flatness(self, fit: Fit) -> tuple[float, float]:
        """The criterion's largest slope in rho, and the gain that one more Newton step predicts."""
        return flatness(self.rho, fit.criterion, self.gradient, self.curvature)

    def kenward_roger(self, fit: Fit) -> KenwardRoger:
        """The adjusted covariance and its tests, of REML fits with a spread by level; Unable for others."""
        if not self.inner.engine.products.reml:
            self.inner.engine.kenward_roger(self.inner)
        return self._kenward_roger

    @cached_property
    def _kenward_roger(self) -> KenwardRoger:
        return kenward_roger(self.inner, self.rows, self.rho)

    def df(self, fit: Fit, L: Array, method: str) -> Array:
        """Degrees of freedom (q,) of each row of L (q, p).

        Satterthwaite's 2 v^2 / Var(v): to the variance of v that theta and sigma bring comes g' (2 F^-1) g, with g the
        slope of v along the best theta and sigma of each rho, and F the curvature of the criterion there.
        """
        L = np.atleast_2d(np.asarray(L, dtype=float))
        if method == "kenward-roger":
            return self.kenward_roger(fit).df(L)
        if method == "containment":  # of the columns as they are: whitened, none is constant within a group
            kept = np.flatnonzero(~np.isnan(fit.beta))
            return of_rows(containment(fit.request.design, kept, fit.request.weights > 0), L)
        inside = np.asarray(self.inner.engine.df(self.inner, L, method))
        if method != "satterthwaite":
            return inside
        known = ~np.isnan(fit.beta)
        V, M = fit.covariance[np.ix_(known, known)], L[:, known]
        v = np.einsum("qi,ij,qj->q", M, V, M)
        g = np.einsum("qi,aij,qj->qa", M, self.slopes[:, known][:, :, known], M)
        more = 2 * np.einsum("qa,ab,qb->q", g, np.linalg.pinv(self.curvature), g)
        return np.asarray(2 * v**2 / (2 * v**2 / inside + more))


def ordinary(request: Request) -> Fit:
    """lmm's own fit, which comes here for requests with a structure: imported late, as the two need one another."""
    from ..lmm import fitting as lmm

    return lmm.fit(request)


def fit(request: Request) -> Fit:
    """The model that maximises the (restricted) likelihood over rho too."""
    began = time.perf_counter()
    rows = rows_of(request)
    found = search(rows, ordinary)
    inner = found.fit
    design = request.design
    known = ~np.isnan(inner.beta)
    eta = design.matrix[:, known] @ inner.beta[known] + design.offset + contribution(design.random, inner.random)
    value = inner.criterion + rows.log_determinant(found.rho)
    return replace(
        inner,
        request=request,
        loglik=-value / 2,
        deviance=value,
        criterion=value,
        n_parameters=inner.n_parameters + len(found.rho),
        df_resid=inner.df_resid - len(found.rho),
        eta=eta,
        converged=inner.converged and found.converged,
        messages=(*inner.messages, *rows.words, *_unfinished(found)),
        seconds=time.perf_counter() - began,
        iterations=found.iterations,
        engine=Engine(inner, rows, found.rho, found.slopes, found.curvature, found.gradient),
        residual=rows.named(found.rho),
    )


def _unfinished(found: Optimum) -> tuple[str, ...]:
    if found.converged:
        return ()
    return (
        "the parameters of the residual structure did not converge: a spread that goes to 0 or a correlation to 1 "
        "(few rows in a level? times that hardly repeat?); a simpler structure may be all that the data tell",
    )
