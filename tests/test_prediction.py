"""predict, simulate, residuals, augment: by what must hold, and beside R."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FitError, FormulaError, NewLevels, Unable

BINOMIAL, POISSON = {"family": "binomial"}, {"family": "poisson"}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    n = 160
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "f": rng.choice(list("abc"), n),
            "g": rng.integers(1, 13, n),
            "h": rng.choice(["u", "v", "w", "z"], n),
            "n": rng.integers(2, 9, n),
        }
    )
    effects = rng.normal(size=(13, 2)) * [1, 0.5]
    eta = 0.4 * data["x"] + (data["f"] == "b") + effects[data["g"], 0] + effects[data["g"], 1] * data["x"] - 0.5
    data["y"] = eta + rng.normal(size=n)
    data["b"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    data["s"] = rng.binomial(data["n"], 1 / (1 + np.exp(-eta)))
    data["k"] = rng.poisson(data["n"] * np.exp(eta / 2))
    data["p"] = rng.gamma(2, np.exp(eta / 2) / 2) + 0.01
    return data.set_axis([f"row {i}" for i in range(n)])


DATA = table()
MODELS = {
    "lm": ("y ~ x*f", {}),
    "lm, weights and offset": ("y ~ x + poly(x, 2) + f", {"weights": "n", "offset": "x"}),
    "glm": ("b ~ x + f", BINOMIAL),
    "glm, shares": ("cbind(s, n - s) ~ scale(x) + f", {"family": "binomial(probit)"}),
    "glm, counts": ("k ~ x + offset(log(n))", POISSON),
    "lmm": ("y ~ x + f + (x|g)", {}),
    "lmm, crossed": ("y ~ x + (1|g) + (0 + x|h) + offset(x/2)", {}),
    "lmm, nested": ("y ~ x + (1|h/f)", {"weights": "n"}),
    "glmm": ("b ~ x + f + (1|g)", BINOMIAL),
    "glmm, shares": ("cbind(s, n - s) ~ x + (x|g)", BINOMIAL),
    "glmm, counts": ("k ~ x + offset(log(n)) + (1|g) + (1|h)", POISSON),
}
MIXED = [name for name in MODELS if "mm" in name]


@pytest.fixture(scope="module")
def fits():
    return {name: fn.fit(formula, DATA, **options) for name, (formula, options) in MODELS.items()}


every_model = pytest.mark.parametrize("name", MODELS)
every_mixed_model = pytest.mark.parametrize("name", MIXED)


# ---- predict ---------------------------------------------------------------------------------------
@every_model
def test_the_rows_used_are_predicted_by_their_fitted_values(fits, name):
    fit = fits[name]
    pd.testing.assert_series_equal(fit.predict(), fit.fitted)
    assert fit.predict().index.tolist() == DATA.index.tolist()


@every_model
def test_the_same_table_as_new_data_gives_the_fitted_values(fits, name):
    fit = fits[name]
    # the linear predictor is added up in another order: rounding alone
    np.testing.assert_allclose(fit.predict(DATA), fit.fitted, rtol=1e-11, atol=1e-12)


@every_model
def test_the_response_is_not_needed_nor_the_order_of_rows(fits, name):
    fit = fits[name]
    part = DATA.drop(columns=["y", "b", "k", "p", "s"]).iloc[[100, 3, 50]]
    pd.testing.assert_series_equal(fit.predict(part), fit.predict(DATA).loc[part.index])


@every_model
def test_the_link_scale_is_linked_to_the_response(fits, name):
    fit = fits[name]
    link = fit.request.family.link
    np.testing.assert_allclose(link.inverse(fit.predict(DATA, type="link")), fit.predict(DATA), rtol=1e-14)
    np.testing.assert_array_equal(fit.predict(type="link"), fit.eta)


@every_model
def test_the_population_is_x_times_the_coefficients(fits, name):
    fit = fits[name]
    D = fit.request.design
    expected = D.matrix @ np.nan_to_num(fit.beta) + D.offset  # poly(x, 2)1 is aliased beside x
    np.testing.assert_allclose(fit.predict(type="link", random=False), expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(fit.predict(DATA, type="link", random=False), expected, rtol=1e-11, atol=1e-12)


@every_mixed_model
def test_random_effects_add_z_times_the_modes(fits, name):
    fit = fits[name]
    extra = sum(term.Z @ e.modes.ravel() for term, e in zip(fit.request.design.random, fit.random, strict=True))
    difference = fit.predict(type="link") - fit.predict(type="link", random=False)
    np.testing.assert_allclose(difference, extra, rtol=1e-9, atol=1e-11)


def test_a_formula_without_random_terms_ignores_random():
    fit = fn.fit("y ~ x", DATA)
    pd.testing.assert_series_equal(fit.predict(random=False), fit.predict())


def test_new_rows_of_an_offset_are_taken_from_the_new_data(fits):
    fit = fits["glm, counts"]
    double = fit.predict(DATA.assign(n=2 * DATA["n"]))
    np.testing.assert_allclose(double, 2 * fit.fitted, rtol=1e-12)


def test_an_offset_given_as_an_array_cannot_predict_new_rows():
    fit = fn.fit("y ~ x", DATA, offset=np.ones(160))
    with pytest.raises(DataError, match="refit with the offset as a column"):
        fit.predict(DATA)
    assert len(fit.predict()) == 160


def test_aliased_columns_count_as_absent():
    fit, plain = fn.fit("y ~ x + I(2*x) + f", DATA), fn.fit("y ~ x + f", DATA)
    np.testing.assert_allclose(fit.predict(DATA), plain.predict(DATA), rtol=1e-12)


def test_a_missing_covariate_gives_nan_in_its_row_alone(fits):
    new = DATA.iloc[:4].assign(x=[0.0, np.nan, 1.0, 2.0])
    for name in ("lm", "glm", "lmm", "glmm"):
        assert fits[name].predict(new).isna().tolist() == [False, True, False, False]


def test_a_new_level_of_a_factor_is_refused(fits):
    with pytest.raises(NewLevels, match=r"f: q did not occur when the model was fitted \(known: a, b, c\)"):
        fits["lm"].predict(DATA.assign(f="q"))


@pytest.mark.parametrize("level", [99, None])
def test_a_new_or_missing_group_is_refused_or_gets_an_effect_of_zero(fits, level):
    fit = fits["lmm"]
    new = DATA.iloc[:3].assign(g=[DATA["g"].iloc[0], level, DATA["g"].iloc[2]])
    with pytest.raises(NewLevels, match=r"g: 1 of 3 rows have a level that did not occur .* new_levels='zero'"):
        fit.predict(new)
    zero = fit.predict(new, new_levels="zero")
    assert zero.iloc[1] == pytest.approx(fit.predict(random=False).iloc[1], rel=1e-12)
    np.testing.assert_allclose(zero.iloc[[0, 2]], fit.fitted.iloc[[0, 2]], rtol=1e-12)


def test_a_combination_of_groups_that_did_not_occur_is_a_new_level():
    data = DATA[~((DATA["h"] == "u") & (DATA["f"] == "a"))]
    fit = fn.fit("y ~ x + (1|h:f)", data)
    new = pd.DataFrame({"x": [0.0], "h": ["u"], "f": ["a"]})
    with pytest.raises(NewLevels, match="h:f: 1 of 1 rows"):
        fit.predict(new)
    assert fit.predict(new, new_levels="zero").item() == pytest.approx(fit.coef["(Intercept)"], rel=1e-12)


def test_the_population_needs_no_groups(fits):
    new = pd.DataFrame({"x": [0.0, 1.0], "f": ["a", "b"]})
    expected = fits["lmm"].coef[["(Intercept)"]].sum()
    assert fits["lmm"].predict(new, random=False).iloc[0] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(FormulaError, match="g is not a column of the data"):
        fits["lmm"].predict(new)


def test_new_data_may_be_a_dict_or_a_file(fits, tmp_path):
    new = {"x": [0.5, 1.0], "f": ["a", "c"]}
    expected = fits["lm"].predict(pd.DataFrame(new))
    pd.DataFrame(new).to_csv(tmp_path / "new.csv", index=False)
    for given in (new, tmp_path / "new.csv"):
        np.testing.assert_allclose(fits["lm"].predict(given), expected, rtol=1e-14)


def test_rows_that_were_dropped_are_not_predicted_unless_given():
    data = DATA.assign(y=DATA["y"].where(np.arange(160) != 7))
    fit = fn.fit("y ~ x", data)
    assert "row 7" not in fit.predict().index
    assert np.isfinite(fit.predict(data).loc["row 7"])


@pytest.mark.parametrize(("option", "value"), [("type", "probability"), ("new_levels", "allow")])
def test_unknown_words_are_refused(fits, option, value):
    with pytest.raises(ValueError, match=f"{option}='{value}' is not known; there are"):
        fits["lmm"].predict(**{option: value})


# ---- residuals -------------------------------------------------------------------------------------
@every_model
def test_response_residuals_are_the_response_less_the_fitted_values(fits, name):
    fit = fits[name]
    np.testing.assert_allclose(fit.residuals("response"), fit.request.y - fit.fitted, rtol=1e-15)


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("lmm")])
def test_squared_deviance_residuals_add_up_to_the_deviance(fits, name):
    fit = fits[name]
    assert (fit.residuals("deviance") ** 2).sum() == pytest.approx(fit.deviance, rel=1e-9)


@every_model
def test_deviance_residuals_have_the_sign_of_the_others(fits, name):
    fit = fits[name]
    assert (np.sign(fit.residuals("deviance")) == np.sign(fit.residuals("response"))).all()


@every_model
def test_pearson_residuals_are_scaled_by_the_variance_function(fits, name):
    fit = fits[name]
    mu, w = fit.fitted, fit.request.weights
    expected = (fit.request.y - mu) / np.sqrt(fit.request.family.variance(mu.to_numpy()) / w)
    np.testing.assert_allclose(fit.residuals("pearson"), expected, rtol=1e-12)


@every_model
def test_working_residuals_are_on_the_links_scale(fits, name):
    fit = fits[name]
    expected = (fit.request.y - fit.fitted) / fit.request.family.link.derivative(fit.eta)
    np.testing.assert_allclose(fit.residuals("working"), expected, rtol=1e-12)


@every_model
def test_the_default_residuals_are_rs(fits, name):
    fit = fits[name]
    kind = "response" if fit.request.model in ("lm", "lmm") else "deviance"
    pd.testing.assert_series_equal(fit.residuals(), fit.residuals(kind))


def test_unknown_residuals_are_refused(fits):
    with pytest.raises(ValueError, match="there are response, pearson, deviance, working"):
        fits["lm"].residuals("student")


# ---- simulate --------------------------------------------------------------------------------------
@every_model
def test_simulations_are_columns_over_the_rows_used(fits, name):
    sims = fits[name].simulate(3, seed=1)
    assert list(sims.columns) == ["sim_1", "sim_2", "sim_3"]
    assert sims.index.tolist() == DATA.index.tolist()
    assert np.isfinite(sims).all(axis=None)


@every_model
def test_the_same_seed_gives_the_same_numbers(fits, name):
    fit = fits[name]
    pd.testing.assert_frame_equal(fit.simulate(2, seed=5), fit.simulate(2, seed=5))
    pd.testing.assert_frame_equal(fit.simulate(2, seed=np.random.default_rng(5)), fit.simulate(2, seed=5))
    assert (fit.simulate(1, seed=5) != fit.simulate(1, seed=6)).any(axis=None)


@every_model
def test_fewer_simulations_are_the_first_of_more(fits, name):
    pd.testing.assert_frame_equal(fits[name].simulate(1, seed=5), fits[name].simulate(3, seed=5)[["sim_1"]])


@pytest.mark.parametrize("name", [name for name in MODELS if "mm" not in name])
def test_simulations_without_groups_have_the_models_mean_and_variance(fits, name):
    fit = fits[name]
    n = 4000
    sims = fit.simulate(n, seed=2).to_numpy()
    mu = fit.fitted.to_numpy()
    variance = fit.sigma**2 * fit.request.family.variance(mu) / fit.request.weights
    if fit.request.family.name == "poisson":
        variance = mu
    z = (sims.mean(axis=1) - mu) / np.sqrt(variance / n)
    assert np.abs(z).max() < 5  # 160 standard normal values exceed 5 with probability 1e-4
    fourth = ((sims - sims.mean(axis=1, keepdims=True)) ** 4).mean(axis=1)
    assert (np.abs(sims.var(axis=1) - variance) < 6 * np.sqrt((fourth - variance**2) / n) + 1e-12).all()


def test_simulations_with_groups_have_new_random_effects(fits):
    """An LMM's response has mean X beta and covariance Z Sigma Z' + sigma^2 / w."""
    for name in ("lmm", "lmm, crossed", "lmm, nested"):
        fit, n = fits[name], 3000
        sims = fit.simulate(n, seed=3).to_numpy()
        V = np.diag(fit.sigma**2 / fit.request.weights)
        for term, effect in zip(fit.request.design.random, fit.random, strict=True):
            Z = term.Z.toarray()
            V += Z @ np.kron(np.eye(len(effect.levels)), effect.covariance) @ Z.T
        mean = fit.predict(type="link", random=False).to_numpy()
        assert (np.abs(sims.mean(axis=1) - mean) < 5 * np.sqrt(np.diag(V) / n)).all()
        # a covariance of normal values has variance (V_ii V_jj + V_ij^2) / n; 25,600 of them stay within 6 of its roots
        error = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / n)
        assert (np.abs(np.cov(sims) - V) < 6 * error).all()


def test_rows_of_one_group_are_simulated_with_the_same_effect(fits):
    fit = fits["glmm, shares"]
    sims = fit.simulate(400, seed=4)
    group = DATA["g"].to_numpy()
    means = sims.groupby(group).mean()  # groups by simulations
    spread_between = means.var(axis=1).mean()
    single = (
        fn.fit("cbind(s, n - s) ~ x", DATA, **BINOMIAL).simulate(400, seed=4).groupby(group).mean().var(axis=1).mean()
    )
    assert spread_between > 3 * single


def test_simulated_shares_are_shares_of_the_trials(fits):
    sims = fits["glmm, shares"].simulate(2, seed=1)
    counts = sims.mul(DATA["n"], axis=0)
    np.testing.assert_allclose(counts, counts.round(), atol=1e-12)


def test_a_simulated_response_can_be_fitted(fits):
    for name in ("lm", "lmm", "glmm"):
        fit = fits[name]
        y = fit.simulate(1, seed=1)["sim_1"].to_numpy()
        again = fit.engine.refit(fit.request.with_response(y))
        assert np.isfinite(again.beta).all()


def test_means_outside_the_range_of_the_family_are_not_drawn_from():
    k = [1, 1, 1, 1, 30, 1, 1, 60]
    fit = fn.fit("k ~ x + (1|g)", {"k": k, "x": [0, 1, 2, 3] * 2, "g": list("aaaabbbb")}, family="poisson(sqrt)")
    assert (fit.simulate(5, seed=1) >= 0).all(axis=None)  # a square is never below 0
    lines = fn.fit(
        "k ~ x + (1|g)", {"k": k * 4, "x": [0, 1, 2, 3] * 8, "g": list("aabbccdd") * 4}, family="poisson(identity)"
    )
    with pytest.raises(FitError, match=r"means outside the range of poisson\(identity\)"):
        lines.simulate(200, seed=1)


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", None])
def test_a_number_of_simulations_that_is_none_is_refused(fits, n):
    with pytest.raises(ValueError, match="n is the number of simulations, 1 or more"):
        fits["lm"].simulate(n)


@pytest.mark.parametrize("seed", ["a", -1, 1.5])
def test_a_seed_that_is_none_is_refused(fits, seed):
    with pytest.raises(ValueError, match="seed is a whole number of 0 or more"):
        fits["lm"].simulate(1, seed=seed)


# ---- augment ---------------------------------------------------------------------------------------
def test_augment_adds_fitted_values_and_residuals_to_the_columns_of_the_formula(fits):
    table = fits["lmm"].augment()
    assert list(table.columns) == ["y", "x", "f", "g", "fitted", "residual"]
    assert table.index.tolist() == DATA.index.tolist()
    np.testing.assert_allclose(table["y"], table["fitted"] + table["residual"], rtol=1e-14)


def test_augment_has_the_rows_used():
    data = DATA.assign(x=DATA["x"].where(np.arange(160) > 4))
    assert fn.fit("y ~ x", data).augment().index.tolist() == DATA.index[5:].tolist()


def test_augment_does_not_overwrite_a_column():
    with pytest.raises(Unable, match="already has a column 'fitted'; rename it"):
        fn.fit("y ~ fitted", DATA.assign(fitted=DATA["x"])).augment()


# ---- beside R --------------------------------------------------------------------------------------
SCRIPT = """
suppressMessages(library(lme4))
d <- read.csv("data.csv"); new <- read.csv("new.csv"); d$g <- factor(d$g); new$g <- factor(new$g)
isGLM <- function(m) inherits(m, c("glm", "glmerMod"))
out <- function(name, x) writeBin(as.numeric(x), paste0(name, ".bin"))
fits <- list(
  lm = lm(y ~ x * f, d),
  lmw = lm(y ~ x + poly(x, 2) + f, d, weights = n, offset = x),
  glm = glm(b ~ x + f, binomial, d, epsilon = 1e-14),
  shares = glm(cbind(s, n - s) ~ scale(x) + f, binomial(probit), d, epsilon = 1e-14),
  counts = glm(k ~ x + offset(log(n)), poisson, d, epsilon = 1e-14),
  gamma = glm(p ~ x + f, Gamma(log), d),
  lmm = lmer(y ~ x + f + (x | g), d),
  glmm = glmer(b ~ x + f + (1 | g), d, binomial)
)
for (name in names(fits)) {
  m <- fits[[name]]
  for (type in c("response", "pearson", "deviance", "working"))
    out(paste(name, type, sep = "_"), residuals(m, type = type))
  known <- if (inherits(m, "merMod")) new[new$g %in% levels(d$g), ] else new
  out(paste0(name, "_new"), predict(m, known, type = "response"))
  out(paste0(name, "_link"), if (isGLM(m)) predict(m, known, type = "link") else predict(m, known))
  if (inherits(m, "merMod")) {
    out(paste0(name, "_population"), predict(m, new, re.form = NA))
    out(paste0(name, "_zero"), predict(m, new, allow.new.levels = TRUE, type = "response"))
  }
}
"""
IN_R = {
    "lm": "lm",
    "lmw": "lm, weights and offset",
    "glm": "glm",
    "shares": "glm, shares",
    "counts": "glm, counts",
    "gamma": "glm, Gamma by R",
    "lmm": "lmm",
    "glmm": "glmm",
}
# an LM is exact; a GLM stops when its deviance does, at half the digits; lmer's and glmer's optima have some 4 digits
DIGITS = {name: 1e-3 if name in ("lmm", "glmm") else 1e-9 if name.startswith("lm") else 1e-6 for name in IN_R}


def new_rows() -> pd.DataFrame:
    rng = np.random.default_rng(10)
    return pd.DataFrame(
        {"x": rng.normal(size=20), "f": rng.choice(list("abc"), 20), "g": [*range(1, 13), *range(20, 28)],
         "h": "u", "n": rng.integers(2, 9, 20)}
    )  # fmt: skip


@pytest.fixture(scope="module")
def from_r(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prediction")
    DATA.to_csv(folder / "data.csv", index=False, float_format="%.17g")
    new_rows().to_csv(folder / "new.csv", index=False, float_format="%.17g")
    (folder / "predictions.R").write_text(SCRIPT)
    done = subprocess.run(
        ["Rscript", "--vanilla", "predictions.R"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return lambda name: np.fromfile(folder / f"{name}.bin")


@pytest.fixture(scope="module")
def all_fits(fits):
    return {**fits, "glm, Gamma by R": fn.fit("p ~ x + f", DATA, family="Gamma(log)", backend="r-glm")}


@pytest.mark.r
@pytest.mark.parametrize("name", IN_R)
@pytest.mark.parametrize("kind", ["response", "pearson", "deviance", "working"])
def test_residuals_are_rs(all_fits, from_r, name, kind):
    ours = all_fits[IN_R[name]].residuals(kind)
    np.testing.assert_allclose(ours, from_r(f"{name}_{kind}"), rtol=DIGITS[name], atol=DIGITS[name])


@pytest.mark.r
@pytest.mark.parametrize("name", IN_R)
def test_predictions_of_new_rows_are_rs(all_fits, from_r, name):
    fit = all_fits[IN_R[name]]
    new = new_rows().iloc[:12] if fit.random else new_rows()
    np.testing.assert_allclose(fit.predict(new), from_r(f"{name}_new"), rtol=DIGITS[name], atol=DIGITS[name])
    np.testing.assert_allclose(
        fit.predict(new, type="link"), from_r(f"{name}_link"), rtol=DIGITS[name], atol=DIGITS[name]
    )


@pytest.mark.r
@pytest.mark.parametrize("name", ["lmm", "glmm"])
def test_populations_and_new_groups_are_lme4s(all_fits, from_r, name):
    fit, new = all_fits[IN_R[name]], new_rows()
    population = fit.predict(new, type="link", random=False)
    np.testing.assert_allclose(population, from_r(f"{name}_population"), rtol=1e-3, atol=1e-3)
    zero = fit.predict(new, new_levels="zero")
    np.testing.assert_allclose(zero, from_r(f"{name}_zero"), rtol=1e-3, atol=1e-3)
