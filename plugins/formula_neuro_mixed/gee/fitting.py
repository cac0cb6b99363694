"""Generalized estimating equations (Liang & Zeger 1986): sum_g D_g' V_g^-1 (y_g - mu_g) = 0.

V_g = phi A^1/2 R(alpha) A^1/2 with A = V(mu) / w. Scoring steps of the coefficients take turns with the moments of phi
and alpha until the coefficients rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from formula_neuro.errors import DataError, FitError
from formula_neuro.estimator import GEE
from formula_neuro.family import Array, Family
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.rank import GLM_TOLERANCE, Basis, aliased, orthonormal_basis
from formula_neuro.kernels.separation import classify, in_words
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .clusters import Clusters, clusters_of
from .correlation import Residuals, Working, working_correlation
from .sandwich import naive, sandwich

FEW = 10  # clusters below which even corrected intervals are said to be rough
TOLERANCE = 1e-11  # of a step, in model-based standard errors
ENOUGH = 1e-6  # of the same, where more steps bring no more
LARGEST_MOVE = 5.0  # of a linear predictor in one step, but under the identity link, which has the response's units
NO_LIKELIHOOD = (
    "GEE has no likelihood: loglik, aic and bic are NaN; anova() compares models by Wald tests, glance() has the QIC"
)


@dataclass(frozen=True, eq=False)
class Problem:
    """m sorted rows of positive weight: Q (m, r) with orthonormal columns, y, w, offset (m,).

    Of a linear model y are residuals, from `origin` (r,) in Q: a mean of 1e9 would leave a spread of 1 few digits.
    """

    family: Family
    how: GEE
    clusters: Clusters
    Q: Array
    y: Array
    w: Array
    offset: Array
    origin: Array
    given: Array  # y before that, (m,)

    def state(self, b: Array, held: Working | None = None) -> State:
        """Everything at coefficients b (r,) of Q, with the working correlation of their residuals or one that is held.

        Raises FitError where numbers overflow.
        """
        eta = self.Q @ b + self.offset
        mu = self.family.link.inverse(eta)
        root = np.sqrt(self.w / self.family.variance(mu))
        e = root * (self.y - mu)
        p = self.Q.shape[1] if self.how.denominators == "n-p" else -1
        rest = Residuals(e, self.w, p)
        if not float(e @ e) > 1e-24 * float(((root * self.given) ** 2).sum()):
            raise DataError("GEE: the columns reproduce the response exactly, so that no variance is left to estimate")
        D = (root * self.family.link.derivative(eta))[:, None] * self.Q
        if not (np.isfinite(e).all() and np.isfinite(D).all()):
            raise FitError(
                f"GEE: the steps led out of the numbers that {self.family} can take; try corr='independence', another "
                "link, or covariates and responses without outliers"
            )
        R = working_correlation(self.how.corr, self.clusters, rest) if held is None else held
        return State(b, eta, rest.phi, R, R.whiten(D, self.clusters), R.whiten(e[:, None], self.clusters)[:, 0])


@dataclass(frozen=True, eq=False)
class State:
    """Coefficients, with phi and the working correlation of their residuals, and D and e whitened by it."""

    b: Array
    eta: Array
    phi: float
    R: Working
    D: Array
    e: Array


@dataclass(frozen=True, eq=False)
class Found:
    state: State
    iterations: int
    left: float  # length of the last step in model-based standard errors
    converged: bool
    held: bool  # the working correlation did not settle by itself


@dataclass(frozen=True, eq=False)
class Engine:
    """What a GEE can do again, and what it alone can tell."""

    state: State
    clusters: Clusters
    basis: Basis

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def covariances(self, fit: Fit) -> dict[str, Array]:
        """Covariances of the coefficients (p, p): "naive" (model-based), and the sandwich by "none", "kc", "md"."""
        s = self.state
        found = {bias: sandwich(s.D, s.e, self.clusters, bias) for bias in ("none", "kc", "md")}
        return {name: self.basis.covariance(V) for name, V in {"naive": naive(s.D, s.phi), **found}.items()}

    def about(self, fit: Fit) -> Mapping[str, float | str]:
        """What glance() has besides: corr, clusters, largest_cluster, qic and qicu."""
        how = fit.request.estimator
        assert isinstance(how, GEE)
        qic, qicu = self.qic(fit)
        return {
            "corr": how.corr,
            "clusters": self.clusters.count,
            "largest_cluster": int(self.clusters.sizes.max()),
            "qic": qic,
            "qicu": qicu,
        }

    def qic(self, fit: Fit) -> tuple[float, float]:
        """Pan's (2001) QIC and QICu, as geepack's: -2 quasi-likelihood at dispersion 1, plus twice tr(O V), or 2 p.

        O is the inverse of the model-based covariance under independence, V the uncorrected sandwich. Of models of one
        response the smaller is the better; QIC chooses a correlation, QICu columns.
        """
        request, how = fit.request, fit.request.estimator
        assert isinstance(how, GEE)
        alone = _solved(_problem(replace(request, estimator=replace(how, corr="independence", order=None)))[0]).state
        V = sandwich(self.state.D, self.state.e, self.clusters, "none")
        trace = float((alone.D @ V * alone.D).sum()) / alone.phi
        used = request.weights > 0
        mu = request.family.link.inverse(fit.eta[used])
        Q = quasi_likelihood(request.family, request.y[used], mu, request.weights[used])
        return -2 * Q + 2 * trace, -2 * Q + 2 * self.basis.rank


def fit(request: Request) -> Fit:
    """The coefficients with their sandwich covariance; rows of zero weight get a fitted value only."""
    began = time.perf_counter()
    how, design = request.estimator, request.design
    assert isinstance(how, GEE)
    problem, basis, words = _problem(request)
    found = _solved(problem)
    state, clusters = found.state, problem.clusters
    beta = basis.coefficients(problem.origin + state.b)
    eta = design.matrix[:, basis.kept] @ beta[basis.kept] + design.offset
    left = clusters.count - basis.rank
    return Fit(
        request=request,
        backend="native-gee",
        beta=beta,
        covariance=basis.covariance(sandwich(state.D, state.e, clusters, how.bias)),
        loglik=float("nan"),
        deviance=float(request.family.deviance(problem.y, request.family.link.inverse(state.eta), problem.w).sum()),
        criterion=float("nan"),
        n_parameters=basis.rank,
        df_resid=float(left) if left > 0 else float("nan"),
        sigma=float(np.sqrt(state.phi)),
        eta=eta,
        converged=found.converged,
        messages=(
            *request.messages,
            *aliased(design.names, basis.kept),
            *words,
            *state.R.words,
            *_few(clusters, how, basis.rank),
            *_unfinished(found),
            NO_LIKELIHOOD,
        ),
        seconds=time.perf_counter() - began,
        iterations=found.iterations,
        engine=Engine(state, clusters, basis),
        residual=dict(state.R.alpha),
    )


def _problem(request: Request) -> tuple[Problem, Basis, tuple[str, ...]]:
    """The rows as the equations need them, the basis of X, and what the clusters gave to say."""
    how, design = request.estimator, request.design
    assert isinstance(how, GEE)
    clusters, words = clusters_of(request)
    rows = clusters.rows
    basis = orthonormal_basis(design.matrix[rows], GLM_TOLERANCE)
    y, offset, w = request.y[rows], design.offset[rows], request.weights[rows]
    origin = np.zeros(basis.rank)
    if request.family.name == "gaussian" and request.family.link.name == "identity":
        z = y - offset
        origin = basis.Q.T @ z
        y, offset = z - basis.Q @ origin, np.zeros(len(z))
    problem = Problem(request.family, how, clusters, basis.Q, y, w, offset, origin, request.y[rows])
    if how.denominators == "n-p" and len(rows) <= basis.rank:
        raise DataError(
            f"GEE: {len(rows)} rows leave nothing to estimate a dispersion beside {basis.rank} coefficients"
        )
    names = [design.names[j] for j in basis.kept]
    apart = classify(names, design.matrix[rows][:, basis.kept], problem.y, problem.w, problem.family)
    if apart.signs:
        raise FitError(
            f"separation: the columns predict some responses perfectly, so that {in_words(apart.signs)}, and the "
            "equations have no solution; estimator='mean_br' has one, and "
            f"tidy(vcov={{'cluster': {how.cluster!r}}}) its standard errors by clusters"
        )
    return problem, basis, words


def _solved(problem: Problem, iterations: int = 200) -> Found:
    """The root of the estimating equations, from the independent fit on.

    Where correlations and coefficients chase one another the correlation is held: any is as valid.
    """
    began = irls(problem.Q, problem.y, problem.w, problem.offset, problem.family)
    if count := len(began.edge):
        raise FitError(
            f"GEE: under independence the fitted means of {count} row{'s' * (count > 1)} lie on the edge of the range "
            f"of {problem.family}, where the equations have no root; take a link without such limits"
        )
    with np.errstate(all="ignore"):  # what overflows is found in state()
        return _iterated(problem, began.b, iterations)


def _iterated(problem: Problem, b: Array, iterations: int) -> Found:
    at, held = problem.state(b), None
    before, share, left = np.inf, 1.0, np.inf
    for k in range(iterations):
        held = at.R if k == iterations // 2 else held
        step = np.asarray(np.linalg.lstsq(at.D, at.e, rcond=None)[0])
        left = float(np.linalg.norm(at.D @ step) / np.sqrt(at.phi))
        if left < TOLERANCE or (left < 1e-8 and left > before / 2):  # rounding is what is left
            return Found(at, k, left, True, held is not None)
        # phi and alpha may run ahead of the coefficients: then shorter steps, and full ones again when that has passed
        share = max(share / 2, 1 / 16) if left > before else min(1.0, 1.5 * share)
        before = left
        at = problem.state(_inside(problem, at.b, share * step), held)
    return Found(at, iterations, left, left < ENOUGH, held is not None)


def _inside(problem: Problem, b: Array, step: Array) -> Array:
    """b + step, or as much of the step as keeps the means in the family's range, and their moves within sense."""
    if problem.family.link.name != "identity":
        step = step / max(1.0, float(np.abs(problem.Q @ step).max(initial=0.0)) / LARGEST_MOVE)
    for _ in range(40):
        if problem.family.inside(problem.Q @ (b + step) + problem.offset).all():
            return np.asarray(b + step)
        step = step / 2
    return b


def quasi_likelihood(family: Family, y: Array, mu: Array, w: Array) -> float:
    """Sum of w times the integral of (y - t) / V(t) up to mu (Wedderburn 1974), with geepack's constants."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if family.name in ("poisson", "quasipoisson"):
            return float((w * (y * np.log(mu) - mu)).sum())
        if family.name in ("binomial", "quasibinomial"):
            return float((w * (y * np.log(mu) + (1 - y) * np.log1p(-mu))).sum())
        if family.name == "Gamma":
            return float((w * (-y / mu - np.log(mu))).sum())
    return -float(family.deviance(y, mu, w).sum()) / 2


def _few(clusters: Clusters, how: GEE, rank: int) -> tuple[str, ...]:
    G = clusters.count
    if rank >= G:
        return (
            f"GEE: {G} clusters of {how.cluster} for {rank} coefficients leave no degrees of freedom: there are no t "
            "tests, and the covariance has directions without a variance; use fewer columns or a mixed model",
        )
    if G >= FEW:
        return ()
    means = "Its standard errors are uncorrected and too small" if how.bias == "none" else "Its intervals are rough"
    return (
        f"GEE: {G} clusters of {how.cluster}, fewer than {FEW}. {means}, whatever the correction; a mixed model is a "
        "second opinion",
    )


def _unfinished(found: Found) -> tuple[str, ...]:
    if found.converged and found.held:
        return (
            "GEE: the working correlation did not settle beside the coefficients and was held where it was; the "
            "estimates and standard errors are valid for any, another corr= may fit better",
        )
    if found.converged:
        return ()
    return (
        f"did not converge in {found.iterations} steps: the last moved coefficients by {found.left:.1e} standard "
        "errors; try corr='independence' or another link",
    )
