"""Links against finite differences, families against scipy's distributions, and what their names stand for."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable
from formula_neuro.family import FAMILIES, Binomial, NBinom2, as_family
from formula_neuro.family.links import LINKS

UNIT = ("logit", "probit", "cloglog", "cauchit")  # links whose means lie between 0 and 1
POSITIVE = ("log", "inverse", "sqrt", "1/mu^2")  # links whose means lie above 0
MEANS = {
    "gaussian": np.array([-2.0, 0.3, 5.0]),
    "binomial": np.array([0.05, 0.4, 0.9]),
    "poisson": np.array([0.3, 2.0, 11.0]),
    "Gamma": np.array([0.2, 1.5, 8.0]),
    "inverse.gaussian": np.array([0.3, 1.2, 4.0]),
    "quasibinomial": np.array([0.05, 0.4, 0.9]),
    "quasipoisson": np.array([0.3, 2.0, 11.0]),
    "quasi(variance=constant)": np.array([-2.0, 0.3, 5.0]),
    "quasi(variance=mu)": np.array([0.3, 2.0, 11.0]),
    "quasi(variance=mu^2)": np.array([0.2, 1.5, 8.0]),
    "quasi(variance=mu^3)": np.array([0.3, 1.2, 4.0]),
    "quasi(variance=mu(1-mu))": np.array([0.05, 0.4, 0.9]),
    "nbinom2(theta=1.7)": np.array([0.3, 2.0, 11.0]),
}
RESPONSES = {
    "gaussian": np.array([-1.0, 0.0, 7.0]),
    "binomial": np.array([0.0, 0.5, 1.0]),
    "poisson": np.array([0.0, 3.0, 9.0]),
    "Gamma": np.array([0.1, 2.0, 6.0]),
    "inverse.gaussian": np.array([0.5, 1.0, 6.0]),
    "quasibinomial": np.array([0.0, 0.55, 1.0]),
    "quasipoisson": np.array([0.0, 3.2, 9.0]),
    "quasi(variance=constant)": np.array([-1.0, 0.0, 7.0]),
    "quasi(variance=mu)": np.array([0.0, 3.2, 9.0]),
    "quasi(variance=mu^2)": np.array([0.1, 2.0, 6.0]),
    "quasi(variance=mu^3)": np.array([0.5, 1.0, 6.0]),
    "quasi(variance=mu(1-mu))": np.array([0.0, 0.55, 1.0]),
    "nbinom2(theta=1.7)": np.array([0.0, 3.0, 9.0]),
}
DISTRIBUTIONS = [name for name in MEANS if as_family(name).likelihood]
WEIGHTS = np.array([2.0, 4.0, 10.0])
COUNTS = ("poisson", "nbinom2(theta=1.7)")  # whose weights multiply the likelihood of one draw


def means_of(link: str) -> np.ndarray:
    if link in UNIT:
        return np.array([0.02, 0.3, 0.5, 0.8, 0.97])
    return np.array([0.1, 0.7, 1.0, 3.0, 20.0]) if link in POSITIVE else np.array([-3.0, 0.0, 0.5, 10.0])


def step(eta: np.ndarray) -> np.ndarray:
    return 1e-5 * np.where(np.abs(eta) < 1e-3, 1, np.abs(eta))


# ---- links -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LINKS)
def test_the_inverse_undoes_the_link(name):
    link, mu = LINKS[name], means_of(name)
    np.testing.assert_allclose(link.inverse(link(mu)), mu, rtol=1e-13)


@pytest.mark.parametrize("name", LINKS)
def test_the_derivative_is_that_of_the_inverse(name):
    link = LINKS[name]
    eta = link(means_of(name))
    h = step(eta)
    difference = (link.inverse(eta + h) - link.inverse(eta - h)) / (2 * h)
    # a central difference is off by h^2 times a third derivative and by rounding over h: 1e-9 or less here
    np.testing.assert_allclose(link.derivative(eta), difference, rtol=1e-7)


@pytest.mark.parametrize("name", LINKS)
def test_the_second_derivative_is_that_of_the_derivative(name):
    link = LINKS[name]
    eta = link(means_of(name))
    h = step(eta)
    difference = (link.derivative(eta + h) - link.derivative(eta - h)) / (2 * h)
    np.testing.assert_allclose(link.second(eta), difference, rtol=1e-6, atol=1e-9)  # near a turning point it is 0


@pytest.mark.parametrize("name", UNIT)
def test_far_out_a_mean_stays_inside_0_and_1_and_its_derivative_above_0(name):
    eta = np.array([-800.0, -40.0, 40.0, 800.0])
    mu = LINKS[name].inverse(eta)
    assert ((mu > 0) & (mu < 1)).all()
    assert (LINKS[name].derivative(eta) > 0).all()
    assert np.isfinite(LINKS[name].second(eta)).all()


def test_far_out_an_exponential_stays_finite_and_above_0():
    mu = LINKS["log"].inverse(np.array([-800.0, 800.0]))
    assert np.isfinite(mu).all()
    assert (mu > 0).all()


@pytest.mark.parametrize("name", LINKS)
def test_a_link_is_called_as_in_r(name):
    assert LINKS[name].name == name


# ---- families --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MEANS)
def test_the_slope_of_the_variance_is_its_derivative(name):
    family, mu = as_family(name), MEANS[name]
    difference = (family.variance(mu + 1e-6) - family.variance(mu - 1e-6)) / 2e-6
    np.testing.assert_allclose(family.variance_slope(mu), difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_deviance_is_twice_the_distance_to_the_saturated_model(name):
    family, y, mu = as_family(name), RESPONSES[name], MEANS[name]
    saturated = y
    if (y == 0).any() and name != "gaussian":  # the limit of the likelihood where the mean meets 0 or 1
        saturated = np.clip(y, 1e-300, 1 - 1e-16 if name == "binomial" else np.inf)
    distance = 2 * (family.loglik(y, saturated, WEIGHTS, 1.0) - family.loglik(y, mu, WEIGHTS, 1.0))
    assert family.deviance(y, mu, WEIGHTS).sum() == pytest.approx(distance, rel=1e-12)


@pytest.mark.parametrize("name", MEANS)
def test_the_deviance_is_0_at_the_response_and_positive_elsewhere(name):
    family, y, mu = as_family(name), RESPONSES[name], MEANS[name]
    low, high = family.range
    inside = np.clip(y, low + 1e-12, high - 1e-12)
    np.testing.assert_allclose(family.deviance(y, inside, WEIGHTS), 0, atol=1e-10)
    assert (family.deviance(y, mu, WEIGHTS) > 0).all()


def test_the_log_likelihoods_are_scipys():
    y, mu, w, phi = RESPONSES, MEANS, WEIGHTS, 0.7
    expected = {
        "gaussian": stats.norm.logpdf(y["gaussian"], mu["gaussian"], np.sqrt(phi / w)).sum(),
        "binomial": stats.binom.logpmf(y["binomial"] * w, w, mu["binomial"]).sum(),
        # R weighs the log-likelihood of a count and of a positive response by the row
        "poisson": (w * stats.poisson.logpmf(y["poisson"], mu["poisson"])).sum(),
        "Gamma": (w * stats.gamma.logpdf(y["Gamma"], 1 / phi, scale=mu["Gamma"] * phi)).sum(),
        "inverse.gaussian": (
            w * stats.invgauss.logpdf(y["inverse.gaussian"], mu["inverse.gaussian"] * phi, scale=1 / phi)
        ).sum(),
    }
    theta, m = 1.7, mu["nbinom2(theta=1.7)"]
    counts = stats.nbinom.logpmf(y["nbinom2(theta=1.7)"], theta, theta / (theta + m))
    expected["nbinom2(theta=1.7)"] = (w * counts).sum()
    for name, value in expected.items():
        assert as_family(name).loglik(y[name], mu[name], w, phi) == pytest.approx(value, rel=1e-12), name


def test_rows_of_zero_weight_do_not_count():
    for name in DISTRIBUTIONS:
        family, w = as_family(name), np.array([0.0, 4.0, 10.0])
        y, mu = RESPONSES[name], MEANS[name]
        assert family.deviance(y, mu, w)[0] == 0
        assert family.loglik(y, mu, w, 1.0) == pytest.approx(family.loglik(y[1:], mu[1:], w[1:], 1.0), rel=1e-13)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_have_the_mean_and_the_variance_of_the_family(name):
    n, phi = 40_000, 0.3 if as_family(name).dispersed else 1.0
    family, rng = as_family(name), np.random.default_rng(1)
    for mu, w in zip(MEANS[name], np.ones(3) if name in COUNTS else WEIGHTS, strict=True):
        draws = family.draw(np.full(n, mu), np.full(n, w), phi, rng)
        variance = phi * family.variance(np.array([mu]))[0] / w
        # 5 standard errors: of a mean, and of a variance by the fourth moment of the draws
        assert abs(draws.mean() - mu) < 5 * np.sqrt(variance / n)
        fourth = ((draws - draws.mean()) ** 4).mean()
        assert abs(draws.var() - variance) < 5 * np.sqrt((fourth - variance**2) / n)


def test_draws_lie_in_the_range_of_the_family():
    rng, n = np.random.default_rng(2), 1000
    shares = as_family("binomial").draw(np.full(n, 0.3), np.full(n, 4.0), 1.0, rng)
    assert set(shares) <= {0, 0.25, 0.5, 0.75, 1}
    counts = as_family("poisson").draw(np.full(n, 2.0), np.ones(n), 1.0, rng)
    assert (counts == np.round(counts)).all()
    for name in ("Gamma", "inverse.gaussian"):
        assert (as_family(name).draw(np.full(n, 0.1), np.ones(n), 2.0, rng) > 0).all()


@pytest.mark.parametrize("name", MEANS)
def test_starting_means_can_be_linked(name):
    family = as_family(name)
    start = family.start(RESPONSES[name], WEIGHTS)
    assert np.isfinite(family.link(start)).all()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("binomial", [0, 0.5, 1], [-0.1, 0.5, 1.2]),
        ("poisson", [0, 1, 5], [-1, 0.5, 2]),
        ("Gamma", [0.1, 1, 5], [0, -1, 2]),
        ("inverse.gaussian", [0.1, 1, 5], [0, -1, 2]),
        ("quasibinomial", [0, 0.5, 1], [-0.1, 0.5, 1.2]),
        ("quasipoisson", [0, 1.5, 5], [-1, 0.5, -2]),
        ("quasi(log, mu)", [0, 1.5, 5], [-1, 0.5, -2]),
        ("quasi(log, mu^3)", [0.1, 1.5, 5], [0, 0.5, -2]),
        ("quasi(log, mu(1-mu))", [0, 0.5, 1], [-0.1, 0.5, 1.2]),
        ("nbinom2", [0, 1, 5], [-1, 0.5, 2]),
    ],
)
def test_the_range_is_checked_and_the_first_value_outside_is_shown(name, good, bad):
    family = as_family(name)
    family.check(np.array(good, dtype=float), "y")
    with pytest.raises(DataError, match=rf"y: 2 of 3 values .*\(first: {bad[0]:g}\)"):
        family.check(np.array(bad, dtype=float), "y")


def quasi_score(family, y, mu, w):
    return w * (y - mu) / family.variance(mu)


@pytest.mark.parametrize("name", MEANS)
def test_the_slope_of_the_objective_is_minus_twice_the_score(name):
    family, y, mu = as_family(name), RESPONSES[name], MEANS[name]
    for i in range(len(mu)):
        h = 1e-6 * np.eye(len(mu))[i]
        slope = (family.objective(y, mu + h, WEIGHTS) - family.objective(y, mu - h, WEIGHTS)) / 2e-6
        # rounding of the sum over a step of 1e-6
        assert slope == pytest.approx(-2 * quasi_score(family, y, mu, WEIGHTS)[i], rel=1e-6, abs=1e-6)


def test_a_response_of_0_under_the_variance_mu_squared_has_rs_deviance():
    family = as_family("quasi(log, mu^2)")
    # R: quasi(link = "log", variance = "mu^2")$dev.resids(0, c(0.5, 4), 1)
    np.testing.assert_allclose(family.deviance(np.zeros(2), np.array([0.5, 4]), np.ones(2)), [0, 2 * np.log(4) - 2])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_limits_of_eta_are_the_links_of_the_range(name):
    for link in FAMILIES[name].links:
        family = as_family(f"{name}({link})")
        low, high = family.limits
        assert low < high
        for eta in (low, high):
            if np.isfinite(eta):
                beyond = eta + 1e-9 * (1 if eta == high else -1)
                assert not family.inside(np.array([eta])).any()
                assert not family.inside(np.array([beyond])).any()


def test_a_quasi_family_cannot_be_drawn_from():
    for name in ("quasi", "quasibinomial", "quasipoisson"):
        with pytest.raises(Unable, match=f"{name} states a variance, not a distribution"):
            as_family(name).draw(np.array([0.5]), np.ones(1), 1.0, np.random.default_rng(1))


def test_the_negative_binomial_of_an_infinite_theta_is_poisson():
    y, mu, w = RESPONSES["poisson"], MEANS["poisson"], WEIGHTS
    poisson = as_family("poisson")
    for theta, rel in ((np.inf, 1e-14), (1e9, 1e-7)):  # 1e9: the distributions are apart by 1e-8 or so
        family = NBinom2(LINKS["log"], theta)
        assert family.loglik(y, mu, w, 1.0) == pytest.approx(poisson.loglik(y, mu, w, 1.0), rel=rel)
        np.testing.assert_allclose(family.deviance(y, mu, w), poisson.deviance(y, mu, w), rtol=10 * rel)
        np.testing.assert_allclose(family.variance(mu), mu, rtol=rel)


# ---- names -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("gaussian", "gaussian(identity)"),
        ("binomial", "binomial(logit)"),
        ("poisson", "poisson(log)"),
        ("Gamma", "Gamma(inverse)"),
        ("inverse.gaussian", "inverse.gaussian(1/mu^2)"),
        ("binomial()", "binomial(logit)"),
        ("binomial(probit)", "binomial(probit)"),
        ("binomial( cloglog )", "binomial(cloglog)"),
        ("binomial(link = 'cauchit')", "binomial(cauchit)"),
        ('Gamma(link="log")', "Gamma(log)"),
        (" poisson (sqrt) ", "poisson(sqrt)"),
        ("inverse.gaussian(1/mu^2)", "inverse.gaussian(1/mu^2)"),
        ("gaussian(log)", "gaussian(log)"),
        ("quasi(link = 'log', variance = 'mu^2')", "quasi(log, variance=mu^2)"),
        ('quasi(variance = "mu(1 - mu)", link = "logit")', "quasi(logit, variance=mu(1-mu))"),
        ("quasi(log, mu(1-mu))", "quasi(log, variance=mu(1-mu))"),
        ("quasi", "quasi(identity, variance=constant)"),
        ("quasipoisson", "quasipoisson(log)"),
        ("nbinom2", "nbinom2(log)"),
        ("nbinom2(sqrt, theta = 2.5)", "nbinom2(sqrt, theta=2.5)"),
        ("nbinom2(theta=1e3)", "nbinom2(log, theta=1000)"),
    ],
)
def test_a_family_is_read_as_in_r(given, name):
    assert str(as_family(given)) == name


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_print_reads_back(name):
    for link in FAMILIES[name].links:
        family = as_family(f"{name}({link}, theta=2)" if name == "nbinom2" else f"{name}({link})")
        assert as_family(str(family)) == family
        assert as_family(family) is family


@pytest.mark.parametrize("name", MEANS)
def test_a_family_can_be_pickled(name):
    family = as_family(name)
    assert pickle.loads(pickle.dumps(family)) == family
    assert as_family(str(family)) == family


def test_a_theta_that_is_not_known_yet_is_equal_after_pickling():
    family = as_family("nbinom2")
    again = pickle.loads(pickle.dumps(family))
    assert again == family and hash(again) == hash(family)
    assert family != as_family("nbinom2(theta=2)") != as_family("nbinom2(theta=3)")


def test_families_of_different_links_differ():
    assert as_family("binomial") == Binomial(LINKS["logit"])
    assert as_family("binomial") != as_family("binomial(probit)")
    assert as_family("poisson") != as_family("Gamma(log)")


@pytest.mark.parametrize("given", ["binomial(probit)", Binomial(LINKS["probit"])])
def test_a_family_is_a_text_or_a_value(given):
    data = {"y": [0, 1, 0, 1, 1, 0], "x": [1.0, 2, 3, 4, 5, 6]}
    assert str(fn.fit("y ~ x", data, family=given).request.family) == "binomial(probit)"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("binomial(ident)", "takes the links logit, probit, cloglog, cauchit, log, not 'ident'"),
        ("poisson(inverse)", "takes the links log, identity, sqrt, not 'inverse'"),
        ("Gama", "did you mean Gamma"),
        ("student", "there are gaussian, binomial"),
        ("negative.binomial", "is called nbinom2 here"),
        ("negbin(log)", "nbinom2(log, theta=2) holds it fixed"),
        ("quasi(log, mu^4)", "takes the variances constant, mu, mu^2, mu^3, mu(1-mu), not 'mu^4'"),
        ("quasi(log, mu, mu)", "takes link and variance in brackets, each once"),
        ("binomial(logit, theta=2)", "takes link in brackets, each once"),
        ("nbinom2(log, theta=-1)", "theta is a number above 0"),
        ("nbinom2(log, theta=nan)", "theta is a number above 0"),
        ("nbinom2(log, theta=two)", "theta is a number above 0, got 'two'"),
        ("binomial(", "is not known"),
        ("binomial(logit) + 1", "is not known"),
        ("__import__('os').getcwd()", "is not known"),
        (None, "is not known"),
    ],
)
def test_a_wrong_family_is_answered_with_what_there_is(given, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        as_family(given)
