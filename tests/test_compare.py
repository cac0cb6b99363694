"""fn.compare: several fits in one table, with what keeps them from being comparable."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.display.plot import png


@pytest.fixture(scope="module")
def trials():
    return fn.datasets.waterlick()


@pytest.fixture(scope="module")
def separated():
    rng = np.random.default_rng(2)
    x = np.repeat([0, 1], [14, 6])
    return pd.DataFrame(
        {"x": x, "z": rng.normal(size=20), "y": np.where(x == 1, 1, np.arange(20) % 3 == 0).astype(int)}
    )


@pytest.fixture(scope="module")
def estimators(separated):
    return [fn.fit("y ~ x + z", separated, family="binomial", estimator=e) for e in ("ml", "mean_br", "median_br")]


@pytest.fixture(scope="module")
def mixed(trials):
    return [fn.fit(f, trials, family="binomial") for f in ("lick ~ dff", "lick ~ dff + (1|mouseID)")]


def test_the_frame_holds_the_numbers_of_tidy(mixed):
    frame = fn.compare(*mixed, names=["a", "b"], conf_level=0.9).to_frame()
    ours = frame[(frame["fit"] == "b") & (frame["part"] == "coefficients")][["term", "estimate", "conf_low"]]
    theirs = mixed[1].tidy(conf_level=0.9)[["term", "estimate", "conf_low"]]
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs)


def test_random_effects_and_the_whole_fit_are_rows(mixed):
    table = fn.compare(*mixed).texts
    assert table.loc["sd (Intercept) | mouseID"].tolist() == ["", "0.530"]
    assert table.loc["observations"].tolist() == ["512", "512"]
    assert table.loc["AIC", "(2)"] == f"{mixed[1].aic:.1f}"


def test_terms_are_the_union_in_order(trials):
    table = fn.compare(fn.fit("dff ~ lick", trials), fn.fit("dff ~ mouseID + lick", trials)).texts
    assert table.index[:3].tolist() == ["(Intercept)", "lick", "mouseID"]
    assert table.loc["mouseID", "(1)"] == ""


def test_an_infinite_estimate_is_named_and_not_printed(estimators):
    table = fn.compare(*estimators).texts
    assert table.loc["x", "ml"] == "+inf (separated)"
    assert np.isfinite(float(table.loc["x", "mean_br"].split()[0]))


def test_an_infinite_estimate_is_infinite_in_the_frame(estimators):
    frame = fn.compare(*estimators).to_frame().set_index(["fit", "term"])
    assert frame.loc[("ml", "x"), "estimate"] == np.inf and np.isnan(frame.loc[("ml", "x"), "p_value"])
    assert frame.loc[("ml", "x"), "separated"] == 1


def test_an_odds_ratio_of_minus_infinity_is_zero(separated):
    m = fn.fit("y ~ x", separated.assign(x=-separated["x"]), family="binomial")
    assert fn.compare(m, exponentiate=True).texts.loc["x"].tolist() == ["0 (separated)"]


def test_estimators_name_the_columns_where_they_differ(estimators):
    assert fn.compare(*estimators).names == ("ml", "mean_br", "median_br")


def test_a_power_is_part_of_the_name(separated):
    fits = [fn.fit("y ~ x", separated, family="binomial", estimator=e) for e in ("jeffreys", "jeffreys(0.1)")]
    assert fn.compare(*fits).names == ("jeffreys", "jeffreys(0.1)")


def test_the_kinds_of_brackets(mixed):
    low, high = np.exp(mixed[0].tidy().loc[1, ["conf_low", "conf_high"]].to_numpy(float))
    assert fn.compare(mixed[0], exponentiate=True).texts.iloc[1, 0].endswith(f"[{low:.4f}, {high:.4f}]")
    assert fn.compare(mixed[0], statistic="p_value").texts.iloc[1, 0].endswith("(p = 0.000412)")
    assert fn.compare(mixed[0], statistic="none", stars=True).texts.iloc[1, 0] == "0.0654***"


def test_theta_and_dispersion_are_rows_where_there_are_any(trials):
    d = trials.assign(count=np.random.default_rng(0).negative_binomial(2, 0.4, len(trials)))
    fits = [fn.fit("count ~ dff", d, family=f) for f in ("poisson", "quasipoisson", "nbinom2")]
    table = fn.compare(*fits).texts
    assert table.loc["theta"].tolist() == ["", "", f"{fits[2].request.family.theta:.4g}"]
    assert table.loc["dispersion"].tolist() == ["", f"{fits[1].dispersion:.4g}", ""]
    assert table.loc["AIC", "quasipoisson(log)"] == "NA"


def test_other_standard_errors_stand_beside_the_models_own(trials):
    m = fn.fit("dff ~ lick", trials)
    comparison = fn.compare(m, m, m, vcov=[None, "HC3", {"cluster": "mouseID"}])
    frame = comparison.to_frame().set_index(["fit", "term"])
    assert comparison.names == ("model-based", "HC3", "cluster mouseID")
    assert frame.loc[("HC3", "lick"), "std_error"] == m.tidy(vcov="HC3").set_index("term").loc["lick", "std_error"]
    assert "standard errors: HC3, cluster mouseID" in str(comparison)


def test_different_rows_are_said(trials):
    note = " ".join(fn.compare(fn.fit("dff ~ 1", trials), fn.fit("dff ~ 1", trials.head(100))).notes)
    assert "different rows (512, 100)" in note


def test_different_responses_are_said(trials):
    note = " ".join(fn.compare(fn.fit("dff ~ 1", trials), fn.fit("I(2 * dff) ~ 1", trials)).notes)
    assert "the responses differ (dff, I(2 * dff)), so log-likelihoods, AIC and BIC cannot be compared" in note


def test_reml_beside_ml_is_said(trials):
    fits = [fn.fit("dff ~ lick + (1|mouseID)", trials, estimator=e) for e in ("reml", "ml")]
    assert "REML likelihoods" in " ".join(fn.compare(*fits).notes)


def test_comparable_fits_have_no_notes(mixed):
    assert fn.compare(*mixed).notes == ()


def test_markdown_escapes_the_bars_of_a_group(mixed):
    lines = fn.compare(*mixed).to_markdown().splitlines()
    assert "| sd (Intercept) \\| mouseID |  | 0.530 |" in lines


def test_html_escapes_what_comes_from_the_data():
    table = pd.DataFrame({"y": [1.0, 2, 4, 3, 6], "<b>": [1.0, 2, 3, 4, 5]})
    page = fn.compare(fn.fit("y ~ `<b>`", table))._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_latex_comes_from_pandas(mixed):
    shown = fn.compare(*mixed).to_latex()
    assert r"\toprule" in shown and "% in brackets: standard errors" in shown
    assert shown.count(r"\midrule") == 3 and r"sd (Intercept) $\mid$ " in shown  # below the head, and between parts


def test_brackets_stand_below_one_another(mixed):
    rows = str(fn.compare(*mixed)).splitlines()[5:7]
    assert len({row.index("(0.") for row in rows}) == 1


def test_the_picture_has_an_arrow_for_what_is_infinite(estimators):
    axes = fn.compare(*estimators).plot().axes[0]
    assert "+∞" in [text.get_text() for text in axes.texts]
    assert max(abs(v) for v in axes.get_xlim()) < 100


def test_the_picture_of_one_separated_fit_stays_readable(estimators):
    figure = estimators[0].plot("coefficients")
    assert "∞" in " ".join(text.get_text() for text in figure.axes[0].texts) and png(figure, 40)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"names": ["a"]}, ValueError, "one heading for each of the 2 fits"),
        ({"names": ["a", "a"]}, ValueError, "must differ"),
        ({"statistic": "se"}, ValueError, "std_error, conf_int"),
        ({"conf_level": 95}, ValueError, "between 0 and 1"),
        ({"vcov": ["HC3"]}, ValueError, "1 entries for 2 fits"),
    ],
)
def test_odd_arguments_are_answered_in_words(mixed, arguments, error, words):
    with pytest.raises(error, match=words):
        fn.compare(*mixed, **arguments)


def test_only_fits_are_compared(mixed):
    with pytest.raises(TypeError, match="got list"):
        fn.compare(mixed)


@pytest.mark.r
def test_a_fit_made_in_r_stands_beside_a_native_one(trials):
    fits = [fn.fit("dff ~ lick", trials, backend=b) for b in ("native-lm", "r-lm")]
    table = fn.compare(*fits).texts
    assert list(table) == ["native-lm", "r-lm"] and (table["native-lm"] == table["r-lm"]).all()


@pytest.mark.r
def test_what_r_did_not_notice_is_named_beside_a_native_fit(separated):
    fits = [fn.fit("y ~ x + z", separated, family="binomial", backend=b) for b in ("native-glm", "r-glm")]
    assert fn.compare(*fits).texts.loc["x"].tolist() == ["+inf (separated)"] * 2
