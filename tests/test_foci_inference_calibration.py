"""How often tests of foci reject what is true: fixed seeds, a small brain, foci that clump and vary in number."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn

sys.path.insert(0, str(Path(__file__).parent))
from foci_by_hand import simulated, studies

TIMES = 20
KINDS = {
    "Poisson": {},
    "varying numbers": {"alpha": 1.4},
    "clumps": {"alpha": 1.4, "clump": 3},
}


def share(values: list[float]) -> float:
    return float(np.mean(values))


@pytest.mark.parametrize("kind", KINDS)
def test_score_tests_of_comparisons_hold_their_level_in_a_voxel(kind) -> None:
    found = {"intensity": [], "shape": []}
    for seed in range(TIMES):
        fit = simulated(studies(40), 100 + seed, even=True, **KINDS[kind])
        for what in found:
            found[what].append((fn.contrast(fit, "a - b", what=what, test="score").values["p"] < 0.05).mean())
    # shares of 490 voxels that go together in 20 fits: standard errors .008 (shape) to .016
    assert 0.015 < share(found["shape"]) < 0.08
    assert 0.0 < share(found["intensity"]) < 0.1


def test_score_tests_of_an_effect_hold_their_level_in_a_voxel() -> None:
    shares = []
    for seed in range(TIMES):
        fit = simulated(studies(40, seed=seed), 300 + seed, even=True, group=None, effect="z", clump=2)
        shares.append((fn.contrast(fit, "z", test="score").values["p"] < 0.05).mean())
    assert 0.02 < share(shares) < 0.08


def test_studies_as_clusters_hold_the_level_of_homogeneity_where_foci_clump() -> None:
    found = {"fisher": [], "robust": []}
    for seed in range(TIMES):
        fit = simulated(studies(60), 500 + seed, even=True, group=None, clump=3)
        for covariance in found:
            p = fn.homogeneity(fit, vcov=covariance)["(Intercept)"].values["p"]
            found[covariance].append((p < 0.05).mean())
    assert share(found["robust"]) < 0.08 < share(found["fisher"])


def test_familywise_errors_are_near_their_level() -> None:
    """Of 20 data sets, at .05, 5 rejections or more have a probability of .3 %."""
    compared, alone = 0, 0
    for seed in range(TIMES):
        fit = simulated(studies(40), 700 + seed, even=True, alpha=1.0, clump=2)
        compared += fn.permutation_test(fit, "a - b", n=39, seed=seed).p.min() <= 0.05
        alone += fn.permutation_test(fit, "a", n=79, seed=seed).p.min() <= 0.05
    assert compared < 5
    assert alone < 6  # approximate: near .07 where foci clump


def test_effects_that_are_there_are_found() -> None:
    """So that the tests above cannot hold their level by never rejecting."""
    fit = simulated(studies(60), 900, even=True, alpha=0.5, different=2.0)
    assert fn.permutation_test(fit, "a - b", n=199).p.min() <= 0.01
    assert fn.permutation_test(fit, "b", n=199).p.min() <= 0.02
