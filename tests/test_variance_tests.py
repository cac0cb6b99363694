"""Tests of variances: which distribution, its size by simulation, lmerTest's ranova, the exact test."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable
from formula_neuro.inference.variances import exact_rlrt, variance_tests


def grouped(groups=12, rows=6, seed=0, sd=0.8):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=groups * rows)
    y = 1 + 0.5 * x + sd * rng.normal(size=groups)[g] + rng.normal(size=len(g))
    return pd.DataFrame(
        {"y": y, "x": x, "g": g, "h": np.tile(np.arange(rows), groups), "f": np.resize(list("abc"), len(g))}
    )


DATA = grouped()


# ---- which distribution -----------------------------------------------------------------------------
def mixture(T, d):
    return 0.5 * (stats.chi2.sf(T, d - 1) if d > 1 else 0.0) + 0.5 * stats.chi2.sf(T, d)


@pytest.mark.parametrize(
    ("small", "large", "df"),
    [
        ("(1|g)", "(1|g) + (1|h)", 1),
        ("(1|g)", "(x||g)", 1),
        ("(1|g)", "(x|g)", 2),
        ("(x|g)", "(x + I(x^2)|g)", 3),
    ],
)
def test_one_new_variance_has_the_mixture_of_neighbouring_chi_squareds(small, large, df):
    a = fn.anova(*(fn.fit(f"y ~ x + {random}", DATA, estimator="ml") for random in (small, large)))
    T = a["statistic"][1]
    assert a["df"][1] == df
    assert T > variance_tests.NOTHING and a["p_value"][1] == pytest.approx(mixture(T, df), rel=1e-12)


def test_a_fixed_coefficient_beside_a_variance_adds_one_to_both_degrees():
    a = fn.anova(fn.fit("y ~ 1 + (1|g)", DATA), fn.fit("y ~ x + (1|g) + (1|h)", DATA))
    assert a["p_value"][1] == pytest.approx(mixture(a["statistic"][1], 2), rel=1e-12)


def test_a_correlation_alone_has_the_plain_chi_squared():
    a = fn.anova(fn.fit("y ~ x + (x||g)", DATA), fn.fit("y ~ x + (x|g)", DATA))
    assert a["p_value"][1] == pytest.approx(stats.chi2.sf(a["statistic"][1], 1), rel=1e-12)
    assert not any("negative" in text for text in a.attrs["messages"])


def test_two_new_variances_are_said_to_be_tested_conservatively():
    a = fn.anova(fn.fit("y ~ x", DATA), fn.fit("y ~ x + (1|g) + (1|h)", DATA))
    assert a["p_value"][1] == pytest.approx(stats.chi2.sf(a["statistic"][1], 2), rel=1e-12)
    assert any("conservative" in text and "bootstrap_test" in text for text in a.attrs["messages"])


def test_random_parts_of_different_columns_are_a_rough_guide_only():
    a = fn.anova(fn.fit("y ~ x + (1|g)", DATA), fn.fit("y ~ x + (0 + f|g)", DATA))
    assert any("rough guide" in text for text in a.attrs["messages"])


def test_a_variance_estimated_as_0_has_p_value_1():
    flat = grouped(sd=0.0, seed=4)
    flat["y"] -= flat.groupby("g")["y"].transform("mean")
    a = fn.anova(fn.fit("y ~ x", flat), fn.fit("y ~ x + (1|g)", flat, estimator="ml"))
    assert a["statistic"][1] == pytest.approx(0, abs=1e-9) and a["p_value"][1] == 1


# ---- REML -------------------------------------------------------------------------------------------
def test_reml_fits_of_one_fixed_part_are_compared_as_they_are():
    small, large = fn.fit("y ~ x + (1|g)", DATA), fn.fit("y ~ x + (1|g) + (1|h)", DATA)
    a = fn.anova(small, large)
    assert a["loglik"].tolist() == [small.loglik, large.loglik]
    assert any("REML likelihoods" in text for text in a.attrs["messages"])


def test_refit_true_compares_by_maximum_likelihood_as_lme4_does():
    small, large = fn.fit("y ~ x + (1|g)", DATA), fn.fit("y ~ x + (1|g) + (1|h)", DATA)
    by_ml = fn.anova(*(fn.refit(m, estimator="ml") for m in (small, large)))
    assert fn.anova(small, large, refit=True)["statistic"][1] == pytest.approx(by_ml["statistic"][1], abs=1e-9)


def test_refit_false_refuses_reml_fits_of_different_fixed_parts():
    with pytest.raises(DataError, match="different fixed parts"):
        fn.anova(fn.fit("y ~ 1 + (1|g)", DATA), fn.fit("y ~ x + (1|g)", DATA), refit=False)


@pytest.mark.parametrize("estimator", ["reml", "ml"])
def test_the_likelihood_without_random_terms_is_the_limit_of_a_vanishing_variance(estimator):
    weighted = DATA.assign(w=np.linspace(0.5, 2, len(DATA)), y=DATA["y"] - DATA.groupby("g")["y"].transform("mean"))
    m = fn.fit("y ~ x + (1|g)", weighted, estimator=estimator, weights="w")  # the variance is 0
    assert m.theta[0] == 0
    assert variance_tests.loglik_without_random(m.request) == pytest.approx(m.loglik, abs=1e-8)


# ---- ranova -----------------------------------------------------------------------------------------
def test_ranova_tests_every_term_and_slope():
    a = fn.ranova(fn.fit("y ~ x + (x|g) + (1|h)", DATA))
    assert a["term"].tolist() == ["<none>", "x in (x | g)", "(1 | h)"]
    assert a["df"].tolist()[1:] == [2, 1]
    b = fn.ranova(fn.fit("y ~ x + (x|g) + (1|h)", DATA), reduce=False)
    assert b["term"].tolist() == ["<none>", "(x | g)", "(1 | h)"] and b["df"].tolist()[1:] == [3, 1]


def test_ranova_of_a_factor_takes_its_columns_together_and_lower_terms_stay():
    a = fn.ranova(fn.fit("y ~ x + (x*h|g)", DATA, estimator="ml"))
    assert a["term"].tolist()[1:] == ["x:h in (x + h + x:h | g)"]
    b = fn.ranova(fn.fit("y ~ x + (f|g)", DATA))
    assert b["df"].tolist()[1:] == [5] and b["reference"][1] == "chi2_5 (conservative)"


def test_ranova_is_the_comparison_with_the_smaller_model():
    large = fn.fit("y ~ x + (1|g) + (1|h)", DATA)
    a, b = fn.ranova(large), fn.anova(fn.fit("y ~ x + (1|g)", DATA), large)
    row = a.set_index("term").loc["(1 | h)"]
    assert row["statistic"] == pytest.approx(b["statistic"][1], abs=1e-8)
    assert row["p_value"] == pytest.approx(b["p_value"][1], abs=1e-8)


def test_ranova_of_a_binomial_model_compares_with_the_glm():
    d = fn.datasets.waterlick()
    large = fn.fit("lick ~ dff + (1|mouseID)", d, family="binomial")
    b = fn.anova(fn.fit("lick ~ dff", d, family="binomial"), large)
    assert fn.ranova(large)["p_value"][1] == pytest.approx(b["p_value"][1], rel=1e-6)


@pytest.mark.parametrize("family", ["poisson", "nbinom2"])
def test_without_its_random_term_a_model_of_counts_is_the_generalized_linear_one(family):
    # glm.nb estimates theta by maximum likelihood, as the mixed model does
    rng = np.random.default_rng(6)
    counts = DATA.assign(n=rng.negative_binomial(2, 2 / (2 + np.exp(0.5 + 0.4 * DATA["y"]))))
    m = fn.fit("n ~ x + (1|g)", counts, family=family)
    alone = fn.fit("n ~ x", counts, family=family)
    assert fn.ranova(m)["loglik"][1] == pytest.approx(alone.loglik, abs=1e-6)


def test_fits_that_read_the_formula_only_are_refused():
    m = replace(fn.fit("y ~ x + (1|g)", DATA), backend="lme4", engine=SimpleNamespace(by_formula=True))
    with pytest.raises(Unable, match="lme4 does not take; fit the model natively"):
        fn.ranova(m)
    with pytest.raises(Unable, match="lme4 does not take"):
        fn.confint(m, "x", method="profile")
    with pytest.raises(Unable, match="not offered for fits by lme4"):
        m.influence(groups="g", exact=True)


def test_ranova_has_nothing_to_test_in_a_linear_model():
    with pytest.raises(Unable, match="has none"):
        fn.ranova(fn.fit("y ~ x", DATA))


# ---- the exact test ---------------------------------------------------------------------------------
@pytest.mark.parametrize("estimator", ["reml", "ml"])
def test_the_exact_null_distribution_is_that_of_refits_to_simulated_data(estimator):
    m = fn.fit("y ~ x + (1|g)", grouped(8, 5, seed=2), estimator=estimator)
    X, Z = m.request.design.matrix, m.request.design.random[0].Z.toarray()
    mu, xi = exact_rlrt.spectrum(X, Z)
    draws = exact_rlrt.simulated(mu, xi, *X.shape, estimator == "reml", 20_000, np.random.default_rng(0))
    rng, seen = np.random.default_rng(1), []
    for _ in range(400):
        request = m.request.with_response(rng.normal(size=len(X)))
        seen.append(max(0.0, 2 * (m.engine.refit(request).loglik - variance_tests.loglik_without_random(request))))
    # two samples of one distribution: for a right simulation the p value falls below .001 once in a thousand seeds
    assert stats.ks_2samp(np.round(seen, 6), np.round(draws, 6)).pvalue > 1e-3


def test_the_exact_p_value_is_reproducible_and_above_the_mixture_tail_of_nothing():
    m = fn.fit("y ~ x + (1|g)", grouped(8, 5, seed=3, sd=0.4))
    a, b = fn.ranova(m, method="exact", seed=5), fn.ranova(m, method="exact", seed=5)
    assert a["p_value"][1] == b["p_value"][1]
    # in small samples the true p is below the mixture's: more than half of the null mass is at 0
    assert a["p_value"][1] < fn.ranova(m)["p_value"][1] + 0.01


def test_the_exact_test_is_for_one_variance():
    with pytest.raises(Unable, match="3 variances and covariances"):
        fn.ranova(fn.fit("y ~ x + (x|g)", DATA), method="exact")


# ---- size -------------------------------------------------------------------------------------------
def test_the_boundary_test_has_its_size():
    m = fn.fit("y ~ x + (1|g)", grouped(30, 4, sd=0.0, seed=7))
    rng, n, small = np.random.default_rng(8), 1000, 0
    plain = 0
    for _ in range(n):
        request = m.request.with_response(rng.normal(size=120))
        T = 2 * (m.engine.refit(request).loglik - variance_tests.loglik_without_random(request))
        small += variance_tests.p_value(max(T, 0.0), variance_tests.Step(True, ("v",), 1)) < 0.05
        plain += stats.chi2.sf(max(T, 0.0), 1) < 0.05
    # 3 Monte-Carlo errors; the plain chi-squared has half the size, which the same bounds exclude
    error = np.sqrt(0.05 * 0.95 / n)
    assert abs(small / n - 0.05) < 3 * error
    assert plain / n < 0.05 - 2 * error


# ---- lmerTest ---------------------------------------------------------------------------------------
R_CODE = """
suppressMessages(library(lmerTest))
for (f in c("Reaction ~ Days + (Days|Subject)", "Reaction ~ Days + (Days||Subject)")) {
  m <- lmer(as.formula(f), lme4::sleepstudy)
  for (reduce in c(TRUE, FALSE)) {
    r <- as.data.frame(ranova(m, reduce.terms = reduce))
    cat(format(c(r$logLik, r$AIC, r$LRT[-1], r$Df[-1], r$`Pr(>Chisq)`[-1]), digits = 15), "\\n")
  }
}
"""


@pytest.mark.r
def test_ranova_has_the_statistics_of_lmertest(rdata):
    done = subprocess.run(["Rscript", "-e", R_CODE], capture_output=True, text=True, check=True)
    lines = iter(done.stdout.splitlines())
    sleep = rdata("lme4", "sleepstudy")
    for formula in ("Reaction ~ Days + (Days|Subject)", "Reaction ~ Days + (Days||Subject)"):
        m = fn.fit(formula, sleep)
        for reduce in (True, False):
            a = fn.ranova(m, reduce=reduce)
            T, df = a["statistic"].to_numpy()[1:], a["df"].to_numpy(dtype=float)[1:]
            ours = np.concatenate([a["loglik"], a["aic"], T, df, stats.chi2.sf(T, df)])
            # lme4 stops its search within 1e-5 of the minimum; p values of 1e-33 follow the statistic
            np.testing.assert_allclose(ours, np.array(next(lines).split(), dtype=float), rtol=3e-5)
