"""Mixed models and GEE where something is odd: aliased columns, wild scales, odd groups, verbs that do not fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro import errors
from formula_neuro_mixed.glmm.words import unfinished
from formula_neuro_mixed.newton import Minimum


def cells(n=60, seed=4) -> pd.DataFrame:
    """Rows in 8 groups of unequal size, with a copy of x."""
    rng = np.random.default_rng(seed)
    g = np.append(np.arange(8), rng.integers(0, 8, n - 8))
    t = pd.DataFrame({"g": [f"g{i}" for i in g], "x": rng.normal(size=n), "f": rng.choice(list("pqr"), n)})
    y = 0.5 * t["x"] + rng.normal(size=8)[g] + rng.normal(size=n)
    return t.assign(twin=2 * t["x"] - 1, y=y)


def test_a_term_of_aliased_columns_loses_nothing_when_dropped():
    table = fn.drop1(fn.fit("y ~ x + twin + f + (1|g)", cells())).set_index("term")
    assert table.loc["twin", "df"] == 0
    assert np.isnan(table.loc["twin", "p_value"])
    assert table.loc["f", "p_value"] > 0


def test_bootstrap_tests_of_gee_are_refused_by_name():
    gee = fn.GEE("g")
    with pytest.raises(errors.Unable, match="GEE has none"):
        fn.bootstrap_test(fn.fit("y ~ x", cells(), estimator=gee), fn.fit("y ~ x + f", cells(), estimator=gee), n=5)


@pytest.mark.parametrize("fixed", ["1", "0"])
def test_likelihood_ratios_of_no_term_are_refused(fixed):
    with pytest.raises(errors.Unable, match="nothing to test"):
        fn.anova(fn.fit(f"y ~ {fixed} + (1|g)", cells()), test="LRT")


def test_without_coefficients_the_population_is_known_exactly():
    m = fn.fit("y ~ 0 + (1|g)", cells())
    table = m.predict(random=False, interval="confidence", df="kenward-roger")
    assert (table[["fitted", "std_error", "conf_low", "conf_high"]] == 0).all(axis=None)


def test_a_shape_at_its_limit_answers_as_the_family_without_one():
    rng = np.random.default_rng(0)
    data = cells()
    data["y"] = rng.poisson(np.exp(0.5 + 0.4 * data["x"] + 0.6 * rng.normal(size=8)[data["g"].str[1:].astype(int)]))
    limit = fn.fit("y ~ x + (1|g)", data, family="nbinom1")
    simple = fn.refit(limit, family="poisson")
    assert limit.family.shape[1] == 0
    for answer in (
        lambda m: m.predict(data, interval="confidence"),
        lambda m: m.ranef("prediction")[["estimate", "sd"]],
        lambda m: m.influence(groups="g"),
    ):
        np.testing.assert_allclose(answer(limit), answer(simple), rtol=1e-5, atol=1e-7)  # two searches for one maximum
    assert fn.ranova(limit)["p_value"].iloc[-1] == pytest.approx(fn.ranova(simple)["p_value"].iloc[-1], rel=1e-5)


def test_a_random_term_that_the_fixed_part_contains_changes_nothing():
    # the criterion of REML does not depend on such a variance, on which standard errors and their df would depend
    data = cells().assign(a=lambda t: t["g"].isin(["g1", "g2", "g3"]).map({True: "p", False: "q"}))
    both, one = (fn.fit(f"y ~ a * x + {bars}", data) for bars in ("(1|a/g)", "(1|a:g)"))
    assert "nothing tells its variance" in " ".join(both.messages)
    for df in ("satterthwaite", "kenward-roger"):
        numbers = ["estimate", "std_error", "df"]
        np.testing.assert_allclose(both.tidy(df=df)[numbers], one.tidy(df=df)[numbers], rtol=1e-6)
    assert fn.fit("y ~ g + (1|g)", data).converged


@pytest.mark.parametrize("bars", ["(x + twin|g)", "(1|g) + (1|same)", "(zero|g)"])
def test_variances_that_the_data_cannot_tell_apart_are_named(bars):
    data = cells().assign(same=lambda t: t["g"].str.upper(), zero=0.0)
    for family, response in (("gaussian", "y"), ("binomial", "I(y > 0)")):
        m = fn.fit(f"{response} ~ x + {bars}", data, family=family)
        assert any("tell" in message for message in m.messages)


def test_without_coefficients_modes_are_predicted_as_if_they_were_known():
    m = fn.fit("y ~ 0 + (1|g)", cells())
    pd.testing.assert_frame_equal(m.ranef("prediction"), m.ranef())
    with pytest.raises(errors.Unable, match="has none"):
        m.influence(groups="g")


def test_containment_with_correlated_residuals_is_that_without():
    data = cells().assign(a=lambda t: t["g"].isin(["g1", "g2", "g3"]).map({True: "p", False: "q"}))
    m = fn.fit("y ~ a * x + (1|g)", data, estimator=fn.REML(residual=[fn.AR1()]))
    expected = fn.fit("y ~ a * x + (1|g)", data).tidy(df="containment")["df"]
    assert m.tidy(df="containment")["df"].tolist() == expected.tolist()


def test_a_search_that_ends_at_a_pole_says_so():
    # a group whose information is 0 has log|A| = -infinity: seen with inverse.gaussian responses far from their means
    steep = Minimum(np.zeros(1), 0.0, np.array([1e12]), 0.1, 5, False)
    gentle = Minimum(np.zeros(1), 0.0, np.array([1e-2]), 0.1, 5, False)
    assert "pole" in unfinished(steep)[0]
    assert "pole" not in unfinished(gentle)[0]
