"""estimator="spatial" on what users have: masks in pieces, voxels without events, wild covariates, groups."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro.images.stack import Images
from formula_neuro.images.store import InMemory
from formula_neuro_spatial.pieces import overlapping, whole_mask
from formula_neuro_spatial.rows import Rows

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import PROBIT, masks


def in_pieces() -> Images:
    """A block of 60 voxels, one of 44 and a single voxel, which share no face."""
    mask = np.ones((9, 5, 3), dtype=bool)
    mask[4], mask[8], mask[8, 4, 2], mask[7, 4, 2] = False, False, True, False
    return masks(mask, n=40)


def emptied(images: Images, voxels: np.ndarray) -> Images:
    """The images without the events of these voxels of the mask."""
    Y = images.store.values(np.arange(len(images.store.voxels)))
    Y[voxels] = 0
    counts = Y.sum(axis=1).astype(np.int64)
    return replace(images, store=replace(images.store, rows=InMemory(np.packbits(Y, axis=1)), counts=counts))


def fit(images: Images, formula: str = "lesion ~ age", **fields):
    return fn.fit(formula, images, family=PROBIT, estimator=fn.Spatial(**fields))


def rows_of(images: Images, formula: str = "~ age") -> Rows:
    D = fn.model_matrix(formula, images.table)
    return Rows.of(D.X.to_numpy(), np.zeros(len(images)), tuple(D.X.columns))


# ---- masks in pieces -----------------------------------------------------------------------------
def test_the_note_on_pieces_names_the_field_that_keeps_them() -> None:
    v = fit(in_pieces())
    assert v.n_voxels == 60
    assert any("3 components" in m and "components='overlapping'" in m for m in v.messages)


def test_pieces_whose_data_suffice_are_kept_and_fitted_as_if_alone_but_for_sigma() -> None:
    images = in_pieces()
    both = fit(images, components="overlapping")
    assert both.n_voxels == 105
    one = fit(images)
    away = (both.values["coef"][:60] - one.values["coef"]) / one.values["se"]
    assert np.abs(away).max() < 0.6  # Sigma is of both pieces now


def test_a_piece_without_events_is_left_out_as_its_level_is_infinite() -> None:
    v = fit(emptied(in_pieces(), np.arange(60, 104)), components="overlapping")
    assert v.n_voxels == 61 and any("leave their level infinite" in m for m in v.messages)


def test_which_pieces_overlap_is_asked_of_all_their_voxels_together() -> None:
    images = whole_mask(in_pieces())
    from formula_neuro_spatial.graph import MaskGraph

    graph = MaskGraph.of(images.voxels, images.grid.shape)
    assert overlapping(images, rows_of(images), graph)[:2].tolist() == [True, True]
    bare = emptied(images, np.arange(60, 104))
    assert overlapping(bare, rows_of(bare), graph)[:2].tolist() == [True, False]


def test_isolated_voxels_alone_are_refused_whatever_is_kept() -> None:
    mask = np.indices((4, 4, 4)).sum(axis=0) % 2 == 0
    for components in ("largest", "overlapping"):
        with pytest.raises(DataError, match="share a face"):
            fit(masks(mask), components=components)


# ---- voxels without events, masks that are not given ---------------------------------------------
def test_notes_of_voxels_left_out_are_replaced_by_that_they_are_analysed(tmp_path, monkeypatch) -> None:
    import nibabel as nib

    monkeypatch.setenv("FORMULA_NEURO_CACHE", "")
    rare = masks(np.ones((6, 5, 4), dtype=bool), n=30, level=-2.2)
    Y = np.zeros((120, 30), dtype=np.uint8)
    Y[rare.voxels] = rare.block(0, len(rare.voxels))
    boxes = [nib.Nifti1Image(Y[:, i].reshape(6, 5, 4), rare.grid.affine) for i in range(30)]
    table = rare.table.assign(lesion=boxes)
    given = fn.fit("lesion ~ 1", table, family=PROBIT, estimator="spatial", mask=np.ones((6, 5, 4), dtype=bool))
    assert not any("left out" in m for m in given.messages)
    empty = 120 - len(rare.voxels)
    assert any(f"{empty} of the voxels have no event and are analysed too" in m for m in given.messages)
    derived = fn.fit("lesion ~ 1", table, family=PROBIT, estimator="spatial")
    assert any("no mask was given" in m and "mask of the brain" in m for m in derived.messages)
    assert not any("no mask was given" in m for m in given.messages)


# ---- designs -------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def images() -> Images:
    return masks(np.ones((5, 4, 3), dtype=bool))


@pytest.mark.parametrize(("scale", "shift"), [(1e9, 3e12), (1e-12, 0.0)])
def test_covariates_on_wild_scales_give_the_same_map_in_their_units(images, scale, shift) -> None:
    wild = images.table["age"] * scale + shift
    plain = fit(images)
    v = fit(replace(images, table=images.table.assign(wild=wild)), "lesion ~ wild")
    # sums of 3e12 leave the covariate itself with 7 digits
    assert np.allclose(v.values["coef"][:, 1] * scale, plain.values["coef"][:, 1], rtol=1e-4)
    assert np.allclose(v.maps.at_voxels(("z", "wild")), plain.maps.at_voxels(("z", "age")), rtol=1e-4, atol=1e-6)


def test_groups_beside_the_intercept_are_refused_by_name_and_fitted_without_it(images) -> None:
    groups = images.table.assign(f=(images.table["sex"] == "F") * 1.0, m=(images.table["sex"] == "M") * 1.0)
    with pytest.raises(DataError, match=r"^m has no coefficient.*combination"):
        fit(replace(images, table=groups), "lesion ~ f + m")
    v = fit(replace(images, table=groups), "lesion ~ 0 + f + m")
    assert list(v.names) == ["f", "m"] and v.converged


def test_a_formula_without_any_column_is_refused(images) -> None:
    with pytest.raises(DataError, match="needs one at least"):
        fit(images, "lesion ~ 0")


def test_too_few_subjects_are_refused(images) -> None:
    for n in (1, 2):
        with pytest.raises(DataError, match=f"{n} images cannot determine 2 coefficients"):
            fit(images.select(np.arange(n)))


def test_missing_covariates_drop_their_subjects_with_a_note(images) -> None:
    age = images.table["age"].copy()
    age[[3, 7]] = np.nan
    v = fit(replace(images, table=images.table.assign(age=age)))
    assert v.nobs == 58 and any("2 of 60 rows dropped" in m for m in v.messages)


# ---- settings as text ----------------------------------------------------------------------------
def test_fields_are_written_as_text() -> None:
    from formula_neuro.estimator import as_estimator

    assert as_estimator("Spatial(gibbs, draws=50, chains=2)") == fn.Spatial("gibbs", draws=50, chains=2)
    assert as_estimator("spatial(method='laplace', prior_df=20)") == fn.Spatial(prior_df=20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spatial(gibbs, sweeps=3)", "'sweeps=3' is no field"),
        ("spatial()", "no field"),
        ("spatial(draws=many)", "whole number"),
        ("spatial(prior_df=big)", "above 0"),
        ("spatial(components=some)", "largest, overlapping"),
    ],
)
def test_fields_that_make_no_sense_are_refused(text, said) -> None:
    from formula_neuro.estimator import as_estimator

    with pytest.raises(ValueError, match=said):
        as_estimator(text)
