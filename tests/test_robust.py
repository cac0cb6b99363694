"""Robust covariances by what must hold: deletions done by hand, invariances, and refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, FitError, Unable
from formula_neuro.inference.rows.robust import robust_covariance


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 60
    d = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "f": rng.choice(list("ab"), n),
            "mouse": rng.choice([f"m{i}" for i in range(8)], n),
            "day": rng.integers(1, 5, n),
            "w": rng.uniform(0.3, 3, n),
        }
    )
    d["y"] = d["x"] + rng.normal(size=n)
    d["b"] = (rng.random(n) < 1 / (1 + np.exp(-d["x"]))).astype(int)
    d["k"] = rng.poisson(np.exp(d["x"] / 2))
    return d.set_axis([f"row {i}" for i in range(n)])


DATA = table()


@pytest.fixture(scope="module")
def lm():
    return fn.fit("y ~ x + f", DATA)


@pytest.fixture(scope="module")
def glm():
    return fn.fit("k ~ x + f", DATA, family="poisson", weights="w")


def matrix(fit, vcov):
    return robust_covariance(fit, vcov).matrix


# ---- what they are ---------------------------------------------------------------------------------
def test_hc3_is_made_of_what_leaving_out_each_row_changes():
    fit = fn.fit("y ~ x + f", DATA, weights="w")
    changes = np.array([fit.beta - fn.fit("y ~ x + f", DATA.drop(index=row), weights="w").beta for row in DATA.index])
    np.testing.assert_allclose(matrix(fit, "HC3"), changes.T @ changes, rtol=1e-10)  # rounding of 60 fits


def test_hc3_of_clusters_is_made_of_what_leaving_out_each_cluster_changes():
    fit = fn.fit("y ~ x + f", DATA, weights="w")
    left = [DATA[DATA["mouse"] != mouse] for mouse in DATA["mouse"].unique()]
    changes = np.array([fit.beta - fn.fit("y ~ x + f", rows, weights="w").beta for rows in left])
    ours = matrix(fit, {"cluster": "mouse", "type": "HC3"})
    np.testing.assert_allclose(ours, changes.T @ changes, rtol=1e-10)


def test_hc2_of_clusters_is_unbiased_under_equal_variances(lm):
    # the expectation over e with variance sigma^2 is linear in E[e e'] = (I - H) sigma^2, so unit by unit suffices
    X = lm.request.design.matrix
    Q = np.linalg.qr(X)[0]
    residuals_of_units = np.eye(len(X)) - Q @ Q.T
    total = np.zeros((X.shape[1], X.shape[1]))
    for unit in residuals_of_units.T:
        refitted = lm.engine.refit(lm.request.with_response(unit))
        total += matrix(refitted, {"cluster": "mouse", "type": "HC2"})
    np.testing.assert_allclose(total, np.linalg.inv(X.T @ X), rtol=1e-9)  # sums of 60 rounded matrices


@pytest.mark.parametrize("kind", ["HC0", "HC2", "HC3"])
@pytest.mark.parametrize("name", ["lm", "glm"])
def test_clusters_of_one_row_are_rows(request, name, kind):
    fit = request.getfixturevalue(name)
    G = fit.nobs
    few = G / (G - 1) if kind == "HC0" else 1.0
    ours = matrix(fit, {"cluster": np.arange(G), "type": kind})
    np.testing.assert_allclose(ours, few * matrix(fit, kind), rtol=1e-12)


def test_two_ways_are_one_and_the_other_less_both(lm):
    both = DATA["mouse"] + DATA["day"].astype(str)
    parts = [matrix(lm, {"cluster": c, "type": "HC0"}) for c in ("mouse", "day", both.to_numpy())]
    two = matrix(lm, {"cluster": ["mouse", "day"], "type": "HC0"})
    np.testing.assert_allclose(two, parts[0] + parts[1] - parts[2], rtol=1e-10, atol=1e-14)


def test_the_same_clusters_twice_count_once(lm):
    twice = {"cluster": ["mouse", "mouse"]}
    np.testing.assert_allclose(matrix(lm, twice), matrix(lm, {"cluster": "mouse"}), rtol=1e-12)


def test_a_dispersion_cancels():
    poisson, quasi = (fn.fit("k ~ x", DATA, family=name) for name in ("poisson", "quasipoisson"))
    np.testing.assert_allclose(matrix(poisson, "HC3"), matrix(quasi, "HC3"), rtol=1e-12)


# ---- what must not matter --------------------------------------------------------------------------
@pytest.mark.parametrize("vcov", ["HC3", {"cluster": "mouse"}, {"cluster": ["mouse", "day"], "type": "HC2"}])
def test_the_order_of_rows_does_not_matter(vcov):
    shuffled = DATA.sample(frac=1, random_state=1)
    ours, other = (matrix(fn.fit("y ~ x + f", d), vcov) for d in (DATA, shuffled))
    np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-13)


def test_rows_of_weight_0_are_as_rows_left_out():
    data = DATA.assign(w=DATA["w"].where(np.arange(60) % 5 > 0, 0.0))
    zero, out = fn.fit("y ~ x", data, weights="w"), fn.fit("y ~ x", data, weights="w", subset="w > 0")
    for vcov in ("HC1", "HC3", {"cluster": "mouse"}):
        np.testing.assert_allclose(matrix(zero, vcov), matrix(out, vcov), rtol=1e-12)


def test_units_of_a_covariate_scale_its_standard_error():
    plain, small = fn.fit("y ~ x", DATA), fn.fit("y ~ I(x/1e6)", DATA)
    a, b = plain.tidy(vcov="HC2"), small.tidy(vcov="HC2")
    np.testing.assert_allclose(b["statistic"], a["statistic"], rtol=1e-9)


# ---- clusters --------------------------------------------------------------------------------------
def test_clusters_may_be_a_column_that_the_formula_does_not_name_also_where_rows_were_dropped():
    data = DATA.assign(x=DATA["x"].where(np.arange(60) > 6))
    fit = fn.fit("y ~ x", data, subset=np.arange(60) < 50)
    rows = data.iloc[7:50]
    given = [
        {"cluster": "mouse"},
        {"cluster": rows["mouse"].to_numpy()},  # one a row used
        {"cluster": data["mouse"].to_numpy()},  # one a row of the data
        {"cluster": rows["mouse"].tolist()},
        {"cluster": rows["mouse"]},
        {"cluster": data["mouse"]},
    ]
    first, *others = (matrix(fit, vcov) for vcov in given)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_labels_of_clusters_do_not_matter(lm):
    codes = pd.factorize(DATA["mouse"])[0] * 10.5
    np.testing.assert_allclose(matrix(lm, {"cluster": codes}), matrix(lm, {"cluster": "mouse"}), rtol=1e-12)


def test_clusters_that_cannot_be_are_refused(lm):
    for given, match in [
        ("cage", "cage is not a column of the data that the fit was made from"),
        (np.ones(60), "all rows used are in one cluster"),
        (np.ones(59), r"labels of shape \(59,\); expected 60, one a row used"),
        ([], "names no column"),
        (DATA["mouse"].where(DATA["day"] > 1).to_numpy(), "the cluster of .* of 60 rows used is missing"),
        (DATA["mouse"].sample(frac=1, random_state=1), "other row labels than the data's"),
    ]:
        with pytest.raises(DataError, match=match):
            lm.tidy(vcov={"cluster": given})


def test_unknown_words_of_vcov_are_refused(lm):
    for given, match in [
        ("HC9", "vcov='HC9' is not known; there are HC0, HC1, HC2, HC3"),
        ({"by": "mouse"}, "takes 'cluster' and 'type'"),
        ({"type": "HC1"}, "takes 'cluster' and 'type'"),
        ({"cluster": "mouse", "type": "CR2"}, "vcov='CR2' is not known"),
        (np.eye(2), r"covariance \(3, 3\) of \(Intercept\), x, fb; got ndarray of shape \(2, 2\)"),
        (np.arange(9.0).reshape(3, 3), "not symmetric"),
        (pd.DataFrame(np.eye(2), ["x", "fb"], ["x", "fb"]), r"no row and column for \(Intercept\)"),
    ]:
        with pytest.raises(ValueError, match=match):
            lm.tidy(vcov=given)


def test_mixed_models_are_refused_by_name():
    fit = fn.fit("y ~ x + (1|mouse)", DATA)
    with pytest.raises(Unable, match="vcov='HC3' is a covariance of a model without random terms, and this is a lmm"):
        fit.tidy(vcov="HC3")


def test_a_row_of_leverage_1_has_no_hc3_and_is_named():
    data = DATA.assign(f=["c", *DATA["f"].iloc[1:]])
    fit = fn.fit("y ~ x + f", data)
    with pytest.raises(FitError, match=r"1 of 60 rows have a leverage of 1 \(first: row 0\)"):
        fit.tidy(vcov="HC3")
    assert fit.tidy(vcov="HC1")["std_error"].notna().all()


def test_a_coefficient_of_one_cluster_alone_has_no_hc3_of_clusters():
    fit = fn.fit("y ~ x + mouse", DATA)
    with pytest.raises(FitError, match="mouse: a coefficient is determined by one cluster alone"):
        fit.tidy(vcov={"cluster": "mouse", "type": "HC3"})


# ---- in tables -------------------------------------------------------------------------------------
def test_the_table_says_which_covariance_it_shows(lm):
    assert lm.tidy(vcov="hc3").attrs["vcov"] == "HC3"
    assert lm.tidy(vcov={"cluster": "mouse"}).attrs["vcov"] == "HC1 by the 8 clusters of mouse"
    two = lm.tidy(vcov={"cluster": ["mouse", "day"], "type": "HC0"}).attrs["vcov"]
    assert two == "HC0 by the 8 clusters of mouse and the 4 clusters of day"
    assert "vcov" not in lm.tidy().attrs
    assert fn.contrast(lm, "x", vcov="HC3").table.attrs["vcov"] == "HC3"


def test_degrees_of_freedom_are_those_of_coeftest_or_of_the_clusters(lm, glm):
    assert lm.tidy(vcov="HC3")["df"].tolist() == [57.0] * 3
    assert np.isinf(glm.tidy(vcov="HC3")["df"]).all()
    assert lm.tidy(vcov={"cluster": ["mouse", "day"]}, df="clusters")["df"].tolist() == [3.0] * 3
    assert np.isinf(lm.tidy(vcov="HC3", df="none")["df"]).all()
    with pytest.raises(ValueError, match="df='clusters' goes with"):
        lm.tidy(vcov="HC3", df="clusters")
    with pytest.raises(Unable, match="df='satterthwaite' belongs to a fit's own covariance"):
        lm.tidy(vcov="HC3", df="satterthwaite")


def test_the_fits_own_covariance_as_a_matrix_changes_nothing(lm):
    pd.testing.assert_frame_equal(lm.tidy(vcov=lm.vcov), lm.tidy(), check_like=True)
    turned = lm.vcov.iloc[::-1, ::-1]
    pd.testing.assert_frame_equal(lm.tidy(vcov=turned), lm.tidy())
    mixed = fn.fit("y ~ x + (1|mouse)", DATA)
    np.testing.assert_array_equal(mixed.tidy(vcov=mixed.vcov.to_numpy())["std_error"], mixed.tidy()["std_error"])


def test_aliased_coefficients_stay_nan():
    fit = fn.fit("y ~ x + I(2*x) + f", DATA)
    for vcov in ("HC3", {"cluster": "mouse"}, np.eye(4)):
        assert fit.tidy(vcov=vcov)["std_error"].isna().tolist() == [False, False, True, False]


def test_other_tests_than_walds_take_no_covariance(glm):
    with pytest.raises(ValueError, match="test='lr' rests on the likelihood, not on a covariance"):
        glm.tidy(vcov="HC3", test="lr")


def test_a_joint_contrast_is_the_quadratic_form(lm):
    V = matrix(lm, "HC3")[1:, 1:]
    F = lm.beta[1:] @ np.linalg.solve(V, lm.beta[1:]) / 2
    joint = fn.contrast(lm, ["x", "fb"], vcov="HC3").joint
    assert joint["statistic"].item() == pytest.approx(F, rel=1e-10)
    assert joint["df_resid"].item() == 57


def test_more_hypotheses_than_clusters_can_carry_are_not_tested_together(lm):
    halves = {"cluster": (np.arange(60) < 30).astype(int), "type": "HC0"}
    table = lm.tidy(vcov=halves)
    assert "rank 1 at most" in table.attrs["messages"][0]
    assert fn.contrast(lm, ["x", "fb"], vcov=halves).joint["p_value"].isna().all()


def test_coefficients_that_separation_makes_infinite_have_no_robust_standard_error():
    data = {
        "b": [0, 0, 0, 0, 1, 1, 1, 0, 1, 0],
        "x": [0] * 4 + [1] * 3 + [0] * 3,
        "z": [1.0, 3, 2, 5, 4, 6, 2, 1, 7, 9],
    }
    fit = fn.fit("b ~ x + z", data, family="binomial")
    table = fit.tidy(vcov="HC1").set_index("term")
    assert table["std_error"].isna().to_dict() == {"(Intercept)": False, "x": True, "z": False}
    assert "x: infinite by separation" in table.attrs["messages"][0]
    assert fn.contrast(fit, "z", vcov="HC1").table["std_error"].item() == table.loc["z", "std_error"]
    reduced = fn.fit("b ~ x + z", data, family="binomial", estimator="mean_br")
    assert reduced.tidy(vcov="HC1")["std_error"].notna().all()


def test_bias_reduced_fits_have_robust_covariances_too():
    fit = fn.fit("b ~ x", DATA, family="binomial", estimator="mean_br")
    mu = fit.fitted.to_numpy()
    X, y = fit.request.design.matrix, fit.request.y
    bread = np.linalg.inv(X.T @ (X * (mu * (1 - mu))[:, None]))
    expected = bread @ (X.T @ (X * ((y - mu) ** 2)[:, None])) @ bread
    np.testing.assert_allclose(matrix(fit, "HC0"), expected, rtol=1e-10)


@pytest.mark.parametrize("vcov", ["HC1", {"cluster": "g"}])
def test_without_degrees_of_freedom_a_robust_error_is_nan(vcov):
    m = fn.fit("y ~ x", {"y": [1.0, 3], "x": [0.0, 1], "g": ["a", "b"]})
    assert m.tidy(vcov=vcov).std_error.isna().all()


def test_few_clusters_are_named_where_their_covariance_is_too_small(lm):
    twelve = np.arange(60) % 12
    said = lm.tidy(vcov={"cluster": twelve}).attrs["messages"]
    assert any("12 clusters are few: HC1 is too small" in m for m in said)
    jackknife = {"cluster": twelve, "type": "HC3"}
    assert any("df='clusters' beside HC3" in m for m in lm.tidy(vcov=jackknife).attrs["messages"])
    assert not any("few" in m for m in lm.tidy("clusters", vcov=jackknife).attrs.get("messages", ()))
    assert not any("few" in m for m in lm.tidy(vcov={"cluster": np.arange(60) % 45}).attrs.get("messages", ()))


def test_of_six_unequal_clusters_hc3_alone_keeps_the_level():
    """300 sets of 2 to 12 rows a cluster, two clusters treated; limits leave out 1e-3 on each side."""
    g = np.repeat(np.arange(6), [2, 12, 5, 9, 3, 11])
    rng, treated = np.random.default_rng(5), (g % 3 == 0) * 1.0
    m = fn.fit("y ~ treated", {"y": rng.normal(size=len(g)), "treated": treated, "g": g})
    rejected = {"HC1": 0, "HC3": 0}
    for _ in range(300):
        y = rng.normal(size=6)[g] + rng.normal(size=len(g))
        again = m.engine.refit(m.request.with_response(y))
        for kind in rejected:
            how = robust_covariance(again, {"cluster": "g", "type": kind})
            df = how.freedom(again, 1, None if kind == "HC1" else "clusters")[0]
            rejected[kind] += abs(again.beta[1]) > stats.t.isf(0.025, df) * np.sqrt(how.matrix[1, 1])
    low, high = stats.binom.ppf([1e-3, 1 - 1e-3], 300, 0.05)
    assert rejected["HC1"] > high
    assert low <= rejected["HC3"] <= high
