"""The verdict: what agrees, what does not, and what is said where R cannot be asked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro import registry
from formula_neuro.comparing.agreement import Agreement
from formula_neuro.comparing.numbers import compare
from formula_neuro.comparing.tolerances import TOLERANCES
from formula_neuro.errors import DataError, NoBackend, RFailed, RMissing, Unable

TRIALS = fn.datasets.waterlick()
FORMULA = "lick ~ dff + (1 | mouseID)"


@pytest.fixture(scope="module")
def lick():
    return fn.fit(FORMULA, TRIALS, family="binomial")


@pytest.fixture(scope="module")
def linear():
    return fn.fit("dff ~ lick + (1 | mouseID)", TRIALS)


def verdict(fit, other):
    compared, notes = compare(fit, other)
    return Agreement("native", "another", compared, (0.0, 0.0), notes)


def quantities_off(agreement):
    return set(agreement.to_frame().loc[~agreement.to_frame()["agrees"].astype(bool), "quantity"])


# ---- comparing, without R ------------------------------------------------------------------------
def test_a_fit_agrees_with_itself(linear):
    assert verdict(linear, linear).ok


@pytest.mark.parametrize(
    ("change", "off"),
    [
        (lambda f: {"beta": f.beta + 2e-3 * f.se.to_numpy()}, "coefficients"),
        (lambda f: {"covariance": f.covariance * 1.01}, "standard errors"),
        (lambda f: {"sigma": f.sigma * 1.01}, "sigma"),
        (lambda f: {"loglik": f.loglik - 1e-4}, "log-likelihood"),
        (lambda f: {"loglik": f.loglik + 1e-4}, "log-likelihood"),
        (lambda f: {"eta": f.eta + 0.1}, "fitted values"),
        (lambda f: {"random": (replace(f.random[0], covariance=2 * f.random[0].covariance),)}, "random-effect sds"),
    ],
)
def test_a_change_in_one_number_is_seen_in_its_row(linear, change, off):
    assert off in quantities_off(verdict(replace(linear, **change(linear)), linear))


def test_a_changed_covariance_of_random_effects_is_seen():
    fit = fn.fit("dff ~ lick + (lick | mouseID)", TRIALS, estimator="ml")
    turned = replace(fit.random[0], covariance=fit.random[0].covariance * np.array([[1, -1], [-1, 1]]))
    assert quantities_off(verdict(replace(fit, random=(turned,)), fit)) == {"random-effect covariances"}


def test_a_nan_where_the_reference_has_a_number_disagrees(linear):
    broken = replace(linear, beta=np.array([linear.beta[0], np.nan]))
    assert "coefficients" in quantities_off(verdict(broken, linear))


def test_coefficients_aliased_in_both_are_left_out():
    fit = fn.fit("dff ~ lick + again", TRIALS.assign(again=TRIALS["lick"]))
    agreement = verdict(fit, fit)
    assert agreement.ok and "again" not in set(agreement.details["item"])


def test_a_likelihood_that_is_better_than_rs_is_said(lick):
    worse = replace(lick, loglik=lick.loglik - 5e-4)
    agreement = verdict(lick, worse)
    assert agreement.ok and "log-likelihood found here is higher by 5.0e-04" in str(agreement)


def test_a_likelihood_that_is_as_much_worse_disagrees(lick):
    assert quantities_off(verdict(replace(lick, loglik=lick.loglik - 5e-4), lick)) == {"log-likelihood"}


def test_a_fit_that_did_not_converge_is_named(linear):
    assert "native-lmm did not converge" in str(verdict(replace(linear, converged=False), linear))


def test_rescaling_a_slope_changes_no_verdict():
    moved = []
    for scale in (1.0, 1e6):
        fit = fn.fit("dff ~ lick + (0 + lick | mouseID)", TRIALS.assign(lick=TRIALS["lick"] * scale), estimator="ml")
        wider = replace(fit.random[0], covariance=fit.random[0].covariance * 1.01)
        details = verdict(replace(fit, random=(wider,)), fit).details.set_index("quantity")
        moved.append(details.loc["random-effect sds", "difference"])
    assert moved[0] > 0 and moved[0] == pytest.approx(moved[1], rel=1e-4)  # the optimum is found to about 1e-8


def test_the_table_has_one_row_a_quantity_and_its_reason(linear):
    table = verdict(linear, linear).to_frame()
    assert list(table.columns[:6]) == ["quantity", "item", "native", "reference", "difference", "tolerance"]
    assert table["quantity"].is_unique and table["reason"].str.len().min() > 20


def test_the_details_hold_every_coefficient(linear):
    details = verdict(linear, linear).details
    assert details.loc[details["quantity"] == "coefficients", "item"].tolist() == ["(Intercept)", "lick"]


def test_every_tolerance_is_positive_and_has_a_unit():
    assert all(t.allowed > 0 and t.unit for rules in TOLERANCES.values() for t in rules.values())


def test_a_disagreement_is_printed_in_capitals_with_its_row(linear):
    text = str(verdict(replace(linear, sigma=2 * linear.sigma), linear))
    assert "DISAGREES" in text.splitlines()[0] and "<- too far apart" in text


# ---- a reference that did not finish ---------------------------------------------------------------
def asked(monkeypatch, fit, answer):
    """crosscheck() with a reference, here named lme4, that gives this answer, or raises it."""

    def run(backend, request):
        if isinstance(answer, Exception):
            raise answer
        return replace(answer, backend=backend.name)

    monkeypatch.setattr(
        "formula_neuro.agreement._reference", lambda fit, name: SimpleNamespace(name="lme4", language="R")
    )
    monkeypatch.setattr(registry, "run", run)
    return fn.crosscheck(fit)


def stuck(fit, **change):
    """The fit as of a reference that says that it did not converge, at coefficients two standard errors off."""
    return replace(fit, beta=fit.beta + 2 * fit.se.to_numpy(), engine=None, converged=False, **change)


def test_a_reference_that_did_not_converge_neither_agrees_nor_disagrees(monkeypatch, linear):
    check = asked(monkeypatch, linear, stuck(linear, loglik=linear.loglik - 3))
    assert (check.verdict, check.ok) == ("unfinished", None)
    assert str(check).startswith("native-lmm can be neither confirmed nor contradicted: lme4 did not finish")
    assert "DISAGREES" not in str(check) and str(check).count("did not converge") == 1


def test_the_likelihoods_of_both_are_shown_where_the_reference_did_not_finish(monkeypatch, linear):
    check = asked(monkeypatch, linear, stuck(linear, loglik=linear.loglik - 3))
    assert f"{linear.loglik:.7g} here, {linear.loglik - 3:.7g} there (3 higher here)" in str(check)


def test_a_reference_with_the_higher_likelihood_contradicts_though_it_did_not_converge(monkeypatch, linear):
    check = asked(monkeypatch, linear, stuck(linear, loglik=linear.loglik + 3))
    assert (check.verdict, check.ok) == ("disagrees", False)


def test_a_reference_that_did_not_converge_and_says_the_same_agrees(monkeypatch, linear):
    check = asked(monkeypatch, linear, replace(linear, engine=None, converged=False))
    assert check.ok is True and "lme4 did not converge." in check.notes


def test_a_reference_that_converged_elsewhere_disagrees(monkeypatch, linear):
    assert asked(monkeypatch, linear, replace(stuck(linear), converged=True)).ok is False


def test_a_dispersion_that_is_no_number_is_no_answer(monkeypatch):
    m = fn.fit("dff ~ lick", TRIALS.assign(dff=TRIALS["dff"].abs() + 1), family="Gamma(log)")
    check = asked(monkeypatch, m, replace(m, engine=None, sigma=float("nan")))
    assert check.ok is None and "its dispersion is no positive number" in str(check)


def test_means_outside_the_range_are_no_answer(monkeypatch):
    m = fn.fit("dff ~ lick", TRIALS.assign(dff=TRIALS["dff"].abs() + 1), family="Gamma(inverse)")
    check = asked(monkeypatch, m, replace(m, engine=None, eta=np.r_[-1.0, m.eta[1:]]))
    assert check.ok is None and "1 of its means is outside the range of the family" in str(check)


def test_an_error_of_the_reference_is_shown_as_it_is(monkeypatch, linear):
    check = asked(monkeypatch, linear, RFailed("R stopped: Downdated VtV is not positive definite"))
    assert check.ok is None and check.to_frame().empty
    assert "lme4 stopped with an error: R stopped: Downdated VtV" in str(check)
    assert f"Log-likelihood: {linear.loglik:.7g} here" in str(check)


@pytest.mark.r
def test_glm_nb_on_a_wild_theta_did_not_finish():
    rng = np.random.default_rng(9)
    n = int(rng.choice([12, 20, 40]))
    frame = pd.DataFrame({"x": rng.normal(size=n), "g": rng.choice(list("ab"), n)})
    frame["y"] = rng.poisson(3, n) * rng.choice([1, 50], n)
    check = fn.crosscheck(fn.fit("y ~ x + g", frame, family="nbinom2"))
    assert check.verdict == "unfinished" and "iteration limit reached" in str(check)
    assert "(9.1e+02 higher here)" in str(check)


@pytest.mark.r
def test_a_negative_dispersion_of_brglm2_is_no_answer_and_both_scores_are_shown():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=8), "z": rng.normal(size=8), "y": rng.gamma(50.0, 1, 8)})
    m = fn.fit("y ~ x + z", frame, family="Gamma(inverse)", estimator="jeffreys(1)")
    check = fn.crosscheck(m)
    assert check.verdict == "unfinished" and "its dispersion is no positive number" in str(check)
    assert "From a root of the adjusted score" in str(check)


@pytest.mark.r
def test_of_two_maxima_of_a_penalised_likelihood_the_higher_one_is_shown():
    """brglm2 stops at the lower of two roots; both finished, so that they disagree, and say how high each is."""
    frame = pd.DataFrame(
        {
            "u": [0.33, 1.14, 0.82, 0.58, -0.38, -1.02, 0.38, -0.51],
            "v": [0, 1, 0, 1, 0, 1, 1, 0],
            "w": [0.777, -0.839, -0.422, 1.443, -0.064, -0.302, 0.281, -0.094],
            "y": [0, 1, 1, 1, 0, 0, 1, 0],
        }
    )
    check = fn.crosscheck(fn.fit("y ~ u + v + w", frame, family="binomial(cloglog)", estimator="jeffreys"))
    assert check.ok is False and "Penalised log-likelihood: " in str(check) and "higher here)" in str(check)


def test_the_adjusted_score_is_zero_at_the_estimate_and_a_standard_error_away_from_it():
    m = fn.fit("lick ~ dff", TRIALS, family="binomial", estimator="mean_br")
    moved = m.beta + np.array([0.0, 1e-3 * m.se["dff"]])
    assert m.engine.standing(m.request, m.beta)[0] < 1e-8
    # of a step along one coefficient, in standard errors given the others; a thousandth, so that scoring is linear
    conditional = 1 / np.sqrt(np.linalg.inv(m.covariance)[1, 1])
    assert m.engine.standing(m.request, moved)[0] == pytest.approx(1e-3 * m.se["dff"] / conditional, rel=0.01)


# ---- asking --------------------------------------------------------------------------------------
def test_without_r_the_cross_check_names_the_command(monkeypatch, tmp_path, linear):
    monkeypatch.delenv("R_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RMissing, match="apt-get install r-base-core"):
        fn.crosscheck(linear)


def test_an_unknown_reference_lists_those_that_there_are(linear):
    with pytest.raises(NoBackend, match="lme4, lmerTest"):
        fn.crosscheck(linear, reference="lme5")


def test_a_fit_is_not_checked_against_its_own_maker(linear):
    with pytest.raises(ValueError, match="made by native-lmm itself"):
        fn.crosscheck(linear, reference="native-lmm")


@pytest.mark.r
def test_a_fit_made_in_r_asks_for_a_native_reference():
    fit = fn.fit("dff ~ lick + (1 | mouseID)", TRIALS, backend="lme4")
    with pytest.raises(ValueError, match="reference='native-lmm'"):
        fn.crosscheck(fit)
    assert fn.crosscheck(fit, reference="native-lmm").reference == "native-lmm"


@pytest.mark.r
def test_the_named_reference_runs(linear):
    assert fn.crosscheck(linear, reference="lme4").reference.startswith("lme4 ")


@pytest.mark.r
def test_a_perfect_fit_agrees_and_says_what_was_left_out():
    agreement = fn.crosscheck(fn.fit("dff ~ 1 + lick", TRIALS.assign(dff=3.0 + TRIALS["lick"])))
    assert agreement.ok and "The fit is perfect" in str(agreement)


@pytest.mark.r
def test_rows_of_zero_weight_which_lmer_cannot_fit_are_an_error_in_words():
    fit = fn.fit("dff ~ lick + (1 | mouseID)", TRIALS, weights=np.r_[0.0, 0.0, np.ones(510)])
    with pytest.raises(DataError, match="2 rows have a weight of 0, which lmer cannot fit"):
        fn.crosscheck(fit)


@pytest.mark.r
def test_the_verdict_on_the_main_job_names_r_and_lme4(lick):
    first = str(fn.crosscheck(lick)).splitlines()[0]
    assert first.startswith("native-glmm agrees with lme4 ") and first.endswith("5 of 5 quantities")
    assert "(R 4." in first


@pytest.mark.r
def test_satterthwaites_degrees_of_freedom_are_compared(linear):
    assert "degrees of freedom" in set(fn.crosscheck(linear).to_frame()["quantity"])


@pytest.mark.r
def test_degrees_of_freedom_of_a_singular_fit_are_left_out_and_it_is_said(rdata):
    agreement = fn.crosscheck(fn.fit("Yield ~ 1 + (1 | Batch)", rdata("lme4", "Dyestuff2")))
    assert agreement.ok and "degrees of freedom" not in set(agreement.to_frame()["quantity"])
    assert "Degrees of freedom are not compared" in str(agreement)


@pytest.mark.r
def test_a_fit_of_a_simulated_response_is_checked_on_that_response(linear):
    y = linear.simulate(1, seed=3).to_numpy()[:, 0]
    again = linear.engine.refit(linear.request.with_response(y))
    assert not np.allclose(again.beta, linear.beta) and fn.crosscheck(again).ok


@pytest.mark.r
def test_standard_errors_of_glmer_are_the_less_exact_ones(rdata):
    table = rdata("lme4", "cbpp")
    fit = fn.fit("cbind(incidence, size - incidence) ~ period + (1 | herd)", table, family="binomial")
    # of two independent exact codes, to the 4 digits that are published; glmer's default gives .2312 .3032 .3228 .4221
    assert np.allclose(fit.se, [0.2325, 0.3066, 0.3266, 0.4274], atol=5e-5)


@pytest.mark.r
def test_rows_of_weight_0_beyond_the_range_are_said_to_make_another_model_in_r():
    d = {"y": [1.0, 2, 3, 4.5, 5, 1], "x": [1.0, 2, 3, 4, 5, -3], "w": [1, 1, 1, 1, 1, 0]}
    m = fn.fit("y ~ x", d, family="Gamma(identity)", weights="w")
    with pytest.raises(Unable, match="1 of them lie outside here"):
        fn.crosscheck(m)
    kept = {name: values[:5] for name, values in d.items()}
    assert fn.crosscheck(fn.fit("y ~ x", kept, family="Gamma(identity)")).ok


@pytest.mark.r
def test_the_sigma_of_completely_separated_data_is_not_compared():
    m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4, 5, 6], "y": [0, 0, 0, 1, 1, 1]}, family="quasibinomial")
    assert m.separation == "complete"
    check = fn.crosscheck(m)
    assert check.ok and "sigma" not in set(check.to_frame().quantity)
