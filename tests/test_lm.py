"""The native linear model against certified and exact results, and by what must not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn

# NIST StRD, Longley (1967): data, and values certified to 15 digits
LONGLEY = """
60323 83.0 234289 2356 1590 107608 1947
61122 88.5 259426 2325 1456 108632 1948
60171 88.2 258054 3682 1616 109773 1949
61187 89.5 284599 3351 1650 110929 1950
63221 96.2 328975 2099 3099 112075 1951
63639 98.1 346999 1932 3594 113270 1952
64989 99.0 365385 1870 3547 115094 1953
63761 100.0 363112 3578 3350 116219 1954
66019 101.2 397469 2904 3048 117388 1955
67857 104.6 419180 2822 2857 118734 1956
68169 108.4 442769 2936 2798 120445 1957
66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959
69564 114.2 502601 3931 2514 125368 1960
69331 115.7 518173 4806 2572 127852 1961
70551 116.9 554894 4007 2827 130081 1962
"""
CERTIFIED = [
    -3482258.63459582, 15.0618722713733, -0.0358191792925910, -2.02022980381683, -1.03322686717359, -0.0511041056535807,
    1829.15146461355,
]  # fmt: skip
CERTIFIED_SE = [
    890420.383607373, 84.9149257747669, 0.0334910077722432, 0.488399681651699, 0.214274163161675, 0.226073200069370,
    455.478499142212,
]  # fmt: skip


def longley():
    rows = [line.split() for line in LONGLEY.strip().splitlines()]
    return pd.DataFrame(np.array(rows, dtype=float), columns=["y", "x1", "x2", "x3", "x4", "x5", "x6"])


def table(n=40, seed=0):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "w": rng.uniform(0.5, 3, n)})
    return data.assign(y=1 + 2 * data.x + rng.normal(size=n))


def native(formula, data, **options):
    return fn.fit(formula, data, backend="native-lm", **options)


def test_longley_has_the_certified_coefficients_and_standard_errors():
    m = native("y ~ x1 + x2 + x3 + x4 + x5 + x6", longley())
    # the columns' condition number, 5e9 unscaled, leaves about 8 of 16 digits; the promise is 1e-8
    np.testing.assert_allclose(m.coef, CERTIFIED, rtol=1e-8)
    np.testing.assert_allclose(m.se, CERTIFIED_SE, rtol=1e-8)
    assert m.sigma == pytest.approx(304.854073561965, rel=1e-9)


def test_a_fifth_degree_polynomial_has_its_exact_coefficients():
    x = np.arange(21.0)  # NIST StRD, Wampler1
    data = pd.DataFrame({"x": x, "y": sum(x**k for k in range(6))})
    m = native("y ~ x + I(x^2) + I(x^3) + I(x^4) + I(x^5)", data)
    np.testing.assert_allclose(m.coef, 1.0, rtol=1e-7)  # scaled condition number 1e5, values up to 3e6


def test_weighted_coefficients_solve_the_weighted_normal_equations():
    data = table()
    m = native("y ~ x + z", data, weights="w")
    X, W = m.request.design.matrix, np.diag(data.w)
    np.testing.assert_allclose(m.coef, np.linalg.solve(X.T @ W @ X, X.T @ W @ data.y), rtol=1e-12)
    s2 = (data.w * (data.y - X @ m.beta) ** 2).sum() / 37
    np.testing.assert_allclose(m.vcov, s2 * np.linalg.inv(X.T @ W @ X), rtol=1e-12)


def test_the_log_likelihood_is_the_normal_density_at_the_ml_variance():
    data = table()
    m = native("y ~ x", data, weights="w")
    s2 = m.deviance / len(data)
    density = stats.norm.logpdf(data.y, m.eta, np.sqrt(s2 / data.w))
    assert m.loglik == pytest.approx(density.sum(), rel=1e-12)
    assert m.n_parameters == 3


def test_an_offset_is_subtracted_before_and_added_after():
    data = table()
    m, shifted = native("y ~ x + offset(10 * z)", data), native("y ~ x", data.assign(y=data.y - 10 * data.z))
    np.testing.assert_allclose(m.coef, shifted.coef, rtol=1e-12)
    np.testing.assert_allclose(m.eta, shifted.eta + 10 * data.z, rtol=1e-12)


def test_rows_of_zero_weight_count_nowhere_but_are_predicted():
    data = table().assign(w=[0.0, 0, 0] + [1.0] * 37)
    m, rest = native("y ~ x", data, weights="w"), native("y ~ x", data[3:])
    for what in ("loglik", "deviance", "df_resid", "sigma", "nobs"):
        assert getattr(m, what) == pytest.approx(getattr(rest, what), rel=1e-12)
    np.testing.assert_allclose(m.eta[0], m.beta @ [1, data.x[0]], rtol=1e-12)


def test_an_aliased_column_is_nan_and_named_and_the_others_are_as_without_it():
    data = table().assign(twice=lambda d: 2 * d.x - 1)
    m, without = native("y ~ x + twice + z", data), native("y ~ x + z", data)
    np.testing.assert_allclose(m.coef.dropna(), without.coef, rtol=1e-10)
    assert np.isnan(m.vcov.loc["twice"]).all()
    assert m.aliased == ("twice",)
    assert m.df_resid == 37
    assert any("twice" in message for message in m.messages)


def test_more_columns_than_rows_alias_the_last_ones():
    m = native("y ~ x + z + w", table()[:3])
    assert m.aliased == ("w",)
    assert m.df_resid == 0


def test_without_residual_degrees_of_freedom_there_are_no_standard_errors_and_a_message():
    m = native("y ~ x", table()[:2])
    assert np.isnan(m.sigma)
    assert m.se.isna().all()
    assert any("no residual degrees of freedom" in message for message in m.messages)


def test_a_perfect_fit_is_remarked_on():
    data = table().assign(y=lambda d: 1 + d.x)
    assert any("perfect fit" in message for message in native("y ~ x", data).messages)


def test_the_order_of_rows_does_not_matter():
    data = table()
    m, mixed = (
        native("y ~ x * z", data, weights="w"),
        native("y ~ x * z", data.sample(frac=1, random_state=1), weights="w"),
    )
    np.testing.assert_allclose(m.coef, mixed.coef, rtol=1e-12)


def test_units_of_a_covariate_only_rescale_its_coefficient():
    data = table()
    m, scaled = native("y ~ x + z", data), native("y ~ x + z", data.assign(x=data.x * 1e9))
    np.testing.assert_allclose(scaled.coef * [1, 1e9, 1], m.coef, rtol=1e-12)
    np.testing.assert_allclose(scaled.se * [1, 1e9, 1], m.se, rtol=1e-12)


def test_a_model_without_columns_has_the_response_as_residual():
    data = table()
    assert native("y ~ 0", data).deviance == pytest.approx((data.y**2).sum())


def test_another_response_is_fitted_as_if_it_were_the_first():
    data = table()
    m = native("y ~ x", data)
    again = m.engine.refit(m.request.with_response(data.z.to_numpy()))
    np.testing.assert_array_equal(again.coef, native("z ~ x", data).coef)
