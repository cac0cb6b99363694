"""Tests of fixed effects of R's own fits, and cross-checks of what mixed models say of theirs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import Unable

sys.path.insert(0, str(Path(__file__).parent))
from mixed_models_beside_r import MODELS, animals, table

pytestmark = pytest.mark.r


def fitted(name: str, backend: str | None = None) -> fn.Fit:
    model = MODELS[name]
    return fn.fit(model.formula, table(model.table), family=model.family, weights=model.weights, backend=backend)


@pytest.fixture(scope="module")
def native():
    return fitted("nested, animals")


@pytest.fixture(scope="module")
def bridged():
    return fitted("nested, animals", "lmerTest")


def test_fits_of_r_have_kenward_and_rogers_tests_too(native, bridged):
    # lmer stops up to 2e-3 from the optimum in theta
    for ask in (lambda m: m.tidy(df="kenward-roger"), lambda m: fn.anova(m, df="kenward-roger")):
        ours, theirs = (ask(m).select_dtypes("number").drop(columns=["p_value"]) for m in (native, bridged))
        np.testing.assert_allclose(theirs, ours, rtol=5e-3)


def test_fits_of_r_are_not_asked_to_leave_columns_out(bridged):
    with pytest.raises(Unable, match=r"lmerTest fits formulas, so that columns cannot be left out of one: fit the"):
        fn.drop1(bridged, test="Chisq")


def test_a_crosscheck_compares_tests_of_terms(native):
    check = fn.crosscheck(native)
    seen = set(check.to_frame()["quantity"])
    assert {"F tests of terms", "df of F tests", "Kenward-Roger F tests", "Kenward-Roger df"} <= seen
    assert check.ok, check


def test_a_single_term_is_tested_in_the_rows_of_lmertest():
    table = fn.crosscheck(fn.fit("y ~ f + (x|g)", animals(1))).to_frame().set_index("quantity")
    row = table.loc["df of F tests"]  # one row a column: 79.84 in place of 79.89
    assert row["native"] == pytest.approx(row["reference"], rel=1e-5)


def test_a_crosscheck_of_a_weighted_fit_leaves_pbkrtest_out():
    seen = set(fn.crosscheck(fitted("weighted, animals")).to_frame()["quantity"])
    assert "F tests of terms" in seen and "Kenward-Roger df" not in seen


def test_a_crosscheck_says_that_tests_without_margins_are_not_compared():
    check = fn.crosscheck(fn.fit("y ~ f/h + (1|g)", animals(1)))
    assert "F tests of terms" not in set(check.to_frame()["quantity"])
    assert any("a term stands without its margins" in note for note in check.notes)


def test_pbkrtest_loses_its_digits_where_slope_variables_lie_far_from_0():
    here = animals(2)
    far = here.assign(x=here["x"] + 100)
    near, moved, theirs = (
        fn.fit("y ~ x + f + (x|g)", t, backend=b)
        for t, b in ((here, "native-lmm"), (far, "native-lmm"), (far, "lmerTest"))
    )
    df = [m.tidy(df="kenward-roger").set_index("term").loc["fr", "df"] for m in (near, moved, theirs)]
    assert df[1] == pytest.approx(df[0], rel=1e-6)  # an origin has no meaning beside an intercept
    assert abs(df[2] / df[0] - 1) > 1e-3
    check = fn.crosscheck(moved)
    assert check.ok and any("the slope variables within g lie far from 0" in note for note in check.notes)


@pytest.mark.parametrize("name", ["nbinom1", "beta", "Gamma"])
def test_the_cross_check_of_a_shape_is_by_glmmtmb(name):
    check = fn.crosscheck(fitted(name))
    assert check.ok, check
    assert "glmmTMB" in check.reference
