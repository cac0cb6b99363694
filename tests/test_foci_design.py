"""From a formula to the maps, cells and global columns of a meta-regression; and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from formula_neuro.asking import Asked
from formula_neuro.errors import DataError, FormulaError, ImageError, NewLevels
from formula_neuro.estimator import Splines, as_estimator
from formula_neuro.family import as_foci_family
from formula_neuro.foci.aliasing import independent
from formula_neuro.foci.asking import foci_request
from formula_neuro.foci.request import FociRequest

sys.path.insert(0, str(Path(__file__).parent))
from foci_small import foci, mask, table

CELLS = ["depression:No", "depression:Yes", "schizophrenia:No", "schizophrenia:Yes"]


def request(formula: str, data=None, **options) -> FociRequest:
    given = {"mask": mask()} | options
    return foci_request(Asked(formula, foci() if data is None else data, **given))


def said(asked: FociRequest, words: str) -> str:
    """The one message that holds the words."""
    (found,) = [message for message in asked.messages if words in message]
    return found


# ---- maps ----------------------------------------------------------------------------------------
def test_a_factor_has_a_map_for_every_level() -> None:
    asked = request("foci ~ s(diagnosis)")
    assert asked.maps == ("depression", "schizophrenia")
    assert asked.L.tolist() == [[1, 0], [0, 1]] * 24


def test_crossed_factors_have_a_map_for_every_cell_named_by_levels() -> None:
    asked = request("foci ~ s(diagnosis:drug)")
    assert list(asked.maps) == list(asked.cells) == CELLS
    assert np.array_equal(np.stack(list(asked.cells.values())), np.eye(4))
    assert np.array_equal(asked.L.argmax(axis=1), asked.group)


def test_one_map_of_all_analyses_is_written_s_of_1() -> None:
    asked = request("foci ~ s(1)")
    assert asked.maps == tuple(asked.cells) == ("(Intercept)",)
    assert (asked.L == 1).all()


def test_a_number_has_a_map_beside_a_baseline_and_cells_are_where_it_is_0() -> None:
    asked = request("foci ~ s(age)")
    assert asked.maps == ("(Intercept)", "age")
    assert asked.cells["(Intercept)"].tolist() == [1.0, 0.0]
    assert np.array_equal(asked.L[:, 1], table()["age"])
    assert "map '(Intercept)' was added" in said(asked, "no factor by itself")


def test_beside_cells_a_number_needs_no_baseline() -> None:
    asked = request("foci ~ s(diagnosis) + s(age)")
    assert asked.maps == ("depression", "schizophrenia", "age")
    assert asked.cells["schizophrenia"].tolist() == [0.0, 1.0, 0.0]


def test_slopes_by_group_have_a_map_each() -> None:
    asked = request("foci ~ s(diagnosis) + s(diagnosis:age)")
    assert asked.maps[2:] == ("diagnosisdepression:age", "diagnosisschizophrenia:age")


def test_two_terms_of_factors_are_coded_by_contrasts_and_cells_are_their_combinations() -> None:
    asked = request("foci ~ s(diagnosis) + s(drug)")
    assert asked.maps == ("(Intercept)", "diagnosisschizophrenia", "drugYes")
    assert list(asked.cells) == CELLS
    assert asked.cells["schizophrenia:Yes"].tolist() == [1.0, 1.0, 1.0]
    assert "R's contrasts" in said(asked, "coded")


def test_the_maps_of_a_saturated_model_span_those_of_its_cells() -> None:
    coded, by_cell = request("foci ~ s(diagnosis * drug)"), request("foci ~ s(diagnosis:drug)")
    both = np.column_stack([coded.L, by_cell.L])
    assert coded.L.shape[1] == np.linalg.matrix_rank(both) == 4


def test_a_contrast_that_is_asked_for_replaces_the_cells() -> None:
    asked = request("foci ~ s(diagnosis)", contrasts={"diagnosis": "contr.sum"})
    assert asked.maps == ("(Intercept)", "diagnosis1")
    assert asked.cells["schizophrenia"].tolist() == [1.0, -1.0]


def test_a_cell_without_analyses_has_no_map_and_is_named() -> None:
    asked = request(
        "foci ~ s(diagnosis:drug)", subset=(table()["drug"] == "No") | (table()["diagnosis"] != "depression")
    )
    assert list(asked.maps) == ["depression:No", "schizophrenia:No", "schizophrenia:Yes"]
    assert "diagnosisdepression:drugYes" in said(asked, "without analyses")


def test_levels_may_hold_blanks_and_hyphens() -> None:
    data = foci().with_studies({"group": ["first-episode", "at risk"] * 24})
    assert request("foci ~ s(group)", data).maps == ("at risk", "first-episode")


def test_levels_with_colons_that_make_two_cells_alike_are_refused() -> None:
    data = foci().with_studies({"a": ["x", "x:y"] * 24, "b": ["y:z", "z"] * 24})
    with pytest.raises(DataError, match=r"two cells of .* are called 'x:y:z'"):
        request("foci ~ s(a:b)", data)


def test_a_number_with_two_values_is_said_to_be_no_factor() -> None:
    data = foci().with_studies({"patients": [0, 1] * 24})
    assert "s(factor(patients))" in said(request("foci ~ s(patients)", data), "two values")
    assert request("foci ~ s(factor(patients))", data).maps == ("0", "1")


# ---- the global part -----------------------------------------------------------------------------
def test_moderators_have_treatment_contrasts_and_no_intercept() -> None:
    asked = request("foci ~ s(diagnosis) + scale(age) + subtype")
    assert asked.design.names == ("scale(age)", "subtypetype2", "subtypetype3")
    assert [(term.name, term.start, term.stop) for term in asked.design.terms] == [
        ("scale(age)", 0, 1),
        ("subtype", 1, 3),
    ]
    assert abs(asked.design.matrix[:, 0].mean()) < 1e-12  # scale() centres to rounding


def test_a_slope_for_every_group_is_a_global_interaction() -> None:
    names = request("foci ~ s(diagnosis) + diagnosis:age").design.names
    assert names == ("diagnosisdepression:age", "diagnosisschizophrenia:age")


@pytest.mark.parametrize(
    "formula", ["foci ~ s(diagnosis:drug) + drug", "foci ~ s(diagnosis) + diagnosis", "foci ~ s(age) + age"]
)
def test_what_the_levels_of_the_maps_absorb_is_left_out_and_named(formula: str) -> None:
    asked = request(formula)
    assert asked.design.names == ()
    assert "absorb it" in said(asked, "left out")


def test_constant_and_collinear_moderators_are_left_out_and_named() -> None:
    data = foci().with_studies({"scanner": [3.0] * 48})
    asked = request("foci ~ s(diagnosis) + age + scanner + I(2 * age)", data)
    assert asked.design.names == ("age",)
    assert said(asked, "constant").startswith("scanner")
    assert said(asked, "a combination of other columns").startswith("I(2 * age)")


def test_exposure_is_the_logarithm_in_the_offset() -> None:
    asked = request("foci ~ s(diagnosis) + exposure(sample_size)")
    assert np.allclose(asked.design.offset, np.log(foci().studies["sample_size"]))
    assert asked.design.names == ()


@pytest.mark.parametrize("term", ["exposure(hours)", "offset(log(hours))"])
def test_exposures_of_0_or_less_are_refused_with_the_study(term: str) -> None:
    data = foci().with_studies({"hours": [2.0] * 40 + [0.0, -1.0] + [3.0] * 6})
    with pytest.raises(DataError, match=r"2 of 48 analyses have 0 or less \(first: 0 in study s40\)"):
        request(f"foci ~ s(diagnosis) + {term}", data)


def test_analyses_without_a_covariate_are_dropped_counted_and_named() -> None:
    ages = table()["age"].mask(table().index.isin([3, 5]))
    asked = request("foci ~ s(diagnosis) + scale(age)", foci().with_studies({"age": ages.to_numpy()}))
    assert asked.shape[0] == 46 and len(asked.foci.studies) == 46
    assert "(s03, s05)" in said(asked, "2 of 48 analyses left out")


def test_the_columns_are_made_again_for_other_analyses() -> None:
    asked = request("foci ~ s(diagnosis:drug) + scale(age) + subtype")
    rows = table().iloc[[5, 40]]
    assert np.allclose(asked.layout.maps.of(rows), asked.L[[5, 40]])
    assert np.allclose(asked.layout.moderators.of(rows), asked.design.matrix[[5, 40]])


def test_other_analyses_of_an_unknown_cell_are_refused() -> None:
    asked = request("foci ~ s(diagnosis)")
    with pytest.raises(NewLevels, match="mania"):
        asked.layout.maps.of(table().assign(diagnosis="mania"))


def test_columns_are_independent_of_those_before() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    assert independent(np.column_stack([X, X @ [1, 2, 3], X[:, 0] + 1e-3 * rng.normal(size=20)])) == (0, 1, 2, 4)
    assert independent(X, before=X[:, :2] @ [[1.0, 0.0], [1.0, 1.0]]) == (2,)


# ---- masks and places ----------------------------------------------------------------------------
def test_foci_outside_the_mask_are_counted_by_study() -> None:
    outside = replace(
        foci(), foci=foci().foci.assign(x=np.where(foci().foci["study"] == "s07", 500.0, foci().foci["x"]))
    )
    lost = int((foci().foci["study"] == "s07").sum())
    asked = request("foci ~ s(1)", outside)
    assert f"(s07: {lost})" in said(asked, "outside the mask")
    assert "1 of 48 analyses have foci, but none" in said(asked, "inside the mask")
    assert asked.totals[7] == 0 and asked.totals.sum() == len(foci().foci) - lost


def test_analyses_that_reported_nothing_did_not_lose_foci_outside_the_mask() -> None:
    without = replace(foci(), foci=foci().foci[foci().foci["study"] != "s07"].reset_index(drop=True))
    asked = request("foci ~ s(1)", without)
    assert asked.totals[7] == 0 and not [m for m in asked.messages if "none inside the mask" in m]


def test_knots_further_apart_than_the_mask_is_wide_are_said() -> None:
    assert "further apart" in said(request("foci ~ s(1)", estimator=Splines("400 mm")), "Splines")
    assert not [m for m in request("foci ~ s(1)", estimator=Splines("60 mm")).messages if "Splines" in m]


def test_a_number_in_s_that_is_never_near_0_is_remarked() -> None:
    assert "s(scale(...))" in said(request("foci ~ s(age)"), "age runs from")
    assert not [m for m in request("foci ~ s(scale(age)) + s(drug)").messages if "runs from" in m]


def test_a_mask_made_of_places_with_foci_is_remarked() -> None:
    data = np.asarray(mask().dataobj).copy()
    data[9:] = 0
    small = nib.Nifti1Image(data, mask().affine)
    assert "less than a brain" in said(request("foci ~ s(1)", mask=small), "cm3")


def test_an_array_is_no_mask_of_foci() -> None:
    with pytest.raises(ImageError, match="array does not say where"):
        request("foci ~ s(1)", mask=np.asarray(mask().dataobj))


def test_a_probabilistic_mask_is_refused() -> None:
    with pytest.raises(ImageError, match="not a mask of 0 and 1"):
        request("foci ~ s(1)", mask=nib.Nifti1Image(np.linspace(0, 1, 18 * 22 * 18).reshape(18, 22, 18), mask().affine))


def test_without_a_mask_nilearns_brain_is_taken() -> None:
    pytest.importorskip("nilearn")
    asked = request("foci ~ s(1)", mask=None)
    assert asked.brain.space == 4 and asked.brain.grid.describe().endswith("2 mm")


# ---- refusals ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("foci ~ age", "no term has a map"),
        ("n ~ s(age)", "the response of a model of foci is foci, not n"),
        ("foci ~ s(diagnosis) + (1|drug)", r"foci take \(1 \| study\) alone"),
        ("foci ~ s(diagnosis) + (1|study)", "family='clustered_negative_binomial' has"),
        ("foci ~ s(diagnosis) + exposure(age):drug", "exposure.* is added by itself"),
        ("foci ~ s(exposure(age))", "exposure.* is added by itself"),
        ("foci ~ s(diagnoses)", "did you mean diagnosis"),
    ],
)
def test_formulas_that_foci_cannot_take_are_refused(formula: str, expected: str) -> None:
    with pytest.raises(FormulaError, match=expected):
        request(formula)


def test_a_random_level_of_studies_is_the_clustered_familys() -> None:
    asked = request("foci ~ s(diagnosis) + (1|study)", family="clustered_negative_binomial")
    assert asked.estimator.cluster == "study"


def test_moderators_of_the_totals_of_voxels_are_refused_and_the_clustered_family_named() -> None:
    with pytest.raises(DataError, match="clustered_negative_binomial"):
        request("foci ~ s(diagnosis) + age", family="negative_binomial")


def test_a_cell_without_foci_is_refused_by_name() -> None:
    kept = foci().foci[foci().foci["study"].isin(table().loc[table()["diagnosis"] == "depression", "study"])]
    with pytest.raises(DataError, match="schizophrenia: no foci inside the mask"):
        request("foci ~ s(diagnosis)", replace(foci(), foci=kept.reset_index(drop=True)))


def test_more_columns_than_analyses_are_refused() -> None:
    with pytest.raises(DataError, match="6 analyses cannot determine"):
        request("foci ~ s(diagnosis) + poly(age, 4)", subset=np.arange(48) < 6)


def test_knots_closer_than_voxels_are_refused() -> None:
    with pytest.raises(DataError, match="less than a voxel, which has 8 x 8 x 8 mm"):
        request("foci ~ s(1)", estimator=Splines(5))


def test_estimators_of_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="not one of foci"):
        request("foci ~ s(1)", estimator=as_estimator("ml"))


@pytest.mark.parametrize("given", ["nbinom2", "gaussian"])
def test_families_of_tables_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="clustered_negative_binomial"):
        as_foci_family(given)


# ---- remarks -------------------------------------------------------------------------------------
def test_few_studies_are_named_with_their_cell() -> None:
    data = foci().with_studies({"group": ["rare"] + ["common"] * 47})
    assert "rare (1 study)" in said(request("foci ~ s(group)", data), "few studies")
    assert "rare;" in said(request("foci ~ s(group)", data), "one study alone")


def test_a_moderator_that_hangs_on_one_analysis_is_named() -> None:
    sizes = np.full(48, 20.0) + np.arange(48) % 5
    sizes[11] = 3388.0
    remark = said(request("foci ~ s(diagnosis) + n", foci().with_studies({"n": sizes})), "of its spread")
    assert "study s11" in remark and "logarithm" in remark


def test_levels_that_differ_in_capitals_are_named() -> None:
    data = foci().with_studies({"drug": ["yes", "Yes", "no", "no"] * 12})
    assert "'Yes', 'yes'" in said(request("foci ~ s(drug)", data), "capitals")


def test_moderators_that_are_never_0_move_the_maps_and_are_named() -> None:
    assert "scale(age)" in said(request("foci ~ s(diagnosis) + age"), "intensity maps are those at 0")
    assert not any("those at 0" in message for message in request("foci ~ s(diagnosis) + scale(age)").messages)


# ---- splines -------------------------------------------------------------------------------------
def test_knots_are_millimetres_or_voxels() -> None:
    assert Splines(20).steps((2.0, 2.0, 2.0)) == Splines("10 voxels").steps((2.0, 2.0, 2.0)) == (10.0, 10.0, 10.0)
    assert Splines(("20 mm", "5 voxels", 30)).steps((2.0, 4.0, 3.0)) == (10.0, 5.0, 10.0)


def test_splines_have_a_word_with_their_spacing() -> None:
    assert as_estimator("splines") == Splines() and as_estimator("splines(15 mm)") == Splines("15 mm")
    assert repr(Splines(smooth="none")) == "Splines(smooth='none')"


@pytest.mark.parametrize(
    "wrong",
    [
        {"spacing": "wide"},
        {"spacing": 0},
        {"spacing": (10, 20)},
        {"smooth": "yes"},
        {"basis": "x"},
        {"cluster": "site"},
    ],
)
def test_splines_that_mean_nothing_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="Splines"):
        Splines(**wrong)
