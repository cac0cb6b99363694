"""Sizes of tests over the brain, by lesions simulated without the effect that is tested; all seeds are fixed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn

STUDIES, SUBJECTS, PERMUTATIONS, LEVEL = 30, 80, 39, 0.05
MOST = int(stats.binom.ppf(0.999, STUDIES, LEVEL))  # 6 of 30: how many studies of a test of that size find something


@dataclass(frozen=True)
class Found:
    """By study: the smallest corrected p and whether anything was discovered; by voxel: lesions and both z."""

    least: np.ndarray
    discovered: np.ndarray
    events: np.ndarray
    wald: np.ndarray
    score: np.ndarray


def studies(beside: bool) -> Found:
    reference = fn.lesion_reference(spacing=12)
    reference = reference if beside else reference.without("I(age - 63)")
    rows = [study(reference, seed, beside) for seed in range(1, STUDIES + 1)]
    least, discovered, *voxels = zip(*rows, strict=True)
    return Found(np.array(least), np.array(discovered), *(np.concatenate(part) for part in voxels))


def study(reference, seed: int, beside: bool):
    images = fn.simulate_lesions(SUBJECTS, reference=reference, seed=seed).images
    age = images.table["age"].to_numpy()
    dose = (age - age.mean()) / age.std() + np.random.default_rng([seed, 7]).normal(size=SUBJECTS)
    images = replace(images, table=images.table.assign(dose=dose))
    formula, tested = ("lesion ~ age + dose", "dose") if beside else ("lesion ~ age", "age")
    v = fn.fit(formula, images, family="binomial(probit)", estimator="mean_br")
    permuted = fn.permutation_test(v, tested, n=PERMUTATIONS, seed=seed)
    wald = fn.contrast(v, tested)
    kept = wald.threshold("fdr", LEVEL).kept.any()
    return np.nanmin(permuted.p), kept, images.counts, wald.values["z"], permuted.contrast.values["z"]


@pytest.fixture(scope="module")
def alone() -> Found:
    return studies(beside=False)


def test_max_t_finds_something_in_one_study_of_twenty(alone) -> None:
    assert (alone.least <= LEVEL).sum() <= MOST
    assert (alone.least <= 0.5).sum() >= stats.binom.ppf(0.001, STUDIES, 0.5)  # nor does it never find anything


def test_beside_a_covariate_that_goes_with_the_tested_one_max_t_keeps_its_size() -> None:
    found = studies(beside=True)
    assert (found.least <= LEVEL).sum() <= MOST
    assert (found.least <= 0.5).sum() >= stats.binom.ppf(0.001, STUDIES, 0.4)  # approximate: a little conservative


def test_false_discoveries_are_as_rare(alone) -> None:
    assert alone.discovered.sum() <= MOST


def test_at_rare_voxels_wald_is_conservative_and_the_score_is_not(alone) -> None:
    rare = (alone.events >= 2) & (alone.events <= 5)
    wald, score = ((np.abs(z[rare]) > 1.96).mean() for z in (alone.wald, alone.score))
    assert rare.sum() > 400
    assert wald < 0.02  # 0.002 in 60 studies of benchmarks/brain_inference.py
    assert 0.025 < score < 0.075  # 0.044 there; voxels that touch are no independent trials
