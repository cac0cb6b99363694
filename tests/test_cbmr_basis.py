"""Splines of foci: what is kept, that no sum needs X itself, and that the model is one of millimetres."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro.images.brain import Brain
from formula_neuro.images.grid import Grid
from formula_neuro_cbmr.axis import axis
from formula_neuro_cbmr.basis import Basis, basis_of
from formula_neuro_cbmr.gram import gram
from formula_neuro_cbmr.plain import dense

sys.path.insert(0, str(Path(__file__).parent))
from cbmr_small import SIZE, image, mask

KINDS = ("renormalised", "nimare")


def brain(flip: bool = False) -> Brain:
    of = image(flip)
    inside = np.asarray(of.dataobj) > 0
    return Brain(Grid(inside.shape, of.affine), inside, np.flatnonzero(inside))


@cache
def small(kind: str = "renormalised", flip: bool = False) -> Basis:
    return basis_of(brain(flip), fn.Splines(16.0, basis=kind))


@cache
def X(kind: str) -> np.ndarray:
    """By scipy's splines, all products formed."""
    n = np.array(mask().shape)
    ends = [(-10.0, k + 8.0) for k in n] if kind == "nimare" else [(-0.5 - 19 / SIZE, k - 0.5 + 17 / SIZE) for k in n]
    found = dense.design(mask(), ends, [16.0 / SIZE] * 3)
    return found if kind == "nimare" else found / found.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", KINDS)
def test_expanding_is_x_times_the_coefficients(kind):
    b = np.random.default_rng(0).normal(size=(3, small(kind).P))
    assert np.abs(small(kind).expand(b) - b @ X(kind).T).max() < 1e-13  # a few roundings of numbers near 1


@pytest.mark.parametrize("kind", KINDS)
def test_projecting_is_its_transpose(kind):
    v = np.random.default_rng(0).normal(size=(70, small(kind).V))
    assert np.abs(small(kind).project(v) - v @ X(kind)).max() < 1e-12  # sums over 516 voxels


@pytest.mark.parametrize("kind", KINDS)
def test_the_gram_matrix_is_that_of_the_dense_basis(kind):
    w = np.random.default_rng(1).uniform(0.1, 2, size=small(kind).V)
    expected = X(kind).T @ (w[:, None] * X(kind))
    assert np.abs(gram(small(kind)).weighted(w) - expected).max() < 1e-12  # sums over 516 voxels


@pytest.mark.parametrize("kind", KINDS)
def test_variances_need_only_pairs_of_splines_that_overlap(kind):
    C = np.random.default_rng(2).normal(size=(small(kind).P,) * 2)
    expected = np.einsum("vp,pr,vr->v", X(kind), C, X(kind))
    assert np.abs(gram(small(kind)).spread(C) - expected).max() < 1e-12  # sums over 38 x 38 products


@pytest.mark.parametrize("kind", KINDS)
def test_rows_at_the_centres_of_voxels_are_those_of_x(kind):
    at = np.argwhere(mask()).astype(float)
    assert np.abs(small(kind).rows(at).toarray() - X(kind)).max() < 1e-13


def test_rows_sum_to_one_between_voxels_too():
    at = np.argwhere(mask()) + np.random.default_rng(3).uniform(-0.5, 0.5, size=(mask().sum(), 3))
    assert np.abs(small().rows(at).sum(axis=1) - 1).max() < 1e-14


def test_equal_coefficients_are_a_constant():
    assert np.abs(small().expand(np.full(small().P, -7.0)) + 7).max() < 1e-13


def test_nimares_rows_do_not_sum_to_one():
    assert small("nimare").expand(np.ones(small("nimare").P)).min() < 0.95


def test_every_spline_kept_reaches_a_tenth_in_the_mask():
    assert X("nimare").max(axis=0).min() >= 0.1 and X("nimare").shape[1] == small("nimare").P


def test_knots_of_voxels_of_2_mm_are_nimares():
    ours, theirs = axis(72, 10, size=2.0), axis(72, 10, size=None)
    assert np.array_equal(ours.knots, theirs.knots)


def test_knots_lie_at_the_same_millimetres_whatever_the_voxels():
    two, four = axis(48, 10.0, size=2.0), axis(24, 5.0, size=4.0)
    assert np.allclose(two.knots * 2 + 1, four.knots * 4 + 2, atol=1e-12)  # from the edge of the first voxel


def test_a_grid_whose_axis_runs_the_other_way_has_the_same_splines():
    there = np.zeros(mask().shape)
    there[mask()] = small().expand(np.arange(small().P, dtype=float))
    flipped = small(flip=True)
    back = np.linalg.lstsq(flipped.expand(np.eye(flipped.P)).T, there[::-1][mask()[::-1]], rcond=None)
    assert flipped.P == small().P and back[1].max(initial=0.0) < 1e-15


def test_spacing_may_differ_by_axis():
    basis = basis_of(brain(), fn.Splines((16.0, 24.0, "3 voxels")))
    assert len({round(float(np.diff(a.knots)[4]), 6) for a in basis.axes}) == 3


def test_one_millimetre_word_is_one_voxel_word():
    assert np.array_equal(basis_of(brain(), fn.Splines("4 voxels")).axes[0].knots, small().axes[0].knots)


def test_knots_closer_than_voxels_are_refused():
    with pytest.raises(DataError, match=r"knots 0\.75 voxels apart, closer than the voxels"):
        basis_of(brain(), fn.Splines(3.0))
