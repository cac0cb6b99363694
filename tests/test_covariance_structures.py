"""diag(), cs() and ar1() beside matrices written down in full, splits that mean the same, and at their limits."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import FormulaError, Unable
from formula_neuro.kernels.structures import Structure
from formula_neuro_mixed.glmm import again
from formula_neuro_mixed.glmm.inner import inner_problem
from formula_neuro_mixed.plain import structured as plain
from formula_neuro_mixed.plain.objective import Objective

ALL = [Structure(K, hom, tag) for K in (2, 3, 5) for hom in (False, True) for tag in ("", "cs", "ar1")]
TERMS = [
    f"{tag}(0 + day | mouse{hom})"
    for tag, hom in (
        ("diag", ""),
        ("diag", ", hom = TRUE"),
        ("cs", ""),
        ("cs", ", hom = TRUE"),
        ("ar1", ""),
        ("ar1", ", hom = FALSE"),
    )
]


def made(rho: float = 0.6, mice: int = 16, seed: int = 2) -> pd.DataFrame:
    """Mice on 4 days, 3 trials on each; effects of days correlated in time."""
    rng = np.random.default_rng(seed)
    mouse, day = np.repeat(np.arange(mice), 12), np.tile(np.repeat(np.arange(4), 3), mice)
    S = rho ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    effects = rng.multivariate_normal(np.zeros(4), S, mice)
    d = pd.DataFrame({"mouse": [f"m{k:02}" for k in mouse], "day": [f"d{k}" for k in day]})
    d["x"], d["w"] = rng.normal(size=len(d)), rng.uniform(0.5, 2, len(d))
    d["lab"] = [f"l{k}" for k in rng.integers(0, 5, len(d))]
    eta = 0.5 * d["x"] + effects[mouse, day]
    d["y"], d["b"] = 1 + eta + rng.normal(size=len(d)), rng.binomial(1, 1 / (1 + np.exp(-eta)))
    return d


@pytest.fixture(scope="module")
def mice():
    return made()


@pytest.fixture(scope="module")
def few():
    """For full matrices."""
    return made(mice=8)


def oracle_parameters(m):
    """The fit's estimates as the oracle's parameters."""
    found = []
    for term, effect, (count, correlated) in zip(
        m.request.design.random, m.random, plain.shapes(m.request), strict=True
    ):
        S = effect.covariance
        found += list(np.log(np.diag(S))[:count] / 2)
        if correlated:
            rho, low = S[1, 0] / np.sqrt(S[0, 0] * S[1, 1]), plain.correlation(term, -1e3)
            found.append(np.log((rho - low) / (1 - rho)))
    return np.array([*found, np.log(m.sigma)])


# ---- the templates -------------------------------------------------------------------------------
@pytest.mark.parametrize("structure", ALL, ids=str)
def test_derivatives_of_templates_are_their_differences(structure):
    psi, h = np.cos(np.arange(structure.size) + 1.0), 1e-5
    E = h * np.eye(structure.size)
    first = [(structure.template(psi + e) - structure.template(psi - e)) / (2 * h) for e in E]
    second = [(structure.slopes(psi + e) - structure.slopes(psi - e)) / (2 * h) for e in E]
    np.testing.assert_allclose(structure.slopes(psi), first, atol=1e-8)  # h^2 of the third derivative
    np.testing.assert_allclose(structure.bends(psi), second, atol=1e-8)


@pytest.mark.parametrize("structure", ALL, ids=str)
def test_parameters_are_found_again_from_covariances(structure):
    L = structure.template(np.cos(np.arange(structure.size) + 1.0))
    again = structure.template(structure.nearest(L @ L.T))
    np.testing.assert_allclose(again @ again.T, L @ L.T, atol=1e-13)


@pytest.mark.parametrize("K", [2, 3, 6])
def test_compound_symmetry_reaches_both_its_limits(K):
    structure = Structure(K, True, "cs")
    for rho in (-1 / (K - 1), 1.0):
        psi = structure.nearest(np.where(np.eye(K) == 1, 1.0, rho))
        assert structure.rho(psi) == pytest.approx(rho, abs=1e-12)
        assert structure.limited(psi)


# ---- linear models -------------------------------------------------------------------------------
@pytest.mark.parametrize("estimator", ["reml", "ml"])
@pytest.mark.parametrize("term", TERMS)
def test_the_criterion_is_that_of_full_matrices(mice, term, estimator):
    m = fn.fit(f"y ~ x + {term} + (1 | lab)", mice, weights="w", estimator=estimator)
    value, beta, C = plain.deviance(m.request, oracle_parameters(m))
    assert m.criterion == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(m.coef, beta, rtol=1e-8)
    np.testing.assert_allclose(m.covariance, C, rtol=1e-7)


@pytest.mark.parametrize("term", TERMS)
def test_a_generic_search_on_full_matrices_finds_nothing_lower(few, term):
    m = fn.fit(f"y ~ x + {term}", few)
    at = oracle_parameters(m)
    there = plain.minimum(m.request, at + 0.1)
    assert m.criterion <= plain.deviance(m.request, there)[0] + 1e-9
    np.testing.assert_allclose(there, at, atol=2e-3)  # its gradient ends at 1e-4, its least curvatures are below 1


@pytest.mark.parametrize("term", TERMS)
def test_satterthwaites_df_are_those_of_differences_in_other_parameters(few, term):
    m = fn.fit(f"y ~ x + day + {term}", few)
    at, h = oracle_parameters(m), 1e-3
    E = h * np.eye(len(at))

    def f(x):
        return plain.deviance(m.request, x)[0]

    H = np.array([[f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b) for a in E] for b in E]) / (4 * h**2)
    V = np.diag(plain.deviance(m.request, at)[2])
    g = np.array(
        [np.diag(plain.deviance(m.request, at + e)[2] - plain.deviance(m.request, at - e)[2]) / (2 * h) for e in E]
    )
    df = 2 * V**2 / np.einsum("iq,ij,jq->q", g, 2 * np.linalg.inv(H), g)
    # differences by steps of 1e-3 of a criterion of 300: of curvatures of 1 they are off by 1e-6 and by rounding 1e-7
    np.testing.assert_allclose(m.tidy()["df"], df, rtol=1e-4)


def test_the_split_of_a_factor_is_diag(mice):
    days = {f"d{k}": (mice["day"] == f"d{k}").astype(float) for k in range(4)}
    split = " + ".join(f"(0 + d{k} | mouse)" for k in range(4))
    one, four = fn.fit("y ~ x + diag(0 + day | mouse)", mice), fn.fit(f"y ~ x + {split}", mice.assign(**days))
    assert one.criterion == pytest.approx(four.criterion, abs=1e-9)
    for method in ("satterthwaite", "kenward-roger"):
        np.testing.assert_allclose(one.tidy(df=method)["df"], four.tidy(df=method)["df"], rtol=1e-6)


def test_one_variance_and_correlation_is_an_intercept_with_nested_effects(mice):
    one = fn.fit("y ~ x + cs(0 + day | mouse, hom = TRUE)", mice)
    two = fn.fit("y ~ x + (1 | mouse / day)", mice)
    assert one.criterion == pytest.approx(two.criterion, abs=1e-9)
    for method in ("satterthwaite", "kenward-roger"):
        np.testing.assert_allclose(one.tidy(df=method)["df"], two.tidy(df=method)["df"], rtol=1e-6)


@pytest.mark.parametrize("term", ["cs(0 + day | mouse)", "ar1(0 + day | mouse)"])
def test_kenward_and_rogers_method_is_refused_where_covariances_are_no_sums(mice, term):
    with pytest.raises(Unable, match=r"sums of components, and (cs|ar1)\(\.\.\. \| mouse\)"):
        fn.fit(f"y ~ x + {term}", mice).tidy(df="kenward-roger")


def test_two_correlated_columns_are_unstructured_ones(mice):
    one, all_ = fn.fit("y ~ x + cs(1 + x | mouse)", mice), fn.fit("y ~ x + (1 + x | mouse)", mice)
    assert one.criterion == pytest.approx(all_.criterion, abs=1e-9)


def test_units_of_a_slope_do_not_matter(mice):
    m, thousand = (fn.fit("y ~ x + diag(1 + x | mouse)", mice.assign(x=mice["x"] * s)) for s in (1, 1e3))
    np.testing.assert_allclose(m.eta, thousand.eta, atol=1e-9)


@pytest.mark.parametrize("term", TERMS)
def test_the_order_of_rows_does_not_matter(mice, term):
    formula = f"y ~ x + {term}"
    m, mixed = fn.fit(formula, mice), fn.fit(formula, mice.sample(frac=1, random_state=1))
    assert m.criterion == pytest.approx(mixed.criterion, abs=1e-10)


# ---- generalized models --------------------------------------------------------------------------
@pytest.mark.parametrize("term", [*TERMS, "ar1(0 + day | mouse) + (1 + x | lab)"])
@pytest.mark.parametrize("family", ["binomial", "binomial(probit)"])
def test_derivatives_of_laplaces_approximation_are_its_differences(mice, term, family):
    problem, marginal, psi = again.found(fn.fit(f"b ~ x + {term}", mice, family=family))
    psi, h = psi + 0.05, 1e-4
    assert problem.model.n_theta == len(psi) - 2
    _, gradient, H = (np.copy(part) for part in marginal.derivatives(psi))
    E = h * np.eye(len(psi))
    first = [(marginal.value(psi + e) - marginal.value(psi - e)) / (2 * h) for e in E]
    second = [(marginal.gradient(psi + e)[1] - marginal.gradient(psi - e)[1]) / (2 * h) for e in E]
    np.testing.assert_allclose(gradient, first, atol=1e-5)  # h^2 of third derivatives of about 100
    np.testing.assert_allclose(H, second, atol=1e-5 * np.abs(H).max())


@pytest.mark.parametrize("term", TERMS)
def test_laplaces_approximation_is_that_of_the_plain_path(mice, term):
    m = fn.fit(f"b ~ x + {term}", mice, family="binomial")
    _, marginal, psi = again.found(m)
    objective = Objective(inner_problem(m.request)[0], 1)
    value, gradient = objective.gradient(psi + 0.1)
    assert marginal.value(psi + 0.1) - marginal.value(psi) == pytest.approx(value - objective.value(psi), abs=1e-8)
    np.testing.assert_allclose(marginal.gradient(psi + 0.1)[1], gradient, atol=1e-7)  # modes to 1e-10


def test_the_split_of_a_factor_is_diag_in_generalized_models_too(mice):
    days = {f"d{k}": (mice["day"] == f"d{k}").astype(float) for k in range(4)}
    split = " + ".join(f"(0 + d{k} | mouse)" for k in range(4))
    one = fn.fit("b ~ x + diag(0 + day | mouse)", mice, family="binomial")
    four = fn.fit(f"b ~ x + {split}", mice.assign(**days), family="binomial")
    assert one.loglik == pytest.approx(four.loglik, abs=1e-8)
    np.testing.assert_allclose(one.se, four.se, rtol=1e-5)  # theta is found to 1e-6


# ---- limits --------------------------------------------------------------------------------------
def test_a_variance_of_zero_is_named():
    d = made(seed=4)
    d["y"] = d["y"].where(d["day"] != "d2", 1 + np.random.default_rng(0).normal(size=len(d)))
    m = fn.fit("y ~ x + diag(0 + day | mouse)", d)
    assert m.theta[2] == 0 and m.converged
    assert any("the variance of dayd2 within mouse is estimated as 0" in note for note in m.messages)


def test_a_correlation_of_one_is_named(mice):
    rng = np.random.default_rng(1)
    y = rng.normal(size=16)[mice["mouse"].str[1:].astype(int)] + 0.3 * rng.normal(size=len(mice))
    for term in TERMS[2:]:
        m = fn.fit(f"y ~ x + {term}", mice.assign(y=y))
        assert m.converged and "is estimated as 1" in m.messages[-1]
        assert m.theta[-1] == pytest.approx(1, abs=1e-12)


def test_a_single_variance_of_zero_is_named(mice):
    y = np.random.default_rng(5).normal(size=len(mice))
    y -= pd.Series(y).groupby(mice["mouse"] + mice["day"]).transform("mean").to_numpy()
    m = fn.fit("y ~ 1 + ar1(0 + day | mouse)", mice.assign(y=y))
    assert "the one variance of the effects of dayd0 to dayd3 within mouse (ar1) is estimated as 0" in m.messages[-1]
    plain_fit = fn.fit("y ~ 1", mice.assign(y=y))
    assert m.sigma == pytest.approx(plain_fit.sigma)


def test_the_least_correlation_of_compound_symmetry_is_named(mice):
    rng = np.random.default_rng(3)
    u = rng.normal(size=(16, 4))
    u -= u.mean(axis=1, keepdims=True)
    y = pd.Series(u[mice["mouse"].str[1:].astype(int), mice["day"].str[1:].astype(int)])
    y += 0.1 * rng.normal(size=len(mice))
    y -= y.groupby(mice["mouse"]).transform("mean")
    m = fn.fit("y ~ 1 + cs(0 + day | mouse, hom = TRUE)", mice.assign(y=y))
    assert m.theta[-1] == pytest.approx(-1 / 3, abs=1e-6)
    assert "is estimated as -0.333, the least that 4 effects can have" in m.messages[-1]


# ---- questions to a fit --------------------------------------------------------------------------
@pytest.fixture(scope="module", params=["y", "b"])
def series(request, mice):
    options = {"family": "binomial"} if request.param == "b" else {}
    return fn.fit(f"{request.param} ~ x + ar1(0 + day | mouse)", mice, **options)


def test_varcorr_has_variances_and_correlations(series):
    table = series.varcorr()
    own = table[table["group"] == "mouse"]
    assert own["term2"].isna().sum() == 4 and len(own) == 10
    r = own[own["term"] == "dayd0"]["sd_or_correlation"].to_numpy()[1:]
    np.testing.assert_allclose(r, r[0] ** np.array([1, 2, 3]))


def test_diag_has_no_covariances(mice):
    assert fn.fit("y ~ x + diag(0 + day | mouse)", mice).varcorr()["term2"].isna().all()


def test_a_summary_says_one_variance_and_one_correlation_once(series):
    text = series.summary()
    sd, rho = series.theta[0] * series.sigma, series.theta[1]
    line = next(line for line in text.splitlines() if "dayd0 to dayd3" in line)
    assert f"{rho:.2f} (ar1)" in line and f"{sd:.2f}" in line
    assert text.count("(ar1)") == 1


def test_a_summary_of_compound_symmetry_names_every_variance(mice):
    text = fn.fit("y ~ x + cs(0 + day | mouse)", mice).summary()
    assert all(f"dayd{k} " in text for k in range(4)) and text.count("(cs)") == 1


def test_conditional_modes_are_those_of_the_covariances(mice):
    m = fn.fit("y ~ x + ar1(0 + day | mouse)", mice)
    term, S = m.request.design.random[0], m.random[0].covariance
    V = (term.codes[:, None] == term.codes) * (term.basis @ S @ term.basis.T) + m.sigma**2 * np.eye(len(mice))
    r = m.request.y - m.request.design.matrix @ m.beta
    within = term.codes == 0
    modes = S @ term.basis[within].T @ np.linalg.inv(V)[within] @ r
    np.testing.assert_allclose(m.ranef()["estimate"][:4], modes, atol=1e-9)


def test_predictions_take_the_modes(series, mice):
    np.testing.assert_allclose(series.predict(mice), series.predict(), atol=1e-10)


def test_simulated_responses_have_the_covariances(mice):
    m = fn.fit("y ~ x + ar1(0 + day | mouse)", mice)
    Y = np.asarray(m.simulate(2000, seed=1))
    Y = Y if Y.shape[0] == len(mice) else Y.T
    first, last = Y[0] - Y[0].mean(), Y[9] - Y[9].mean()  # the first and the last day of one mouse
    S = m.random[0].covariance
    assert np.mean(first * last) == pytest.approx(S[0, 3], abs=4 * (S[0, 0] + m.sigma**2) / np.sqrt(2000))


def test_a_fit_is_pickled(series):
    assert pickle.loads(pickle.dumps(series)).theta.tolist() == series.theta.tolist()


def test_a_bootstrap_refits_the_structure(mice):
    d = made(mice=8)
    m = fn.fit("y ~ x + ar1(0 + day | mouse)", d)
    again = m.request.with_response(np.asarray(m.simulate(1, seed=3)).reshape(-1))
    other = m.engine.refit(again)
    assert len(other.theta) == 2 and other.converged


def test_profiles_are_refused_by_name(series):
    with pytest.raises(Unable, match="profiles of ar1"):
        fn.confint(series, method="profile")


def test_a_search_goes_on_from_a_structures_theta(mice):
    m = fn.fit("y ~ x + cs(0 + day | mouse)", mice)
    again = fn.refit(m, start=m)
    assert again.iterations <= 2 and again.criterion == pytest.approx(m.criterion, abs=1e-10)


def test_a_structure_stands_beside_residuals_in_time(mice):
    d = mice.assign(trial=np.tile(np.arange(12), 16))
    m = fn.fit("y ~ x + diag(0 + day | mouse)", d, estimator=fn.REML(residual=fn.AR1("trial")))
    simple = fn.fit("y ~ x + diag(0 + day | mouse)", d)
    assert m.criterion <= simple.criterion and m.converged


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("term", "says"),
    [
        ("ar1(0 + x | mouse)", r"x is a number; .* ar1\(0 \+ factor\(x\) \| mouse\)"),
        ("ar1(day | mouse)", r"without an intercept beside them; write ar1\(0 \+ day \| mouse\)"),
        ("ar1(0 + day + lab | mouse)", "follows the levels of one factor"),
        ("cs(1 | mouse)", r"cs\(\) is of several columns, and \(Intercept\) is one"),
        ("diag(1 | mouse, hom = TRUE)", "hom= is of several columns"),
    ],
)
def test_terms_that_cannot_have_a_structure_are_refused(mice, term, says):
    with pytest.raises(FormulaError, match=says):
        fn.fit(f"y ~ x + {term}", mice)


def test_one_variance_for_an_intercept_and_a_slope_is_noted(mice):
    m = fn.fit("y ~ x + diag(1 + x | mouse, hom = TRUE)", mice)
    assert any("depends on the unit and the origin of x" in note for note in m.messages)


def test_levels_in_the_order_of_texts_are_noted(mice):
    later = mice.assign(day=mice["day"].replace({"d1": "d10"}))
    m = fn.fit("y ~ x + ar1(0 + day | mouse)", later)
    assert any("in the order of texts (d0, d10, d2, d3, ...)" in note for note in m.messages)
    assert not any("order of texts" in note for note in fn.fit("y ~ x + ar1(0 + day | mouse)", mice).messages)
