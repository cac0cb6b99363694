"""What users meet of a spatial fit: its words, report, files, joint draws, and what it refuses and why."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.images.grid import Grid
from formula_neuro.images.stack import Images, analysed
from formula_neuro.images.store import InMemory, Store
from formula_neuro.maps.fit import MapFit
from formula_neuro.maps.inference.excursions import Excursions, excursion_function
from formula_neuro_spatial.graph import MaskGraph

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import PROBIT, masks


@pytest.fixture(scope="module")
def images() -> Images:
    return masks(np.ones((6, 5, 4), dtype=bool))


@pytest.fixture(scope="module")
def fitted(images) -> MapFit:
    return fn.fit("lesion ~ age", images, family=PROBIT, estimator="spatial")


@pytest.fixture(scope="module")
def ages(fitted) -> Excursions:
    return fn.excursions(fitted, "age", n=400, alternative="greater")


# ---- words, report, files ------------------------------------------------------------------------
def test_the_summary_says_what_z_of_a_posterior_is_and_shows_level_and_smoothness(fitted) -> None:
    said = str(fitted)
    assert "posterior mean by posterior standard deviation" in said and "a convention" in said
    assert "sd between neighbours" in said and f"{fitted.engine.level['estimate'][1]:.3g}" in said
    assert "The search for Sigma converged" in said and "in every voxel" not in said


def test_the_report_shows_the_level_the_incidence_by_the_model_and_code_that_makes_the_fit_again(
    fitted, tmp_path
) -> None:
    page = Path(fitted.report(tmp_path / "report.html")).read_text("utf-8")
    for words in ("Level and smoothness", "Incidence by the model", "no R package fits this model", "fn.excursions("):
        assert words in page
    assert "estimator=&#34;spatial&#34;" in page or 'estimator="spatial"' in page


def test_settings_and_seed_are_part_of_the_code_of_the_report(images) -> None:
    from formula_neuro.maps.display.recipes import python_code

    v = fn.fit("lesion ~ 1", images, family=PROBIT, estimator=fn.Spatial(draws=8), seed=3)
    assert "estimator=fn.Spatial(method='laplace', draws=8), seed=3)" in python_code(v)


def test_files_have_the_probability_above_0_and_what_it_is(fitted, tmp_path) -> None:
    written = {Path(path).name: path for path in fitted.to_nifti(tmp_path)}
    found = nib.load(written["contrast-age_stat-positive_statmap.nii.gz"]).get_fdata()
    assert np.array_equal(found, fitted.maps["positive", "age"].get_fdata())
    assert "posterior probability" in Path(written["contrast-age_stat-positive_statmap.json"]).read_text("utf-8")
    assert "contrast-age_stat-separated_statmap.nii.gz" not in written


def test_the_probability_above_0_is_that_of_z(fitted) -> None:
    from scipy import stats

    assert np.allclose(fitted.maps.at_voxels(("positive", "age")), stats.norm.cdf(fitted.maps.at_voxels(("z", "age"))))


def test_a_fit_and_its_draws_survive_a_pickle(fitted, ages) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(fn.excursions(again, "age", n=8, alternative="greater").draws, ages.draws[:, :8])


# ---- what other models of voxels have, and this one has not --------------------------------------
@pytest.mark.parametrize(
    "asked",
    [
        lambda v: fn.permutation_test(v, "age", n=10),
        lambda v: fn.contrast(v, "age", test="score"),
        lambda v: fn.anova(v, test="Chisq"),
        lambda v: fn.anova(v, test="Rao"),
    ],
)
def test_tests_by_null_models_are_refused_with_what_there_is_instead(fitted, asked) -> None:
    with pytest.raises(fn.errors.Unable, match="fitted together") as refused:
        asked(fitted)
    assert "fn.excursions" in str(refused.value) and "mean_br" in str(refused.value)


def test_one_voxel_is_no_table_but_the_answer_has_its_posterior(fitted) -> None:
    mean = fitted.coef["age"].iloc[7]
    with pytest.raises(fn.errors.Unable, match="borrows from its neighbours") as refused:
        fitted.at(7)
    assert f"age {mean:.3g}" in str(refused.value)


def test_an_anova_is_of_walds_tests_unless_asked_otherwise(fitted) -> None:
    found = fn.anova(fitted)
    assert found.test == "Wald"
    assert np.allclose(found.values["age"]["statistic"], fitted.maps.at_voxels(("z", "age")) ** 2)


def test_a_cross_check_says_what_to_compare_with(fitted) -> None:
    with pytest.raises(fn.errors.Unable, match="no R package") as refused:
        fn.crosscheck(fitted)
    assert "v.engine.check()" in str(refused.value)


# ---- joint draws ---------------------------------------------------------------------------------
def test_draws_have_the_posterior_covariance_of_neighbours() -> None:
    v = fn.fit("lesion ~ age", masks(np.ones((4, 3, 2), dtype=bool)), family=PROBIT, estimator="spatial")
    system, T = v.engine.posterior.system, v.engine.T
    H = system.apply(np.eye(48).reshape(24, 2, 48)).reshape(48, 48)
    wanted = np.kron(np.eye(24), T) @ np.linalg.inv(H) @ np.kron(np.eye(24), T).T
    drawn = v.engine.draws(range(4000), 1).reshape(48, 4000)
    size = np.sqrt(np.diag(wanted))
    away = (np.cov(drawn) - wanted) / np.outer(size, size)
    assert np.abs(away).max() < 0.09  # 4 times the Monte Carlo error sqrt(2 / 4000)
    off = (drawn.mean(axis=1) - v.values["coef"].ravel()) / size
    assert np.abs(off).max() < 0.08  # 5 times 1 / sqrt(4000)


def test_the_excursion_function_is_the_share_of_draws_that_are_beyond_in_a_voxel_and_all_surer_ones() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(0.5, 1.5, 12)
    draws = z[:, None] + rng.standard_normal((12, 200)).cumsum(axis=0) / 3
    for tail, side in (("two.sided", np.sign(z)), ("greater", np.ones(12)), ("less", -np.ones(12))):
        found = excursion_function(z, draws, tail)
        for s in range(12):
            surer = side * z >= side[s] * z[s]
            assert np.isclose(found[s], (draws[surer] * side[surer, None] > 0).all(axis=0).mean())


def test_the_surest_voxel_has_its_marginal_probability(fitted, ages) -> None:
    best = int(np.argmax(ages.contrast.values["z"]))
    assert abs(ages.probability[best] - fitted.maps.at_voxels(("positive", "age"))[best]) < 0.03  # 3 errors of 400


def test_a_joint_set_is_smaller_than_that_of_single_voxels_and_larger_than_bonferronis(fitted, ages) -> None:
    kept = ages.threshold(0.05).kept
    single = fn.contrast(fitted, "age").threshold("none", 0.05, alternative="greater").kept
    strict = fn.contrast(fitted, "age").threshold("bonferroni", 0.03, alternative="greater").kept  # room for 400 draws
    assert not (kept & ~single).any() and not (strict & ~kept).any()
    assert 0 < kept.sum() < single.sum()


def test_excursions_beyond_a_value_are_fewer_the_larger_it_is(fitted, ages) -> None:
    further = fn.excursions(fitted, "age = 0.02", n=400, alternative="greater")
    assert further.threshold().kept.sum() < ages.threshold().kept.sum()
    assert further.contrast.value[0] == 0.02


def test_both_sides_are_those_of_the_posterior_means(fitted) -> None:
    both = fn.excursions(fitted, "(Intercept) + 60 * age", n=100)
    below = fn.excursions(fitted, "(Intercept) + 60 * age", n=100, alternative="less")
    assert (both.contrast.values["z"] < 0).all() and np.array_equal(both.probability, below.probability)


def test_of_a_cluster_shares_and_sizes_are_those_of_its_draws(ages) -> None:
    found = fn.contrast(ages.contrast.fit, "age").threshold("fdr", 0.05)
    table = ages.clusters(found)
    first = table.iloc[0]
    assert list(table.columns[:4]) == ["cluster", "sign", "voxels", "mm3"] and len(table) == len(found.to_frame())
    beyond = (ages.draws[found.kept] > 0).mean(axis=0)  # one cluster: all that is kept
    assert len(table) == 1 and first["voxels"] == found.kept.sum()
    assert np.isclose(first["beyond"], beyond.mean()) and np.isclose(first["all_beyond"], (beyond == 1).mean())
    assert (beyond >= first["beyond_low"]).mean() >= 0.95
    assert first["size_low"] <= first["size"] <= first["size_high"]


def test_sizes_are_of_the_largest_cluster_of_a_draw_that_shares_a_voxel() -> None:
    from formula_neuro.maps.inference.sizes import cluster_sizes

    v = fn.fit("lesion ~ age", masks(np.ones((6, 2, 1), dtype=bool)), family=PROBIT, estimator="spatial")
    found = fn.contrast(v, "age").threshold("none", 0.3, alternative="greater", connectivity=6)
    draw = np.full((12, 2), -9.0)
    draw[[0, 2, 4, 8, 9, 10, 11], 0] = 9.0  # of six rows of two: three in a line, then a block of four
    own = np.array([4, 5])
    assert cluster_sizes(found, draw, 1, [own]).tolist() == [[3.0, 0.0]]
    assert cluster_sizes(found, draw, 1, [np.array([4, 8])]).tolist() == [[4.0, 0.0]]


def test_files_of_excursions_hold_the_excursion_function(ages, tmp_path) -> None:
    paths = ages.to_nifti(tmp_path)
    joint = next(path for path in paths if path.endswith("stat-joint_statmap.nii.gz"))
    assert np.array_equal(nib.load(joint).get_fdata().ravel(), ages.probability)


def test_maps_fitted_voxel_by_voxel_have_no_joint_draws(images) -> None:
    alone = fn.fit("lesion ~ age", images, family=PROBIT, estimator="mean_br")
    with pytest.raises(fn.errors.Unable, match='estimator="spatial"'):
        fn.excursions(alone, "age")


def test_excursions_of_several_rows_or_of_another_contrasts_clusters_are_refused(fitted, ages) -> None:
    with pytest.raises(ValueError, match="one combination at a time"):
        fn.excursions(fitted, ["age", "(Intercept)"])
    with pytest.raises(ValueError, match="draws are of 'age'"):
        ages.clusters(fn.contrast(fitted, "(Intercept)").threshold())
    with pytest.raises(ValueError, match="alternative='up'"):
        fn.excursions(fitted, "age", alternative="up")
    with pytest.raises(ValueError, match="2 or more"):
        fn.excursions(fitted, "age", n=1)


# ---- by simulation -------------------------------------------------------------------------------
def from_the_prior(seed: int, shape: tuple[int, int, int] = (4, 3, 2), n: int = 60) -> tuple[Images, np.ndarray]:
    """Masks whose coefficients (V, 2) are drawn from the prior, of a standardised covariate."""
    rng = np.random.default_rng(seed)
    V = int(np.prod(shape))
    graph = MaskGraph.of(np.arange(V), shape)
    size, ways = np.linalg.eigh(np.diag(graph.n_s) - graph.adjacency.toarray())
    root = np.linalg.cholesky(np.linalg.inv([[8.0, 1.0], [1.0, 15.0]]))
    b = ways[:, 1:] @ (rng.standard_normal((V - 1, 2)) / np.sqrt(size[1:])[:, None]) @ root.T + [-0.7, 0.15]
    x = rng.standard_normal(n)
    x = (x - x.mean()) / x.std()
    Y = (b @ np.vstack([np.ones(n), x]) + rng.standard_normal((V, n)) > 0).astype(np.uint8)
    counts, whole, rows = Y.sum(axis=1).astype(np.int64), np.ones(V, dtype=bool), np.arange(n, dtype=np.int64)
    bits = InMemory(np.packbits(Y, axis=1))
    store = Store(Grid(shape, np.diag([4.0, 4, 4, 1])), n, True, np.arange(V), counts, whole, bits, str(seed))
    mask = np.ones(shape, dtype=bool)
    found = analysed(store, mask, rows, 1)
    return Images(pd.DataFrame({"x": x, "lesion": "in memory"}), "lesion", mask, store, rows, 1, *found), b


def test_joint_sets_hold_as_often_as_they_say_and_sets_of_single_voxels_do_not() -> None:
    held, alone = [], []
    for seed in range(12):
        images, b = from_the_prior(seed)
        v = fn.fit("lesion ~ x", images, family=PROBIT, estimator=fn.Spatial(draws=8))
        e = fn.excursions(v, "x", n=100, alternative="greater")
        inside = b[v.request.images.voxels, 1]
        held.append(bool((inside[e.threshold(0.5).kept] > 0).all()))
        alone.append(bool((inside[v.maps.at_voxels(("positive", "x")) > 0.5] > 0).all()))
    assert 2 <= sum(held) <= 10  # of 12 with probability 0.5: in 99.4 %
    assert sum(alone) < sum(held) / 2


# ---- draws that chains keep ----------------------------------------------------------------------
def test_chains_keep_whole_draws_where_asked_to_and_they_are_those_of_the_maps() -> None:
    images = masks(np.ones((3, 3, 2), dtype=bool))
    every = fn.Spatial("gibbs", draws=60, burn_in=20, chains=2, maps=60)
    v = fn.fit("lesion ~ age", images, family=PROBIT, estimator=every, progress=False)
    drawn = v.engine.draws(range(120), 1)
    assert np.allclose(drawn.mean(axis=2), v.values["coef"], rtol=1e-4, atol=1e-5)  # single precision
    e = fn.excursions(v, "age", alternative="greater")
    assert e.n == 120
    best = int(np.argmax(e.contrast.values["z"]))
    assert np.isclose(e.probability[best], v.maps.at_voxels(("positive", "age"))[best])
    with pytest.raises(ValueError, match="the chains kept 120"):
        fn.excursions(v, "age", n=500)


def test_chains_without_whole_draws_say_how_to_keep_them() -> None:
    images = masks(np.ones((3, 2, 1), dtype=bool))
    v = fn.fit("lesion ~ 1", images, family=PROBIT, estimator="spatial(gibbs, draws=8, burn_in=2, chains=2)")
    with pytest.raises(fn.errors.Unable, match="maps=200"):
        fn.excursions(v, "(Intercept)")
    assert "the chains have" in str(v)
    with pytest.raises(ValueError, match="fewer"):
        fn.Spatial("gibbs", draws=10, maps=20)


def test_a_check_holds_the_approximation_against_chains_in_pieces_of_the_mask(fitted) -> None:
    table = fitted.engine.check(pieces=1, voxels=20, sweeps=20)
    assert list(table["term"]) == ["(Intercept)", "age"] and list(table["piece"]) == [1, 1]
    assert table["sd_ratio"].between(0.5, 2).all()  # of 40 draws
    with pytest.raises(fn.errors.Unable, match=r"engine.check\(\)"):
        fn.crosscheck(fitted)


@pytest.mark.parametrize(("verb", "asked"), [(fn.emmeans, ["age"]), (fn.confint, [])])
def test_verbs_of_tables_say_what_maps_have_instead(fitted, verb, asked) -> None:
    with pytest.raises(fn.errors.Unable, match=r"not of maps; .*v"):
        verb(fitted, *asked)
