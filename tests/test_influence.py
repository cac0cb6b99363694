"""influence(): leaving rows out by hand, saturated and weightless rows, exact deletion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import Unable


def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 40
    d = pd.DataFrame({"x": rng.normal(size=n), "f": rng.choice(list("ab"), n), "w": rng.uniform(0.5, 2, n)})
    d["g"] = rng.choice(list("uvwz"), n)
    d["y"] = d["x"] + rng.normal(size=n)
    d["b"] = (rng.random(n) < 1 / (1 + np.exp(-d["x"]))).astype(int)
    d["k"] = rng.poisson(np.exp(1 + d["x"] / 2))
    d["p"] = rng.gamma(4, (1 + d["x"] ** 2) / 4)
    return d.set_axis([f"row {i}" for i in range(n)])


DATA = table()
PLAIN = ["hat", "sigma", "std_residual", "studentized_residual", "cooks_distance", "dffits", "covratio"]
LM = ("y ~ x + f", {"weights": "w"})
FORMULA, OPTIONS = LM


@pytest.fixture(scope="module")
def lm():
    return fn.fit(FORMULA, DATA, **OPTIONS)


def without(row, formula=FORMULA, **options):
    return fn.fit(formula, DATA.drop(index=row), **(options or OPTIONS))


# ---- linear models: exactly what leaving out does ------------------------------------------------------
def test_the_table_has_a_row_for_each_row_used_and_columns_for_each_coefficient(lm):
    table = lm.influence()
    coefficients = ["(Intercept)", "x", "fb"]
    assert table.columns.tolist() == PLAIN + [f"{k}_{c}" for k in ("dfbeta", "dfbetas") for c in coefficients]
    assert table.index.tolist() == DATA.index.tolist()


@pytest.mark.parametrize("row", ["row 0", "row 17", "row 39"])
def test_the_measures_of_a_linear_model_are_those_of_a_fit_without_the_row(lm, row):
    other, ours = without(row), lm.influence().loc[row]
    i = DATA.index.get_loc(row)
    change = lm.coef - other.coef
    x, w = lm.request.design.matrix[i], lm.request.weights[i]
    np.testing.assert_allclose(ours[[f"dfbeta_{c}" for c in lm.names]].astype(float), change, rtol=1e-9)
    assert ours["sigma"] == pytest.approx(other.sigma, rel=1e-12)
    unit = lm.se / lm.sigma
    np.testing.assert_allclose(ours[[f"dfbetas_{c}" for c in lm.names]].astype(float), change / (other.sigma * unit))
    assert ours["cooks_distance"] == pytest.approx(change @ np.linalg.solve(lm.vcov, change) / 3, rel=1e-9)
    assert ours["dffits"] == pytest.approx(x @ change / (other.sigma * np.sqrt(ours["hat"] / w)), rel=1e-9)
    ratio = np.linalg.det(other.vcov) / np.linalg.det(lm.vcov)
    assert ours["covratio"] == pytest.approx(ratio, rel=1e-9)
    gap = np.sqrt(w) * (lm.request.y[i] - x @ other.beta)  # from the prediction that has not seen the row
    spread = np.sqrt(other.sigma**2 + w * x @ other.covariance @ x)
    assert ours["studentized_residual"] == pytest.approx(gap / spread, rel=1e-9)


def test_leverages_add_up_to_the_number_of_coefficients(lm):
    assert lm.influence()["hat"].sum() == pytest.approx(3, rel=1e-12)


def test_exact_changes_nothing_for_linear_models(lm):
    pd.testing.assert_frame_equal(lm.influence(exact=True), lm.influence())


def test_the_order_of_rows_does_not_matter(lm):
    shuffled = DATA.sample(frac=1, random_state=3)
    other = fn.fit(FORMULA, shuffled, **OPTIONS).influence().loc[DATA.index]
    pd.testing.assert_frame_equal(other, lm.influence(), rtol=1e-9)


# ---- rows that are special -----------------------------------------------------------------------------
def test_a_row_that_alone_determines_a_coefficient_has_leverage_1_and_no_other_answer():
    data = DATA.assign(f=["c", *DATA["f"].iloc[1:]])
    fit = fn.fit("y ~ x + f", data)
    row = fit.influence().iloc[0]
    assert row["hat"] == 1
    assert row.drop(["hat", "sigma"]).isna().all()
    assert fit.influence().iloc[1:].notna().all(axis=None)
    assert np.isnan(fit.residuals("standardized").iloc[0])
    assert np.isnan(fit.augment()["cooks_distance"].iloc[0])


def test_rows_of_weight_0_are_nan_and_change_nothing_else():
    data = DATA.assign(w=DATA["w"].where(np.arange(40) != 5, 0.0))
    zero, out = fn.fit(FORMULA, data, weights="w").influence(), without("row 5").influence()
    assert zero.loc["row 5"].isna().all()
    pd.testing.assert_frame_equal(zero.drop(index="row 5"), out, rtol=1e-9)


def test_a_saturated_model_has_leverages_of_1_and_no_sigma():
    table = fn.fit("y ~ x + I(x^2)", DATA.iloc[:3]).influence()
    assert (table["hat"] == 1).all()
    assert table[["sigma", "std_residual", "cooks_distance"]].isna().all(axis=None)


def test_aliased_coefficients_have_no_dfbeta():
    table = fn.fit("y ~ x + I(2*x)", DATA).influence()
    assert table["dfbeta_I(2 * x)"].isna().all()
    plain = fn.fit("y ~ x", DATA).influence()
    np.testing.assert_allclose(table["dfbetas_x"], plain["dfbetas_x"], rtol=1e-10)


def test_mixed_models_are_refused_by_name():
    with pytest.raises(Unable, match=r"influence\(\) is of a model without random terms, and this is a lmm"):
        fn.fit("y ~ x + (1|g)", DATA).influence()


# ---- generalized linear models -----------------------------------------------------------------------------
GLMS = {
    "poisson": ("k ~ x + f", {"family": "poisson"}),
    "binomial": ("b ~ x", {"family": "binomial"}),
    "Gamma, a link that falls": ("p ~ I(x^2)", {"family": "Gamma"}),
}


@pytest.mark.parametrize("name", GLMS)
def test_exact_measures_are_those_of_a_fit_without_the_row(name):
    formula, options = GLMS[name]
    fit = fn.fit(formula, DATA, **options)
    table = fit.influence(exact=True)
    other = without("row 3", formula, **options)
    ours, change = table.loc["row 3"], fit.coef - other.coef
    # both fits stop within 3e-8 of a standard error of their maxima, and a change is a share of one
    np.testing.assert_allclose(ours[[f"dfbeta_{c}" for c in fit.names]].astype(float), change, rtol=1e-5, atol=1e-9)
    assert ours["sigma"] == pytest.approx(other.sigma, rel=1e-6)
    assert ours["covratio"] == pytest.approx(np.linalg.det(other.vcov) / np.linalg.det(fit.vcov), rel=1e-5)
    assert table.attrs.get("messages", ()) == ()


@pytest.mark.parametrize("name", GLMS)
def test_one_step_goes_where_the_refit_goes(name):
    """Under a falling link too, where deviance residuals have the other sign than the change."""
    formula, options = GLMS[name]
    fit = fn.fit(formula, DATA, **options)
    step, exact = fit.influence(), fit.influence(exact=True)
    for column in [c for c in step if c.startswith("dfbetas_")] + ["cooks_distance", "dffits"]:
        assert np.corrcoef(step[column], exact[column])[0, 1] > 0.9  # an approximation, of its first order


def test_rows_without_which_a_fit_separates_are_named():
    data = {"b": [0, 0, 0, 1, 0, 1, 1, 1], "x": [1.0, 2, 3, 3.5, 4, 5, 6, 7]}
    table = fn.fit("b ~ x", data, family="binomial").influence(exact=True)
    assert "the fit did not converge without 2 rows (3, 4)" in table.attrs["messages"][0]


def test_exact_deletion_needs_an_engine_that_can_refit():
    fit = fn.fit("k ~ x", DATA, family="poisson")
    bare = replace(fit, engine=None)
    assert bare.influence().notna().all(axis=None)
    with pytest.raises(Unable, match=r"influence\(exact=True\) needs a fit that can `refit`"):
        bare.influence(exact=True)


def test_one_row_has_no_influence_to_measure_by_leaving_it_out():
    m = fn.fit("y ~ 1", {"y": [1]}, family="binomial", estimator="mean_br")
    assert m.influence(exact=True).cooks_distance.isna().all()
