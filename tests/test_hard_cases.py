"""Data and formulas that went wrong once: found by fitting hundreds of random models here and in R."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.bins import wilson
from formula_neuro.curves import fitted_curve
from formula_neuro.errors import FitError
from formula_neuro.family import as_family


@pytest.fixture
def counts() -> pd.DataFrame:
    """Counts at two sites, one of which never fires: its rate's coefficient is minus infinity."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"site": np.repeat(["a", "b"], 30), "x": rng.normal(size=60), "off": rng.normal(size=60)})
    frame["spikes"] = np.where(frame["site"] == "a", rng.poisson(3, 60), 0)
    frame["odd group"] = np.tile(["p", "q", "r", "s", "t"], 12)
    return frame


# ---- names ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bar", "groups"),
    [("(1|`odd group`)", ["odd group"]), ("(1|`odd group`/site)", ["site:`odd group`", "odd group"])],
)
def test_a_group_of_an_odd_name_is_in_backticks_only_where_it_is_crossed(counts, bar, groups):
    D = fn.model_matrix(f"x ~ 1 + {bar}", counts)
    assert [term.group for term in D.random] == groups


@pytest.mark.r
def test_groups_of_odd_names_have_rs_names(counts):
    fit = fn.fit("x ~ off + (1|`odd group`/site)", counts, backend="lme4")
    assert {r.group for r in fit.random} == {"site:`odd group`", "odd group"}


# ---- infinite coefficients -----------------------------------------------------------------------
@pytest.fixture
def separated(counts) -> fn.Fit:
    return fn.fit("spikes ~ site", counts, family="poisson")


def test_infinite_limits_of_a_ratio_warn_nobody(separated):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(separated.tidy(exponentiate=True)["conf_high"][1])
        assert "Rate ratio" in separated.summary()


def test_infinite_ratios_can_be_drawn(separated):
    assert separated.plot().axes


def test_means_too_large_for_counts_are_refused_in_words():
    with pytest.raises(FitError, match=r"simulates means up to 1\.0e\+20, too large for counts"):
        as_family("poisson").draw(np.array([1e20]), np.ones(1), 1.0, np.random.default_rng(0))


# ---- pictures ------------------------------------------------------------------------------------
def test_a_share_of_no_success_lies_within_its_limits():
    n = np.arange(1.0, 200.0)
    low, high = wilson(np.zeros(len(n)), n)
    assert (low == 0).all()
    low, high = wilson(np.ones(len(n)), n)
    assert (high == 1).all()


@pytest.mark.parametrize("given", ["off", "array"])
def test_the_effect_of_a_fit_with_an_offset_beside_the_formula_is_drawn_at_its_mean(counts, given):
    fit = fn.fit("x ~ spikes", counts, offset=counts["off"].to_numpy() if given == "array" else given)
    curve = fitted_curve(fit, "spikes", np.array([0.0, 1.0]))
    # both sides are three additions: the difference is rounding
    assert curve.mean == pytest.approx(fit.coef.iloc[0] + fit.coef.iloc[1] * curve.x + counts["off"].mean(), rel=1e-12)
    assert fit.plot().axes
