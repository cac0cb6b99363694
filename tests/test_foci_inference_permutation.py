"""Score permutation and drawing of studies: Welch's statistic against oracles, and what tests over the brain answer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable
from formula_neuro.foci.inference.hypotheses import hypothesis
from formula_neuro.foci.inference.scores import null_scores
from formula_neuro.foci.inference.welch import Compared, Permuted, welch

sys.path.insert(0, str(Path(__file__).parent))
from foci_by_hand import simulated, studies


def comparison(seed: int, *, paired: bool, q: int = 1) -> tuple[np.ndarray, Compared]:
    rng = np.random.default_rng(seed)
    J, V = 14, 30
    cell = np.arange(J) % (q + 1)
    study = np.arange(J)
    if paired:
        study[[1, 3]] = study[[0, 2]]
        study = np.unique(study, return_inverse=True)[1]
    W = np.column_stack([np.ones(q), -np.eye(q)])
    by = Compared(rng.uniform(0.5, 3, J), (cell[:, None] == np.arange(q + 1)).astype(float), study, W)
    return rng.normal(size=(J, V)), by


def test_two_groups_of_equal_weight_give_welchs_t_of_the_jackknife() -> None:
    L, by = comparison(1, paired=False)
    by = Compared(np.ones(14), by.D, by.study, by.W)
    first, second = L[by.D[:, 0] == 1], L[by.D[:, 1] == 1]
    t = stats.ttest_ind(first, second, equal_var=False).statistic
    np.testing.assert_allclose(welch(L, by), t * np.sqrt(6 / 7), rtol=1e-10)


def test_a_study_in_both_groups_counts_with_its_difference() -> None:
    rng = np.random.default_rng(2)
    n, V = 9, 5
    L = rng.normal(size=(2 * n, V))
    D = np.kron(np.eye(2), np.ones((n, 1)))
    by = Compared(np.ones(2 * n), D, np.tile(np.arange(n), 2), np.array([[1.0, -1.0]]))
    np.testing.assert_allclose(welch(L, by), stats.ttest_rel(L[:n], L[n:]).statistic * np.sqrt(8 / 9), rtol=1e-10)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("q", [1, 2])
def test_permuted_statistics_are_those_of_permuted_labels(paired, q) -> None:
    L, by = comparison(3, paired=paired, q=q)
    rng = np.random.default_rng(4)
    D = np.array([by.D[rng.permutation(len(by.D))] for _ in range(6)])
    found = Permuted.of(by, D).statistics(L)
    for b in range(len(D)):
        np.testing.assert_allclose(found[:, b], welch(L, Compared(by.T, D[b], by.study, by.W)), rtol=1e-8)


def test_a_centred_covariate_gives_the_slope_over_its_robust_error() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=40)
    x -= x.mean()
    L = rng.normal(size=(40, 3)) + 0.5 * x[:, None]
    found = welch(L, Compared(np.ones(40), x[:, None], np.arange(40), np.ones((1, 1))))
    slope = x @ L / (x @ x)
    e = L - x[:, None] * slope
    se = np.sqrt(x**2 @ (e / (1 - x**2 / (x @ x))[:, None]) ** 2) / (x @ x)
    np.testing.assert_allclose(found, slope / se, rtol=1e-10)


def test_a_statistic_made_without_the_maps_is_that_of_the_maps() -> None:
    table = studies(30).assign(study=np.r_[np.repeat([f"s{i}" for i in range(6)], 2), [f"t{i}" for i in range(18)]])
    for options in ({}, {"effect": "z"}):
        fit = simulated(table, 6, **options)
        for what in ("intensity", "shape"):
            found = null_scores(fit, hypothesis(fit, "z" if options else "a - b"), what)
            whole = welch(found.maps(), found.by)
            np.testing.assert_allclose(found.statistic(), whole, rtol=1e-8, atol=1e-10)


# ---- over the brain ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fit():
    return simulated(studies(40), 1, different=1.5)


def test_the_datas_own_statistic_is_the_score_test(fit) -> None:
    test = fn.permutation_test(fit, "a - b", n=20)
    found = fn.contrast(fit, "a - b", test="score").values["z"]
    np.testing.assert_allclose(test.contrast.values["z"], found, rtol=1e-7, atol=1e-9)
    assert test.draws[0] == pytest.approx(np.abs(found).max(), rel=1e-7)


def test_the_same_seed_gives_the_same_numbers_and_more_draws_continue(fit) -> None:
    first, again = fn.permutation_test(fit, "a - b", n=40, seed=3), fn.permutation_test(fit, "a - b", n=60, seed=3)
    np.testing.assert_allclose(first.draws, again.draws[:41], rtol=1e-9)
    assert not np.allclose(fn.permutation_test(fit, "a - b", n=40, seed=4).draws[1:], first.draws[1:])


def test_corrected_p_values_count_draws_that_reach_a_voxel(fit) -> None:
    test = fn.permutation_test(fit, "a - b", n=99, what="shape")
    v = int(np.argmax(test.enhanced))
    assert test.p[v] == pytest.approx((test.draws >= test.enhanced[v] - 1e-9).mean())
    assert (test.p >= test.uncorrected - 1e-12).all()
    assert test.threshold(0.05).to_frame().columns[0] == "cluster"


@pytest.mark.parametrize("statistic", ["cluster", "tfce"])
def test_clusters_and_tfce_are_those_of_images(fit, statistic) -> None:
    test = fn.permutation_test(fit, "b - a", n=49, statistic=statistic, alternative="greater", cluster_threshold=1.5)
    assert test.draws[0] == pytest.approx(test.enhanced.max())
    assert np.nanmin(test.p) >= 0.02


def test_a_cell_by_itself_is_tested_by_drawing_studies(fit) -> None:
    test = fn.permutation_test(fit, "b", n=199)
    homogeneous = fn.homogeneity(fit)["b"]
    np.testing.assert_allclose(test.contrast.values["z"], homogeneous.values["z"])
    assert test.alternative == "greater" and "drawn with replacement" in test.messages[0]
    again = fn.permutation_test(fit, homogeneous, n=199)
    np.testing.assert_array_equal(again.p, test.p)
    with pytest.raises(ValueError, match="within="):
        fn.permutation_test(fit, "b", within="z")


def test_an_effect_of_a_number_is_permuted() -> None:
    slope = simulated(studies(40), 1, different=1.5, group=None, effect="z")
    assert np.nanmin(fn.permutation_test(slope, "z", n=99).p) <= 0.05
    by_group = simulated(studies(40), 1, different=0.0, effect="z")
    assert "change places" in fn.permutation_test(by_group, "z", n=9).messages[0]


def test_studies_in_both_groups_exchange_their_own_analyses() -> None:
    table = studies(40).assign(study=np.r_[np.repeat([f"s{i}" for i in range(10)], 2), [f"t{i}" for i in range(20)]])
    fit = simulated(table, 6)
    test = fn.permutation_test(fit, "a - b", n=20)
    assert any("10 studies in several cells" in message for message in test.messages)


def test_labels_stay_within_strata(fit) -> None:
    site = np.tile(["x", "x", "y", "y"], 10)
    from dataclasses import replace

    foci = replace(fit.request.foci, studies=fit.request.foci.studies.assign(site=site))
    there = replace(fit, request=replace(fit.request, foci=foci))
    assert "within 2 groups of site" in fn.permutation_test(there, "a - b", n=9, within="site").messages[1]
    with pytest.raises(DataError, match="no column"):
        fn.permutation_test(fit, "a - b", n=9, within="scanner")
    alone = replace(fit.request.foci, studies=fit.request.foci.studies.assign(site=np.arange(40)))
    with pytest.raises(DataError, match="change places"):
        fn.permutation_test(replace(fit, request=replace(fit.request, foci=alone)), "a - b", n=9, within="site")


def test_what_cannot_be_permuted_is_refused(fit) -> None:
    with pytest.raises(ValueError, match="one hypothesis"):
        fn.permutation_test(fit, "pairwise")
    moderated = simulated(studies(40), 1, formula="foci ~ z")
    with pytest.raises(ValueError, match="whole brain"):
        fn.permutation_test(moderated, "z")
    assert "approximate" in fn.permutation_test(moderated, "a - b", n=9).messages[-1]
    with pytest.raises(Unable, match="other than 0"):
        fn.permutation_test(fit, "a - b = 1")
