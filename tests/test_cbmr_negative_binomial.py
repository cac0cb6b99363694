"""Negative binomial voxel totals against glm.nb on the dense design, and what the family refuses."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.errors import DataError
from formula_neuro.estimator import Splines
from formula_neuro.family import as_foci_family
from formula_neuro.foci.request import FociRequest
from formula_neuro_cbmr.fitting import fit
from formula_neuro_cbmr.problem import problem

from .foci_by_hand import simulated, studies

COARSE = Splines("8 voxels", smooth="none", snap="voxel")
R_CODE = """
suppressMessages(library(jsonlite)); suppressMessages(library(MASS))
d <- fromJSON(file("stdin")); X <- d$X; M <- d$M
tight <- glm.control(epsilon = 1e-14, maxit = 200)
m <- glm.nb(d$Y ~ 0 + X + offset(rep(log(M), length(d$Y))), control = tight)
for (i in 1:8) m <- glm.nb(d$Y ~ 0 + X + offset(rep(log(M), length(d$Y))), control = tight, init.theta = m$theta,
  start = coef(m))
cat(toJSON(list(b = coef(m), vcov = vcov(m), theta = m$theta, loglik = c(logLik(m))), digits = NA))
"""


def asked(family="negative_binomial", estimator=COARSE, n=24, seed=1, clump=4, **options) -> FociRequest:
    """Foci of n studies in clumps of voxels that are next to each other, so that voxel totals are overdispersed."""
    request = simulated(studies(n), seed, clump=clump, **options).request
    return replace(request, family=as_foci_family(family), estimator=estimator)


def stacked(request: FociRequest) -> FociRequest:
    """The same foci, each twice where its voxel number is even: voxels have more in common than neighbours."""
    located = request.located
    twice = np.flatnonzero(located.voxel % 2 == 0)
    order = np.r_[np.arange(len(located.voxel)), np.repeat(twice, 2)]
    return replace(
        request,
        located=replace(
            located, points=located.points[order], voxel=located.voxel[order], analysis=located.analysis[order]
        ),
    )


@pytest.fixture(scope="module")
def clumped():
    return fit(stacked(asked()))


def dense(one) -> np.ndarray:
    basis = problem(one.request).splined.basis
    return basis.expand(np.eye(basis.P)).T


def totals_of(one, cell="a") -> tuple[np.ndarray, int]:
    mine = one.request.group == one.cells.index(cell)
    voxel = one.request.located.voxel[mine[one.request.located.analysis]]
    return np.bincount(voxel, minlength=len(one.brain.voxels)), int(mine.sum())


@pytest.fixture(scope="module")
def r(clumped):
    Y, M = totals_of(clumped)
    given = json.dumps({"X": dense(clumped).tolist(), "Y": Y.tolist(), "M": M})
    done = subprocess.run(["Rscript", "-e", R_CODE], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {name: np.array(values).squeeze() for name, values in json.loads(done.stdout).items()}


@pytest.mark.r
def test_log_intensities_are_those_of_glm_nb(clumped, r):
    ours = clumped.engine.expand(clumped.engine.b)[0]
    np.testing.assert_allclose(ours, dense(clumped) @ r["b"], rtol=0, atol=1e-5)  # where glm.nb's turns end


@pytest.mark.r
def test_alpha_is_that_of_glm_nb(clumped, r):
    assert np.isclose(clumped.alpha["a"], totals_of(clumped)[1] / r["theta"], rtol=1e-5)


@pytest.mark.r
def test_expected_covariance_is_that_of_glm_nb(clumped, r):
    X = dense(clumped)
    ours = clumped.engine.variance(np.array([[1.0, 0.0]]), "fisher")[:, 0, 0]
    np.testing.assert_allclose(ours, np.einsum("vp,pq,vq->v", X, r["vcov"], X), rtol=1e-4)


@pytest.mark.r
def test_likelihood_of_voxel_totals_is_that_of_glm_nb(clumped, r):
    from scipy.special import gammaln

    Y, M = totals_of(clumped)
    found = clumped.engine.maps.found[0].loglik + Y.sum() * np.log(M) - gammaln(Y + 1).sum()
    assert np.isclose(found, r["loglik"], rtol=1e-10)


def value(one, b, alpha, cell="a"):
    """The negative binomial log-likelihood of one cell's voxel totals, by scipy."""
    from scipy.stats import nbinom

    Y, M = totals_of(one, cell)
    size, m = M / alpha, M * np.exp(dense(one) @ b)
    return nbinom.logpmf(Y, size, size / (size + m)).sum()


def test_nothing_near_the_estimate_is_likelier(clumped):
    rng = np.random.default_rng(2)
    b, alpha = clumped.engine.b[0], clumped.alpha["a"]
    best = value(clumped, b, alpha)
    for size in (1e-1, 1e-2, 1e-3):
        near = [
            value(clumped, b + size * rng.normal(size=len(b)), alpha * np.exp(size * rng.normal())) for _ in range(20)
        ]
        assert max(near) < best


def test_standard_error_of_log_alpha_is_that_of_its_profile(clumped):
    """The profile's curvature, the map found anew for each alpha by a few dense Newton steps."""
    X, (Y, M), h = dense(clumped), totals_of(clumped), 0.02

    def profile(log_alpha):
        b, phi = clumped.engine.b[0].copy(), np.exp(log_alpha) / M
        for _ in range(8):
            m = M * np.exp(X @ b)
            rho = (1 + phi * Y) / (1 + phi * m)
            b += np.linalg.solve(X.T @ ((rho * m / (1 + phi * m))[:, None] * X), X.T @ (Y - rho * m))
        return value(clumped, b, np.exp(log_alpha))

    at = np.log(clumped.alpha["a"])
    curvature = (profile(at + h) - 2 * profile(at) + profile(at - h)) / h**2
    assert np.isclose(clumped.log_alpha_se["a"], (-curvature) ** -0.5, rtol=2e-3)  # h^2


def test_observed_covariance_counts_that_alpha_is_estimated(clumped):
    """The inverse of the joint second derivatives in (b, log alpha), by differences of the score of the map."""
    X, (Y, M) = dense(clumped), totals_of(clumped)
    b, kappa, h = clumped.engine.b[0], np.log(clumped.alpha["a"]), 1e-4
    P = len(b)

    def score(theta):
        phi, m = np.exp(theta[P]) / M, M * np.exp(X @ theta[:P])
        return X.T @ ((Y - m) / (1 + phi * m))

    at = np.r_[b, kappa]
    H = np.empty((P + 1, P + 1))
    for j in range(P + 1):
        e = np.eye(P + 1)[j] * h
        H[:P, j] = -(score(at + e) - score(at - e)) / (2 * h)
    H[P, :P] = H[:P, P]
    phi = [value(clumped, b, np.exp(kappa + s)) for s in (-0.01, 0.0, 0.01)]
    H[P, P] = -(phi[0] - 2 * phi[1] + phi[2]) / 0.01**2
    V = np.linalg.inv(H)[:P, :P]
    ours = clumped.engine.variance(np.array([[1.0, 0.0]]), "observed")[:, 0, 0]
    np.testing.assert_allclose(ours, np.einsum("vp,pq,vq->v", X, V, X), rtol=1e-3)  # differences


def test_scores_sum_to_nothing(clumped):
    u = clumped.engine.scores()
    np.testing.assert_allclose(u.sum(axis=0), 0, atol=1e-9 * np.abs(u).sum())


def test_scores_sum_to_nothing_where_foci_are_not_at_centres_of_voxels():
    request = stacked(asked(estimator=Splines("8 voxels", smooth="none")))
    shift = np.random.default_rng(3).uniform(-0.9, 0.9, request.located.points.shape)
    one = fit(replace(request, located=replace(request.located, points=request.located.points + shift)))
    u = one.engine.scores()
    np.testing.assert_allclose(u.sum(axis=0), 0, atol=1e-9 * np.abs(u).sum())


def test_solve_inverts_the_expected_information(clumped):
    X, C, P = dense(clumped), 2, clumped.engine.b.shape[1]
    right = np.random.default_rng(4).normal(size=(C * P, 3))
    left = clumped.engine.solve(right)
    for g, one in enumerate(clumped.engine.maps.found):
        A = X.T @ ((one.m / (1 + one.phi * one.m))[:, None] * X)
        np.testing.assert_allclose(A @ left[g * P : (g + 1) * P], right[g * P : (g + 1) * P], atol=1e-6)  # lift 1e-12


def test_foci_that_fall_evenly_end_at_alpha_0_and_at_poissons_likelihood():
    request = asked(clump=1)
    V, M = len(request.brain.voxels), len(request.L)
    voxel = np.tile(np.arange(V), 2)  # every voxel once in each cell
    analysis = np.r_[2 * (np.arange(V) % (M // 2)), 2 * (np.arange(V) % (M // 2)) + 1]
    affine = request.brain.grid.affine
    points = np.stack(np.unravel_index(request.brain.voxels[voxel], request.brain.grid.shape), axis=1) * affine[0, 0]
    even = replace(request, located=replace(request.located, points=points, voxel=voxel, analysis=analysis))
    one, poisson = fit(even), fit(replace(even, family=as_foci_family("poisson")))
    assert dict(one.alpha) == {"a": 0.0, "b": 0.0}
    assert any("alpha is 0 in a, b" in said for said in one.messages)
    assert one.n_parameters == poisson.n_parameters
    # totals of analyses differ by one: Poisson's levels are the groups' means, as these maps'
    assert np.isclose(one.loglik, poisson.loglik, rtol=1e-12)


def test_clumped_foci_are_likelier_than_under_poisson_by_more_than_a_parameter_each(clumped):
    poisson = fit(replace(clumped.request, family=as_foci_family("poisson")))
    assert clumped.loglik > poisson.loglik + 5
    assert clumped.n_parameters == poisson.n_parameters + 2


def test_expected_totals_follow_exposures():
    request = stacked(asked())
    exposure = np.random.default_rng(5).choice([0.0, 0.7], len(request.L))
    one = fit(replace(request, design=replace(request.design, offset=exposure)))
    for g in (0, 1):
        mine = request.group == g
        np.testing.assert_allclose(
            one.fitted[mine] / np.exp(exposure[mine]), one.fitted[mine][0] / np.exp(exposure[mine][0])
        )


def test_a_constant_added_to_all_exposures_changes_the_level_alone(clumped):
    design = replace(clumped.request.design, offset=np.full(clumped.nobs, 1.3))
    other = fit(replace(clumped.request, design=design))
    np.testing.assert_allclose(other.engine.b, clumped.engine.b - 1.3, atol=1e-6)
    assert np.isclose(other.alpha["a"], clumped.alpha["a"], rtol=1e-6)
    assert np.isclose(other.loglik, clumped.loglik, rtol=1e-11)


def test_penalised_maps_are_smoother_and_as_converged(clumped):
    smooth = fit(replace(clumped.request, estimator=Splines("4 voxels", smooth="reml")))
    assert smooth.converged
    assert smooth.penalty > 0
    assert max(smooth.edf.values()) < smooth.engine.b.shape[1]


def test_moderators_are_refused_and_the_family_that_takes_them_is_named():
    request = simulated(studies(24), 1, formula="foci ~ z").request
    with pytest.raises(DataError, match=r"effect of z .*'clustered_negative_binomial'"):
        fit(replace(request, family=as_foci_family("negative_binomial"), estimator=COARSE))


def test_maps_of_numbers_are_refused():
    request = simulated(studies(24), 1, effect="z").request
    with pytest.raises(DataError, match="factors only"):
        fit(replace(request, family=as_foci_family("negative_binomial"), estimator=COARSE))


def test_alpha_of_clumped_voxels_is_tested_against_poisson_maps(clumped):
    poisson = fit(replace(clumped.request, family=as_foci_family("poisson")))
    table = clumped.dispersion()
    assert (table.p_value < 1e-3).all()
    # no moderators, exposures of 1: the levels of Poisson's maps are those of Poisson voxel totals
    assert np.isclose(table.statistic.sum(), 2 * (clumped.loglik - poisson.loglik), rtol=1e-8)
