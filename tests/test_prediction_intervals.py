"""Standard errors, intervals and terms of predictions, aliased designs, and augment in full."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable


def table(n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(21)
    d = pd.DataFrame({"x": rng.uniform(-2, 2, n), "f": rng.choice(list("abc"), n), "g": rng.integers(1, 9, n)})
    d["w"] = rng.uniform(0.5, 3, n)
    d["y"] = 1 + d["x"] + rng.normal(size=n) / np.sqrt(d["w"])
    d["b"] = (rng.random(n) < 1 / (1 + np.exp(-d["x"]))).astype(int)
    d["k"] = rng.poisson((1.5 + d["x"] / 3) ** 2)
    d["p"] = rng.gamma(4, 1 / (1.2 + d["x"] / 2) / 4)
    return d


DATA = table()
NEW = pd.DataFrame({"x": [-1.5, 0.0, 1.9], "f": ["a", "b", "c"], "w": [1.0, 2.0, 4.0]})
COLUMNS = ["fitted", "std_error", "conf_low", "conf_high"]


@pytest.fixture(scope="module")
def lm():
    return fn.fit("y ~ x + f", DATA, weights="w")


@pytest.fixture(scope="module")
def lmm():
    return fn.fit("y ~ x + (1|g)", DATA)


# ---- tables ------------------------------------------------------------------------------------------
def test_without_a_wish_a_series_comes_with_one_a_table(lm):
    assert isinstance(lm.predict(NEW), pd.Series)
    assert lm.predict(NEW, se=True).columns.tolist() == COLUMNS[:2]
    assert lm.predict(NEW, interval="confidence").columns.tolist() == COLUMNS
    np.testing.assert_array_equal(lm.predict(NEW, se=True)["fitted"], lm.predict(NEW))


def test_the_prediction_at_the_origin_is_the_intercepts_row_of_tidy():
    for fit in (fn.fit("y ~ x", DATA), fn.fit("b ~ x", DATA, family="binomial"), fn.fit("y ~ x + (1|g)", DATA)):
        row = fit.predict({"x": [0.0]}, type="link", random=False, interval="confidence", conf_level=0.8).iloc[0]
        tidy = fit.tidy(conf_level=0.8).iloc[0]
        expected = tidy[["estimate", "std_error", "conf_low", "conf_high"]].astype(float)
        np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_a_missing_covariate_gives_a_row_of_nan(lm):
    found = lm.predict(NEW.assign(x=[0.0, np.nan, 1.0]), interval="confidence")
    assert found.isna().all(axis=1).tolist() == [False, True, False]


def test_about_nineteen_in_twenty_new_responses_lie_in_their_prediction_interval():
    fit = fn.fit("y ~ x", DATA.iloc[:30], weights="w")
    new = table(4000).iloc[90:]
    inside = fit.predict(new, interval="prediction", weights="w")
    share = ((new["y"] > inside["conf_low"]) & (new["y"] < inside["conf_high"])).mean()
    assert 0.88 < share < 0.99  # thirty rows leave sigma known to 13 %


def test_weights_of_new_responses_are_1_unless_given_and_it_says_so(lm):
    plain = lm.predict(NEW, interval="prediction")
    assert "new responses are taken to have weight 1" in plain.attrs["messages"][0]
    ones = lm.predict(NEW, interval="prediction", weights=np.ones(3))
    pd.testing.assert_frame_equal(plain, ones, check_flags=False)
    assert "messages" not in ones.attrs
    wide = ones["conf_high"] - ones["conf_low"]
    narrow = lm.predict(NEW, interval="prediction", weights="w")
    assert (narrow["conf_high"] - narrow["conf_low"] < wide).tolist() == [False, True, True]


def test_the_rows_used_keep_their_weights(lm):
    own = lm.predict(interval="prediction")
    given = lm.predict(DATA, interval="prediction", weights="w")
    np.testing.assert_allclose(own[COLUMNS], given[COLUMNS], rtol=1e-10)


def test_weights_of_new_responses_may_be_another_column_or_numbers_and_0_says_nothing(lm):
    data = DATA.assign(other=2 * DATA["w"])
    fit = fn.fit("y ~ x + f", data, weights="w")
    wide, narrow = fit.predict(interval="prediction"), fit.predict(interval="prediction", weights="other")
    assert (narrow["conf_high"] < wide["conf_high"]).all()
    assert np.isinf(lm.predict(NEW, interval="prediction", weights=[0.0, 1, 1])["conf_high"]).tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="weights: 1 of 3 are negative"):
        lm.predict(NEW, interval="prediction", weights=[-1.0, 1, 1])


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ x + f", {"weights": "w"}),
        ("b ~ x + f", {"family": "binomial", "estimator": "mean_br"}),
        ("b ~ x + f", {"family": "binomial", "estimator": "jeffreys"}),
        ("p ~ x + f", {"family": "Gamma(log)", "estimator": "mean_br"}),
        ("k ~ x + f", {"family": "nbinom2"}),
        ("k ~ x + f", {"family": "quasipoisson"}),
    ],
)
def test_standard_errors_are_those_of_the_fits_covariance(formula, options):
    fit = fn.fit(formula, DATA, **options)
    X, V = fit.request.design.matrix, fit.covariance
    expected = np.sqrt(np.einsum("np,pq,nq->n", X, V, X))
    np.testing.assert_allclose(fit.predict(type="link", se=True)["std_error"], expected, rtol=1e-8)


def test_a_covariate_far_from_0_keeps_the_digits_of_standard_errors():
    far = fn.fit("y ~ t", DATA.assign(t=1.7e9 + 1000 * DATA["x"].round(3)))
    near = fn.fit("y ~ t", DATA.assign(t=1000 * DATA["x"].round(3)))
    # the column is 1.7e6 times longer than what varies of it, so as many of 1e16 are left; squares would leave none
    np.testing.assert_allclose(far.predict(se=True)["std_error"], near.predict(se=True)["std_error"], rtol=1e-8)


def test_robust_standard_errors_of_predictions(lm):
    found = lm.predict(NEW, interval="confidence", vcov={"cluster": "g"}, df="clusters")
    X = np.array([[1, -1.5, 0, 0], [1, 0, 1, 0], [1, 1.9, 0, 1]])
    expected = fn.contrast(lm, X, vcov={"cluster": "g"}, df="clusters").table
    np.testing.assert_allclose(found["conf_low"], expected["conf_low"], rtol=1e-10)
    assert found.attrs["vcov"] == "HC1 by the 8 clusters of g"


# ---- intervals through a link ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("formula", "family"),
    [("b ~ x", "binomial"), ("k ~ x", "poisson(sqrt)"), ("p ~ x", "Gamma"), ("p ~ x", "Gamma(log)")],
)
def test_limits_of_means_are_those_of_the_link_in_order(formula, family):
    fit = fn.fit(formula, DATA, family=family)
    link, mean = (fit.predict(NEW, type=t, interval="confidence") for t in ("link", "response"))
    ends = np.sort(fit.request.family.link.inverse(link[["conf_low", "conf_high"]].to_numpy()), axis=1)
    np.testing.assert_allclose(mean[["conf_low", "conf_high"]], ends, rtol=1e-13)
    assert ((mean["conf_low"] < mean["fitted"]) & (mean["fitted"] < mean["conf_high"])).all()


def test_families_with_a_dispersion_take_t():
    fit = fn.fit("p ~ x", DATA, family="Gamma(log)")
    link = fit.predict(NEW, type="link", interval="confidence")
    reach = (link["conf_high"] - link["fitted"]) / link["std_error"]
    np.testing.assert_allclose(reach, stats.t.ppf(0.975, 88), rtol=1e-10)


def test_limits_beyond_the_range_of_a_link_are_cut():
    few = {"p": [1.0, 1.2, 0.9, 3.0], "x": [0.0, 1, 2, 3]}
    falling = fn.fit("p ~ x", few, family="Gamma").predict({"x": [9.0, 3.0]}, interval="confidence")
    assert np.isinf(falling["conf_high"]).any() and (falling["conf_low"] > 0)[falling["fitted"] > 0].all()
    counts = fn.fit("k ~ x", {"k": [1, 0, 2, 1, 0], "x": [0, 1, 2, 3, 4]}, family="poisson(identity)")
    assert (counts.predict(interval="confidence")["conf_low"] >= 0).all()
    roots = fn.fit("k ~ x", {"k": [4, 3, 1, 0, 0], "x": [0, 1, 2, 3, 4]}, family="poisson(sqrt)")
    found = roots.predict({"x": [4.0]}, interval="confidence", conf_level=0.99).iloc[0]
    assert found["conf_low"] == 0 <= found["fitted"] <= found["conf_high"]


# ---- refusals ------------------------------------------------------------------------------------------
def test_intervals_that_are_not_offered_are_refused_by_name(lm, lmm):
    glm = fn.fit("b ~ x", DATA, family="binomial")
    for fit, options, match in [
        (lmm, {"vcov": "HC3"}, r"includes random effects: ask with random=False"),
        (glm, {"interval": "prediction"}, "is for linear models, and this is a glm; simulate"),
        (lm, {"interval": "prediction", "vcov": "HC3"}, "one residual variance, which vcov= gives up"),
        (lm, {"interval": "prediction", "type": "terms"}, "not of single terms"),
    ]:
        with pytest.raises(Unable, match=match):
            fit.predict(NEW.assign(g=1), **options)


@pytest.mark.parametrize(("option", "value"), [("interval", "both"), ("type", "mean"), ("conf_level", 95)])
def test_unknown_words_are_refused(lm, option, value):
    with pytest.raises(ValueError, match=option):
        lm.predict(NEW, **{"interval": "confidence", option: value})


def test_words_that_would_do_nothing_are_refused(lm):
    for options, match in [
        ({"df": "none"}, "df= is of the limits"),
        ({"weights": "w"}, "weights= are those of new responses"),
        ({"weights": "w", "interval": "confidence"}, "weights= are those of new responses"),
    ]:
        with pytest.raises(ValueError, match=match):
            lm.predict(NEW, **options)
    with pytest.raises(ValueError, match="it goes with type='quantile'"):
        lm.residuals("deviance", seed=1)


def test_predictions_of_the_population_say_what_their_errors_leave_out(lmm):
    found = lmm.predict(NEW, random=False, interval="confidence")
    assert "they leave out the random effects" in found.attrs["messages"][0]


# ---- terms ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("formula", ["y ~ x*f + offset(w)", "y ~ 0 + poly(x, 2) + f", "y ~ x + (1|g)", "y ~ 1"])
def test_terms_and_their_constant_add_up_to_the_linear_predictor(formula):
    fit = fn.fit(formula, DATA)
    terms = fit.predict(type="terms")
    offset = fit.request.design.offset
    total = terms.sum(axis=1) + terms.attrs["constant"] + offset
    np.testing.assert_allclose(total, fit.predict(type="link", random=False), rtol=1e-12)


def test_terms_are_named_as_in_the_formula_and_centred():
    terms = fn.fit("y ~ x*f", DATA).predict(type="terms")
    assert terms.columns.tolist() == ["x", "f", "x:f"]
    np.testing.assert_allclose(terms.mean(), 0, atol=1e-14)


def test_terms_with_intervals_come_in_pairs(lm):
    found = lm.predict(NEW, type="terms", interval="confidence")
    assert found.columns.tolist() == [(what, term) for what in COLUMNS for term in ("x", "f")]
    assert (found["conf_low"] <= found["fitted"]).all(axis=None)


# ---- aliased designs -----------------------------------------------------------------------------------
def test_new_rows_that_keep_the_dependency_are_predicted_and_others_are_nan_with_a_warning():
    data = DATA.assign(z=2 * DATA["x"] - 1)
    fit, plain = fn.fit("y ~ x + z + f", data), fn.fit("y ~ x + f", data)
    new = NEW.assign(z=2 * NEW["x"] - 1)
    np.testing.assert_allclose(fit.predict(new), plain.predict(new), rtol=1e-12)
    broken = new.assign(z=[new["z"].iloc[0], 7.0, new["z"].iloc[2]])
    with pytest.warns(UserWarning, match=r"1 of 3 rows have no prediction \(NaN\): .* z depended on other columns"):
        found = fit.predict(broken)
    assert found.isna().tolist() == [False, True, False]
    assert "z depended on other columns" in found.attrs["messages"][0]
    with pytest.warns(UserWarning, match="1 of 3"):
        assert fit.predict(broken, se=True).isna().all(axis=1).tolist() == [False, True, False]


def test_rows_of_weight_0_do_not_make_a_dependency():
    data = DATA.assign(z=np.where(DATA.index > 0, DATA["x"], 5.0), w=np.where(DATA.index > 0, 1.0, 0.0))
    fit = fn.fit("y ~ x + z", data, weights="w")
    assert fit.aliased == ("z",)
    assert fit.predict(data.iloc[1:]).notna().all()
    with pytest.warns(UserWarning, match="1 of 90 rows"):
        assert np.isnan(fit.predict(data).iloc[0])


def test_a_cell_without_rows_has_no_prediction():
    data = DATA.assign(s=np.where(DATA["g"] > 4, "u", "v"))
    data = data[(data["f"] != "c") | (data["s"] != "v")]
    fit = fn.fit("y ~ f*s", data)
    cells = pd.DataFrame({"f": ["a", "c", "c"], "s": ["v", "v", "u"]})
    with pytest.warns(UserWarning, match="1 of 3 rows have no prediction"):
        found = fit.predict(cells)
    means = data.groupby(["f", "s"])["y"].mean()
    assert np.isnan(found.iloc[1])
    np.testing.assert_allclose(found.iloc[[0, 2]], [means["a", "v"], means["c", "u"]], rtol=1e-12)


# ---- augment -------------------------------------------------------------------------------------------
def test_augment_has_brooms_columns(lm):
    found = lm.augment()
    added = ["fitted", "residual", "hat", "sigma", "cooks_distance", "std_residual", "se_fit"]
    assert found.columns.tolist() == ["y", "x", "f", *added]
    table = lm.influence()
    for name in ("hat", "sigma", "cooks_distance", "std_residual"):
        np.testing.assert_array_equal(found[name], table[name])
    np.testing.assert_allclose(found["se_fit"], lm.sigma * np.sqrt(found["hat"] / DATA["w"]), rtol=1e-10)


def test_augment_of_new_data_keeps_its_columns(lm, lmm):
    found = lm.augment(NEW)
    assert found.columns.tolist() == ["x", "f", "w", "fitted", "se_fit"]
    np.testing.assert_array_equal(found["fitted"], lm.predict(NEW))
    assert lmm.augment(NEW.assign(g=3)).columns.tolist() == ["x", "f", "w", "g", "fitted"]


def test_augment_does_not_overwrite_a_column_of_new_data(lm):
    with pytest.raises(Unable, match="already has a column 'se_fit'"):
        lm.augment(NEW.assign(se_fit=1.0))


def test_an_offset_of_an_array_has_no_new_rows():
    fit = fn.fit("y ~ x", DATA, offset=np.ones(90))
    with pytest.raises(DataError, match="refit with the offset as a column"):
        fit.predict(NEW, interval="confidence")
