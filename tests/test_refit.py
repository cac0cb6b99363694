"""refit(), and R's update.formula behind it."""

from __future__ import annotations

import json
import pickle
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.design import model_matrix
from formula_neuro.errors import DataError, FormulaError, NoBackend, Unable
from formula_neuro.formula import parse
from formula_neuro.syntax.updating import updated

rng = np.random.default_rng(3)
n = 60
DATA = pd.DataFrame(
    {
        "x": rng.normal(size=n),
        "z": rng.normal(size=n),
        "f": rng.choice(list("abc"), n),
        "g": np.repeat(np.arange(12), 5),
        "w": rng.integers(1, 4, n),
    }
)
DATA["y"] = DATA["x"] + rng.normal(size=12)[DATA["g"]] + rng.normal(size=n)
DATA["k"] = rng.poisson(np.exp(DATA["x"] / 2))

CHANGES = [  # old, change, new: as R's update.formula, R 4.2
    ("y ~ x", ". ~ . + z", "y ~ x + z"),
    ("y ~ x + z", "~ . - x", "y ~ z"),
    ("y ~ x", ". ~ . - x", "y ~ 1"),
    ("y ~ x - 1", ". ~ . + z", "y ~ x + z - 1"),
    ("y ~ x", ". ~ . - 1", "y ~ x - 1"),
    ("y ~ 1", "log(.) ~ . + x", "log(y) ~ x"),
    ("y ~ a * b", ". ~ . - a:b", "y ~ a + b"),
    ("y ~ a + b + c", ". ~ .^2", "y ~ a + b + c + a:b + a:c + b:c"),
    ("y ~ a + b", ". ~ . * c", "y ~ a + b + c + a:c + b:c"),
    ("y ~ poly(x, 2) + I(x^2)", ". ~ . + log(x + 1) - poly(x, 2)", "y ~ I(x^2) + log(x + 1)"),
    ("y ~ a + b", "z ~ .", "z ~ a + b"),
    ("y ~ a + b", ". ~ a", "y ~ a"),
    ("cbind(s, t - s) ~ a", ". ~ . + `odd name`", "cbind(s, t - s) ~ a + `odd name`"),
    ("y ~ x + offset(w)", ". ~ . + z", "y ~ x + z + offset(w)"),
    ("y ~ b:a + a", ". ~ . + c", "y ~ a + c + b:a"),
]
RANDOM = [  # R knows no bars in a formula; lme4's update gives these models. R keeps an offset that is taken away
    ("y ~ x + offset(w)", ". ~ . - offset(w)", "y ~ x"),
    ("y ~ x + (x | g)", ". ~ . - x", "y ~ 1 + (1 + x | g)"),
    ("y ~ x + (1 | g) + (1 | h)", ". ~ . - (1 | h)", "y ~ x + (1 | g)"),
    ("y ~ x + (1 | g)", ". ~ . - (1|g) + (0 + x | g)", "y ~ x + (0 + x | g)"),
    ("y ~ x", ". ~ . + (x || g)", "y ~ x + (1 | g) + (0 + x | g)"),
    ("y ~ 1 + (1 | a/b)", ". ~ . + x", "y ~ x + (1 | b:a) + (1 | a)"),
    ("y ~ z + s(x) + s(0 + f)", ". ~ . - s(x)", "y ~ z + s(0 + f)"),
]


# ---- formulas --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("old", "change", "new"), [*CHANGES, *RANDOM])
def test_a_change_is_made_as_written(old, change, new):
    assert updated(parse(old), change) == new


@pytest.mark.parametrize("text", [new for _, _, new in RANDOM])
def test_no_change_leaves_random_terms_as_they_are(text):
    assert updated(parse(text), ". ~ .") == text


def test_a_formula_without_a_dot_is_taken_as_it_is():
    assert updated(parse("y ~ x"), "y  ~ z*(1+x)") == "y  ~ z*(1+x)"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (". + x", "a change of a formula needs a '~'"),
        (". ~ . - (1 | g)", r"\(1 \| g\) is not in the formula, so it cannot be taken away .* none"),
        (". ~ . - offset(x)", r"offset\(x\) is not in the formula"),
        (". ~ . - s(x)", r"s\(x\) is not in the formula"),
        (". ~ . + ", "the formula ends with an operator"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(change, says):
    with pytest.raises(FormulaError, match=says):
        updated(parse("y ~ x"), change)


@pytest.mark.r
def test_changes_of_formulas_are_rs(tmp_path):
    (tmp_path / "cases.json").write_text(json.dumps([[old, change] for old, change, _ in CHANGES]))
    script = """x <- jsonlite::fromJSON("cases.json")
    cat(jsonlite::toJSON(apply(x, 1, function(r) deparse1(update(as.formula(r[1]), as.formula(r[2]))))))"""
    done = subprocess.run(["Rscript", "--vanilla", "-e", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [new for _, _, new in CHANGES]


# ---- fits ------------------------------------------------------------------------------------------
def test_nothing_changed_gives_the_same_fit():
    fit = fn.fit("y ~ x + f", DATA, weights="w", subset="z > -1", contrasts={"f": "contr.sum"}, offset="z")
    again = fn.refit(fit)
    pd.testing.assert_series_equal(again.coef, fit.coef, rtol=0)
    assert (again.nobs, again.loglik, again.request.design.formula.text) == (fit.nobs, fit.loglik, "y ~ x + f")


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({"formula": ". ~ . - f"}, {"formula": "y ~ x"}),
        ({"weights": None}, {"weights": None}),
        ({"subset": None, "offset": "z"}, {"subset": None, "offset": "z"}),
        ({"formula": "k ~ .", "family": "poisson"}, {"formula": "k ~ x + f", "family": "poisson"}),
        ({"data": DATA.iloc[:40]}, {"data": DATA.iloc[:40]}),
    ],
)
def test_what_is_changed_is_changed_and_the_rest_is_kept(changed, asked):
    given = {"formula": "y ~ x + f", "data": DATA, "weights": "w", "subset": "z > -1"}
    fit = fn.refit(fn.fit(**given), **changed)
    expected = fn.fit(**(given | asked))
    pd.testing.assert_series_equal(fit.coef, expected.coef, rtol=1e-12)
    assert (fit.nobs, fit.loglik) == (expected.nobs, pytest.approx(expected.loglik, rel=1e-12))


def test_an_estimator_is_kept_unless_it_was_the_old_models_default():
    lmm = fn.fit("y ~ x + (1|g)", DATA)
    assert lmm.request.estimator == fn.REML()
    assert fn.refit(lmm, ". ~ . - (1|g)").request.estimator == fn.ML()
    by_ml = fn.refit(lmm, estimator="ml")
    assert fn.refit(by_ml, ". ~ . + z").request.estimator == fn.ML()
    firth = fn.fit("I(k > 0) ~ x", DATA, family="binomial", estimator="jeffreys(0.3)")
    assert fn.refit(firth, ". ~ . + z").request.estimator == fn.Jeffreys(0.3)


def test_a_backend_is_kept_while_it_can_fit_and_a_named_one_never_falls_back():
    fit = fn.fit("y ~ x", DATA)
    assert fn.refit(fit, ". ~ . + (1|g)").backend == "native-lmm"
    with pytest.raises(NoBackend, match="backend='native-lm' cannot fit"):
        fn.refit(fit, ". ~ . + (1|g)", backend="native-lm")


@pytest.mark.r
def test_an_r_fit_stays_with_r():
    fit = fn.fit("y ~ x", DATA, backend="r-lm")
    assert fn.refit(fit, ". ~ . + z").backend == "r-lm"
    assert fn.refit(fit, "k ~ .", family="poisson").backend == "r-glm"


def test_new_data_must_hold_the_columns():
    with pytest.raises((DataError, FormulaError), match="x"):
        fn.refit(fn.fit("y ~ x", DATA), data=DATA[["y", "z"]])


def test_a_fit_read_from_a_file_can_be_made_again():
    fit = pickle.loads(pickle.dumps(fn.fit("y ~ x", DATA)))
    assert fn.refit(fit, ". ~ . + z").names == ("(Intercept)", "x", "z")


def test_a_fit_without_its_data_says_so():
    fit = fn.fit("y ~ x", DATA)
    bare = replace(fit, request=replace(fit.request, design=replace(model_matrix("y ~ x", DATA), given=None)))
    with pytest.raises(Unable, match="does not keep the data that it was made from"):
        fn.refit(bare)
