"""refit() with another optimizer or start, all_fit(), and what an unfinished or singular fit advises."""

from __future__ import annotations

import functools
import pickle
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import NoBackend, Unable
from formula_neuro.refitting import as_search
from formula_neuro.result import Fit
from formula_neuro.searches.others import _judged
from formula_neuro.searches.search import OPTIMIZERS, STARTS, Search
from formula_neuro.searches.simpler import simpler

LICKS = fn.datasets.waterlick()
SAME = 1e-5  # of a deviance: searches count as converged where one more step would gain less than 1e-6


@functools.cache
def slopes() -> Fit:
    return fn.fit("dff ~ lick + (lick | mouseID)", LICKS)


@functools.cache
def licks() -> Fit:
    return fn.fit("lick ~ dff + (1 | mouseID)", LICKS, family="binomial")


@functools.cache
def spread() -> Fit:
    return fn.fit("dff ~ lick + (1 | mouseID)", LICKS, estimator=fn.REML(fn.VarIdent("lick")))


@functools.cache
def counts() -> Fit:
    """A model with a shape and a random slope: psi has theta, b and tau."""
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(12), 10), np.tile(np.linspace(-1, 1, 10), 12)
    mu = np.exp(1 + 0.5 * x + rng.normal(size=12)[g] * 0.5)
    data = pd.DataFrame({"y": rng.negative_binomial(3, 3 / (3 + mu)), "x": x, "g": g})
    return fn.fit("y ~ x + (1 | g)", data, family="nbinom2")


@functools.cache
def noise() -> Fit:
    """A singular fit: the groups do not differ."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 6), "x": np.tile(np.arange(6.0), 8), "y": rng.normal(size=48)})
    return fn.fit("y ~ x + (x | g)", data)


@functools.cache
def short() -> Fit:
    """A search that ends before its time."""
    return fn.refit(counts(), optimizer="lbfgs", iterations=1)


MODELS = [slopes, licks, spread, counts, noise]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_finds_the_same_optimum(model, optimizer):
    found = fn.refit(model(), optimizer=optimizer)
    assert found.converged and abs(found.criterion - model().criterion) < SAME
    # a gain of 1e-6 in the deviance is 1e-3 standard errors
    assert np.abs((found.beta - model().beta) / model().se).max() < 1e-3


@pytest.mark.parametrize("model", [slopes, licks, counts, noise])
@pytest.mark.parametrize("start", STARTS[1:])
def test_every_start_leads_to_the_same_optimum(model, start):
    assert abs(fn.refit(model(), start=start).criterion - model().criterion) < SAME


@pytest.mark.parametrize("model", [slopes, licks, counts])
def test_a_search_begun_at_a_fit_ends_there_at_once(model):
    assert fn.refit(model(), start=model()).iterations <= 2  # one step, and one more that rounding may ask for


def test_theta_given_is_that_of_lme4():
    again = fn.refit(slopes(), start=slopes().theta)
    assert again.iterations <= 2 and np.allclose(again.theta, slopes().theta, rtol=1e-6)  # 1e-14 of the deviance


def test_a_dispersed_family_starts_from_theta_in_units_of_sigma():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(15), 8)
    data = pd.DataFrame({"y": np.exp(rng.normal(size=15)[g] + rng.normal(size=120) / 3), "g": g})
    m = fn.fit("y ~ 1 + (1 | g)", data, family="Gamma(log)")
    assert fn.refit(m, start=m).iterations < m.iterations


def test_theta_of_another_model_is_refused():
    with pytest.raises(ValueError, match=r"start= has 3 elements of theta, but this model has 1"):
        fn.refit(licks(), start=slopes())


def test_a_residual_structure_takes_words_only_to_start_from():
    with pytest.raises(ValueError, match="beside a residual structure take a word"):
        fn.refit(spread(), start=[1.0])


def test_moments_are_of_linear_models():
    with pytest.raises(ValueError, match="start='moments' is of linear mixed models"):
        fn.refit(licks(), start="moments")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"optimizer": "bobyqa"}, "there are newton, lbfgs, nelder-mead, powell; the nearest to bobyqa is 'powell'"),
        ({"optimizer": "nlminbwrap"}, "the nearest to nlminbwrap is 'lbfgs'"),
        ({"optimizer": "magic"}, "there are newton, lbfgs, nelder-mead, powell$"),
        ({"iterations": 0}, "iterations= is a whole number above 0, got 0"),
        ({"start": "middle"}, "start='middle' is not known; there are moments, identity, zero, large, another fit"),
        (
            {"start": 3.0},
            "identity, zero, large, another fit, or numbers as m.theta; got 3.0",
        ),
    ],
)
def test_what_is_no_search_is_refused_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        fn.refit(slopes(), **arguments)


def test_names_of_optimizers_are_read_as_r_writes_them():
    assert as_search("Nelder_Mead", None, None) == Search("nelder-mead") and Search("L-BFGS-B") == Search("lbfgs")


def test_a_model_without_a_search_takes_no_optimizer():
    with pytest.raises(NoBackend, match=r"native-lm.*takes no optimizer or start"):
        fn.refit(fn.fit("dff ~ lick", LICKS), optimizer="powell")


def test_a_fit_says_how_it_was_searched_and_later_fits_are_searched_as_usual():
    found = fn.refit(slopes(), optimizer="powell", start="zero", iterations=50)
    assert found.messages[-1] == "searched by powell from zero, at most 50 iterations"
    assert found.request.search == Search() == pickle.loads(pickle.dumps(found)).request.search


def test_too_few_steps_are_said_with_the_calls_that_help():
    said = next(message for message in short().messages if message.startswith("did not converge"))
    assert not short().converged
    assert "fn.refit(m, start=m, iterations=1000) goes on, fn.all_fit(m) tries other optimizers and starts" in said


def test_going_on_from_a_fit_cut_short_reaches_the_optimum():
    assert abs(fn.refit(short(), start=short(), iterations=1000).criterion - counts().criterion) < SAME


# ---- simpler models --------------------------------------------------------------------------------
def test_a_singular_fit_names_the_call_that_fits_the_simpler_model():
    said = next(message for message in noise().messages if message.startswith("singular fit"))
    change = re.search(r"fn\.refit\(m, '(.*?)'\)", said)
    assert change is not None and "fn.all_fit(m)" in said
    assert fn.refit(noise(), change[1]).request.design.formula.text == "y ~ x + (1 | g)"


def test_the_last_random_term_leaves_an_ordinary_model():
    small = fn.refit(noise(), ". ~ . - (x | g) + (1 | g)")
    assert simpler(small.request.design.random) == ". ~ . - (1 | g)"
    assert fn.refit(small, ". ~ . - (1 | g)").backend == "native-lm"


def test_a_simpler_model_stands_beside_the_larger_one():
    table = fn.compare(slopes(), fn.refit(slopes(), ". ~ . - (lick | mouseID) + (1 | mouseID)")).texts
    assert "sd lick | mouseID" in table.index and table.loc["sd lick | mouseID"].tolist()[1] == ""


# ---- all_fit ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", MODELS)
def test_all_searches_agree_where_there_is_one_maximum(model):
    found = fn.all_fit(model())
    assert found.agree and found.frame["converged"].all() and "agree" in found.words


def test_the_table_has_what_each_search_found():
    table = fn.all_fit(slopes(), ["newton", "powell"]).to_frame()
    assert table["start"].tolist() == ["", "usual", "identity", "zero", "large", "usual"]
    first = table.iloc[0]
    assert first["criterion"] == slopes().criterion and first["lick"] == slopes().coef["lick"]
    assert first["decrement"] < 1e-6 and table["above"].min() == 0


def test_the_largest_gradient_is_that_of_the_criterion():
    row = fn.all_fit(short(), ["newton"]).to_frame().iloc[0]
    said = next(message for message in short().messages if message.startswith("did not converge"))
    assert f"largest gradient {row['max_gradient']:.2g}" in said and not row["converged"]


def test_a_fit_cut_short_is_told_from_those_that_converged():
    found = fn.all_fit(short())
    assert found.agree and "The 7 of 8 that converged agree" in found.words
    assert re.search(r"Not converged: as fitted \(.* above the lowest\)", found.words)
    assert found.best.converged and abs(found.best.criterion - counts().criterion) < SAME


def test_a_lower_maximum_elsewhere_is_to_be_taken():
    better = replace(slopes(), criterion=slopes().criterion - 2.5)
    frame = pd.DataFrame({"above": [2.5, 0.0]})
    agree, words = _judged(slopes(), ("as fitted", "powell"), (slopes(), better), frame)
    assert not agree and "powell is 2.5 lower than the fit given: take .best" in words


def test_separation_is_not_blamed_on_the_optimizer():
    data = pd.DataFrame({"y": [0] * 20 + [1] * 20, "x": [0.0] * 20 + [1.0] * 20, "g": np.tile(np.arange(5), 8)})
    found = fn.all_fit(fn.fit("y ~ x + (1 | g)", data, family="binomial"), ["newton"])
    assert not found.agree and "go to infinity (separation), which no optimizer mends" in found.words


def test_all_fit_wants_random_effects():
    with pytest.raises(Unable, match="native-lm has none for lm"):
        fn.all_fit(fn.fit("dff ~ lick", LICKS))
