"""Predictions of mixed models: which random effects, and how uncertain, against Henderson's dense equations."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import FormulaError, NewLevels, Unable
from formula_neuro.inference.prediction import joint_covariance


def crossed(seed=0, n=90):
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 8, n), rng.integers(0, 5, n)
    x = rng.normal(size=n)
    eta = 1 + 0.5 * x + rng.normal(size=8)[g] + 0.5 * x * rng.normal(size=8)[g] + 0.7 * rng.normal(size=5)[h]
    return pd.DataFrame(
        {
            "g": g,
            "h": h,
            "x": x,
            "w": rng.uniform(0.5, 2, n),
            "y": eta + 0.8 * rng.normal(size=n),
            "hit": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int),
        }
    )


DATA = crossed()


@pytest.fixture(scope="module")
def lmm():
    return fn.fit("y ~ x + (x|g) + (1|h)", DATA, weights="w")


@pytest.fixture(scope="module")
def glmm():
    return fn.fit("hit ~ x + (1|g)", DATA, family="binomial")


def henderson(m, W):
    """Inverse (p + q, p + q) of the mixed model equations, and [X Z], from the definitions; S must be regular."""
    X = m.request.design.matrix
    Z = np.hstack([term.Z.toarray() for term in m.request.design.random])
    blocks = [np.kron(np.eye(len(e.levels)), np.linalg.inv(e.covariance)) for e in m.random]
    q, p = Z.shape[1], X.shape[1]
    inverse_S, start = np.zeros((q, q)), 0
    for block in blocks:
        inverse_S[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    T = np.hstack([X, Z])
    C = T.T @ (T * W[:, None])
    C[p:, p:] += inverse_S
    return np.linalg.inv(C), T


# ---- standard errors --------------------------------------------------------------------------------
def test_standard_errors_with_random_effects_are_hendersons(lmm):
    C, T = henderson(lmm, lmm.request.weights / lmm.sigma**2)
    se = lmm.predict(se=True)["std_error"]
    np.testing.assert_allclose(se, np.sqrt(np.einsum("ni,ij,nj->n", T, C, T)), rtol=1e-9)


def test_standard_errors_are_the_same_from_small_blocks(lmm, monkeypatch):
    whole = lmm.predict(se=True)["std_error"]
    monkeypatch.setattr(joint_covariance, "BLOCK", 50)  # two levels at a time
    np.testing.assert_allclose(lmm.predict(se=True)["std_error"], whole, rtol=1e-12)


def test_the_sd_of_modes_as_predictions_is_hendersons(lmm):
    C, _ = henderson(lmm, lmm.request.weights / lmm.sigma**2)
    np.testing.assert_allclose(lmm.ranef(sd="prediction")["sd"], np.sqrt(np.diag(C)[2:]), rtol=1e-9)


def test_the_uncertainty_of_coefficients_adds_to_that_of_modes(lmm, glmm):
    for m in (lmm, glmm):
        assert (m.ranef(sd="prediction")["sd"] > m.ranef()["sd"]).all()


def test_standard_errors_of_a_glmm_join_its_own_covariance_with_the_modes(glmm):
    mu = glmm.fitted.to_numpy()
    W = mu * (1 - mu)
    X, Z = glmm.request.design.matrix, glmm.request.design.random[0].Z.toarray()
    A = np.linalg.inv(Z.T @ (Z * W[:, None]) + np.eye(8) / glmm.random[0].covariance[0, 0])
    g = X - Z @ A @ (Z.T @ (X * W[:, None]))
    expected = np.einsum("ni,ij,nj->n", Z, A, Z) + np.einsum("ni,ij,nj->n", g, glmm.covariance, g)
    link = glmm.predict(type="link", se=True)
    np.testing.assert_allclose(link["std_error"], np.sqrt(expected), rtol=1e-9)
    mean = glmm.predict(se=True, interval="confidence")
    np.testing.assert_allclose(mean["std_error"], link["std_error"] * mu * (1 - mu), rtol=1e-9)
    assert ((mean["conf_low"] > 0) & (mean["conf_high"] < 1)).all()


def test_a_new_level_adds_its_own_variance(lmm):
    new = pd.DataFrame({"x": [0.3], "g": [99], "h": [DATA["h"][0]]})
    with pytest.raises(NewLevels, match="g: 1 of 1 rows"):
        lmm.predict(new)
    table = lmm.predict(new, new_levels="zero", se=True)
    known = lmm.predict(new, random="~ (1 | h)", se=True)
    z, S = np.array([1, 0.3]), lmm.random[0].covariance
    assert table["fitted"][0] == pytest.approx(known["fitted"][0], rel=1e-12)
    assert table["std_error"][0] ** 2 == pytest.approx(known["std_error"][0] ** 2 + z @ S @ z, rel=1e-9)
    assert any("not seen" in text for text in table.attrs["messages"])


def test_a_missing_covariate_makes_its_row_nan_and_no_other(lmm):
    new = pd.DataFrame({"x": [0.3, np.nan], "g": [1, 1], "h": [1, 1]})
    se = lmm.predict(new, se=True)["std_error"]
    assert se[0] == lmm.predict(new[:1], se=True)["std_error"][0] and np.isnan(se[1])


# ---- limits -----------------------------------------------------------------------------------------
def test_a_new_response_of_a_new_group_holds_all_variances(lmm):
    new = pd.DataFrame({"x": [0.3]})
    mean = lmm.predict(new, random=False, interval="confidence", df="none")
    one = lmm.predict(new, random=False, interval="prediction", df="none", weights=[2.0])
    z, (S, T) = np.array([1, 0.3]), (effect.covariance for effect in lmm.random)
    spread = mean["std_error"][0] ** 2 + z @ S @ z + T[0, 0] + lmm.sigma**2 / 2
    half = stats.norm.ppf(0.975) * np.sqrt(spread)
    assert one["conf_high"][0] - one["fitted"][0] == pytest.approx(half, rel=1e-9)


def test_a_new_response_of_a_known_group_holds_its_own_uncertainty_and_what_is_left_out(lmm):
    new = pd.DataFrame({"x": [0.3], "g": [1]})
    mean = lmm.predict(new, random="~ (x | g)", se=True)
    one = lmm.predict(new, random="~ (x | g)", interval="prediction")
    half = stats.norm.ppf(0.975) * np.sqrt(mean["std_error"][0] ** 2 + lmm.random[1].covariance[0, 0] + lmm.sigma**2)
    assert one["conf_high"][0] - one["fitted"][0] == pytest.approx(half, rel=1e-9)


def test_prediction_intervals_hold_new_responses_of_known_groups():
    rng, hits, total = np.random.default_rng(1), 0, 0
    g = np.repeat(np.arange(15), 6)
    request = fn.fit("y ~ 1 + (1|g)", pd.DataFrame({"g": g, "y": rng.normal(size=90)}))
    for _ in range(60):
        u = rng.normal(size=15)
        m = request.engine.refit(request.request.with_response(2 + u[g] + rng.normal(size=90)))
        table = m.predict({"g": np.arange(15)}, interval="prediction")
        new = 2 + u + rng.normal(size=15)
        hits += int(((new > table["conf_low"]) & (new < table["conf_high"])).sum())
        total += 15
    # 95 % less about .5 for the estimated variances; 3 Monte-Carlo errors of 900 intervals are 2.2 %
    assert 0.925 < hits / total < 0.975


# ---- which random effects ---------------------------------------------------------------------------
def test_a_formula_names_the_terms_that_a_prediction_takes_in(lmm):
    new = pd.DataFrame({"x": [0.3], "g": [2]})  # h need not be there
    modes = lmm.ranef().query("group == 'g' and level == '2'").set_index("term")["estimate"]
    fixed = lmm.predict(new, random=False)[0]
    assert lmm.predict(new, random="~ (1 | g)")[0] == pytest.approx(fixed + modes["(Intercept)"], rel=1e-12)
    assert lmm.predict(new, random="~ (x | g)")[0] == pytest.approx(fixed + modes @ [1, 0.3], rel=1e-12)
    assert lmm.predict(new, random="(0 + x | g)")[0] == pytest.approx(fixed + 0.3 * modes["x"], rel=1e-12)


def test_naming_all_terms_is_the_same_as_true(lmm):
    np.testing.assert_allclose(lmm.predict(random="~ (x | g) + (1 | h)"), lmm.predict(), rtol=1e-12)


@pytest.mark.parametrize("text", ["~ (1 | k)", "~ (w | g)", "~ x"])
def test_a_formula_that_names_something_else_is_refused(lmm, text):
    with pytest.raises(FormulaError, match=r"no random term of the fit|random terms only"):
        lmm.predict(random=text)


def test_limits_of_responses_take_whole_terms(lmm):
    with pytest.raises(Unable, match="all its columns"):
        lmm.predict(random="~ (1 | g)", interval="prediction")


def test_degrees_of_freedom_of_coefficients_are_not_those_of_modes(lmm):
    with pytest.raises(Unable, match="random=False is of the coefficients alone"):
        lmm.predict(interval="confidence", df="satterthwaite")


# ---- lme4 -------------------------------------------------------------------------------------------
R_CODE = """
suppressMessages(library(lme4))
d <- read.csv(file("stdin"))
tight <- lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-12))
m <- lmer(y ~ x + (x | g) + (1 | h), d, weights = w, control = tight)
show <- function(x) cat(format(x, digits = 15), "\\n")
for (form in list(~ (1 | g), ~ (1 | h), ~ (0 + x | g), ~ (x | g))) show(predict(m, re.form = form))
r <- as.data.frame(ranef(m, condVar = TRUE))
show(r$condsd[r$grpvar == "h"])
"""


@pytest.mark.r
def test_partial_predictions_and_conditional_sds_are_lme4s(lmm):
    done = subprocess.run(["Rscript", "-e", R_CODE], input=DATA.to_csv(), capture_output=True, text=True, check=True)
    *theirs, sds = [np.array(line.split(), dtype=float) for line in done.stdout.splitlines()]
    for text, expected in zip(["~ (1 | g)", "~ (1 | h)", "~ (0 + x | g)", "~ (x | g)"], theirs, strict=True):
        # lme4's theta is within about 1e-5 of the optimum
        np.testing.assert_allclose(lmm.predict(random=text), expected, atol=2e-4)
    np.testing.assert_allclose(lmm.ranef().query("group == 'h'")["sd"], sds, rtol=1e-4)
