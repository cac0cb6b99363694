"""Pictures show the numbers of the fit, stay out of pyplot's way, and can be drawn for every kind of model."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.display import effects
from formula_neuro.display.bins import binned, wilson
from formula_neuro.display.curves import fitted_curve, predictors
from formula_neuro.display.plot import draw_one, pictures, plot, png


@pytest.fixture(scope="module")
def trials():
    rng = np.random.default_rng(3)
    table = fn.datasets.waterlick()
    return table.assign(sex=np.where(table["mouseID"] > 4, "f", "m"), licks=rng.poisson(3, 512))


@pytest.fixture(scope="module")
def logistic(trials):
    return fn.fit("lick ~ dff + (1|mouseID)", trials, family="binomial")


def test_a_logistic_mixed_model_has_five_pictures(logistic):
    titles = [picture.title for picture in pictures(logistic)]
    assert titles == ["Effect of dff", "Odds ratios", "Residuals in bins", "Calibration", "(Intercept) by mouseID"]


def test_a_linear_model_shows_residuals_and_quantiles(trials):
    titles = [picture.title for picture in pictures(fn.fit("dff ~ sex", trials))]
    assert titles == ["Effect of sex", "Coefficients", "Residuals along the fit", "Normal quantiles", "Influence"]


def test_an_intercept_alone_has_no_effect_to_show(trials):
    assert "Effect" not in " ".join(p.title for p in pictures(fn.fit("dff ~ 1 + (1|mouseID)", trials)))


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("dff ~ sex * lick + (lick|mouseID)", "gaussian"),
        ("dff ~ 0 + sex + offset(lick)", "gaussian"),
        ("licks ~ scale(dff) + (1|mouseID)", "poisson"),
        ("cbind(lick, 1 - lick) ~ sex + poly(dff, 2) + (1|mouseID)", "binomial(probit)"),
    ],
)
def test_every_kind_of_model_can_be_drawn(trials, formula, family):
    figure = plot(fn.fit(formula, trials, family=family))
    assert png(figure, 40).startswith(b"\x89PNG")


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys, formula_neuro as fn;"
        "fn.fit('dff ~ lick', fn.datasets.waterlick()).plot();"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_notebook_gets_a_png(logistic):
    assert draw_one(pictures(logistic)[1])._repr_png_().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_names_the_extra(logistic, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "formula_neuro\[plot\]"'):
        logistic.plot()


def test_the_coefficient_picture_shows_the_odds_ratio_and_its_limits(logistic):
    axes = draw_one(pictures(logistic)[1]).axes[0]
    row = logistic.tidy(exponentiate=True).set_index("term").loc["dff"]
    (bar,) = [c for c in axes.containers if c.has_xerr]
    assert bar.lines[0].get_xdata()[0] == pytest.approx(row["estimate"])
    (ends,) = bar.lines[2][0].get_segments()
    assert list(ends[:, 0]) == pytest.approx([row["conf_low"], row["conf_high"]])
    assert axes.get_xscale() == "log"


def test_the_curve_is_predict_without_random_effects(logistic, trials):
    at = np.array([-5.0, 0.0, 12.0])
    curve = fitted_curve(logistic, "dff", at)
    new = trials.iloc[:3].assign(dff=at)
    # The same product in another order.
    np.testing.assert_allclose(curve.mean, logistic.predict(new, random=False), rtol=1e-12)
    assert (curve.low < curve.mean).all() and (curve.mean < curve.high).all()


def test_a_groups_curve_is_predict_with_its_random_effects(logistic, trials):
    at = np.array([-5.0, 0.0, 12.0])
    third = fitted_curve(logistic, "dff", at).groups[2]
    new = trials.iloc[:3].assign(dff=at, mouseID=3)
    np.testing.assert_allclose(third, logistic.predict(new), rtol=1e-12)  # the same product in another order


def test_an_interaction_gets_a_curve_for_each_level(trials):
    first = pictures(fn.fit("dff ~ lick * sex", trials))[0]
    labels = [text.get_text() for text in draw_one(first).axes[0].get_legend().get_texts()]
    assert (first.title, labels) == ("Effect of lick by sex", ["sex = f", "sex = m"])


def test_the_first_number_is_shown_before_a_factor(trials):
    assert predictors(fn.fit("dff ~ sex + lick", trials)) == ["lick", "sex"]


def test_the_caterpillar_has_a_row_a_level_in_order(logistic):
    axes = draw_one(pictures(logistic)[-1]).axes[0]
    modes = axes.containers[0].lines[0].get_xdata()
    assert len(modes) == 8 and (np.diff(modes) >= 0).all()


def test_captions_count_the_bins_outside_the_band(logistic):
    caption = pictures(logistic)[2].caption
    axes = draw_one(pictures(logistic)[2]).axes[0]
    dots = axes.lines[-1].get_ydata()
    assert f"of {len(dots)}." in caption


def test_bins_keep_the_weighted_mean():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=200), rng.normal(size=200), rng.uniform(1, 3, 200)
    b = binned(x, y, w, 7)
    assert len(b.x) == 7 and np.all(np.diff(b.x) > 0)
    assert b.mean @ b.weight == pytest.approx(y @ w)


def test_wilsons_limits_stay_within_0_and_1():
    low, high = wilson(np.array([0.0, 1.0]), np.array([3.0, 3.0]))
    assert low.min() >= 0 and high.max() <= 1 and (low < high).all()


@pytest.mark.parametrize("which", ["effects", "coefficients", "residuals", "qq", "calibration", "influence"])
def test_a_kind_of_picture_can_be_asked_for(trials, which):
    m = fn.fit("lick ~ dff + sex", trials, family="binomial")
    assert {picture.kind for picture in pictures(m, which)} == {which}


def test_effects_show_every_predictor(trials):
    titles = [p.title for p in pictures(fn.fit("dff ~ lick + sex", trials), "effects")]
    assert titles == ["Effect of lick", "Effect of sex"]


def test_a_picture_that_a_fit_has_not_is_an_error(trials):
    with pytest.raises(fn.errors.Unable, match="no random effects"):
        fn.fit("dff ~ lick", trials).plot("random")


def test_an_unknown_picture_is_an_error(trials):
    with pytest.raises(ValueError, match="effects, coefficients, residuals"):
        fn.fit("dff ~ lick", trials).plot("hist")


def test_the_influence_picture_shows_leverage_and_cooks_distance(trials):
    m = fn.fit("dff ~ lick", trials)
    dots = draw_one(pictures(m, "influence")[0]).axes[0].lines[2]
    table = m.influence()
    np.testing.assert_allclose(dots.get_xdata(), table["hat"], rtol=1e-12)  # the same computation
    np.testing.assert_allclose(dots.get_ydata(), table["cooks_distance"], rtol=1e-12)


def test_a_saturated_fit_can_be_drawn(trials):
    titles = [p.title for p in pictures(fn.fit("dff ~ lick + sex", trials.iloc[[0, 2, 300]]))]
    assert "Influence" not in titles and "Normal quantiles" in titles


def test_partial_data_are_the_responses_where_nothing_else_is_fitted(trials):
    m = fn.fit("dff ~ lick", trials)
    line = effects._lines(m, "lick", None)
    # The curve is interpolated on its grid, whose points include the data's values.
    np.testing.assert_allclose(effects.partial(m, m.request.design.data["lick"], line), trials["dff"], atol=1e-10)


def test_partial_data_of_a_linear_model_are_curve_plus_residual(trials):
    m = fn.fit("dff ~ lick + sex + mouseID", trials)
    column, line = m.request.design.data["lick"], effects._lines(m, "lick", None)
    curve = fitted_curve(m, "lick", np.array([0.0, 1.0])).mean[column.to_numpy(dtype=int)]
    np.testing.assert_allclose(effects.partial(m, column, line), curve + m.residuals(), atol=1e-10)
