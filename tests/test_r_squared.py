"""R2 and ICC against their definitions, computed another way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable


def cells(seed=0):
    rng = np.random.default_rng(seed)
    mouse = np.repeat(np.arange(10), rng.integers(5, 30, 10))
    x = rng.normal(size=len(mouse))
    y = 1 + 0.7 * x + (rng.normal(size=10) + 0.5 * x[:10])[mouse] + 0.4 * x * rng.normal(size=10)[mouse]
    condition = np.where(mouse % 2 == 0, "control", "treated")
    return pd.DataFrame({"mouse": mouse, "x": x, "y": y + rng.normal(size=len(mouse)), "condition": condition})


CELLS = cells()


def test_r2_of_a_random_intercept_is_the_ratio_of_variances():
    m = fn.fit("y ~ x + (1|mouse)", CELLS)
    table = m.varcorr().set_index("group")["covariance"]
    f = m.coef["x"] ** 2 * CELLS["x"].var()
    total = f + table["mouse"] + table["Residual"]
    row = fn.r2(m).iloc[0]
    assert row["marginal"] == pytest.approx(f / total, rel=1e-12)
    assert row["conditional"] == pytest.approx((f + table["mouse"]) / total, rel=1e-12)


def test_slopes_count_by_the_mean_of_their_variance_over_rows():
    # Johnson (2014): the mean of diag(Z Sigma Z')
    m = fn.fit("y ~ x + (x|mouse)", CELLS)
    S, x = m.random[0].covariance, CELLS["x"].to_numpy()
    expected = S[0, 0] + 2 * S[0, 1] * x.mean() + S[1, 1] * (x**2).mean()
    assert fn.r2(m)["var_random"][0] == pytest.approx(expected, rel=1e-12)


def test_r2_does_not_depend_on_where_the_slope_variable_has_its_origin():
    moved = CELLS.assign(x=CELLS["x"] + 10)
    a, b = (fn.r2(fn.fit("y ~ x + (x|mouse)", d)).iloc[0] for d in (CELLS, moved))
    np.testing.assert_allclose(a, b, rtol=1e-6)  # two searches for one optimum


@pytest.mark.parametrize(("link", "e"), [("logit", np.pi**2 / 3), ("probit", 1.0), ("cloglog", np.pi**2 / 6)])
def test_the_residual_variance_of_a_binary_response_is_that_of_its_latent_variable(link, e):
    m = fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family=f"binomial({link})")
    row = fn.r2(m).iloc[0]
    assert row["var_residual"] == e
    assert fn.icc(m)["icc"][0] == pytest.approx(row["var_random"] / (row["var_random"] + e), rel=1e-12)


def test_the_residual_variance_of_counts_is_that_of_the_lognormal_with_their_mean():
    rng = np.random.default_rng(3)
    d = CELLS.assign(n=rng.poisson(np.exp(0.3 + 0.2 * CELLS["x"] + 0.5 * rng.normal(size=10)[CELLS["mouse"]])))
    m = fn.fit("n ~ x + (1|mouse)", d, family="poisson")
    mean = np.exp((m.coef["(Intercept)"] + m.coef["x"] * CELLS["x"]).mean() + m.random[0].covariance[0, 0] / 2)
    assert fn.r2(m)["var_residual"][0] == pytest.approx(np.log(1 + 1 / mean), rel=1e-12)


def test_icc_of_a_fit_has_a_row_a_term_and_one_for_all():
    d = CELLS.assign(day=np.arange(len(CELLS)) % 7)
    m = fn.fit("y ~ x + (1|mouse) + (1|day)", d)
    table = fn.icc(m).set_index("group")
    assert list(table.index) == [*(effect.group for effect in m.random), "total"]
    assert table["icc"]["total"] == pytest.approx(table["icc"].drop("total").sum(), rel=1e-12)
    assert (table["icc_unadjusted"] <= table["icc"]).all()


def test_icc_of_a_balanced_table_is_that_of_the_fitted_model():
    # balanced data with a positive estimate: REML's variances are the moments of the analysis of variance
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(8), 6)
    d = pd.DataFrame({"g": g, "y": rng.normal(size=8)[g] + rng.normal(size=48)})
    m = fn.fit("y ~ 1 + (1|g)", d)
    assert fn.icc(d, "y", "g")["icc"][0] == pytest.approx(fn.icc(m)["icc"][0], rel=1e-7)


def test_icc_by_condition_is_that_of_each_conditions_rows():
    table = fn.icc(CELLS, "y", "mouse", by="condition")
    assert table["condition"].tolist() == ["control", "treated"]
    alone = fn.icc(CELLS[CELLS["condition"] == "treated"], "y", "mouse").iloc[0]
    pd.testing.assert_series_equal(
        table.iloc[1].drop("condition").astype(float), alone.astype(float), check_names=False
    )


def test_the_design_effect_divides_the_rows():
    row = fn.icc(CELLS, "y", "mouse").iloc[0]
    M = row["n"] / row["groups"]
    assert row["design_effect"] == pytest.approx(1 + (M - 1) * row["icc"], rel=1e-12)
    assert row["effective_n"] == pytest.approx(row["n"] / row["design_effect"], rel=1e-12)


def test_a_single_group_has_no_icc():
    assert np.isnan(fn.icc(CELLS[CELLS["mouse"] == 0], "y", "mouse")["icc"][0])


def test_r2_of_other_models_says_what_there_is():
    with pytest.raises(Unable, match="no random effects"):
        fn.r2(fn.fit("lick ~ dff", fn.datasets.waterlick(), family="binomial"))
    assert fn.r2(fn.fit("y ~ x", CELLS))["r_squared"][0] == fn.fit("y ~ x", CELLS).glance()["r_squared"][0]


def test_icc_names_a_column_that_is_not_there():
    with pytest.raises(DataError, match="mouseID is not a column"):
        fn.icc(CELLS, "y", "mouseID")
