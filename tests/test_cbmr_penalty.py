"""Smoothing of maps of foci: what is rough, REML's lambda, and what it leaves alone."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from formula_neuro_cbmr.basis import small_basis
from formula_neuro_cbmr.penalty import second_differences

sys.path.insert(0, str(Path(__file__).parent))
from cbmr_small import SIZE, beside, fitted, image, mask, tables


@cache
def curved():
    """Foci of which some gather around a place: straight lines do not do."""
    foci, studies = tables()
    rng = np.random.default_rng(4)
    near = foci.index % 3 == 0
    place = np.where(foci.study.isin(studies.study[studies.group == "a"]), 8.0, -8.0)
    xyz = np.column_stack([place, np.zeros(len(foci)), place / 2]) + rng.normal(0, 4, (len(foci), 3))
    return foci.assign(**{axis: np.where(near, xyz[:, k], foci[axis]) for k, axis in enumerate("xyz")}), studies


@cache
def smoothed(formula: str = "foci ~ s(group) + x", **options):
    return fitted(formula, **{"data": curved(), "smooth": "reml", "spacing": 12.0, **options})


def straight_lines(basis) -> np.ndarray:
    """The products of 1 and the column's number along each axis, (P, 8)."""
    at = np.stack(np.unravel_index(basis.kept, basis.lattice)).astype(float)
    x, y, z = (np.stack([np.ones(basis.P), a]) for a in at)
    return np.einsum("ap,bp,cp->pabc", x, y, z).reshape(basis.P, 8)


def test_straight_lines_and_their_products_are_not_rough():
    basis = small_basis()
    penalty = second_differences(basis)
    assert max(penalty.roughness(b) for b in straight_lines(basis).T) == 0


def test_the_rank_leaves_out_these_eight_alone():
    c = smoothed()
    penalty = c.engine.problem.splined.penalty
    assert penalty.rank == c.engine.problem.splined.basis.P - 8


def test_roughness_is_the_sum_of_squared_second_differences():
    basis = small_basis()
    whole = np.full(basis.lattice, np.nan)
    b = np.random.default_rng(0).normal(size=basis.P)
    whole.reshape(-1)[basis.kept] = b
    expected = sum(np.nansum(np.diff(whole, 2, axis=k) ** 2) for k in range(3))
    assert second_differences(basis).roughness(b) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("formula", ["foci ~ s(group) + x", "foci ~ s(x) + scale(n)"])
def test_remls_lambda_balances_roughness_and_effective_coefficients(formula):
    c = smoothed(formula)
    weights = None if "group" in formula else c.engine.problem.patterns
    weights = None if weights is None else weights.T @ weights * 2 / len(weights)
    d = beside(c, weights)
    S = d.penalty / c.penalty
    rank = len(c.request.maps) * c.engine.problem.splined.penalty.rank
    effective = rank - c.penalty * np.trace(d.inverse @ S)
    rough = c.penalty * d.found.theta @ S @ d.found.theta
    assert np.log(effective / rough) == pytest.approx(0, abs=2e-3)  # the search ends below 1e-3


@pytest.mark.parametrize("formula", ["foci ~ s(group) + x", "foci ~ s(x) + scale(n)"])
def test_effective_coefficients_are_the_trace_of_the_dense_fit(formula):
    c = smoothed(formula)
    weights = None if "group" in formula else c.engine.problem.patterns
    weights = None if weights is None else weights.T @ weights * 2 / len(weights)
    d = beside(c, weights)
    F = d.inverse @ (d.found.A - d.penalty)
    P = d.shape[1]
    each = [np.trace(F[k * P : (k + 1) * P, k * P : (k + 1) * P]) for k in range(2)]
    assert list(c.edf.values()) == pytest.approx(each, rel=1e-6)


def test_penalised_maps_are_those_of_a_dense_regression():
    c = smoothed()
    d = beside(c)
    assert np.abs(c.engine.expand(c.engine.b) - d.b @ d.X.T).max() < 1e-8


def test_smoothing_leaves_totals_and_moderators_alone():
    a, b = smoothed(), smoothed(smooth="none", spacing=20.0)
    assert np.allclose(a.fitted, b.fitted, rtol=1e-10) and np.allclose(a.coef, b.coef, atol=1e-12)


def test_a_number_is_taken_as_lambda():
    c = fitted("foci ~ s(group)", smooth=3.0)
    assert c.penalty == 3.0 and c.converged


def test_a_larger_lambda_makes_flatter_maps():
    rough, flat = (fitted("foci ~ s(group)", smooth=value) for value in (0.1, 100.0))
    assert sum(flat.edf.values()) < sum(rough.edf.values())
    assert flat.engine.expand(flat.engine.b).std() < rough.engine.expand(rough.engine.b).std()


def test_all_maps_share_one_lambda():
    c = smoothed("foci ~ s(group:drug)")
    assert isinstance(c.penalty, float) and len(c.edf) == 4


def test_maps_in_the_manner_of_contrasts_are_smoothed_as_cells():
    a, b = (smoothed(f"foci ~ {s} + x", smooth=2.0) for s in ("s(group)", "s(1) + s(group)"))
    assert a.loglik == pytest.approx(b.loglik, abs=1e-8)


def test_auto_smooths_below_20_mm_and_where_foci_are_few():
    many = tables(foci=60.0)
    wide = fitted("foci ~ s(group)", data=many, smooth="auto", spacing=20.0)
    close = fitted("foci ~ s(group)", data=many, smooth="auto", spacing=16.0)
    few = fitted("foci ~ s(group)", data=tables(foci=3.0), smooth="auto", spacing=20.0)
    assert wide.penalty == 0 and close.penalty > 0 and few.penalty > 0


def test_foci_that_lie_evenly_are_smoothed_without_bound_and_it_is_said():
    foci, studies = tables(studies=8, foci=6.0)
    at = np.argwhere(mask())
    xyz = at[np.random.default_rng(1).choice(len(at), len(foci))] * SIZE + image().affine[:3, 3]
    c = fitted("foci ~ s(1)", data=(foci.assign(x=xyz[:, 0], y=xyz[:, 1], z=xyz[:, 2]), studies), smooth="reml")
    assert c.converged and sum(c.edf.values()) < 8.1 and any("without bound" in m for m in c.messages)
