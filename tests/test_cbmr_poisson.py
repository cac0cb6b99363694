"""Maps and global coefficients of foci beside one dense Poisson regression, R's glm, and what must not matter."""

from __future__ import annotations

import dataclasses
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro_cbmr.joint import joint
from formula_neuro_cbmr.places import shares
from formula_neuro_cbmr.smoothed_joint import joint_maps

sys.path.insert(0, str(Path(__file__).parent))
from cbmr_small import SIZE, beside, fitted, image, mask, tables

FORMULAS = {
    "cells": ("foci ~ s(group) + x", {}),
    "crossed cells": ("foci ~ s(group:drug) + scale(n)", {}),
    "differences": ("foci ~ s(group) + s(drug) + x", {}),
    "a number": ("foci ~ s(x) + scale(n)", {}),
    "a number beside cells": ("foci ~ s(group) + s(x) + scale(n)", {"spacing": 20.0}),
    "nimare": ("foci ~ s(group) + x + scale(n)", {"basis": "nimare"}),
    "one map": ("foci ~ s(1)", {"snap": "voxel"}),
    "exposure": ("foci ~ s(group) + exposure(n) + x", {}),
}


@cache
def both(name: str):
    formula, splines = FORMULAS[name]
    c = fitted(formula, **splines)
    return c, beside(c)


@pytest.mark.parametrize("name", FORMULAS)
def test_intensities_are_those_of_a_dense_regression(name):
    c, d = both(name)
    ours, theirs = c.engine.expand(c.engine.b), d.b @ d.X.T
    assert np.abs(ours - theirs).max() < 1e-8  # both end a millionth of a standard error from the optimum, squared


@pytest.mark.parametrize("name", FORMULAS)
def test_global_coefficients_are_those_of_a_dense_regression(name):
    c, d = both(name)
    assert np.allclose(c.engine.gamma, d.gamma, atol=1e-10)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_loglikelihood_is_that_of_all_analyses_and_voxels(name):
    c, d = both(name)
    located, request = c.request.located, c.request
    counts = np.unique(np.column_stack([located.analysis, located.voxel]), axis=0, return_counts=True)[1]
    expected = d.found.value + request.totals @ request.design.offset - gammaln(counts + 1.0).sum()
    assert c.loglik == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_fitted_totals_are_those_of_a_dense_regression(name):
    c, d = both(name)
    assert np.allclose(c.fitted, d.found.mu.reshape(len(c.fitted), -1).sum(axis=1), rtol=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_search_ends_where_the_gradient_is_rounding(name):
    c, _ = both(name)
    gradients = [s.gradient for s in c.convergence if not np.isnan(s.gradient)]
    assert c.converged and max(gradients) < 1e-7  # of sums of several hundred foci


def test_a_likelihood_that_splits_is_also_found_jointly():
    c, _ = both("cells")
    maps = joint_maps(joint(c.engine.problem))
    assert np.allclose(maps.found.beta, c.engine.b, atol=1e-7)
    assert np.allclose(maps.found.gamma, c.engine.gamma, atol=1e-10)


def ten_each():
    """As the tutorial's data: every analysis has ten foci, whatever its subtype."""
    rng = np.random.default_rng(5)
    at = np.argwhere(mask())
    foci, rows = [], []
    for k in range(40):
        place = at[rng.choice(len(at), size=10, p=at[:, 1] / at[:, 1].sum())]
        xyz = place * 4.0 + image().affine[:3, 3]
        foci.append(pd.DataFrame(xyz, columns=list("xyz")).assign(study=f"s{k}"))
        rows.append([f"s{k}", "ab"[k % 2], f"type{rng.integers(1, 4)}"])
    return pd.concat(foci, ignore_index=True), pd.DataFrame(rows, columns=["study", "group", "subtype"])


def test_equal_totals_leave_no_effect_of_a_moderator():
    c = fitted("foci ~ s(group) + subtype", data=ten_each())
    assert np.abs(c.engine.gamma).max() < 1e-12 and np.abs(c.fitted - 10).max() < 1e-10


def test_in_nimares_basis_moderators_stand_in_for_the_missing_constant():
    c = fitted("foci ~ s(group) + subtype", data=ten_each(), basis="nimare", spacing=40.0)
    assert np.abs(c.engine.gamma).max() > 1e-6 and np.abs(c.fitted - 10).max() > 1e-3


def test_totals_of_cells_are_fitted_exactly():
    c, _ = both("crossed cells")
    by = np.bincount(c.request.group, weights=c.fitted)
    assert np.allclose(by, np.bincount(c.request.group, weights=c.request.totals), rtol=1e-10)


def test_maps_do_not_depend_on_the_origin_and_scale_of_a_number():
    foci, studies = tables()
    moved = studies.assign(x=100 + 3 * studies.x)
    a, b = (fitted("foci ~ s(x)", data=(foci, s), smooth=2.0) for s in (studies, moved))
    effects = [c.maps.at_voxels(("effect", "x")) for c in (a, b)]
    assert a.loglik == pytest.approx(b.loglik, abs=1e-8)
    assert np.allclose(effects[0], 3 * effects[1], atol=1e-8)


def test_the_order_of_rows_does_not_matter():
    foci, studies = tables()
    shuffled = foci.sample(frac=1, random_state=1), studies.sample(frac=1, random_state=2)
    a, b = (fitted("foci ~ s(group) + x", data=data) for data in ((foci, studies), shuffled))
    assert a.loglik == pytest.approx(b.loglik, abs=1e-9) and np.allclose(a.coef, b.coef, atol=1e-12)


def test_a_mask_that_runs_the_other_way_gives_the_same_map():
    a, b = (fitted("foci ~ s(group)", flip=flip) for flip in (False, True))
    there, here = (np.asarray(c.maps["intensity", "a"].dataobj) for c in (a, b))
    assert np.allclose(there, here[::-1], rtol=1e-7, equal_nan=True)


def test_voxels_centres_stand_for_exact_places_only_where_asked():
    exact, snapped = (fitted("foci ~ s(group)", snap=snap) for snap in ("exact", "voxel"))
    centred = fitted("foci ~ s(group)", data=tables(centres=True))
    assert abs(exact.loglik - snapped.loglik) > 1e-3
    again = fitted("foci ~ s(group)", data=tables(centres=True), snap="voxel")
    assert centred.loglik == pytest.approx(again.loglik, abs=1e-9)


def test_a_focus_is_shared_by_the_voxels_around_it_and_its_place_is_theirs_on_average():
    request = fitted("foci ~ s(group)").request
    shared = shares(request.located, request.brain, "exact")
    at = np.stack(np.unravel_index(request.brain.voxels, request.brain.grid.shape), axis=1)
    there = (request.located.points - request.brain.grid.affine[:3, 3]) / SIZE
    whole = np.diff(shared.indptr) == 8  # the others lie at the border of the mask
    assert whole.sum() > 100 and np.allclose(shared.sum(axis=1), 1)
    assert np.abs((shared @ at)[whole] - there[whole]).max() < 1e-12


def test_foci_beyond_the_outermost_voxels_leave_the_likelihood_bounded():
    foci, studies = tables()
    c = fitted("foci ~ s(group)", data=(foci.assign(x=-19.9), studies), smooth="reml")
    assert c.loglik < 0 and c.maps.at_voxels(("intensity", "a")).max() < 100


def test_more_than_the_machine_holds_is_refused_with_the_figure(monkeypatch):
    monkeypatch.setattr("formula_neuro_cbmr.problem.memory", lambda: 1e-6)
    with pytest.raises(DataError, match=r"2 maps of 38 splines takes 0 GB.*wider than 16"):
        fitted("foci ~ s(group)")


def test_a_device_other_than_the_cpu_is_refused():
    foci, studies = tables()
    with pytest.raises(ValueError, match="device='cuda'"):
        fn.fit("foci ~ s(group)", fn.read_foci(foci, studies=studies), mask=image(), device="cuda")


def test_quasipoisson_has_poissons_maps_and_no_loglikelihood():
    a, b = (fitted("foci ~ s(group) + x", family=family) for family in ("poisson", "quasipoisson"))
    assert np.array_equal(a.engine.b, b.engine.b) and np.isnan(b.loglik)


def half_empty():
    """Group a has foci on one side only."""
    foci, studies = tables()
    of_a = foci.study.isin(studies.study[studies.group == "a"])
    return foci[~of_a | (foci.x > 4)], studies


def test_splines_without_foci_are_refused_by_maximum_likelihood():
    with pytest.raises(DataError, match=r"splines without a focus \(\d+ in a, .*smooth='reml'.*wider than 12"):
        fitted("foci ~ s(group)", data=half_empty(), spacing=12.0)


def test_they_are_counted_and_smoothed_by_default():
    c = fitted("foci ~ s(group)", data=half_empty(), spacing=12.0, smooth="auto")
    assert c.unsupported["a"] > 0 and c.penalty > 0 and np.isfinite(c.engine.b).all() and c.converged


def test_maps_that_vanish_somewhere_are_said_to():
    c = fitted("foci ~ s(group) + x", spacing=5.0)
    said = [m for m in c.messages if "as good as 0" in m]
    assert len(said) == 1 and "(b: 6)" in said[0] and "reml" in said[0]


def test_a_search_that_runs_to_infinity_does_not_pass_for_converged():
    foci, studies = tables()
    side = foci.assign(x=-19.9, y=foci.y / 10, z=foci.z / 10)  # one layer of voxels: lines in space fall without end
    c = fitted("foci ~ s(group)", data=(side, studies), spacing=60.0, smooth=1.0)
    assert not c.converged and any("did not converge" in m for m in c.messages)


def test_a_group_without_foci_is_refused_by_name():
    foci, studies = tables()
    gone = foci[~foci.study.isin(studies.study[studies.group == "b"])]
    with pytest.raises(DataError, match=r"\bb\b"):
        fitted("foci ~ s(group)", data=(gone, studies))


def test_another_model_of_the_same_foci_takes_the_splines_over():
    c, _ = both("cells")
    again = c.engine.refit(dataclasses.replace(c.request, messages=()))
    assert again.engine.problem.splined is c.engine.problem.splined and again.loglik == c.loglik


@pytest.mark.r
@pytest.mark.parametrize("basis", ["renormalised", "nimare"])
def test_r_agrees_at_a_coarse_spacing(basis, tmp_path):
    import subprocess

    c = fitted("foci ~ s(group) + x", data=tables(studies=12, centres=True), spacing=60.0, snap="voxel", basis=basis)
    d = beside(c)
    located = c.request.located
    y = np.zeros((len(c.request.L), len(d.X)))
    np.add.at(y, (located.analysis, located.voxel), 1.0)
    np.savetxt(tmp_path / "d.csv", np.column_stack([y.reshape(-1), d.D]), delimiter=",")
    script = f"""
    m <- as.matrix(read.csv("{tmp_path}/d.csv", header = FALSE))
    g <- suppressWarnings(glm.fit(m[, -1], m[, 1], family = poisson(), control = list(epsilon = 1e-14, maxit = 100)))
    writeLines(sprintf("%.12f", c(sum(dpois(m[, 1], g$fitted.values, log = TRUE)), g$fitted.values)), "{tmp_path}/g")
    """
    subprocess.run(["Rscript", "--vanilla", "-e", script], check=True, capture_output=True, timeout=100)
    found = np.loadtxt(tmp_path / "g")
    means = np.exp(c.request.design.matrix @ c.engine.gamma)[:, None] * np.exp(
        c.request.L @ c.engine.expand(c.engine.b)
    )
    assert c.loglik == pytest.approx(found[0], rel=1e-8)
    assert np.allclose(means.reshape(-1), found[1:], rtol=1e-6, atol=1e-12)  # 12 digits were written
