"""What a fit says in words: R's summary, letter for letter where the numbers are R's own."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.display.digits import aligned, p_values
from formula_neuro.display.grouping_words import grouping_notes, relation
from formula_neuro.display.sentences import sentences
from formula_neuro.display.summary import short


@pytest.fixture(scope="module")
def licks():
    return fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial")


def printed_by_r(code: str) -> list[str]:
    """The lines that R prints, without trailing blanks."""
    libraries = "suppressMessages({library(lme4); library(lmerTest)}); options(width = 200, useFancyQuotes = FALSE);"
    done = subprocess.run(["Rscript", "-e", f"{libraries} print({code})"], capture_output=True, text=True, check=True)
    return [line.rstrip() for line in done.stdout.splitlines()]


def section(lines: list[str], title: str) -> list[str]:
    """The lines from a title to the next empty line or rule."""
    start = next(i for i, line in enumerate(lines) if line.startswith(title))
    stop = next((i for i in range(start, len(lines)) if lines[i] in ("", "---")), len(lines))
    return lines[start:stop]


# ---- beside R ------------------------------------------------------------------------------------
@pytest.mark.r
@pytest.mark.parametrize(
    "formula", ["Reaction ~ Days", "log(Reaction) ~ poly(Days, 3)", "Reaction ~ Days + I(2 * Days)"]
)
def test_the_summary_of_a_linear_model_is_rs_letter_for_letter(rdata, formula):
    ours = fn.fit(formula, rdata("lme4", "sleepstudy")).summary().splitlines()
    theirs = printed_by_r(f"summary(lm({formula}, sleepstudy))")
    for title in ("Residuals:", "Coefficients:", "Residual standard error:"):
        assert section(ours, title) == section(theirs, title)


@pytest.mark.r
@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("cbind(incidence, size - incidence) ~ period", "binomial"),
        ("incidence ~ period + offset(log(size))", "poisson"),
        ("incidence + 1 ~ period", "Gamma"),
    ],
)
def test_the_summary_of_a_glm_is_rs_letter_for_letter(rdata, formula, family):
    m = fn.fit(
        formula.replace("incidence + 1", "I(incidence + 1)"), rdata("lme4", "cbpp"), family=family, backend="r-glm"
    )
    theirs = printed_by_r(f"summary(glm({formula}, {family}, cbpp))")
    for title in ("Coefficients:", "(Dispersion", "    Null deviance:", "Number of Fisher"):
        assert section(m.summary().splitlines(), title) == section(theirs, title)


@pytest.mark.r
def test_the_summary_of_lmer_is_rs_letter_for_letter(rdata):
    m = fn.fit("Reaction ~ Days + (Days|Subject)", rdata("lme4", "sleepstudy"), backend="lmerTest")
    theirs = printed_by_r("summary(lmer(Reaction ~ Days + (Days|Subject), sleepstudy))")
    for title in ("REML criterion", "Scaled residuals:", "Random effects:", "Fixed effects:", "Correlation of"):
        assert section(m.summary().splitlines(), title) == section(theirs, title)


@pytest.mark.r
def test_the_summary_of_glmer_is_rs_letter_for_letter(rdata):
    formula = "cbind(incidence, size - incidence) ~ period + (1|herd)"
    m = fn.fit(formula, rdata("lme4", "cbpp"), family="binomial", backend="lme4")
    theirs = printed_by_r(f"summary(glmer({formula}, cbpp, binomial))")
    ours = m.summary().splitlines()
    assert section(ours, " Family:")[0] == section(theirs, " Family:")[0]
    for title in ("     AIC", "Scaled residuals:", "Random effects:", "Fixed effects:"):
        assert section(ours, title) == section(theirs, title)


@pytest.mark.r
def test_nested_groups_are_told_from_crossed_ones(rdata):
    nested = fn.fit("strength ~ 1 + (1|batch/cask)", rdata("lme4", "Pastes"))
    crossed = fn.fit("diameter ~ 1 + (1|plate) + (1|sample)", rdata("lme4", "Penicillin"))
    assert "cask:batch is nested in batch" in " ".join(grouping_notes(nested.request.design.random))
    assert "plate and sample are crossed" in crossed.summary()


# ---- on its own ----------------------------------------------------------------------------------
def test_the_parts_come_in_the_order_of_lme4(licks):
    titles = ["Generalized linear", " Family:", "Formula:", "AIC", "Scaled residuals", "Random effects"]
    titles += ["Number of obs", "Fixed effects", "Signif. codes", "Correlation of Fixed Effects", "Odds ratios"]
    places = [licks.summary().index(title) for title in titles]
    assert places == sorted(places)


def test_a_logit_shows_odds_ratios_with_limits(licks):
    row = licks.summary().split("Odds ratios")[1].split("\n")[2].split()
    low, high = np.exp(0.062349 + np.array([-1.96, 1.96]) * 0.0199)
    # Printed to three decimals.
    assert row[0] == "dff" and [float(v) for v in row[1:]] == pytest.approx([np.exp(0.062349), low, high], abs=6e-4)


def test_an_identity_link_shows_no_ratios():
    assert "ratio" not in fn.fit("dff ~ lick", fn.datasets.waterlick()).summary()


def test_a_fit_that_did_not_converge_says_so_first_among_its_messages(licks):
    stopped = replace(licks, converged=False, messages=("the gradient is 0.3",))
    assert stopped.summary().split("\n\n")[-1].splitlines()[0].startswith("NOT CONVERGED")
    assert "message: the gradient is 0.3" in stopped.summary() and "NOT CONVERGED" in short(stopped)


def test_few_levels_are_named():
    trials = fn.datasets.waterlick().query("mouseID < 4")
    m = fn.fit("dff ~ lick + (1|mouseID)", trials)
    assert "mouseID has 3 levels" in m.summary()


def test_the_print_is_short_and_names_the_verbs(licks):
    text = repr(licks)
    assert len(text.splitlines()) < 15
    assert all(word in text for word in ("lick ~ dff", "m.tidy()", "m.report(path)", "fn.crosscheck(m)"))


def test_a_sentence_speaks_of_odds_and_of_the_group(licks):
    (sentence,) = sentences(licks)
    assert sentence.startswith("The odds of lick = 1 rise by 6.4 % (95 % CI 2.4 % to 10.7 %)")
    assert sentence.endswith("for each unit of dff, for a given mouseID.")


def test_an_interaction_leaves_its_predictors_without_a_sentence_of_their_own():
    (sentence,) = sentences(fn.fit("dff ~ lick * mouseID", fn.datasets.waterlick()))
    assert sentence.startswith("The effect of each unit of lick on dff differs by ")


def test_a_factor_is_told_beside_its_base():
    trials = fn.datasets.waterlick().assign(day=lambda d: np.where(d["mouseID"] > 4, "late", "early"))
    assert "for day = late rather than early" in sentences(fn.fit("dff ~ day", trials))[0]


def test_partly_crossed_groups_are_counted():
    a, b = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 2])
    assert relation(a, b) == "a and b are partly crossed (5 of 6 combinations occur)"


def test_numbers_share_decimals_and_drop_zeros_that_none_needs():
    assert [w.strip() for w in aligned([1.5, 2.25, 3], 4)] == ["1.50", "2.25", "3.00"]


def test_tiny_p_values_are_bounded():
    assert [w.strip() for w in p_values([1e-30, 0.5])] == ["<2e-16", "0.5"]


def test_an_aliased_coefficient_is_shown_as_na():
    trials = fn.datasets.waterlick().assign(twice=lambda d: 2 * d["lick"])
    text = fn.fit("dff ~ lick + twice", trials).summary()
    assert "(1 not defined because of singularities)" in text
    assert any(line.split() == ["twice", "NA", "NA", "NA", "NA"] for line in text.splitlines())


def test_weights_are_named_above_the_residuals():
    trials = fn.datasets.waterlick().assign(w=lambda d: 1.0 + d["mouseID"])
    assert "Weighted Residuals:" in fn.fit("dff ~ lick", trials, weights="w").summary()


def test_a_perfect_fit_is_summarised():
    table = pd.DataFrame({"y": [1.0, 2, 3, 4], "x": [1.0, 2, 3, 4]})
    assert "Residual standard error" in fn.fit("y ~ x", table).summary()


# ---- generalized linear models -------------------------------------------------------------------
@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(4)
    x = rng.normal(size=90)
    means = np.exp(0.5 + 0.4 * x)
    return pd.DataFrame({"x": x, "count": rng.negative_binomial(2, 2 / (2 + means)), "y": rng.gamma(3, means / 3)})


@pytest.fixture(scope="module")
def separated():
    x = np.repeat([0, 1], [14, 6])
    z = np.random.default_rng(2).normal(size=20)
    return pd.DataFrame({"x": x, "z": z, "y": np.where(x == 1, 1, np.arange(20) % 3 == 0).astype(int)})


def test_an_infinite_coefficient_is_shown_as_infinite(separated):
    lines = fn.fit("y ~ x + z", separated, family="binomial").summary().splitlines()
    assert ["x", "Inf", "NA", "NA", "NA", "separated"] in [line.split() for line in lines]
    assert ["x", "Inf", "NA", "NA"] in [line.split() for line in lines]  # among the odds ratios


def test_a_bias_reduced_fit_names_its_estimator(separated):
    text = fn.fit("y ~ x + z", separated, family="binomial", estimator="jeffreys(0.3)").summary()
    assert (
        "Type of estimator: MPL_Jeffreys (maximum penalized likelihood with Jeffreys'-prior penalty), power 0.3" in text
    )
    assert "separated" not in text.split("message")[0]


def test_a_bias_reduced_fit_has_its_null_deviance(separated):
    ml, br = (fn.fit("y ~ x + z", separated, family="binomial", estimator=e) for e in ("ml", "mean_br"))
    null = [next(line for line in m.summary().splitlines() if "Null deviance" in line).split()[2] for m in (ml, br)]
    assert float(null[0]) == pytest.approx(float(null[1]), abs=1e-3)  # printed to four decimals


def test_a_family_without_a_likelihood_has_no_aic(counts):
    text = fn.fit("count ~ x", counts, family="quasipoisson").summary()
    assert "AIC: NA" in text and "(Dispersion parameter for quasipoisson family taken to be " in text


def test_means_have_ratios_of_means(counts):
    assert "\nRatios of means, with 95 %" in fn.fit("y ~ x", counts, family="Gamma(log)").summary()


@pytest.mark.r
def test_the_summary_of_a_bias_reduced_fit_is_brglm2s(rdata):
    formula = "HG ~ NV + PI + EH"
    ours = (
        fn.fit(formula, rdata("brglm2", "endometrial"), family="binomial", estimator="mean_br").summary().splitlines()
    )
    theirs = printed_by_r(
        "{library(brglm2); data(endometrial); "
        f"summary(glm({formula}, binomial, endometrial, method = 'brglmFit', type = 'AS_mean'))}}"
    )
    for title in ("Coefficients:", "(Dispersion", "    Null deviance:", "Type of estimator"):
        assert section(ours, title)[:1] == section(theirs, title)[:1]
    assert section(ours, "Coefficients:") == section(theirs, "Coefficients:")


@pytest.mark.r
def test_the_summary_of_a_negative_binomial_is_mass(rdata):
    ours = fn.fit("Days ~ Age", rdata("MASS", "quine"), family="nbinom2").summary().splitlines()
    theirs = printed_by_r("summary(MASS::glm.nb(Days ~ Age, MASS::quine))")
    for title in ("Coefficients:", "(Dispersion", "    Null deviance:", "              Theta:", " 2 x log-likelihood"):
        assert section(ours, title) == section(theirs, title)
