"""Responses far from 0 or of strange size, variances that nothing tells, and what is said beside a table."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro.result import Fit


@functools.cache
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"g": np.repeat(list("abcdefgh"), 10), "h": np.tile(list("stuvw"), 16), "x": rng.normal(size=80)})
    d["y"] = 1 + d.x + rng.normal(size=5)[pd.factorize(d.h)[0]] + rng.normal(size=80)
    return d


# ---- size and place of the response --------------------------------------------------------------
@pytest.mark.parametrize("corr", ["independence", "exchangeable", "ar1"])
def test_gee_of_a_response_far_from_zero_takes_the_same_steps(corr):
    near = fn.fit("y ~ x", data(), estimator=fn.GEE("g", corr=corr))
    far = fn.fit("y ~ x", data().assign(y=data().y + 1e9), estimator=fn.GEE("g", corr=corr))
    assert far.converged and far.iterations <= near.iterations + 1
    assert np.allclose(far.se, near.se, rtol=1e-6)  # 1e9 leaves 7 digits of the response
    assert far.coef["(Intercept)"] == pytest.approx(near.coef["(Intercept)"] + 1e9, rel=1e-15)


def test_gee_with_an_offset_is_that_of_the_difference():
    how = fn.GEE("g")
    plain = fn.fit("y ~ x", data().assign(y=data().y - 3 * data().x), estimator=how)
    moved = fn.fit("y ~ x + offset(3 * x)", data(), estimator=how)
    assert np.allclose(moved.coef, plain.coef, rtol=1e-12) and np.allclose(moved.eta, plain.eta + 3 * data().x)


def test_gee_still_refuses_a_response_that_the_columns_reproduce():
    with pytest.raises(DataError, match="reproduce the response exactly"):
        fn.fit("y ~ x", data().assign(y=1e9 + 2 * data().x), estimator=fn.GEE("g"))


@pytest.mark.parametrize("size", [1e150, 1e-150, 1e200])
def test_a_spread_whose_powers_overflow_is_refused_with_its_size(size):
    with pytest.raises(DataError, match=rf"varies by about \de[+]?{int(np.log10(size))}.*in other units"):
        fn.fit("y ~ x + (x | h)", data().assign(y=data().y * size))


@pytest.mark.parametrize("size", [1e50, 1e-50])
def test_a_strange_unit_changes_nothing_but_the_unit(size):
    m, far = (fn.fit("y ~ x + (x | h)", data().assign(y=data().y * s)) for s in (1.0, size))
    one, other = m.tidy(), far.tidy()
    assert np.allclose(far.coef / size, m.coef, rtol=1e-8) and np.allclose(one["df"], other["df"], rtol=1e-6)
    assert np.allclose(one["p_value"], other["p_value"], rtol=1e-6)


# ---- variances that nothing tells ----------------------------------------------------------------
PAIRS = [
    ("y ~ g + (x | g)", "y ~ g + (0 + x | g)"),
    ("y ~ g + x + (x | g) + (1 | h)", "y ~ g + x + (0 + x | g) + (1 | h)"),
]


@pytest.mark.parametrize("formula, told", PAIRS)
def test_an_absorbed_intercept_leaves_the_model_that_the_data_tell(formula, told):
    m, plain = fn.fit(formula, data()), fn.fit(told, data())
    assert m.criterion == pytest.approx(plain.criterion, abs=1e-9)
    assert np.allclose(m.se, plain.se, rtol=1e-8) and np.allclose(m.eta, plain.eta, atol=1e-8)
    for df in ("satterthwaite", "kenward-roger"):
        assert np.allclose(fn.anova(m, df=df)["df_resid"], fn.anova(plain, df=df)["df_resid"], rtol=1e-6)


def test_an_absorbed_intercept_is_said_and_its_variance_is_exactly_zero():
    m = fn.fit("y ~ g + (x | g)", data())
    assert any("nothing tells its variance, set to 0" in message for message in m.messages)
    table = m.varcorr().query("group == 'g'")
    assert (table["covariance"] == 0).tolist() == [True, False, True]
    assert (m.ranef().query("term == '(Intercept)'")["estimate"] == 0).all()


def test_standard_errors_beside_an_absorbed_intercept_do_not_depend_on_the_start():
    m = fn.fit("y ~ g + (x | g)", data())
    assert np.allclose(fn.refit(m, start="large").se, m.se, rtol=1e-6)


# ---- what is said --------------------------------------------------------------------------------
@functools.cache
def apart() -> Fit:
    d = pd.DataFrame({"y": [0] * 8 + [1] * 12, "x": [0.0] * 8 + [1.0] * 12, "z": np.tile([0.0, 1, 0, 0, 1], 4)})
    d.loc[[3, 12], "x"] = 0.0
    d["s"] = (d.index >= 17).astype(float)
    return fn.fit("y ~ z + s", d, family="binomial")


def test_a_contrast_of_an_infinite_coefficient_says_so():
    assert list(apart().infinite) == ["s"]
    found = fn.contrast(apart(), "s - z")
    assert "s is infinite (separation)" in found.messages[0] and found.messages[0] in repr(found)


def test_a_contrast_of_finite_coefficients_says_nothing():
    assert fn.contrast(apart(), "z").messages == ()


def test_an_anova_prints_what_is_said_of_it():
    d = fn.datasets.waterlick()
    table = fn.anova(fn.fit("dff ~ 1 + (1|mouseID)", d), fn.fit("dff ~ lick + (1|mouseID)", d))
    said = "REML fits were refitted by maximum likelihood for the comparison"
    assert str(table).endswith(said) and said in str(table[["model", "p_value"]].round(3))
    assert said in table._repr_html_() and said in str(pickle.loads(pickle.dumps(table)))


@pytest.mark.parametrize("ask", [fn.drop1, fn.ranova, fn.anova])
def test_tables_of_tests_print_their_messages(ask):
    table = ask(fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick()))
    assert table.attrs["messages"] and all(text in str(table) for text in table.attrs["messages"])


def test_a_table_without_messages_prints_as_a_data_frame():
    table = fn.anova(fn.fit("dff ~ lick", fn.datasets.waterlick()))
    assert str(table) == str(pd.DataFrame(table))
