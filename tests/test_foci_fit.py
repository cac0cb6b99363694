"""A meta-regression from the user's side: numbers, maps, predictions, refits, and R's opinion of them."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro import registry
from formula_neuro.errors import DataError, FormulaError, Unable
from formula_neuro.testing import check_backend

sys.path.insert(0, str(Path(__file__).parent))
from foci_small import fitted, foci, mask, table, usual

NEXT = {"diagnosis": ["depression", "schizophrenia"], "age": [35.0, 45.0], "subtype": ["type1", "type3"]}


def by_r(c: fn.fit) -> pd.DataFrame:
    """The moderators of the same regression of totals, as a table's quasi-Poisson fit has them."""
    totals = c.request.totals.astype(float)
    data = table().assign(total=totals)
    m = fn.fit("total ~ diagnosis + scale(age) + subtype", data, family="quasipoisson")
    return m.tidy().set_index("term").loc[list(c.names)]


# ---- numbers -------------------------------------------------------------------------------------
def test_moderators_are_those_of_a_quasi_poisson_regression_of_the_totals() -> None:
    c = usual()
    ours, theirs = c.tidy().set_index("term"), by_r(c)
    assert np.allclose(ours["estimate"], theirs["estimate"], atol=1e-8)  # Fisher scoring ends within 1e-8
    assert np.allclose(ours["std_error"], theirs["std_error"], rtol=1e-6)
    assert np.allclose(ours["p_value"], theirs["p_value"], rtol=1e-5)
    assert (ours["df"] == 48 - 2 - 3).all()


def test_limits_and_ratios_follow_from_the_estimates() -> None:
    table_, ratios = usual().tidy(conf_level=0.9), usual().tidy(conf_level=0.9, exponentiate=True)
    half = stats.t.ppf(0.95, 43) * table_["std_error"]
    assert np.allclose(table_["conf_high"], table_["estimate"] + half)
    assert np.allclose(ratios["conf_low"], np.exp(table_["conf_low"]))


def test_model_based_standard_errors_are_normal_and_smaller_by_the_dispersion() -> None:
    c = usual()
    ratio = c.tidy()["std_error"] / c.tidy(vcov="fisher")["std_error"]
    assert np.allclose(ratio, np.sqrt(c.phi))
    assert np.isinf(c.tidy(vcov="fisher")["df"]).all()


def test_several_analyses_of_a_study_make_studies_the_clusters() -> None:
    names = [f"p{i // 2}" for i in range(48)]
    renamed = dict(zip(table()["study"], names, strict=True))
    analysis = [str(i % 2) for i in range(48)]
    keyed = dict(zip(table()["study"], analysis, strict=True))
    points = foci().foci.assign(analysis=foci().foci["study"].map(keyed), study=foci().foci["study"].map(renamed))
    data = replace(foci(), foci=points, studies=foci().studies.assign(study=names, analysis=analysis))
    c = fitted("foci ~ s(diagnosis) + scale(age)", data)
    assert c.n_studies == 24 and c.nobs == 48
    assert (c.tidy()["df"] == 24 - 2 - 1).all()  # studies less cells less moderators
    assert not np.allclose(c.tidy()["std_error"], c.tidy(vcov="quasi")["std_error"], rtol=1e-3)


def test_totals_that_do_not_vary_have_moderators_of_0_with_the_models_standard_errors() -> None:
    same = fn.simulate_foci(table=table(), groups="diagnosis", peaks=10, mask=mask(), seed=1)  # 10 foci each
    c = fitted("foci ~ s(diagnosis) + scale(age) + subtype", same)
    assert np.abs(c.coef).max() < 1e-12  # a constant is among the splines, so that moderators fill in for nothing
    assert (c.tidy()["p_value"] > 0.999).all()


@pytest.mark.parametrize("formula", ["foci ~ s(diagnosis) + s(drug) + age", "foci ~ s(diagnosis) + s(age) + subtype"])
def test_dispersion_and_t_have_analyses_less_maps_less_moderators(formula: str) -> None:
    c = fitted(formula)
    t, freedom = c.request.totals, 48 - 3 - len(c.names)
    assert c.df_resid == freedom
    assert np.isclose(c.phi, ((t - c.fitted) ** 2 / c.fitted).sum() / freedom)


def test_aic_counts_effective_coefficients_and_bic_studies() -> None:
    c = usual()
    assert np.isclose(c.n_parameters, sum(c.edf.values()) + 3)
    assert np.isclose(c.aic, -2 * c.loglik + 2 * c.n_parameters)
    assert np.isclose(c.bic, -2 * c.loglik + np.log(48) * c.n_parameters)


def test_quasipoisson_has_no_likelihood_and_poissons_maps() -> None:
    c = usual("quasipoisson")
    assert np.isnan(c.loglik) and np.isnan(c.aic)
    key = ("intensity", "depression")
    assert np.allclose(c.maps.at_voxels(key), usual().maps.at_voxels(key))


def test_overdispersed_totals_have_a_dispersion_for_every_cell() -> None:
    c = fitted("foci ~ s(diagnosis) + scale(age)", foci("negative_binomial"), family="clustered_negative_binomial")
    assert set(c.alpha) == set(c.log_alpha_se) == {"depression", "schizophrenia"}
    assert all(0.1 < alpha < 1.5 for alpha in c.alpha.values())  # drawn with 0.5
    poisson = fitted("foci ~ s(diagnosis) + scale(age)", foci("negative_binomial"))
    assert c.loglik > poisson.loglik + 10


# ---- maps ----------------------------------------------------------------------------------------
def test_intensities_sum_to_the_foci_expected_of_an_analysis() -> None:
    c = fitted("foci ~ s(diagnosis)")
    for cell in c.cells:
        mine = (table()["diagnosis"] == cell).to_numpy()
        assert np.isclose(c.maps.at_voxels(("intensity", cell)).sum(), c.request.totals[mine].mean())


def test_relative_intensities_have_the_mean_1_whatever_the_moderators() -> None:
    for cell in usual().cells:
        relative = usual().maps.at_voxels(("relative", cell))
        assert np.isclose(relative.mean(), 1)
        assert np.allclose(relative, fitted("foci ~ s(diagnosis)").maps.at_voxels(("relative", cell)))


def test_maps_are_images_on_the_masks_grid_with_nothing_outside() -> None:
    image = usual().maps["log_intensity", "schizophrenia"]
    assert np.array_equal(image.affine, mask().affine)
    assert np.array_equal(np.isfinite(image.get_fdata()), np.asarray(mask().dataobj) > 0)


def test_the_effect_of_a_number_in_space_has_its_estimate_se_z_and_p() -> None:
    c = fitted("foci ~ s(diagnosis) + s(scale(age))")
    effect, se, z, p = (c.maps.at_voxels((word, "scale(age)")) for word in ("effect", "se", "z", "p"))
    assert np.allclose(z, effect / se) and np.allclose(p, 2 * stats.norm.sf(np.abs(z)))


def test_a_baseline_map_is_not_tested_against_0() -> None:
    c = fitted("foci ~ s(diagnosis) + s(drug)")
    assert ("effect", "(Intercept)") in c.maps and ("z", "(Intercept)") not in c.maps
    assert ("z", "drugYes") in c.maps


def test_maps_that_there_are_not_are_named_with_those_that_there_are() -> None:
    with pytest.raises(KeyError, match="depression"):
        usual().maps["intensity", "mania"]
    assert ("z", "depression") not in usual().maps
    assert len(usual().maps) == len(list(usual().maps))


@pytest.mark.parametrize("formula", ["foci ~ s(group)", "foci ~ s(group) + s(age)", "foci ~ s(C(group, contr.sum))"])
def test_a_cell_of_one_study_has_no_variance_over_studies_but_the_models(formula: str) -> None:
    c = fitted(formula, foci().with_studies({"group": ["rare"] + ["common"] * 47}))
    assert np.isfinite(c.maps.at_voxels(("se", "common"))).all()
    assert np.isnan(c.maps.at_voxels(("se", "rare"))).all()
    assert np.isfinite(c.maps.at_voxels(("se", "rare"), "fisher")).all()
    assert not fn.homogeneity(c, "rare")["rare"].threshold("fdr", 0.05).kept.any()


def test_observed_foci_are_counted_where_they_are() -> None:
    c = usual()
    assert sum(c.maps.at_voxels(("foci", cell)).sum() for cell in c.cells) == c.request.totals.sum()


# ---- predictions ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "formula", ["foci ~ s(diagnosis) + scale(age)", "foci ~ s(diagnosis) + s(scale(age)) + subtype"]
)
def test_predicted_totals_of_the_same_analyses_are_the_fitted_ones(formula: str) -> None:
    c = fitted(formula)
    assert np.allclose(c.predict()["fitted"], c.fitted)
    assert np.allclose(c.predict(table())["fitted"], c.fitted)


def test_predicted_maps_are_shown_by_their_number_not_their_numbers() -> None:
    assert str(usual().predict(type="intensity")).startswith("PredictedMaps(48 analyses, 3,168 voxels")


def test_predicted_maps_sum_to_predicted_totals() -> None:
    totals, maps = usual().predict(NEXT), usual().predict(NEXT, "intensity")
    assert np.allclose(maps.intensity.sum(axis=1), totals["fitted"])
    assert (maps.low < maps.intensity).all() and (maps.intensity < maps.high).all()


def test_where_moderators_are_0_a_predicted_map_has_the_cells_standard_error() -> None:
    c = fitted("foci ~ s(diagnosis) + scale(age)")
    at_mean = c.predict({"diagnosis": ["depression"], "age": [table()["age"].mean()]}, "intensity")
    assert np.allclose(at_mean.intensity[0], c.maps.at_voxels(("intensity", "depression")))
    assert np.allclose(at_mean.log_se[0], c.maps.at_voxels(("se", "depression")))


@pytest.mark.parametrize("covariance", ["robust", "fisher"])
def test_a_predicted_map_of_an_aliased_model_is_that_of_the_recentred_one(covariance: str) -> None:
    plain, centred = fitted("foci ~ s(diagnosis) + age"), fitted("foci ~ s(diagnosis) + I(age - 45)")
    at_45 = plain.predict({"diagnosis": ["depression"], "age": [45.0]}, "intensity", vcov=covariance)
    assert np.allclose(at_45.log_se[0], centred.maps.at_voxels(("se", "depression"), covariance), rtol=1e-6)


def test_standard_errors_of_totals_are_those_of_the_regression_of_totals() -> None:
    c = usual()
    data = table().assign(total=c.request.totals.astype(float))
    m = fn.fit("total ~ diagnosis + scale(age) + subtype", data, family="poisson")
    theirs = m.predict(table(), type="link", se=True)["std_error"]
    assert np.allclose(c.predict(table(), vcov="fisher")["log_se"], theirs, rtol=1e-6)


def test_analyses_without_a_covariate_have_no_prediction() -> None:
    predicted = usual().predict({**NEXT, "age": [np.nan, 45.0]})
    assert np.isnan(predicted["fitted"]).tolist() == [True, False]


def test_new_foci_are_drawn_with_the_fitted_totals() -> None:
    c = usual()
    drawn = c.simulate(20, seed=1)
    means = np.mean([each.counts for each in drawn], axis=0)
    assert np.isclose(means.sum(), c.fitted.sum(), rtol=4 / np.sqrt(20 * c.fitted.sum()))  # four standard errors
    assert drawn[0].studies.equals(c.request.foci.studies)
    assert drawn[0].points.tolist() == c.simulate(1, seed=1)[0].points.tolist()


def test_nothing_is_drawn_from_a_quasi_family() -> None:
    with pytest.raises(Unable, match="quasipoisson"):
        usual("quasipoisson").simulate()


def test_a_study_without_foci_has_less_influence_than_the_one_with_most() -> None:
    c = usual()
    most, least = (str(table()["study"][int(at)]) for at in (c.request.totals.argmax(), c.request.totals.argmin()))
    cell = table().set_index("study")["diagnosis"]
    sizes = [np.nanmax(np.abs(c.influence(study, cell[study]).get_fdata())) for study in (most, least)]
    assert sizes[0] > sizes[1] > 0


# ---- other ways in -------------------------------------------------------------------------------
def test_a_file_of_foci_is_read_by_the_formula(tmp_path: Path) -> None:
    foci().to_studyset(tmp_path / "studyset.json")
    c = fitted("foci ~ s(diagnosis) + scale(age) + subtype", tmp_path / "studyset.json")
    assert np.allclose(c.coef, usual().coef)


def test_poisson_is_the_default_family_of_foci_and_gaussian_of_tables() -> None:
    assert usual().family.name == fitted("foci ~ s(1)", family=None).family.name == "poisson"
    assert fn.fit("y ~ x", {"y": [1.0, 2, 4], "x": [1.0, 2, 3]}).family.name == "gaussian"


def test_foci_take_no_weights() -> None:
    with pytest.raises(DataError, match=r"exposure\(n\)"):
        fitted("foci ~ s(1)", weights="age")


def test_foci_without_a_map_are_refused_before_tables_are_tried() -> None:
    with pytest.raises(FormulaError, match="no term has a map"):
        fitted("foci ~ age")


def test_a_refit_changes_the_formula_and_keeps_the_brain() -> None:
    again = fn.refit(usual(), ". ~ . - subtype")
    assert again.names == ("scale(age)",) and again.brain is usual().brain
    assert np.isclose(again.loglik, fitted("foci ~ s(diagnosis) + scale(age)").loglik)


def test_a_refit_takes_another_family_estimator_and_subset() -> None:
    assert fn.refit(usual(), family="clustered_negative_binomial").family.name == "clustered_negative_binomial"
    assert fn.refit(usual(), estimator="splines(80)").terms["coefficients"][0] < usual().terms["coefficients"][0]
    assert fn.refit(usual(), subset="drug == 'No'").nobs == 24


def test_a_fit_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(usual()))
    assert np.array_equal(again.tidy()["p_value"], usual().tidy()["p_value"])


# ---- R -------------------------------------------------------------------------------------------
@pytest.mark.r
def test_r_agrees_on_totals_and_maps() -> None:
    check = fn.crosscheck(fitted("foci ~ s(diagnosis) + scale(age)", estimator="splines(90 mm)"))
    assert check.ok, str(check)
    assert {"coefficients", "standard errors", "dispersion", "log intensities"} <= set(check.to_frame()["quantity"])


@pytest.mark.r
def test_r_agrees_where_all_totals_are_those_fitted() -> None:
    check = fn.crosscheck(fitted("foci ~ s(diagnosis) + scale(age)", even(), estimator="splines(90 mm)"))
    assert check.ok, str(check)


@cache
def even() -> Any:
    """Every study reports the same ten peaks."""
    return fn.simulate_foci(table={"diagnosis": ["a", "b"] * 10, "age": range(20)}, seed=1)


def test_maps_are_finite_where_intensities_are_as_good_as_0() -> None:
    c = fitted("foci ~ s(diagnosis)", even(), estimator=fn.Splines("90 mm", smooth="none"))
    for cell in c.cells:
        assert np.isfinite(c.maps.at_voxels(("log_intensity", cell))).all()
        assert c.maps.at_voxels(("intensity", cell)).sum() == pytest.approx(10, rel=1e-9)  # foci of an analysis


@pytest.mark.r
def test_r_agrees_on_one_dispersion() -> None:
    family = "clustered_negative_binomial"
    c = fitted("foci ~ s(1) + scale(age)", foci("negative_binomial"), family=family, estimator="splines(90 mm)")
    assert fn.crosscheck(c).ok


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("foci ~ s(diagnosis) + s(age)", "poisson"),
        ("foci ~ s(diagnosis)", "negative_binomial"),
        ("foci ~ s(diagnosis)", "clustered_negative_binomial"),
    ],
)
def test_what_r_has_no_model_for_is_said(formula: str, family: str) -> None:
    with pytest.raises(Unable, match="R"):
        fn.crosscheck(fitted(formula, family=family))


def test_limits_of_moderators_are_walds() -> None:
    table_ = fn.confint(usual(), ["subtypetype2"])
    assert np.allclose(table_[["conf_low", "conf_high"]], usual().tidy().loc[[1], ["conf_low", "conf_high"]])
    with pytest.raises(Unable, match="method='wald'"):
        fn.confint(usual(), method="profile")


def test_covariances_of_moderators_are_those_of_their_table() -> None:
    assert np.allclose(usual().se, usual().tidy()["std_error"])
    assert list(usual().vcov.columns) == list(usual().names)


@pytest.mark.parametrize("verb", [fn.r2, fn.ranova, fn.emmeans])
def test_verbs_of_tables_say_what_foci_have_instead(verb) -> None:
    with pytest.raises(Unable, match="not of meta-regressions of foci"):
        verb(usual(), "subtype") if verb is fn.emmeans else verb(usual())


# ---- other backends ------------------------------------------------------------------------------
def test_the_backend_of_foci_keeps_the_contract() -> None:
    check_backend(next(b for b in registry.installed().backends if b.name == "cbmr"))


def test_the_contract_finds_a_backend_of_foci_that_breaks_it() -> None:
    cbmr = next(b for b in registry.installed().backends if b.name == "cbmr")
    with pytest.raises(AssertionError, match="the name of its backend"):
        check_backend(replace(cbmr, name="other", families={"poisson"}))
