"""Mixed models of every structure beside live lme4, lmerTest, pbkrtest, emmeans, nlme and glmmTMB, in one run of R.

At the optimum found here R does linear algebra alone, so that what it says of a linear model agrees to its digits;
that its own search ends no lower shows that the optimum is one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn

sys.path.insert(0, str(Path(__file__).parent))
from mixed_models_beside_r import MODELS, beside, words

pytestmark = pytest.mark.r

LINEAR = [name for name, model in MODELS.items() if model.linear]
# pbkrtest takes no weights into account
BY_PBKRTEST = [n for n in LINEAR if MODELS[n].estimator is None and MODELS[n].weights is None]
WITH_TERMS = [n for n in LINEAR if not MODELS[n].formula.split("~")[1].strip().startswith("1 +")]
GENERALIZED = [name for name, model in MODELS.items() if not model.linear and model.judge == "lme4"]
LAPLACE = [name for name in GENERALIZED if MODELS[name].nodes == 1]
BY_GLMMTMB = [name for name, model in MODELS.items() if model.judge == "glmmTMB"]


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory):
    return beside(tmp_path_factory.mktemp("r"))


@pytest.fixture
def ours(side_by_side, name):
    return side_by_side.fits[name]


@pytest.fixture
def theirs(side_by_side, name):
    return side_by_side.answers[name]


def array(values) -> np.ndarray:
    return np.atleast_1d(np.array(values, dtype=float))


# ---- linear models -------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LINEAR)
def test_the_criterion_is_lmers_at_our_theta(ours, theirs):
    assert ours.converged
    np.testing.assert_allclose(array(theirs["theta"]), ours.theta, rtol=1e-14)  # written with 15 digits
    assert ours.criterion == pytest.approx(theirs["criterion"], rel=1e-11)  # n terms in another order


@pytest.mark.parametrize("name", LINEAR)
def test_lmer_finds_no_better_theta_by_itself_or_from_ours(ours, theirs):
    assert ours.criterion <= theirs["own"] + 1e-9
    assert ours.criterion == pytest.approx(theirs["polished"], abs=1e-9)


@pytest.mark.parametrize("name", LINEAR)
def test_coefficients_errors_sigma_and_modes_are_lmers(ours, theirs):
    np.testing.assert_allclose(ours.coef, array(theirs["beta"]), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.se, array(theirs["se"]), rtol=1e-7)
    assert ours.sigma == pytest.approx(theirs["sigma"], rel=1e-8)
    modes = np.concatenate([effect.modes.ravel() for effect in ours.random])
    np.testing.assert_allclose(modes, theirs["modes"], atol=1e-7)


@pytest.mark.parametrize("name", LINEAR)
def test_satterthwaites_degrees_of_freedom_are_lmertests(ours, theirs):
    df = ours.tidy(df="satterthwaite")["df"]
    np.testing.assert_allclose(df, array(theirs["satterthwaite"]), rtol=1e-3)


@pytest.mark.parametrize("type", ["I", "II", "III"])
@pytest.mark.parametrize("name", WITH_TERMS)
def test_f_tests_of_terms_are_lmertests(ours, theirs, type):
    table, rows = fn.anova(ours, type=type), theirs["anova"][type]
    assert table["term"].tolist() == np.atleast_1d(rows["term"]).tolist()
    np.testing.assert_allclose(table["statistic"], array(rows["F"]), rtol=1e-6)  # rounding of contrasts near 0
    np.testing.assert_allclose(table["sum_sq"], array(rows["sum_sq"]), rtol=1e-6)
    np.testing.assert_allclose(table["df_resid"], array(rows["ddf"]), rtol=1e-3)  # numerical derivatives


@pytest.mark.parametrize("name", BY_PBKRTEST)
def test_kenward_and_rogers_tests_are_pbkrtests(ours, theirs):
    table, rows = ours.tidy(df="kenward-roger"), theirs["kr"]
    np.testing.assert_allclose(table["df"], array(rows["df"]), rtol=1e-6)  # n x n inverses in R
    np.testing.assert_allclose(table["std_error"], array(rows["se"]), rtol=1e-7)


@pytest.mark.parametrize("name", [n for n in WITH_TERMS if n in BY_PBKRTEST])
def test_scaled_f_tests_of_terms_are_pbkrtests(ours, theirs):
    table, rows = fn.anova(ours, df="kenward-roger"), theirs["kr_anova"]
    np.testing.assert_allclose(table["statistic"], array(rows["F"]), rtol=1e-6)
    np.testing.assert_allclose(table["df_resid"], array(rows["ddf"]), rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in LINEAR if MODELS[n].lme is not None])
def test_degrees_of_freedom_by_containment_are_nlmes(ours, theirs):
    assert ours.tidy(df="containment")["df"].tolist() == array(theirs["containment"]).tolist()


# ---- marginal means ------------------------------------------------------------------------------
MEANS = [
    (name, df)
    for name, model in MODELS.items()
    if model.means is not None
    for df in (["satterthwaite", "kenward-roger"] if model.linear else ["none"])
    if df != "kenward-roger" or name in BY_PBKRTEST
]


@pytest.mark.parametrize(("name", "df"), MEANS)
def test_marginal_means_and_adjusted_p_values_are_emmeanss(ours, theirs, name, df):
    spec, rows = MODELS[name].means, theirs["means"][df]
    exact = 1e-6 if MODELS[name].linear else 1e-4  # glmmTMB's estimates are 1e-5 off
    asked = [(fn.emmeans(ours, spec, df=df).means, rows)]
    asked += [
        (fn.emmeans(ours, spec, word, df=df).contrasts, rows[key])
        for word, key in (("pairwise", "pairwise"), ("trt.vs.ctrl", "control"))
    ]
    for table, row in asked:
        np.testing.assert_allclose(table["estimate"], array(row["estimate"]), rtol=exact, atol=exact)
        np.testing.assert_allclose(table["std_error"], array(row["se"]), rtol=exact)
        if MODELS[name].linear:
            np.testing.assert_allclose(table["df"], array(row["df"]), rtol=1e-3)
        if "p" in row:
            np.testing.assert_allclose(table["p_value"], array(row["p"]), atol=1e-4)  # R's ptukey: 1e-8


# ---- generalized models --------------------------------------------------------------------------
def on_lme4s_scale(fit: fn.Fit, name: str) -> float:
    """lme4 leaves the saturated model's likelihood out of a quadrature's."""
    if MODELS[name].nodes == 1:
        return fit.loglik
    y, w = fit.request.y, fit.request.weights
    saturated = np.clip(y, 1e-300, 1 - 1e-16) if MODELS[name].family == "binomial" else np.maximum(y, 1e-300)
    return fit.loglik - fit.family.loglik(y, saturated, w, 1.0)


@pytest.mark.parametrize("name", GENERALIZED)
def test_the_likelihood_is_glmers_at_our_estimates_and_at_least_what_it_finds(ours, theirs, name):
    loglik = on_lme4s_scale(ours, name)
    assert ours.converged
    # PIRLS steps by expected weights, and its last step is 1e-14 of the deviance: 1e-7 of the likelihood at worst
    assert loglik == pytest.approx(theirs["loglik"], abs=1.5e-7)
    assert loglik > theirs["own"] - 1.5e-7
    assert loglik == pytest.approx(theirs["polished"], abs=1.5e-7)


@pytest.mark.parametrize("name", GENERALIZED)
def test_standard_errors_are_those_of_glmers_likelihood_differentiated_without_haste(ours, theirs):
    np.testing.assert_allclose(ours.se, array(theirs["se"]), rtol=1e-5)


def test_glmers_default_standard_errors_are_up_to_a_percent_off(side_by_side):
    off = {
        name: np.abs(array(side_by_side.answers[name]["default_se"]) / side_by_side.fits[name].se - 1).max()
        for name in GENERALIZED
    }
    np.testing.assert_allclose(side_by_side.fits["cbpp"].se, [0.2325, 0.3066, 0.3266, 0.4274], atol=5e-5)
    printed = side_by_side.answers["cbpp"]["default_se"]
    np.testing.assert_allclose(printed, [0.2312, 0.3032, 0.3228, 0.4221], atol=1.5e-4)
    assert off["cbpp"] > 0.01
    assert sum(share > 1e-4 for share in off.values()) > len(off) / 2


@pytest.mark.parametrize("name", LAPLACE)
def test_modes_are_glmers(ours, theirs):
    modes = np.concatenate([effect.modes.ravel() for effect in ours.random])
    np.testing.assert_allclose(modes, theirs["modes"], atol=1e-6)


def test_observed_weights_come_nearer_to_the_integral(side_by_side):
    expected, observed = (side_by_side.fits[f"cbpp, probit{how}"].loglik for how in ("", ", observed weights"))
    integral = fn.refit(side_by_side.fits["cbpp, probit"], estimator="AGQ(25)").loglik
    assert expected < observed - 0.02 < observed < integral


@pytest.mark.parametrize("name", [n for n in [*LINEAR, *LAPLACE] if MODELS[n].alone])
def test_conditional_standard_deviations_of_modes_are_lme4s(ours, theirs, name):
    variances = [np.diagonal(effect.mode_covariance, axis1=1, axis2=2).ravel() for effect in ours.random]
    found = np.sqrt(np.maximum(np.concatenate(variances), 0))
    np.testing.assert_allclose(found, theirs["spread"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", BY_GLMMTMB)
def test_glmmtmb_finds_the_same_maximum(ours, theirs):
    assert ours.converged
    # nlminb ends up to 1e-6 below the maximum; never above ours but for rounding
    assert -1e-8 < ours.loglik - theirs["loglik"] < 2e-6
    shape = ours.sigma if ours.family.shape is None else ours.family.shape[1]
    assert shape == pytest.approx(theirs["sigma"], rel=1e-5)
    errors = array(theirs["se"])
    assert (np.abs(ours.coef - array(theirs["beta"])) < 3e-4 * errors).all()  # an error of a likelihood 1e-7 too small
    np.testing.assert_allclose(ours.se, errors, rtol=5e-5)  # both exact; glmmTMB's at estimates that far off


# ---- the list itself -----------------------------------------------------------------------------
STRUCTURES = {
    "single factor", "nested", "crossed", "general", "random slopes", "balanced", "unbalanced", "singular",
    "zero variance", "weighted", "offset", "REML", "maximum likelihood", "adaptive quadrature",
}  # fmt: skip
FAMILIES = {"gaussian", "binomial", "poisson", "nbinom1", "nbinom2", "beta", "betabinomial", "Gamma"}


def test_r_answers_for_sixty_models_and_more(side_by_side):
    assert len({(m.formula, m.table, m.family, m.estimator, m.weights) for m in MODELS.values()}) >= 60
    assert not {name: answer["failed"] for name, answer in side_by_side.answers.items() if "failed" in answer}


def test_every_structure_is_there_in_linear_and_generalized_models(side_by_side):
    shown = {name: words(model, side_by_side.fits[name]) for name, model in MODELS.items()}
    linear = set.union(*(shown[name] for name in LINEAR))
    generalized = set.union(*(shown[name] for name in set(MODELS) - set(LINEAR)))
    assert STRUCTURES - linear == {"adaptive quadrature"}
    assert STRUCTURES - generalized == {"REML", "maximum likelihood"}
    assert linear | generalized >= STRUCTURES | FAMILIES
