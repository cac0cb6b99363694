"""Zero-inflated mixed models: derivatives, an independent likelihood, what is shown, and bad input."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, special, stats

import formula_neuro as fn
from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro_mixed.glmm.inner import inner
from formula_neuro_mixed.glmm.marginal import Marginal

sys.path.insert(0, str(Path(__file__).parent))
from zero_inflated_counts import inflated, zip_of


# ---- derivatives ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "family", ["poisson", "poisson(sqrt)", "nbinom1", "nbinom2", "binomial", "binomial(cloglog)", "betabinomial"]
)
@pytest.mark.parametrize("bars", ["(1|g)", "(x|g) + (1|h)"])
def test_gradient_and_hessian_are_those_of_the_value(family, bars):
    data = inflated(levels=8, size=8)
    name, weights = ("part", "m") if "binomial" in family else ("y", "m" if bars == "(1|g)" else None)
    design = model_matrix(f"{name} ~ x + {bars}", data, weights=weights)
    problem = inner(as_request(design, as_family(family), fn.Laplace(zero_inflation="~ z")))
    marginal, model, rng = Marginal(problem.model), problem.model, np.random.default_rng(2)
    theta = rng.uniform(0.1, 0.4, model.n_theta)
    b = {"poisson(sqrt)": [1.6, 0.1], "binomial": [0.2, 0.1], "betabinomial": [0.2, 0.1]}.get(family, [0.7, 0.2])
    tau = [0.4] if model.rows.shaped else []
    psi = np.concatenate([theta, np.array(b) * np.sign(model.X[0, 0]), [-0.8, 0.3], tau])
    _, slope, H = marginal.derivatives(psi)
    scale = np.abs(H).max()
    np.testing.assert_allclose(Marginal(model).gradient(psi)[1], slope, atol=1e-9 * scale)
    steps = np.diag(1e-5 * np.maximum(np.abs(psi), 0.01))
    value = [(marginal.value(psi + e) - marginal.value(psi - e)) / (2 * e.sum()) for e in steps]
    gradient = [(marginal.gradient(psi + e)[1] - marginal.gradient(psi - e)[1]) / (2 * e.sum()) for e in steps]
    # rounding 1e-13 of some 1000 over steps of 1e-7
    np.testing.assert_allclose(slope, value, atol=2e-6 * scale)
    np.testing.assert_allclose(H, gradient, atol=2e-6 * scale)


def test_a_probability_of_nearly_0_gives_the_model_without_inflation():
    data = inflated()
    design = model_matrix("y ~ x + (1|g)", data)
    problem = inner(as_request(design, as_family("nbinom2"), fn.Laplace(zero_inflation="~ 1")))
    plain = inner(as_request(design, as_family("nbinom2")))
    psi = np.array([0.5, 1.0, 0.2, 0.3])
    at = np.insert(psi, 3, -45.0 * np.sign(problem.model.rows.Z[0, 0]))
    one, other = Marginal(problem.model), Marginal(plain.model)
    assert one.value(at) == pytest.approx(other.value(psi), abs=1e-9)
    np.testing.assert_allclose(np.delete(one.derivatives(at)[1], 3), other.derivatives(psi)[1], atol=1e-8)
    own = np.delete(np.delete(one.derivatives(at)[2], 3, axis=0), 3, axis=1)
    np.testing.assert_allclose(own, other.derivatives(psi)[2], atol=1e-7)


# ---- the likelihood, written again ---------------------------------------------------------------
@pytest.mark.parametrize("family", ["poisson", "nbinom2"])
def test_the_fit_is_at_the_maximum_of_laplaces_approximation(family):
    data = inflated(seed=4, family=family, levels=10)
    m = zip_of(data, family=family)
    y, x, z, g = (data[name].to_numpy() for name in "yxzg")

    def minus(psi):
        theta, b0, b1, g0, g1 = psi[:5]
        p, total = special.expit(g0 + g1 * z), 0.0
        for level in range(10):
            own = g == level

            def h(v, own=own):
                mu = np.exp(b0 + b1 * x[own] + theta * v)
                size = np.exp(psi[5]) if len(psi) > 5 else None
                law = stats.poisson(mu) if size is None else stats.nbinom(size, size / (size + mu))
                zero = np.log(p[own] + (1 - p[own]) * law.pmf(0))
                return v**2 / 2 - np.where(y[own] == 0, zero, np.log1p(-p[own]) + law.logpmf(y[own])).sum()

            best = optimize.minimize_scalar(h, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9})
            e = 1e-3
            total += best.fun + np.log((h(best.x + e) - 2 * best.fun + h(best.x - e)) / e**2) / 2
        return total

    shape = [np.log(m.family.theta)] if family == "nbinom2" else []
    at = np.array([m.theta[0], *m.beta, *m.inflation.gamma, *shape])
    # h'' by differences has errors of 1e-6 of itself, in each of ten levels
    assert -m.loglik == pytest.approx(minus(at), abs=1e-5)
    slope = [(minus(at + e) - minus(at - e)) / 2e-2 for e in 1e-2 * np.eye(len(at))]
    np.testing.assert_allclose(slope, 0, atol=0.05)  # third derivatives of some 1000 times 1e-4 / 6
    assert min(minus(at + s * e) for e in 0.1 * np.eye(len(at)) for s in (1, -1)) > -m.loglik


def test_estimates_recover_what_was_simulated():
    data = inflated(seed=11, levels=120, size=25)
    m = zip_of(data)
    wanted = [1.0, 0.4, special.logit(0.3), 0.8]
    found, error = [*m.beta, *m.inflation.gamma], [*m.se, *m.inflation.se]
    assert np.abs((np.array(found) - wanted) / error).max() < 3.5  # standard errors, of four estimates
    assert m.varcorr()["sd_or_correlation"][0] == pytest.approx(0.5, abs=0.12)


def test_without_inflation_the_same_data_look_overdispersed():
    data = inflated(seed=11, levels=40)
    plain, zero = fn.fit("y ~ x + (1|g)", data, family="poisson"), zip_of(data, zeros="~ 1")
    assert zero.n_parameters == plain.n_parameters + 1
    assert zero.loglik > plain.loglik + 100


def test_limits_of_the_inflations_slope_hold_the_truth_as_often_as_they_say():
    hits = []
    for seed in range(60):
        table = zip_of(inflated(seed=100 + seed, levels=12, size=20)).zero_inflation()
        hits.append(table.conf_low[1] < 0.8 < table.conf_high[1])
    # 57 of 60 expected, sd 1.7; four of these below and 60 above
    assert sum(hits) >= 50


def test_the_order_of_rows_and_units_of_a_covariate_do_not_matter():
    data = inflated(seed=5)
    m = zip_of(data, family="nbinom2")
    other = zip_of(data.sample(frac=1, random_state=1).assign(z=lambda d: d.z * 1000), family="nbinom2")
    assert other.loglik == pytest.approx(m.loglik, abs=1e-8)
    np.testing.assert_allclose(other.inflation.gamma * [1, 1000], m.inflation.gamma, rtol=1e-5)
    np.testing.assert_allclose(other.inflation.se * [1, 1000], m.inflation.se, rtol=1e-5)


def test_weights_of_counts_are_numbers_of_equal_rows():
    data = inflated(seed=6).assign(w=lambda d: 1 + (d.z > 0))
    twice = data.loc[data.index.repeat(data.w)]
    one, other = zip_of(data, weights="w"), zip_of(twice)
    assert one.loglik == pytest.approx(other.loglik, abs=1e-7)
    np.testing.assert_allclose(one.inflation.gamma, other.inflation.gamma, atol=1e-6)


def test_trials_and_cbind_are_the_same_model():
    data = inflated(seed=7).assign(s=lambda d: np.round(6 * d.part), f=lambda d: 6 - np.round(6 * d.part))
    one = zip_of(data, "part ~ x + (1|g)", "binomial", weights="m")
    other = zip_of(data, "cbind(s, f) ~ x + (1|g)", "binomial")
    assert one.loglik == pytest.approx(other.loglik, abs=1e-9)
    assert special.expit(one.inflation.gamma[0]) == pytest.approx(0.3, abs=0.12)


# ---- what it answers -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def found():
    return zip_of(inflated(seed=1, family="nbinom2"), family="nbinom2")


def test_the_coefficients_are_a_table_and_stand_in_the_summary(found):
    table = found.zero_inflation()
    assert list(table.columns) == list(found.tidy().columns)
    assert table.term.tolist() == ["(Intercept)", "z"]
    np.testing.assert_allclose(found.zero_inflation(exponentiate=True).estimate, np.exp(table.estimate))
    assert "zero inflation ~ z" in found.summary()
    assert "Zero-inflation model (logit):" in found.summary()
    assert "zero-inflated nbinom2(log)" in str(found)


def test_the_mean_is_the_conditional_one_without_the_extra_zeros(found):
    new = {"x": [0.0, 1.0], "z": [0.5, -1.0], "g": [3, 4]}
    p = special.expit(found.inflation.gamma[0] + found.inflation.gamma[1] * np.array(new["z"]))
    np.testing.assert_allclose(found.predict(new, type="zprob"), p)
    np.testing.assert_allclose(found.predict(new, type="zlink"), special.logit(p))
    mu = np.exp(found.predict(new, type="link"))
    np.testing.assert_allclose(found.predict(new, type="conditional"), mu)
    np.testing.assert_allclose(found.predict(new), (1 - p) * mu)
    np.testing.assert_allclose(found.predict(), found.fitted)
    assert found.predict({**new, "z": [0.5, np.nan]}).isna().tolist() == [False, True]


def test_limits_are_those_of_the_conditional_mean(found):
    with pytest.raises(fn.errors.Unable, match="type='conditional' has those"):
        found.predict(interval="confidence")
    limits = found.predict(type="conditional", interval="confidence", random=False)
    assert (limits.conf_low < limits.fitted).all()


@pytest.mark.parametrize("kind", ["response", "zprob", "zlink"])
def test_errors_of_both_parts_are_those_of_draws_of_all_coefficients(found, kind):
    new = {"x": [0.0, 1.0], "z": [0.3, 0.1], "g": [3, 4]}
    table = found.predict(new, type=kind, random=False, interval="confidence")
    zeros = found.inflation
    V = np.block([[found.covariance, zeros.joint], [zeros.joint.T, zeros.covariance]])
    # near the estimates, where the delta method is exact to 1 %
    drawn = np.random.default_rng(1).multivariate_normal([*found.beta, *zeros.gamma], V / 100, size=40_000)
    p = special.expit(drawn[:, 2:] @ np.array([[1, 1], [0.3, 0.1]]))
    mu = np.exp(drawn[:, :2] @ np.array([[1, 1], [0.0, 1.0]]))
    own = {"response": (1 - p) * mu, "zprob": p, "zlink": special.logit(p)}[kind]
    np.testing.assert_allclose(table.std_error, 10 * own.std(axis=0), rtol=0.03)
    np.testing.assert_allclose(table.fitted, found.predict(new, type=kind, random=False))
    assert ((table.conf_low < table.fitted) & (table.fitted < table.conf_high)).all()


def test_simulated_responses_have_the_fits_mean_and_zeros(found):
    drawn = found.simulate(400, seed=1, random=True).to_numpy()
    error = drawn.mean(axis=1).std() / np.sqrt(drawn.shape[1])
    assert drawn.mean() == pytest.approx(found.fitted.mean(), abs=5 * error)
    theta, mu = found.family.theta, np.exp(found.eta)
    zero = found.zero_probability + (1 - found.zero_probability) * (theta / (theta + mu)) ** theta
    assert (drawn == 0).mean() == pytest.approx(zero.mean(), abs=0.01)  # of 72,000 draws sd 0.002


def test_residuals_have_the_mixtures_variance_and_distribution(found):
    drawn = found.simulate(300, seed=2, random=True)
    one = (drawn.sub(found.fitted, axis=0) ** 2).mean(axis=1)
    own = ((found.request.y - found.fitted) / found.residuals("pearson")) ** 2
    assert (one / own).mean() == pytest.approx(1, abs=0.05)
    u = stats.norm.cdf(found.residuals("quantile", seed=1, random=True))
    assert stats.kstest(u, "uniform").pvalue > 0.01
    with pytest.raises(fn.errors.Unable, match=r"residuals\('deviance'\) are not defined"):
        found.residuals("deviance")


def test_a_bootstrap_draws_the_zeros_and_estimates_them_again():
    data = inflated(seed=8, levels=10, size=8)
    large = zip_of(data, zeros="~ 1")
    small = fn.refit(large, ". ~ . - x")
    assert small.inflation is not None
    test = fn.bootstrap_test(small, large, n=6, seed=1)
    assert test.n_used + test.n_failed == 6
    assert fn.anova(small, large)["df"].iloc[-1] == 1


def test_rows_left_out_are_left_out_of_both_parts():
    data = inflated(seed=9, levels=8, size=10)
    moved = zip_of(data).influence(groups="g", exact=True)
    left = zip_of(data[data.g != 3])
    assert moved.loc[3, "dfbeta_x"] == pytest.approx(zip_of(data).coef["x"] - left.coef["x"], abs=1e-6)


def test_what_is_not_defined_is_refused_by_name(found):
    with pytest.raises(fn.errors.Unable, match="R2 and ICC are not defined here for models with zero inflation"):
        fn.r2(found)
    plain = fn.fit("y ~ x + (1|g)", inflated(), family="poisson")
    with pytest.raises(fn.errors.Unable, match="this has none"):
        plain.zero_inflation()
    with pytest.raises(fn.errors.Unable, match="this has none"):
        plain.predict(type="zprob")


def test_a_shape_has_limits_on_the_scale_of_its_logarithm(found):
    row = found.shape_parameter().iloc[0]
    assert row.term == "theta"
    assert row.estimate == found.family.theta
    assert row.estimate / row.conf_low == pytest.approx(row.conf_high / row.estimate)
    assert np.log(row.conf_high / row.estimate) == pytest.approx(1.959964 * row.std_error / row.estimate)
    with pytest.raises(fn.errors.Unable, match="has no shape"):
        zip_of(inflated()).shape_parameter()


# ---- bad input and limits ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("zeros", "words"),
    [
        ("~ foo", "'foo' is not a column"),
        ("y ~ x", "has no response"),
        ("~ x + (1|g)", "takes fixed terms only"),
        ("~ 0", "'~ 1' is one probability"),
        ("x", "is a formula such as"),
        ("~ log(z)", "values are missing in"),
    ],
)
def test_a_formula_that_cannot_be_taken_says_why(zeros, words):
    with pytest.raises((fn.errors.FormulaError, fn.errors.DataError), match=words):
        zip_of(inflated(), zeros=zeros)


def test_families_without_zeros_and_models_without_bars_are_refused():
    data = inflated().assign(y=lambda d: d.y + 1.0)
    with pytest.raises(fn.errors.DataError, match="zero_inflation= is for poisson"):
        zip_of(data, family="Gamma(log)")
    with pytest.raises(fn.errors.FormulaError, match="goes with random terms"):
        zip_of(data, "y ~ x")
    with pytest.raises(fn.errors.NoBackend, match="takes no zero inflation"):
        zip_of(inflated(), backend="lme4")
    with pytest.raises(ValueError, match="observed weights"):
        fn.Laplace(zero_inflation="~ 1", weights="expected")


@pytest.mark.parametrize("more", [1, 0])
def test_without_extra_zeros_the_probability_goes_to_0_and_that_is_said(more):
    rng = np.random.default_rng(1)  # which gives a few zeros less than expected
    data = inflated().assign(y=lambda d: more + rng.poisson(np.exp(0.5 + 0.3 * d.x)))
    m, plain = zip_of(data, zeros="~ 1"), fn.fit("y ~ x + (1|g)", data, family="poisson")
    assert m.loglik == pytest.approx(plain.loglik, abs=1e-6)
    np.testing.assert_allclose(m.coef, plain.coef, atol=1e-5)
    np.testing.assert_allclose(m.se, plain.se, rtol=1e-4)
    why = "no response is 0" if more else "no more zeros than poisson explains"
    assert any("goes to 0" in text and why in text for text in m.messages)


def test_levels_that_separate_the_zeros_are_named():
    data = inflated(seed=3).assign(f=lambda d: np.where(d.h < 2, "a", "b"))
    data.loc[(data.f == "a") & (data.y == 0), "y"] = 3
    m = zip_of(data, zeros="~ f")
    assert any("separation in zero_inflation=" in text and "goes to 0 in" in text for text in m.messages)


def test_rows_without_a_covariate_of_the_zeros_are_dropped_and_counted():
    data = inflated().assign(z=lambda d: d.z.where(d.z > -1))
    m = zip_of(data)
    assert m.nobs == data.z.notna().sum()
    assert any("z: " in text for text in m.messages)


def test_an_aliased_column_has_no_coefficient():
    m = zip_of(inflated(), zeros="~ z + I(2 * z)")
    assert np.isnan(m.inflation.gamma).tolist() == [False, False, True]
    assert m.n_parameters == zip_of(inflated()).n_parameters


def test_bootstrap_intervals_hold_the_shape_and_the_inflation_too():
    m = zip_of(inflated(seed=21, family="nbinom2", levels=10, size=14), family="nbinom2", zeros="~ 1")
    table = fn.confint(m, method=fn.Bootstrap(n=20, seed=1)).set_index("term")
    assert table.index.tolist() == ["sd_(Intercept)|g", "(Intercept)", "x", "theta", "zi_(Intercept)"]
    assert table.estimate["theta"] == m.family.theta
    assert (table.conf_low < table.estimate)[["theta", "zi_(Intercept)"]].all()
    only = fn.confint(m, "zi_", method=fn.Bootstrap(n=4, seed=1))
    assert only.term.tolist() == ["zi_(Intercept)"]


def test_zero_inflation_stands_in_comparisons_and_in_json(found):
    from formula_neuro.display.json_words import fit_record

    plain = fn.fit("y ~ x + (1|g)", inflated(seed=1, family="nbinom2"), family="nbinom2")
    table = fn.compare(plain, found, names=["without", "with"]).texts
    assert table.loc["zero inflation: z", "without"] == ""
    assert table.loc["zero inflation: z", "with"] == f"{found.inflation.gamma[1]:.3f} ({found.inflation.se[1]:.3f})"
    assert fn.compare(plain, found).names[1] == "Laplace(zero_inflation='~ z')"
    assert [row["term"] for row in fit_record(found)["zero_inflation"]] == ["(Intercept)", "z"]
    assert "zero_inflation" not in fit_record(plain)
