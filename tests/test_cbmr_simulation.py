"""Foci drawn from a fit follow it: numbers, places, frailties, and nothing where a family is no distribution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.errors import Unable
from formula_neuro.estimator import Splines
from formula_neuro.family import as_foci_family
from formula_neuro_cbmr.fitting import fit
from formula_neuro_cbmr.simulation import drawn_in_voxels, drawn_totals

from .foci_by_hand import simulated, studies

COARSE = Splines("8 voxels", smooth="none")


def fitted(family="poisson", estimator=COARSE, **options):
    request = simulated(studies(30), 1, **options).request
    return fit(replace(request, family=as_foci_family(family), estimator=estimator))


def test_the_same_seed_draws_the_same_foci():
    one = fitted()
    first, second = (one.engine.simulate(np.random.default_rng(4)).located for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.analysis, second.analysis)


def test_points_are_centres_of_their_voxels():
    one = fitted()
    drawn = one.engine.simulate(np.random.default_rng(4))
    at = np.linalg.solve(one.brain.grid.affine[:3, :3], (drawn.located.points - one.brain.grid.affine[:3, 3]).T).T
    flat = np.ravel_multi_index(tuple(np.round(at).astype(int).T), one.brain.grid.shape)
    np.testing.assert_array_equal(flat, one.brain.voxels[drawn.located.voxel])


def test_totals_have_the_means_of_the_fit():
    one = fitted(formula="foci ~ z")
    rng = np.random.default_rng(5)
    t = np.mean([one.engine.simulate(rng).totals for _ in range(400)], axis=0)
    z = (t - one.fitted) / np.sqrt(one.fitted / 400)
    assert np.abs(z).max() < 4  # the largest of 30 normals exceeds it once in 500 seeds


def test_places_have_the_intensities_of_the_fit():
    one = fitted()
    rng = np.random.default_rng(6)
    counts = np.zeros(len(one.brain.voxels))
    for _ in range(300):
        drawn = one.engine.simulate(rng)
        mine = one.request.group[drawn.located.analysis] == 0
        counts += np.bincount(drawn.located.voxel[mine], minlength=len(counts))
    expected = 300 * (one.request.group == 0).sum() * np.exp(one.engine.expand(one.engine.b)[0])
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi2 - len(counts)) < 4 * np.sqrt(2 * len(counts))  # a chi-squared's mean and 4 of its deviations


def test_frailties_are_shared_by_the_analyses_of_a_unit():
    means, unit = np.full(40_000, 6.0), np.repeat(np.arange(20_000), 2)
    t = drawn_totals(means, np.full(20_000, 0.5), unit, np.random.default_rng(7)).reshape(-1, 2)
    assert abs(t.mean() - 6) < 0.15  # 5 standard errors: sqrt(18 / 20,000)
    assert abs(np.cov(t.T)[0, 1] - 0.5 * 36) < 1.5  # covariance alpha mean^2, 5 standard errors


def test_a_clustered_fit_draws_totals_of_its_own_alpha():
    one = fitted("clustered_negative_binomial", alpha=0.8)
    rng = np.random.default_rng(8)
    t = np.array([one.engine.simulate(rng).totals for _ in range(600)])
    expected = one.fitted + np.array(list(one.alpha.values()))[one.request.group] * one.fitted**2
    np.testing.assert_allclose(t.var(axis=0).mean(), expected.mean(), rtol=0.1)  # of 18,000 totals


def test_voxel_totals_have_the_dispersion_they_are_drawn_with():
    rng, m = np.random.default_rng(9), np.full(3000, 2.0)
    voxel, analysis = drawn_in_voxels(m, 0.7, np.arange(5), np.ones(5), rng)
    Y = np.bincount(voxel, minlength=3000)
    y = np.zeros((5, 3000))
    np.add.at(y, (analysis, voxel), 1)
    assert abs(Y.var() - (2 + 0.7 * 4)) < 0.9  # mean + phi mean^2; 4 standard errors
    # every analysis by itself: mean .4, dispersion 5 times as large; 5 standard errors of the mean of five
    assert abs(y.var(axis=1).mean() - (0.4 + 3.5 * 0.16)) < 0.2


def test_voxel_fits_draw_foci_that_refit_to_them():
    one = fitted("negative_binomial", clump=4)
    again = one.engine.refit(one.engine.simulate(np.random.default_rng(10)))
    ours, theirs = (f.engine.expand(f.engine.b)[0] for f in (one, again))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.7


def test_a_fit_with_a_map_of_a_number_draws_its_totals():
    one = fitted(effect="z", different=0.5)
    rng = np.random.default_rng(11)
    t = np.mean([one.engine.simulate(rng).totals for _ in range(200)], axis=0)
    assert np.abs((t - one.fitted) / np.sqrt(one.fitted / 200)).max() < 4


def test_quasipoisson_draws_nothing():
    with pytest.raises(Unable, match="states a variance, not a distribution"):
        fitted("quasipoisson").engine.simulate(np.random.default_rng(1))
