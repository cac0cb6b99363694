"""What is answered to words of other packages and to slips, on fits of tables and on what they are asked."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError, NoBackend
from formula_neuro.other_names import ELSEWHERE

RNG = np.random.default_rng(5)
TABLE = pd.DataFrame(
    {"group": np.repeat([1, 2, 3], 20), "mouse": np.tile(list("abcdef"), 10), "x": RNG.normal(size=60)}
)
TABLE["y"] = TABLE["x"] + RNG.normal(size=60)
TABLE["high"] = (TABLE["x"] > 0).astype(int)


@pytest.fixture(scope="module")
def m():
    return fn.fit("y ~ x", TABLE)


@pytest.fixture(scope="module")
def mixed():
    return fn.fit("y ~ x + factor(group) + (1 | mouse)", TABLE)


# ---- attributes ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "here"),
    [
        ("params", r"m\.coef"),
        ("pvalues", r"m\.tidy\(\)"),
        ("bse", r"m\.se"),
        ("conf_int", r"fn\.confint\(m"),
        ("rsquared", r"fn\.r2\(m\)"),
        ("anova", r"fn\.anova\(m"),
        ("sumary", "did you mean 'summary'"),
    ],
)
def test_a_word_of_another_package_names_ours(m, word, here):
    with pytest.raises(AttributeError, match=here):
        getattr(m, word)


def test_no_word_of_another_package_hides_an_answer_of_a_fit(m):
    assert not set(ELSEWHERE) & set(dir(m)) and not set(ELSEWHERE) & m._within


def test_verbs_that_are_named_exist():
    verbs = [here.removeprefix("fn.").partition("(")[0] for here in ELSEWHERE.values() if here.startswith("fn.")]
    assert verbs and all(callable(getattr(fn, verb)) for verb in verbs)


def test_dir_of_a_fit_is_what_users_ask_for(m):
    shown = [name for name in dir(m) if not name.startswith("_")]
    assert {"coef", "se", "tidy", "summary", "predict"} <= set(shown) and len(shown) < 40
    assert not {"engine", "eta", "beta"} & set(shown)
    assert m.beta.shape == (2,)  # there all the same


def test_an_error_within_a_property_is_not_taken_for_a_missing_one(m, monkeypatch):
    monkeypatch.setattr(type(m), "fitted", property(lambda self: [].nothing))
    with pytest.raises(AttributeError, match="'list' object has no attribute 'nothing'"):
        m.fitted  # noqa: B018


def test_a_fit_is_copied_and_pickled(m):
    for again in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert again.coef.equals(m.coef)


@pytest.mark.parametrize(("word", "told"), [("lmer", "fn.fit"), ("tidy", r"m\.tidy\(\)"), ("VarCorr", r"m\.varcorr")])
def test_a_function_of_another_package_names_ours(word, told):
    with pytest.raises(AttributeError, match=told):
        getattr(fn, word)


def test_data_sets_are_listed_by_tab_and_by_the_error():
    assert dir(fn.datasets) == sorted(fn.datasets.__all__)
    with pytest.raises(AttributeError, match=r"there are brains, .*waterlick"):
        fn.datasets.sleepstudy  # noqa: B018


# ---- tables --------------------------------------------------------------------------------------
def test_a_table_of_coefficients_prints_every_column(mixed):
    shown = str(mixed.tidy())
    assert all(column in shown for column in mixed.tidy().columns) and "..." not in shown


def test_estimates_that_separation_makes_infinite_are_said_below_the_table():
    with np.errstate(all="ignore"):
        m = fn.fit("high ~ x", TABLE, family="binomial")
    assert "(separation)" in str(m.tidy()) and "(separation)" in str(fn.confint(m))
    assert "(separation)" not in str(fn.refit(m, estimator="mean_br").tidy())


def test_exponents_of_an_identity_link_are_said_to_be_no_ratios(m):
    assert "no odds or rate ratios" in str(m.tidy(exponentiate=True))
    counts = fn.fit("high ~ x", TABLE, family="poisson")
    assert "ratios" not in str(counts.tidy(exponentiate=True))


def test_groups_that_are_whole_numbers_are_shown_as_such(mixed):
    assert str(fn.emmeans(mixed, "group").means["group"].tolist()) == "[1, 2, 3]"


# ---- arguments -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda m: m.tidy(df="kr"), "did you mean 'kenward-roger'"),
        (lambda m: m.tidy(df="Satterthwaite"), "did you mean 'satterthwaite'"),
        (lambda m: fn.anova(m, type=2), "did you mean 'II'"),
        (lambda m: fn.confint(m, method="boot"), "did you mean 'bootstrap'"),
        (lambda m: fn.confint(m, 0.9), "conf_level=0.95"),
        (lambda m: fn.confint(m, "fator(group)2"), r"did you mean 'factor\(group\)2'"),
        (lambda m: fn.emmeans(m, "group", contrast="pairs"), "did you mean 'pairwise'"),
        (lambda m: fn.emmeans(m, "group", adjust="bonf"), "did you mean 'bonferroni'"),
        (lambda m: fn.emmeans(m, "mouse"), r"m\.ranef\(\)"),
        (lambda m: fn.emmeans(m, "group x"), r"'group\*x'"),
        (lambda m: fn.contrast(m, "group2 = 0"), r"did you mean factor\(group\)2"),
        (lambda m: fn.contrast(m, "Intercept = 0"), r"did you mean \(Intercept\)"),
        (lambda m: fn.contrast(m, "x > 0"), "alternative='greater'"),
        (lambda m: fn.contrast(m, "x = 0, factor(group)2 = 0"), "stand in a list"),
        (lambda m: m.predict({"x": [1.0], "group": [1]}), "random=False"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(mixed, ask, told):
    with pytest.raises(ValueError, match=told):
        ask(mixed)


def test_a_missing_covariate_is_no_matter_of_random_effects(mixed):
    with pytest.raises(FormulaError) as caught:
        mixed.predict({"group": [1], "mouse": ["a"]})
    assert "random=False" not in str(caught.value)


@pytest.mark.parametrize(("word", "meant"), [("firth", "mean_br"), ("ols", "ml"), ("Remll", "reml")])
def test_an_estimator_by_another_name_is_proposed(word, meant):
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        fn.fit("y ~ x", TABLE, estimator=word)


def test_an_estimator_of_another_model_is_answered_by_the_models_own_backends():
    with pytest.raises(NoBackend) as caught:
        fn.fit("y ~ x + (1 | mouse)", TABLE, estimator="laplace")
    assert "native-lmm: does not know estimator 'laplace' (knows ml, reml)" in str(caught.value)
    assert "not lmm" not in str(caught.value)


@pytest.mark.parametrize(
    ("contrasts", "told"),
    [
        ({"group": "contr.sum"}, r"factor\(group\)"),
        ({"mose": "contr.sum"}, "did you mean 'mouse'"),
        ({"x": "contr.sum"}, r"as factor\(x\)"),
    ],
)
def test_contrasts_of_what_is_no_factor_name_one(contrasts, told):
    with pytest.raises(DataError, match=told):
        fn.fit("y ~ x + mouse + factor(group)", TABLE, contrasts=contrasts)


def test_a_list_of_fits_is_told_how_to_be_compared(m):
    with pytest.raises(TypeError, match=r"compare\(\*fits\)"):
        fn.compare([m, m])
    with pytest.raises(TypeError, match=r"names=list\(fits\)"):
        fn.compare({"a": m, "b": m})


# ---- formulas and columns ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("rate (Hz) ~ x", r"in backticks: `rate \(Hz\)`"),
        ("y ~ np.log(x)", r"did you mean log\(\)"),
        ("y ~ x + Error(mouse)", r"\(1 \| subject\)"),
        ("y ~ standardize(x)", r"scale\(x\)"),
        ("y ~ C(mouse, Treatment('b'))", "relevel"),
        ("y ~ nothinglikeit(x)", "often used are log"),
        ("y ~ x + (1 | mouse ID)", "in backticks"),
    ],
)
def test_what_is_no_function_or_name_is_answered_with_what_to_write(formula, told):
    with pytest.raises(FormulaError, match=told):
        fn.fit(formula, TABLE.assign(**{"rate (Hz)": 1.0, "mouse ID": TABLE["mouse"]}))


def test_a_response_that_is_left_out_on_the_right_is_said():
    again = fn.fit("y ~ y + x", TABLE)
    assert list(again.coef.index) == ["(Intercept)", "x"] and "left out right of the '~'" in again.messages[0]
    assert fn.fit("y ~ .", TABLE[["y", "x"]]).messages == ()


@pytest.mark.parametrize(
    ("texts", "told"),
    [(["n/a", "."], r"but '\.', 'n/a': pandas\.to_numeric\(data\['y'\]"), (["1,5"] * 59, "decimal=','")],
)
def test_texts_among_the_numbers_of_a_response_are_named(texts, told):
    y = TABLE["y"].round(3).astype(str).tolist()
    with pytest.raises(DataError, match=told):
        fn.fit("y ~ x", TABLE.assign(y=[*texts, *y[len(texts) :]]))


def test_levels_that_look_the_same_are_said():
    sex = ["F", "M", " F", "M"] * 15
    assert "the levels ' F' and 'F' differ in blanks" in fn.fit("y ~ sex", TABLE.assign(sex=sex)).messages[0]
    assert any("differ in" in text for text in fn.fit("y ~ x + (1 | sex)", TABLE.assign(sex=sex)).messages)


# ---- files ---------------------------------------------------------------------------------------
def test_a_report_under_the_name_of_another_kind_of_file_is_refused_before_it_is_made(m, tmp_path):
    with pytest.raises(ValueError, match=r"HTML page; name it fit\.html"):
        m.report(tmp_path / "fit.pdf")
    assert not list(tmp_path.iterdir())


def test_a_spreadsheet_is_told_its_reader(tmp_path):
    (tmp_path / "data.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"pass pandas\.read_excel\(path\)"):
        fn.fit("y ~ x", tmp_path / "data.xlsx")


def test_numbers_without_brackets_are_told_how_columns_are_given(m):
    with pytest.raises(DataError, match=r"as \{'x': \[1\.0\]\}"):
        m.predict({"x": 1})
