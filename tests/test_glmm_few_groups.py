"""Effects between few groups in generalized linear mixed models: what is said of them, and their degrees of freedom."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import Unable


def trials(mice: int, each: int) -> pd.DataFrame:
    rng = np.random.default_rng(mice)
    mouse = np.repeat(np.arange(mice), each)
    y = rng.random(len(mouse)) < 1 / (1 + np.exp(-0.8 * rng.normal(size=mice)[mouse]))
    return pd.DataFrame(
        {"mouse": mouse, "arm": np.array(["a", "b", "c"])[mouse % 3], "x": rng.normal(size=len(mouse)), "y": y * 1.0}
    )


@pytest.fixture(scope="module")
def few():
    return fn.fit("y ~ arm + x + (1|mouse)", trials(9, 10), family="binomial")


def test_degrees_of_freedom_by_containment_are_those_of_the_linear_model(few):
    linear = fn.fit("y ~ arm + x + (1|mouse)", trials(9, 10))
    assert few.tidy(df="containment")["df"].tolist() == linear.tidy(df="containment")["df"].tolist()
    assert few.tidy(df="containment").set_index("term").loc["armb", "df"] == 9 - 3


def test_terms_are_tested_by_f_with_them(few):
    chi, f = fn.anova(few).iloc[0], fn.anova(few, df="containment")
    assert f.columns.tolist() == ["term", "df", "df_resid", "statistic", "p_value"]
    assert f["statistic"][0] == pytest.approx(chi["statistic"] / 2, rel=1e-9)
    assert f["p_value"][0] == pytest.approx(stats.f.sf(chi["statistic"] / 2, 2, 6), rel=1e-9)


def test_means_take_them_too(few):
    found = fn.emmeans(few, "arm", "pairwise", df="containment").contrasts
    assert (found["df"] == 6).all()


def test_columns_that_tell_few_groups_apart_are_named(few):
    assert [m for m in few.messages if "armb, armc: the same in all rows of each mouse" in m and "(6 degrees" in m]


@pytest.mark.parametrize("formula, mice", [("y ~ x + (1|mouse)", 9), ("y ~ arm + x + (1|mouse)", 30)])
def test_within_groups_and_among_many_nothing_is_said(formula, mice):
    fit = fn.fit(formula, trials(mice, 6), family="binomial")
    assert not any("the same in all rows" in m for m in fit.messages)


def test_a_column_of_the_outer_groups_is_named_with_these_alone():
    data = trials(12, 6).assign(cage=lambda t: t["mouse"] % 6, h=lambda t: (t["mouse"] % 2) * 1.0)
    fit = fn.fit("y ~ h + (1|cage/mouse)", data, family="binomial")
    said = [m for m in fit.messages if "the same in all rows" in m]
    assert len(said) == 1 and said[0].startswith("h: the same in all rows of each cage")


def test_crossed_groups_are_named_but_have_no_such_degrees_of_freedom():
    data = trials(9, 12).assign(item=np.tile(np.arange(12), 9))
    fit = fn.fit("y ~ arm + (1|mouse) + (1|item)", data, family="binomial")
    assert any("of each mouse" in m for m in fit.messages)
    with pytest.raises(Unable, match="nested groups"):
        fit.tidy(df="containment")


def test_containment_has_its_size_between_six_mice_and_the_normal_distribution_has_not():
    """300 sets of 6 mice with 10 trials, 3 treated; limits leave out 1e-3 on each side."""
    data = trials(6, 10).assign(treated=lambda t: (t["mouse"] % 2) * 1.0)
    first, rng, sets = fn.fit("y ~ treated + (1|mouse)", data, family="binomial"), np.random.default_rng(1), 300
    z = []
    for _ in range(sets):
        chance = 1 / (1 + np.exp(-0.8 * rng.normal(size=6)[data["mouse"]]))
        m = first.engine.refit(first.request.with_response((rng.random(60) < chance) * 1.0))
        z.append(abs(m.beta[1]) / np.sqrt(m.covariance[1, 1]))
    low, high = stats.binom.ppf([1e-3, 1 - 1e-3], sets, 0.05)
    assert (np.array(z) > stats.norm.isf(0.025)).sum() > high
    assert low / 2 <= (np.array(z) > stats.t.isf(0.025, 4)).sum() <= high  # .027 of 600 sets: variances found as 0
