from __future__ import annotations

import contextlib
import functools
import io
import os
import runpy
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
VIGNETTES = sorted((ROOT / "vignettes").glob("*.py"))


@functools.cache
def ran(name: str) -> tuple[dict[str, Any], str]:
    """What a vignette leaves behind, and what it prints; run once, in a folder of its own."""
    here, printed = Path.cwd(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # whatever it writes goes with the folder
        try:
            with contextlib.redirect_stdout(printed):
                return runpy.run_path(str(ROOT / "vignettes" / f"{name}.py")), printed.getvalue()
        finally:
            os.chdir(here)


@pytest.mark.parametrize("path", VIGNETTES, ids=lambda path: path.stem)
def test_a_vignette_runs_to_its_end(path):
    if path.stem == "nback" and find_spec("nimare") is None:
        pytest.skip("NiMARE carries the data of this page")
    ran(path.stem)


@pytest.mark.r
def test_the_water_lick_vignette_ends_in_agreement_with_r():
    assert "native-glmm agrees with lme4" in ran("waterlick")[0]["verdict"]


@pytest.mark.r
def test_the_separation_vignette_finds_the_published_numbers_and_brglm2_agrees():
    verdict = ran("separation")[0]["verdict"]
    assert "NV: [2.93, 0.61, 7.85]" in verdict and "native-glm agrees with brglm2" in verdict


def test_the_separation_vignette_shows_what_it_says():
    names, _ = ran("separation")
    assert dict(names["ml"].separated) == {"NV": 1.0} and names["ml"].separation == "quasi-complete"
    slopes, finite, true = names["slopes"], names["finite"], names["true"]
    # Maximum likelihood is further from the truth on average than mean bias reduction.
    assert slopes[finite]["ml"].mean() - true > abs(slopes[finite]["mean_br"].mean() - true)


@pytest.mark.r
def test_side_by_side_shows_rs_own_answers():
    names, printed = ran("side_by_side")
    assert "Residual standard error: 36.2 on 90 degrees of freedom" in printed
    assert "factor cue has new level smell" in printed and "a package is missing" not in printed
    assert "native-lmm agrees with" in names["verdict"]


def test_pooling_cells_finds_what_mice_do_not_show():
    names, _ = ran("pooling")
    pooled, mixed = (names[m].tidy().set_index("term")["p_value"] for m in ("pooled", "mixed"))
    assert pooled["day48h"] < 1e-5 < 0.3 < mixed["day48h"]
    falls = {name: m.coef["day48h"] < 0 for name, m in names["one_by_one"].items()}
    assert falls == {"mouse 1": False, "mouse 2": True, "mouse 3": False, "mouse 4": False}
    assert names["wrong"].se.iloc[0] < names["right"].se.iloc[0] / 4


def test_lm_beside_lme_is_the_published_table_of_example_2():
    shown = {key: list(column) for key, column in ran("pooling")[0]["columns"].items()}
    assert shown["48h", "estimate"] == ["-0.078 ± 0.017", "-0.017 ± 0.017"] and shown["48h", "p"] == ["4.7e-06", "0.31"]
    assert shown["72h", "estimate"] == ["0.009 ± 0.017", "0.009 ± 0.017"] and shown["72h", "p"] == ["0.59", "0.57"]
    assert shown["1wk", "estimate"] == ["0.050 ± 0.016", "0.029 ± 0.017"] and shown["1wk", "p"] == ["0.0023", "0.076"]


def test_cells_of_mice_are_counted_with_the_published_shares():
    assert ran("pooling")[0]["counts"]["share"].tolist() == ["27%", "43%", "18%", "12%", "100%"]


def test_published_numbers_of_example_1_stand_beside_ours():
    names, _ = ran("pooling")
    apart = names["ours"]["estimate"] - names["published"]["published"]
    assert apart.abs().max() < 2e-4  # values of the simulated cells are kept to 4 decimals
    assert names["unequal"].loglik - names["right"].loglik > 100  # these data need VarIdent


def test_nested_measurements_gain_by_their_pairs():
    names, _ = ran("nested")
    assert names["nested"].se["treatment2"] < names["pooled"].se["treatment2"]
    assert len(names["correlations"]) == 11 and names["correlations"].min() > 0


def test_the_wrong_t_tests_have_the_published_p_values():
    names, _ = ran("nested")
    assert round(names["wrong"]["unpaired t test"], 4) == round(names["wrong"]["linear model"], 4) == 0.0036
    assert names["wrong"]["paired t test"] < 0.001


def test_the_water_lick_bootstrap_ends_beside_the_likelihood_ratio():
    test = ran("waterlick")[0]["test"]
    assert test.n_failed == 0
    assert test.p_value < 0.01


def test_the_lesion_vignette_shows_infinite_effects_of_sex_where_lesions_are_rare():
    names, _ = ran("lesions")
    infinite = names["by_count"]["infinite"]
    assert infinite.iloc[0] == 1 and infinite.is_monotonic_decreasing and infinite.iloc[-1] == 0
    assert names["age"].kept.sum() > 100 and names["sex"].kept.sum() == 0


@pytest.mark.r
def test_the_lesion_vignettes_voxels_agree_with_brglm2():
    assert "in 20 of" in ran("lesions")[0]["verdict"] and "20 agree" in ran("lesions")[0]["verdict"]


def test_the_vignette_of_foci_finds_nothing_where_nothing_is():
    names, _ = ran("foci")
    assert np.abs(names["c"].tidy()["estimate"]).max() < 1e-12  # every analysis has 10 foci: rounding alone
    assert (
        names["drawn"].mean().iloc[0] > 0.3 > 0.2 > names["drawn"].mean().iloc[1]
    )  # of 50 tests: .6 and .05 are seen in long runs


def test_the_late_drug_response_turns_negative_with_the_derivative_and_stays_positive_with_the_optimal_design():
    means = ran("delayed_response")[0]["means"]
    late = means.loc[["150", "179"]]
    assert (late["with derivative"] < -3).all() and (late["optimal"] > 3).all()
    assert means.loc["0", "with derivative"] > 2 * means.loc["0", "optimal"]  # what the page says it costs


def test_variable_responses_move_the_optimal_estimate_less_and_a_wrong_prior_is_shown_to_hurt():
    names, _ = ran("variable_hrf")
    spread = names["means"].max() - names["means"].min()
    assert spread["optimal"] < 0.5 * spread["canonical + derivative"]
    worst = names["worst"].loc["optimal"]
    assert worst["made for it"] < worst["prior right"] < worst["prior wrong"]
    assert names["same_prior"].table.set_index("analysis")["rms_bias"].idxmin() == "optimal"
