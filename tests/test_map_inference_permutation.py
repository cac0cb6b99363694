"""Permutation tests over the brain: their statistics, their p values, and what these must not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable
from formula_neuro.maps.fit import MapFit
from formula_neuro.maps.inference.resampling import strata

REFERENCE = fn.lesion_reference(spacing=12)


@pytest.fixture(scope="module")
def images():
    simulated = fn.simulate_lesions(80, reference=REFERENCE, seed=3)
    rng = np.random.default_rng(5)
    table = simulated.images.table.assign(
        sex=rng.choice(["F", "M"], 80), site=np.repeat(["A", "B", "C", "D"], 20), dose=rng.normal(size=80)
    )
    return replace(simulated.images, table=table)


@pytest.fixture(scope="module")
def alone(images) -> MapFit:
    return fn.fit("lesion ~ age", images, family="binomial(probit)", estimator="mean_br")


@pytest.fixture(scope="module")
def beside(images) -> MapFit:
    return fn.fit("lesion ~ age + sex", images, family="binomial")


def by_hand(v: MapFit, orders: np.ndarray) -> np.ndarray:
    """Score statistics of age beside an intercept alone, (V, m): z of a difference in shares, all in one line."""
    y = v.request.images.block(0, v.n_voxels).astype(float)
    x = v.request.images.table["age"].to_numpy() - v.request.images.table["age"].mean()
    share = y.mean(axis=1)
    return np.array([y @ x[o] / np.sqrt(share * (1 - share) * (x @ x)) for o in orders]).T


def streams(seed: int, n: int, rows: int) -> np.ndarray:
    shuffled = [np.random.default_rng([seed, i]).permutation(rows) for i in range(1, n + 1)]
    return np.array([np.arange(rows), *shuffled])


def test_corrected_p_values_count_the_largest_statistics_of_all_permutations(alone) -> None:
    found = fn.permutation_test(alone, "age", n=60, seed=4)
    z = by_hand(alone, streams(4, 60, 80))
    largest = np.abs(z).max(axis=0)
    expected = (largest[None, :] >= np.abs(z[:, [0]]) - 1e-8).mean(axis=1)  # ties stay ties
    assert np.array_equal(found.p, expected)
    assert np.allclose(found.contrast.values["z"], z[:, 0], rtol=1e-9)


def test_uncorrected_p_values_count_the_voxel_s_own_statistics(alone) -> None:
    found = fn.permutation_test(alone, "age", n=60, seed=4, alternative="greater")
    z = by_hand(alone, streams(4, 60, 80))
    assert np.array_equal(found.uncorrected, (z >= z[:, [0]] - 1e-8).mean(axis=1))


def test_the_other_tail_is_that_of_the_covariate_turned_around(alone) -> None:
    less = fn.permutation_test(alone, "-age", n=40, seed=2, alternative="less")
    greater = fn.permutation_test(alone, "age", n=40, seed=2, alternative="greater")
    assert np.array_equal(less.p, greater.p)


@pytest.mark.parametrize("statistic", ["max", "cluster", "tfce"])
def test_neither_blocks_nor_chunks_nor_workers_change_a_number(beside, monkeypatch, statistic) -> None:
    def run(**options):
        return fn.permutation_test(beside, "age", n=30, seed=9, statistic=statistic, cluster_threshold=1.5, **options)

    once = run()
    monkeypatch.setattr("formula_neuro.maps.inference.nulls.VALUES", 80 * 7)
    monkeypatch.setattr("formula_neuro.maps.inference.resampling.MOST", 5)
    again = run()
    assert np.array_equal(once.p, again.p, equal_nan=True)
    assert np.allclose(once.draws, again.draws, rtol=1e-10)  # products of other sizes round otherwise
    assert np.array_equal(once.uncorrected, again.uncorrected, equal_nan=True)


def test_processes_give_the_same_numbers(alone) -> None:
    here = fn.permutation_test(alone, "age", n=20, seed=9)
    there = fn.permutation_test(alone, "age", n=20, seed=9, workers=2)
    assert np.array_equal(here.draws, there.draws) and np.array_equal(here.p, there.p)


def test_more_permutations_begin_with_the_same_ones(alone) -> None:
    few, many = (fn.permutation_test(alone, "age", n=n, seed=9).draws for n in (15, 40))
    assert np.allclose(few, many[:16], rtol=1e-12)


def test_beside_other_covariates_the_statistic_is_rao_s_of_the_table(beside) -> None:
    found = fn.permutation_test(beside, "age", n=1).contrast.values["z"]
    for number in (2, beside.n_voxels // 2, beside.n_voxels - 3):
        table = beside.at(number)
        rao = fn.contrast(table, "age", test="score").table
        if np.isfinite(table.beta).all() and not table.infinite:
            assert found[number] ** 2 == pytest.approx(float(rao["statistic"][0]), rel=1e-6)


def test_permuted_residuals_have_the_t_of_the_responses_that_they_make(images) -> None:
    """Freedman and Lane's responses, made and fitted one by one."""
    v = fn.fit("lesion ~ age + sex", images)
    found = fn.permutation_test(v, "age", n=6, seed=3)
    X = v.request.design.matrix
    Y = images.block(0, v.n_voxels).astype(float).T
    Z = X[:, [0, 2]]
    fitted = Z @ np.linalg.lstsq(Z, Y, rcond=None)[0]
    largest = []
    for order in streams(3, 6, 80):
        made = fitted + (Y - fitted)[np.argsort(order)]  # row order[i] of the design meets residual i
        b, rss = np.linalg.lstsq(X, made, rcond=None)[:2]
        se = np.sqrt(rss / (80 - 3) * np.linalg.inv(X.T @ X)[1, 1])
        largest.append(np.abs(b[1] / se).max())
    assert np.allclose(found.draws, largest, rtol=1e-9)


def test_a_joint_hypothesis_has_no_side_and_the_chi_squared_of_the_table(images) -> None:
    v = fn.fit("lesion ~ age + site", images, family="binomial")
    rows = ["siteB", "siteC", "siteD"]
    found = fn.permutation_test(v, rows, n=5)
    number = int(np.argmax(images.counts))
    table = fn.contrast(v.at(number), rows, test="score").joint
    assert found.contrast.values["statistic"][number] == pytest.approx(float(table["statistic"][0]), rel=1e-6)
    with pytest.raises(ValueError, match="no direction"):
        fn.permutation_test(v, rows, n=5, alternative="less")


def test_within_sites_no_image_leaves_its_site(beside) -> None:
    groups, words = strata(beside, "site")
    sites = beside.request.images.table["site"].to_numpy()
    assert [len(set(sites[group])) for group in groups] == [1, 1, 1, 1] and "4 groups of site" in words[0]


def test_a_covariate_that_only_tells_sites_apart_cannot_be_tested_within_them(images) -> None:
    v = fn.fit("lesion ~ site", images, family="binomial", estimator="mean_br")
    assert (fn.permutation_test(v, "siteB", n=20, within="site").p[images.counts > 5] == 1).all()


def test_voxels_that_the_tested_covariate_separates_have_finite_statistics(images) -> None:
    v = fn.fit("lesion ~ sex", images, family="binomial")
    infinite = np.isin(v.values["class"], (1, 2))
    found = fn.permutation_test(v, "sexM", n=10)
    assert infinite.sum() > 10
    assert np.isfinite(found.contrast.values["z"][infinite]).all() and np.isfinite(found.p[infinite]).all()


def test_where_another_covariate_separates_the_limit_is_tested(images) -> None:
    """Without events in one sex, its images say nothing of age: the score statistic is that of the other sex alone."""
    v = fn.fit("lesion ~ age + sex", images, family="binomial")
    y = images.block(0, v.n_voxels)
    men = (images.table["sex"] == "M").to_numpy()
    only = np.flatnonzero((y[:, ~men].sum(axis=1) == 0) & (y[:, men].sum(axis=1) > 1))[:4]
    found = fn.permutation_test(v, "age", n=1)
    others = fn.fit("lesion ~ age", images.select(np.flatnonzero(men)), family="binomial")
    inner = fn.permutation_test(others, "age", n=1)
    place = {int(voxel): k for k, voxel in enumerate(others.request.images.voxels)}
    for number in only:
        alone = inner.contrast.values["z"][place[int(images.voxels[number])]]
        assert found.contrast.values["z"][number] == pytest.approx(alone, rel=1e-7)
    assert len(only) and any("separate the images" in message for message in found.messages)


def test_what_stands_out_is_below_alpha_and_its_clusters_are_listed(alone) -> None:
    found = fn.permutation_test(alone, "age", n=60, seed=4, statistic="cluster", cluster_threshold=1.5)
    kept = found.threshold(0.5)
    assert np.array_equal(kept.kept, found.p <= 0.5)
    table = found.to_frame()
    assert table["voxels"].sum() == (np.abs(found.contrast.values["z"]) > 1.5).sum()
    sizes = table.set_index("cluster")["voxels"]
    assert np.allclose(table["p_adjusted"], [(found.draws >= size).mean() for size in sizes])


def test_the_critical_value_is_where_significance_begins(alone) -> None:
    found = fn.permutation_test(alone, "age", n=99, seed=4)
    beyond = found.enhanced >= found.critical(0.2) - 1e-9
    assert np.array_equal(beyond, found.p <= 0.2)


def test_written_p_values_read_back(alone, tmp_path) -> None:
    import nibabel as nib

    found = fn.permutation_test(alone, "age", n=20, seed=4)
    paths = found.to_nifti(tmp_path)
    written = nib.load(tmp_path / "contrast-age_stat-p_desc-maxFWE_statmap.nii.gz").get_fdata()
    assert np.array_equal(written, found.maps["p"].get_fdata(), equal_nan=True) and len(paths) == 8


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n": 0}, "1 or more"),
        ({"statistic": "size"}, "cluster"),
        ({"alternative": "up"}, "greater"),
        ({"connectivity": 8}, "26"),
        ({"cluster_threshold": -1}, "above 0"),
        ({"within": "hospital"}, "no column"),
        ({"within": np.arange(80)}, "value of its own"),
        ({"within": np.arange(3)}, "3 values for 80 images"),
    ],
)
def test_what_cannot_be_done_is_said(alone, options, message) -> None:
    with pytest.raises((ValueError, DataError), match=message):
        fn.permutation_test(alone, "age", **options)


def test_a_fit_without_null_models_says_so(alone) -> None:
    with pytest.raises(Unable, match="smaller models"):
        fn.permutation_test(replace(alone, engine=None), "age")
