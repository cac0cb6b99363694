"""Maps searched together with frailties: the same as level and shape apart where both can be had, and the optimum."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from formula_neuro.errors import Unable
from formula_neuro.estimator import Splines
from formula_neuro.family import as_foci_family
from formula_neuro_cbmr import frailty
from formula_neuro_cbmr.clustered_fitting import clustered_fit
from formula_neuro_cbmr.fitting import fit
from formula_neuro_cbmr.problem import problem

from .foci_by_hand import simulated, studies

KINDS = ("fisher", "observed", "robust")


def several(n: int) -> pd.DataFrame:
    """Studies of two analyses each."""
    one = studies(n)
    two = one.loc[one.index.repeat(2)].reset_index(drop=True)
    return two.assign(analysis=[str(k % 2) for k in range(2 * n)], z=np.random.default_rng(2).normal(size=2 * n))


def asked(estimator: Splines, *, effect=None, formula="foci ~ z", seed=1):
    request = simulated(several(20), seed, formula=formula, effect=effect, alpha=0.8).request
    return replace(request, family=as_foci_family("clustered_negative_binomial"), estimator=estimator)


ESTIMATORS = {
    "analysis": Splines("8 voxels", smooth="none"),
    "study": Splines("8 voxels", smooth="none", cluster="study"),
    "smooth": Splines("6 voxels", smooth=3.0),
}


@pytest.fixture(scope="module", params=list(ESTIMATORS))
def both(request):
    """A fit whose likelihood splits, and the joint search of the same."""
    given = asked(ESTIMATORS[request.param])
    return fit(given), clustered_fit(problem(given), time.perf_counter())


def test_loglikelihood_of_both_searches_is_the_same(both):
    split, joint = both
    assert np.isclose(split.loglik, joint.loglik, rtol=1e-11)


def test_moderators_of_both_searches_are_the_same(both):
    split, joint = both
    np.testing.assert_allclose(joint.engine.gamma, split.engine.gamma, rtol=1e-6)  # the joint search ends at 1e-5 se


def test_dispersions_of_both_searches_are_the_same(both):
    split, joint = both
    for name in split.alpha:
        assert np.isclose(joint.alpha[name], split.alpha[name], rtol=1e-6)
        assert np.isclose(joint.log_alpha_se[name], split.log_alpha_se[name], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_covariances_of_moderators_of_both_searches_are_the_same(both, kind):
    split, joint = both
    np.testing.assert_allclose(
        joint.engine.moderator_covariance(kind), split.engine.moderator_covariance(kind), rtol=1e-6
    )


def test_predictions_by_the_observed_information_of_both_searches_are_the_same(both):
    split, joint = (one.predict(vcov="observed")["log_se"] for one in both)
    np.testing.assert_allclose(joint, split, rtol=1e-6)


def test_predictions_of_totals_have_the_observed_standard_errors_of_their_regression(both):
    split = both[0]
    columns = split.engine.totals.columns
    variances = np.einsum("ij,jk,ik->i", columns, split.engine.level.observed, columns)
    np.testing.assert_allclose(split.predict(vcov="observed")["log_se"], np.sqrt(variances), rtol=1e-8)


@pytest.mark.parametrize("what", ["intensity", "shape"])
def test_observed_variances_of_maps_of_both_searches_are_the_same(both, what):
    split, joint = both
    R = np.array([[1.0, 0.0], [1.0, -1.0]])
    ours, theirs = (one.engine.variance(R, "observed", what) for one in (joint, split))
    # a spline at the mask's edge holds little information: its variance carries the factor's lift of 1e-12
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-8 * np.abs(theirs).max())


@pytest.mark.parametrize("what", ["intensity", "shape"])
@pytest.mark.parametrize("kind", ["fisher", "robust"])
def test_expected_variances_of_maps_of_both_searches_are_close(both, kind, what):
    split, joint = both
    R = np.array([[1.0, 0.0], [1.0, -1.0]])
    ours, theirs = (one.engine.variance(R, kind, what) for one in (joint, split))
    # of places, the split one is given the observed totals, the joint one the expected: a percent or two apart here
    np.testing.assert_allclose(ours, theirs, rtol=0.1, atol=0.02 * np.abs(theirs).max())


def test_scores_of_both_searches_are_the_same(both):
    split, joint = both
    ours, theirs = (one.engine.scores() for one in (joint, split))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)  # foci: a study has 20


# ---- a map of a number ---------------------------------------------------------------------------
@pytest.fixture(scope="module", params=["analysis", "study"])
def slope(request):
    return fit(asked(ESTIMATORS[request.param], effect="z", formula="foci ~ 1"))


def dense_value(one, b, log_alpha):
    """The log-likelihood of the frailty model from the whole array of analyses and voxels."""
    request = one.request
    eta = request.L @ one.engine.expand(b)
    units = one.engine.units
    means = units.sums(np.exp(eta).sum(axis=1))
    at_foci = (np.asarray(one.engine.problem.rows @ b.T) * request.L[request.located.analysis]).sum()
    return float(at_foci + frailty.loglik(units.counts, means, np.exp(log_alpha)[units.group]).sum())


def test_loglikelihood_is_that_of_the_whole_array(slope):
    from formula_neuro_cbmr.scale import log_factorials

    value = dense_value(slope, slope.engine.b, np.log(list(slope.alpha.values())))
    rest = log_factorials(slope.request.located, len(slope.brain.voxels))
    assert np.isclose(slope.loglik, value - rest, rtol=1e-12)


def test_nothing_near_the_optimum_is_likelier(slope):
    rng, b = np.random.default_rng(3), slope.engine.b
    log_alpha = np.log(list(slope.alpha.values()))
    best = dense_value(slope, b, log_alpha)
    for size in (0.1, 0.01):
        for _ in range(8):
            near = dense_value(slope, b + size * rng.normal(size=b.shape), log_alpha + size * rng.normal(size=2))
            assert near < best


def test_scores_sum_to_nothing(slope):
    u = slope.engine.scores()
    np.testing.assert_allclose(u.sum(axis=0), 0, atol=1e-6 * np.abs(u).sum(axis=0).max())


def test_observed_information_is_that_of_second_differences(slope):
    """Along random directions of b, log alpha profiled out of the differences as of what the engine holds."""
    rng, b = np.random.default_rng(4), slope.engine.b
    log_alpha, (C, P) = np.log(list(slope.alpha.values())), b.shape
    units = np.eye(C)
    V = np.block([[slope.engine.covariance(units[c], units[d], "observed") for d in range(C)] for c in range(C)])
    information = np.linalg.inv(V)
    for _ in range(2):
        way = rng.normal(size=C * P)
        way /= np.abs(way).max()

        def value(x, way=way):
            return dense_value(slope, b + x[0] * way.reshape(C, P), log_alpha + x[1:])

        H = second_differences(value, 3, 3e-3)
        profiled = H[0, 0] - H[0, 1:] @ np.linalg.solve(H[1:, 1:], H[1:, 0])
        assert np.isclose(-profiled, way @ information @ way, rtol=1e-3)  # h^2


def second_differences(value, n, h):
    H = np.empty((n, n))
    e = h * np.eye(n)
    for i in range(n):
        for j in range(n):
            terms = [a * c * value(a * e[i] + c * e[j]) for a, c in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            H[i, j] = sum(terms) / (4 * h * h)
    return H


def test_dispersion_of_totals_is_that_of_the_poisson_fit(slope):
    poisson = fit(replace(slope.request, family=as_foci_family("poisson"), estimator=ESTIMATORS["analysis"]))
    assert np.isclose(slope.phi, poisson.phi, rtol=1e-9)


def test_foci_are_drawn_with_the_fits_frailties(slope):
    rng = np.random.default_rng(5)
    t = np.array([slope.engine.simulate(rng).totals for _ in range(300)])
    expected = slope.fitted + np.array(list(slope.alpha.values()))[slope.request.group] * slope.fitted**2
    np.testing.assert_allclose(t.var(axis=0).mean(), expected.mean(), rtol=0.15)  # of 12,000 totals


def test_nimares_splines_take_frailties_too():
    one = fit(asked(Splines("8 voxels", smooth="none", basis="nimare")))
    assert one.converged
    u = one.engine.scores()
    np.testing.assert_allclose(u.sum(axis=0), 0, atol=1e-6 * np.abs(u).sum(axis=0).max())


# ---- tests of alpha ------------------------------------------------------------------------------
def test_both_searches_test_alpha_alike(both):
    split, joint = (one.dispersion() for one in both)
    # likelihoods of thousands to 11 digits, twice
    np.testing.assert_allclose(joint.drop(columns="cell"), split.drop(columns="cell"), rtol=1e-5)


def test_poisson_fits_test_alpha_as_the_clustered_family_does():
    request = asked(ESTIMATORS["analysis"])
    clustered, poisson = (fit(replace(request, family=as_foci_family(name))).dispersion() for name in FAMILIES)
    pd.testing.assert_frame_equal(clustered, poisson)


FAMILIES = ("clustered_negative_binomial", "poisson")


def test_interval_of_alpha_is_that_of_its_logarithm(both):
    one = both[0]
    table = one.dispersion(conf_level=0.9)
    np.testing.assert_allclose(np.sqrt(table.conf_low * table.conf_high), table.alpha, rtol=1e-12)
    width = np.log(table.conf_high / table.conf_low) / (2 * 1.6448536269514722)
    np.testing.assert_allclose(width, list(one.log_alpha_se.values()), rtol=1e-12)


def test_poisson_maps_of_numbers_name_the_family_that_tests_alpha():
    request = replace(asked(ESTIMATORS["analysis"], effect="z", formula="foci ~ 1"), family=as_foci_family("poisson"))
    with pytest.raises(Unable, match="clustered_negative_binomial"):
        fit(request).dispersion()
