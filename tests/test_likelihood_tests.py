"""Likelihood-ratio, score and penalised tests, and the intervals that they give: independent answers, and R's."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import formula_neuro as fn
from formula_neuro.errors import Unable
from formula_neuro.inference.intervals.likelihood_tests import hypothesis

rng = np.random.default_rng(5)
n = 60
DATA = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "f": rng.choice(list("abc"), n)})
ETA = 0.8 * DATA["x"] - 0.4 + 0.5 * (DATA["f"] == "b")
DATA["b"] = (rng.random(n) < 1 / (1 + np.exp(-ETA))).astype(int)
DATA["k"] = rng.poisson(np.exp(ETA / 2))
DATA["p"] = rng.gamma(3, np.exp(ETA / 3))
DATA["y"] = ETA + rng.normal(size=n)
SEPARATED = {"x": [1.0, 2, 3, 4, 5, 6, 7, 8], "z": [1.0, 0, 2, 1, 0, 2, 1, 1], "b": [0, 0, 0, 0, 1, 1, 1, 1]}
BINOMIAL = {"family": "binomial"}


@pytest.fixture(scope="module")
def logit():
    return fn.fit("b ~ x + z + f", DATA, **BINOMIAL)


@pytest.fixture(scope="module")
def separated():
    return fn.fit("b ~ x + z", SEPARATED, **BINOMIAL)


# ---- tests -----------------------------------------------------------------------------------------
def test_the_likelihood_ratio_of_a_coefficient_is_the_rise_of_the_deviance_without_it(logit):
    tidy = logit.tidy(test="lr").set_index("term")
    rise = fn.fit("b ~ z + f", DATA, **BINOMIAL).deviance - logit.deviance
    assert tidy.statistic["x"] == pytest.approx(rise, rel=1e-10)
    assert tidy.p_value["x"] == pytest.approx(stats.chi2.sf(rise, 1), rel=1e-10)
    pd.testing.assert_frame_equal(
        logit.tidy(test="lr")[["estimate", "std_error"]], logit.tidy()[["estimate", "std_error"]]
    )


@pytest.mark.parametrize("test", ["lr", "score"])
def test_of_a_linear_model_all_three_tests_are_the_t_test(test):
    fit = fn.fit("y ~ x + z + f", DATA)
    wald, other = fit.tidy(), fit.tidy(test=test)
    np.testing.assert_allclose(other.statistic, wald.statistic**2, rtol=1e-9)
    for column in ("p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(other[column], wald[column], rtol=1e-8)
    joint = [fn.contrast(fit, ["fb", "fc", "x - z = 0.1"], test=how).joint for how in ("wald", test)]
    pd.testing.assert_frame_equal(*joint, rtol=1e-9)


def test_a_score_test_of_one_binary_covariate_is_pearsons_chi_squared():
    counts = np.array([[12, 5], [7, 16]])
    data = {"g": ["a", "b"], "s": counts[:, 0], "failures": counts[:, 1]}
    tidy = fn.fit("cbind(s, failures) ~ g", data, **BINOMIAL).tidy(test="score")
    assert tidy.statistic[1] == pytest.approx(stats.chi2_contingency(counts, correction=False)[0], rel=1e-10)


def test_a_combination_is_tested_as_the_model_in_which_it_is_a_coefficient(logit):
    c = fn.contrast(logit, "x - z = 0.5", test="lr").table.iloc[0]
    turned = fn.fit("b ~ I(x + z) + f", DATA.assign(half=DATA.x / 2), offset="half", **BINOMIAL)
    assert c.statistic == pytest.approx(turned.deviance - logit.deviance, rel=1e-9)
    free = fn.fit("b ~ x + I(x + z) + f", DATA, **BINOMIAL)
    profile = fn.confint(free, "x", method="profile").iloc[0]  # its x is x - z of the other
    assert [c.conf_low, c.conf_high] == pytest.approx([profile.conf_low, profile.conf_high], rel=1e-8)


@pytest.mark.parametrize("test", ["lr", "score"])
def test_a_joint_test_does_not_depend_on_how_its_rows_are_chosen(logit, test):
    one = fn.contrast(logit, ["fb", "fc"], test=test).joint.iloc[0]
    other = fn.contrast(logit, ["fb - fc", "2*fb + fc", "fb"], test=test).joint.iloc[0]
    assert (other.df, other.statistic) == (2, pytest.approx(one.statistic, rel=1e-8))
    without = fn.anova(fn.fit("b ~ x + z", DATA, **BINOMIAL), logit, test={"lr": "Chisq", "score": "Rao"}[test])
    assert one.statistic == pytest.approx(without.statistic[1], rel=1e-9)


def test_units_of_a_covariate_do_not_matter(logit):
    tiny = fn.fit("b ~ x + z + f", DATA.assign(x=DATA.x * 1e-7, z=DATA.z * 1e6), **BINOMIAL)
    one = fn.contrast(logit, "x - 2*z", test="lr").table.iloc[0]
    other = fn.contrast(tiny, {"x": 1e-7, "z": -2e6}, test="lr").table.iloc[0]
    columns = ["statistic", "conf_low", "conf_high"]
    np.testing.assert_allclose(other[columns].astype(float), one[columns].astype(float), rtol=1e-7)


def test_an_aliased_coefficient_is_a_row_of_nan_and_disturbs_no_other(logit):
    tidy = fn.fit("b ~ x + I(2 * x) + z + f", DATA, **BINOMIAL).tidy(test="lr")
    assert tidy.iloc[2, 1:].drop("df").isna().all()
    plain = logit.tidy(test="lr")
    pd.testing.assert_frame_equal(tidy.drop(index=2).reset_index(drop=True), plain, rtol=1e-8)


# ---- separation ------------------------------------------------------------------------------------
def test_an_infinite_coefficient_has_a_valid_likelihood_ratio_test_and_one_finite_limit(separated):
    tidy = separated.tidy(test="lr").set_index("term")
    # with x the deviance can come as near to 0 as one likes
    assert tidy.statistic["x"] == pytest.approx(fn.fit("b ~ z", SEPARATED, **BINOMIAL).deviance, rel=1e-8)
    assert tidy.p_value["x"] < 0.01 < separated.tidy().p_value[1]  # where Wald's test sees nothing
    assert (tidy.conf_high["x"], tidy.conf_low["x"] > 0) == (np.inf, True)
    held = fn.fit("b ~ z", pd.DataFrame(SEPARATED).assign(o=lambda d: tidy.conf_low["x"] * d.x), offset="o", **BINOMIAL)
    assert held.deviance == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-7)


def test_limits_turn_with_the_sign_of_the_covariate(separated):
    turned = fn.fit("b ~ I(-x) + z", SEPARATED, **BINOMIAL)
    one, other = (fn.confint(fit, method="profile") for fit in (separated, turned))
    assert other.conf_low[1] == -np.inf
    assert other.conf_high[1] == pytest.approx(-one.conf_low[1], rel=1e-7)


def test_what_the_data_do_not_bound_has_the_whole_line():
    # z = 1 holds successes only, which z alone explains, and x alone too: either may run the other way
    data = {"z": [0.0, 0, 0, 0, 1, 1], "x": [0.0, 0, 0, 0, 1, 2], "b": [0, 1, 0, 1, 1, 1]}
    table = fn.confint(fn.fit("b ~ z + x", data, **BINOMIAL), method="profile").set_index("term")
    assert table.loc[["z", "x"], ["conf_low", "conf_high"]].to_numpy().tolist() == [[-np.inf, np.inf]] * 2
    alone = fn.confint(fn.fit("b ~ 1", pd.DataFrame(data).iloc[:4], **BINOMIAL), method="profile")
    np.testing.assert_allclose(
        table.loc["(Intercept)", ["conf_low", "conf_high"]].astype(float),
        alone.loc[0, ["conf_low", "conf_high"]].astype(float),
        rtol=1e-6,  # the deviance of rows that are all but explained is not quite 0
    )


def test_a_combination_with_an_infinite_coefficient_has_one_open_end():
    fit = fn.fit("b ~ f", {"f": list("aaabbbccc"), "b": [0, 1, 0, 1, 1, 1, 0, 0, 1]}, **BINOMIAL)
    table = fn.contrast(fit, ["fb - fc", "fc - fb", "fc"], test="lr").table
    assert (table.conf_high[0], table.conf_low[1]) == (np.inf, -np.inf)
    assert table.conf_low[0] == pytest.approx(-table.conf_high[1], rel=1e-7)
    assert np.isfinite(table.loc[2, ["conf_low", "conf_high"]].astype(float)).all()


def test_the_penalised_interval_of_separated_data_is_finite(separated):
    firth = fn.refit(separated, estimator="mean_br")
    table = fn.confint(firth, method="profile")
    assert np.isfinite(table[["conf_low", "conf_high"]]).all(axis=None)
    assert table.conf_low[1] > 0


# ---- penalised likelihood --------------------------------------------------------------------------
def penalised(X: np.ndarray, y: np.ndarray, a: float, b: np.ndarray) -> float:
    """log-likelihood of a logit plus a log|X'WX|, from its definition."""
    eta = X @ b
    W = np.exp(-np.logaddexp(0, eta) - np.logaddexp(0, -eta))
    return float(y @ eta - np.logaddexp(0, eta).sum() + a * np.linalg.slogdet(X.T @ (X * W[:, None]))[1])


def largest(X: np.ndarray, y: np.ndarray, a: float, j: int | None = None, value: float = 0.0) -> float:
    """Its maximum, with coefficient j held at a value, by a search that uses no derivatives of ours."""
    free = [k for k in range(X.shape[1]) if k != j]

    def loss(c: np.ndarray) -> float:
        b = np.full(X.shape[1], value)
        b[free] = c
        return -penalised(X, y, a, b)

    found = optimize.minimize(loss, np.zeros(len(free)), method="BFGS", options={"gtol": 1e-7})
    found = optimize.minimize(loss, found.x, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-13})
    return -float(found.fun)


@pytest.mark.parametrize(
    ("which", "estimator", "a"),
    [("overlapping", "mean_br", 0.5), ("separated", "mean_br", 0.5), ("separated", "jeffreys(0.2)", 0.2)],
)
def test_the_penalised_likelihood_ratio_is_that_of_a_direct_maximisation(which, estimator, a):
    data = pd.DataFrame(SEPARATED) if which == "separated" else DATA.iloc[:25]
    fit = fn.fit("b ~ x + z", data, estimator=estimator, **BINOMIAL)
    X, y = fit.request.design.matrix, fit.request.y
    whole = largest(X, y, a)
    for j, row in enumerate(np.eye(3)):
        ours = hypothesis(fit, row[None, :], "lr").statistic(np.array([0.0]))
        assert ours == pytest.approx(2 * (whole - largest(X, y, a, j)), abs=1e-7)  # both met to some 1e-10
    ends = fn.confint(fit, "x", method="profile").iloc[0]
    for end in (ends.conf_low, ends.conf_high):
        assert 2 * (whole - largest(X, y, a, 1, end)) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-6)


def test_mean_br_of_a_logit_and_jeffreys_prior_give_one_test():
    fits = [fn.fit("b ~ x + f", DATA, estimator=how, **BINOMIAL) for how in ("mean_br", "jeffreys")]
    tables = [fn.contrast(fit, ["x", "fb - fc = 1"], test="lr") for fit in fits]
    pd.testing.assert_frame_equal(tables[0].table, tables[1].table, rtol=1e-6)
    pd.testing.assert_frame_equal(tables[0].joint, tables[1].joint, rtol=1e-6)


def test_the_penalised_test_does_not_depend_on_the_coordinates():
    fit = fn.fit("b ~ x + z", DATA, family="binomial(probit)", estimator="jeffreys")
    turned = fn.fit("b ~ I(x - z) + I(x + z)", DATA, family="binomial(probit)", estimator="jeffreys")
    one = fn.contrast(fit, "x - z = 0.3", test="lr").table.iloc[0]
    other = fn.contrast(turned, "2*I(x - z) = 0.3", test="lr").table.iloc[0]  # b1 + b2 - (b2 - b1)
    columns = ["statistic", "conf_low", "conf_high"]
    np.testing.assert_allclose(other[columns].astype(float), one[columns].astype(float), rtol=1e-6)


# ---- refusals --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("link", "estimator"), [("probit", "mean_br"), ("logit", "median_br")])
def test_estimators_without_a_penalised_likelihood_say_so(link, estimator):
    fit = fn.fit("b ~ x", DATA, family=f"binomial({link})", estimator=estimator)
    for ask in (lambda: fit.tidy(test="lr"), lambda: fn.confint(fit, method="profile"), lambda: fn.drop1(fit)):
        with pytest.raises(Unable, match=rf"{estimator} with binomial\({link}\) maximises no penalised likelihood"):
            ask()


def test_other_refusals_name_what_would_work(logit):
    firth = fn.refit(logit, estimator="jeffreys")
    with pytest.raises(Unable, match="a score test is of maximum likelihood, and this fit is by jeffreys"):
        firth.tidy(test="score")
    with pytest.raises(ValueError, match="test='rao' is not known; there are wald, lr, score"):
        logit.tidy(test="rao")
    with pytest.raises(ValueError, match="method='exact' is not known; there are wald, profile, score, bootstrap"):
        fn.confint(logit, method="exact")
    with pytest.raises(ValueError, match=r"w is not a coefficient; there are \(Intercept\), x, z, fb, fc"):
        fn.confint(logit, ["x", "w"])
    mixed = fn.fit("y ~ x + (1|f)", DATA)
    with pytest.raises(Unable, match="this is a lmm"):
        mixed.tidy(test="lr")
    with pytest.raises(Unable, match="this is a lmm"):
        fn.contrast(mixed, "x", test="score")


# ---- intervals -------------------------------------------------------------------------------------
CASES = {  # name: formula, family
    "logit": ("b ~ x + z + f", "binomial"),
    "cloglog": ("b ~ x + z", "binomial(cloglog)"),
    "poisson": ("k ~ x + f", "poisson"),
    "quasipoisson": ("k ~ x + f", "quasipoisson"),
    "inverse.gaussian": ("p ~ x", "inverse.gaussian(log)"),
    "gaussian": ("p ~ x + f", "gaussian(log)"),
}


def fitted(name: str):
    formula, family = CASES[name]
    return fn.fit(formula, DATA, family=family)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("method", "test"), [("profile", "lr"), ("score", "score")])
@pytest.mark.parametrize("name", ["logit", "quasipoisson"])
def test_each_end_is_where_the_test_is_as_large_as_its_quantile(name, method, test, level):
    fit = fitted(name)
    row = np.eye(len(fit.names))[1]
    ends = fn.confint(fit, "x", method=method, conf_level=level).iloc[0]
    nu = fit.df_resid if fit.request.family.dispersed else np.inf
    for end in (ends.conf_low, ends.conf_high):
        root = np.sqrt(hypothesis(fit, row[None, :], test).statistic(np.array([end])))
        assert root == pytest.approx(stats.t.ppf((1 + level) / 2, nu), abs=1e-8)
    assert ends.conf_low < ends.estimate < ends.conf_high


def test_an_intervals_table_has_its_columns_and_only_the_rows_asked_for(logit):
    table = fn.confint(logit, ["fc", "x"], method="profile")
    assert list(table.columns) == ["term", "estimate", "conf_low", "conf_high", "method"]
    assert table.term.tolist() == ["fc", "x"]
    assert table.attrs["messages"] == ()
    plain = logit.tidy()
    pd.testing.assert_frame_equal(fn.confint(logit).iloc[:, 1:4], plain[["estimate", "conf_low", "conf_high"]])


def test_a_linear_models_profile_is_the_t_interval():
    fit = fn.fit("y ~ x + f", DATA)
    by_t, profile = (fn.confint(fit, method=method) for method in ("wald", "profile"))
    pd.testing.assert_frame_equal(by_t.iloc[:, :4], profile.iloc[:, :4])


def test_a_limit_outside_the_links_range_is_named_and_not_guessed():
    # means of an identity link must stay above 0, so that the slope has a largest value
    data = {"x": [0.0, 1, 2, 3, 4, 5], "k": [0, 1, 0, 1, 0, 1]}
    table = fn.confint(fn.fit("k ~ x", data, family="poisson(identity)"), method="profile", conf_level=0.9999)
    lost = table[["conf_low", "conf_high"]].isna().any(axis=None)
    assert lost == bool(table.attrs["messages"])


@pytest.mark.parametrize("family", ["gaussian(inverse)", "inverse.gaussian(1/mu^2)", "Gamma(identity)"])
def test_links_that_limit_the_means_or_have_several_maxima_give_whole_intervals(family):
    fit = fn.fit("p ~ x + f", DATA, family=family)
    for method in ("profile", "score"):
        table = fn.confint(fit, method=method)
        assert table.attrs["messages"] == ()
        assert ((table.conf_low < table.estimate) & (table.estimate < table.conf_high)).all()


def test_a_shape_is_estimated_again_in_the_smaller_model():
    overdispersed = DATA.assign(k=np.random.default_rng(2).negative_binomial(2, 2 / (2 + np.exp(ETA + 1))))
    large, small = (fn.fit(f"k ~ {terms}", overdispersed, family="nbinom2") for terms in ("x + z", "z"))
    assert large.tidy(test="lr").statistic[1] == pytest.approx(2 * (large.loglik - small.loglik), rel=1e-6)


def test_without_residual_degrees_of_freedom_nothing_is_tested():
    tidy = fn.fit("y ~ x", DATA.iloc[:2]).tidy(test="lr")
    assert tidy[["statistic", "p_value", "conf_low", "conf_high"]].isna().all(axis=None)


SCRIPT = """
suppressMessages(library(MASS))
d <- read.csv("data.csv"); out <- list()
for (case in jsonlite::fromJSON("cases.json", simplifyVector = FALSE)) {
  family <- eval(parse(text = case$family))
  m <- glm(as.formula(case$formula), family, d, control = list(epsilon = 1e-14, maxit = 100))
  ci <- suppressMessages(confint(m))
  prof <- function(j, value) {  # R's own fit with a coefficient held
    X <- model.matrix(m)
    held <- glm.fit(X[, -j, drop = FALSE], m$y, m$prior.weights, offset = X[, j] * value, family = m$family,
                    start = coef(m)[-j], control = list(epsilon = 1e-14, maxit = 200))
    sqrt((held$deviance - deviance(m)) / summary(m)$dispersion)
  }
  ours <- do.call(rbind, case$ends)
  roots <- t(sapply(seq_len(nrow(ours)), function(j) sapply(unlist(ours[j, ]), function(v) prof(j, v))))
  theirs <- t(sapply(seq_len(nrow(ci)), function(j) sapply(ci[j, ], function(v) prof(j, v))))
  out[[case$name]] <- list(ci = unname(ci), roots = unname(roots), theirs = unname(theirs))
}
cat(jsonlite::toJSON(out, digits = I(17)))
"""


@pytest.fixture(scope="module")
def from_r(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("profiles")
    DATA.to_csv(folder / "data.csv", index=False, float_format="%.17g")
    cases = []
    for name, (formula, family) in CASES.items():
        ends = fn.confint(fitted(name), method="profile", df="none")[["conf_low", "conf_high"]].to_numpy().tolist()
        family = family.replace("(", '("').replace(")", '")')
        cases.append({"name": name, "formula": formula, "family": family, "ends": ends})
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "profiles.R").write_text(SCRIPT)
    done = subprocess.run(
        ["Rscript", "--vanilla", "profiles.R"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return {name: {k: np.array(v, dtype=float) for k, v in d.items()} for name, d in json.loads(done.stdout).items()}


@pytest.mark.r
@pytest.mark.parametrize("name", CASES)
def test_profile_intervals_are_rs_to_rs_interpolation(from_r, name):
    ends = fn.confint(fitted(name), method="profile", df="none")[["conf_low", "conf_high"]].to_numpy()
    width = np.diff(ends, axis=1)
    # R draws a spline through some ten points of the profile: three to four digits of the width
    assert (np.abs(ends - from_r[name]["ci"]) < 1e-3 * width).all()


@pytest.mark.r
@pytest.mark.parametrize("name", CASES)
def test_by_rs_own_fits_our_ends_solve_the_equation_better_than_rs(from_r, name):
    answer, q = from_r[name], stats.norm.ppf(0.975)
    ours, theirs = np.abs(answer["roots"] - q).max(), np.abs(answer["theirs"] - q).max()
    assert ours < 1e-8
    assert ours < theirs


@pytest.mark.parametrize("test", ["lr", "score"])
def test_a_value_that_no_model_can_take_is_named_and_the_others_are_tested(test):
    d = {"y": [1.0, 2, 3, 2, 5, 4], "f": list("aaabbb")}
    table = fn.fit("y ~ f", d, family="Gamma").tidy(test=test)  # an intercept of 0 is an infinite mean
    assert np.isnan(table.p_value[0]) and 0 < table.p_value[1] < 1
    assert "(Intercept): held at 0 no model can be fitted" in table.attrs["messages"][0]
    assert table.conf_low[0] > 0
