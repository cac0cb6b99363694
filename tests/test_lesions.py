"""Simulated lesions: exact fields and probabilities, seeds, references, summaries, the search for a length scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, special, stats

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro.lesions.field import gaussian_field
from formula_neuro.lesions.reference import LesionReference
from formula_neuro.lesions.summaries import decile_edges, masks, medians_by_age


@pytest.fixture(scope="module")
def reference() -> LesionReference:
    return fn.lesion_reference(spacing=10)


@pytest.fixture(scope="module")
def bits(reference) -> np.ndarray:
    """3,000 subjects of 70 years at all voxels, (V, n)."""
    table = pd.DataFrame({"age": np.full(3000, 70.0)})
    images = fn.simulate_lesions(reference=reference, table=table, min_count=0, seed=4).images
    return images.block(0, len(images.voxels))


# ---- the field -----------------------------------------------------------------------------------
def test_the_covariance_of_a_field_is_that_of_its_formula() -> None:
    shape, ell, spacing = (4, 3, 5), 2.5, (1.0, 2.0, 1.5)
    field = gaussian_field(shape, ell, spacing)
    operator = np.stack([field.of(z).ravel() for z in np.eye(60)], axis=1)
    places = np.argwhere(np.ones(shape)) * spacing
    distance = ((places[:, None] - places) ** 2).sum(axis=2)
    # 1e-7: a root of an eigenvalue that rounding left at 1e-16 is off by 1e-8
    np.testing.assert_allclose(operator @ operator.T, np.exp(-distance / (2 * ell**2)), atol=1e-7)


def test_roots_are_symmetric() -> None:
    for root in gaussian_field((9, 4, 6), 1.5).roots:
        np.testing.assert_allclose(root, root.T, atol=1e-14)  # rounding of sums of 9


def test_long_scales_keep_the_variance_though_eigenvalues_vanish() -> None:
    root = gaussian_field((91, 2, 2), 30.0).roots[0]
    np.testing.assert_allclose((root**2).sum(axis=1), 1.0, atol=1e-12)  # eigenvalues below 0 by 1e-15 are cut


def test_draws_have_variance_1_and_the_covariance_of_neighbours() -> None:
    field, rng = gaussian_field((4, 4, 4), 1.5), np.random.default_rng(3)
    draws = np.array([field.draw(rng) for _ in range(4000)])
    # five standard errors of a mean of 4,000 squares and products, whose variances are 2 and at most 2
    bound = 5 * np.sqrt(2 / 4000)
    assert np.abs((draws**2).mean(axis=0) - 1).max() < bound
    assert np.abs((draws[:, :-2] * draws[:, 2:]).mean(axis=0) - np.exp(-4 / 4.5)).max() < bound


def test_scales_in_mm_are_scales_in_voxels_by_their_size(reference) -> None:
    in_mm = fn.simulate_lesions(8, reference=reference, ell="15 mm")
    in_voxels = fn.simulate_lesions(8, reference=reference, ell="1.5 voxels")
    assert in_mm.images.store.key == in_voxels.images.store.key


def test_what_was_simulated_says_itself_in_a_line(reference) -> None:
    made = fn.simulate_lesions(3, reference=reference, ell=15)
    assert "length scale 15 mm" in repr(made) and ".images are data for fn.fit" in repr(made)
    assert "synthetic, ~ I(age - 63)" in repr(reference)


def test_the_scale_of_randomfields_is_ell_times_the_root_of_2() -> None:
    root = gaussian_field((4, 1, 1), 1.5 / np.sqrt(2)).roots[0]
    covariance = root @ root
    # exp(-h^2 / s^2), s = 1.5, that RFsimulate(RMgauss(scale = 1.5)) showed, to its three digits
    np.testing.assert_allclose(covariance[0, 1:], [0.641, 0.169, 0.018], atol=5e-4)


# ---- probabilities -------------------------------------------------------------------------------
def test_every_voxel_has_the_probability_of_the_probit_model(reference, bits) -> None:
    p = special.ndtr(reference.coefficients @ [1.0, 7.0])
    counts = bits.sum(axis=1, dtype=np.int64)
    tails = np.minimum(stats.binom.cdf(counts, 3000, p), stats.binom.sf(counts - 1, 3000, p))
    assert tails.min() > 1e-4 / len(p)  # one binomial count a voxel, Bonferroni: false alarms once in 5,000 seeds


def test_neighbours_are_hit_together_as_the_field_says(reference, bits) -> None:
    """The joint probability of two neighbours is that of two normals with correlation exp(-1 / (2 ell^2))."""
    order = np.argsort(-reference.incidence)
    at = {int(v): k for k, v in enumerate(reference.voxels)}
    pairs = [(k, at[int(reference.voxels[k]) + 1]) for k in order[:40] if int(reference.voxels[k]) + 1 in at][:10]
    rho = np.exp(-1 / (2 * 1.5**2))
    limits = reference.coefficients @ [1.0, 7.0]
    for a, b in pairs:
        both = stats.multivariate_normal.cdf([limits[a], limits[b]], cov=[[1, rho], [rho, 1]])
        found = int((bits[a] & bits[b]).sum())
        assert min(stats.binom.cdf(found, 3000, both), stats.binom.sf(found - 1, 3000, both)) > 1e-5
    assert pairs


# ---- subjects ------------------------------------------------------------------------------------
def test_the_first_subjects_are_the_same_however_many_there_are(reference) -> None:
    few, many = (fn.simulate_lesions(n, reference=reference, seed=9, min_count=0) for n in (5, 12))
    assert np.array_equal(few.table["age"], many.table["age"][:5])
    V = len(reference.voxels)
    assert np.array_equal(few.images.block(0, V), many.images.block(0, V)[:, :5])


def test_another_seed_is_another_sample(reference) -> None:
    one, two = (fn.simulate_lesions(5, reference=reference, seed=s) for s in (1, 2))
    assert one.images.store.key != two.images.store.key and not np.array_equal(one.table["age"], two.table["age"])


def test_ages_are_uniform_over_the_range_of_the_reference(reference) -> None:
    ages = fn.simulate_lesions(2000, reference=reference, ell="1 voxel").table["age"]
    low, high = reference.table["age"].min(), reference.table["age"].max()
    assert stats.kstest((ages - low) / (high - low), "uniform").pvalue > 1e-3


def test_a_subject_without_a_covariate_is_refused(reference) -> None:
    with pytest.raises(DataError, match="1 of 2 subjects lack a covariate"):
        fn.simulate_lesions(reference=reference, table=pd.DataFrame({"age": [60.0, np.nan]}))


@pytest.mark.parametrize("settings", [{"n": 0}, {"ell": "2 cm"}, {"ell": 0.0}, {"ell": float("nan")}])
def test_settings_out_of_range_are_refused(reference, settings) -> None:
    with pytest.raises(ValueError):
        fn.simulate_lesions(reference=reference, **settings)


# ---- references ----------------------------------------------------------------------------------
def test_the_synthetic_reference_is_said_to_be_synthetic(reference) -> None:
    assert reference.synthetic
    assert "a synthetic reference" in fn.simulate_lesions(3, reference=reference).images.messages[0]


def test_lesions_of_the_synthetic_reference_are_as_large_as_those_of_healthy_people() -> None:
    reference = fn.lesion_reference(spacing=3)
    volume = {age: reference.probability(pd.DataFrame({"age": [age]})).sum() * 0.027 for age in (50.0, 63.0, 80.0)}
    assert 1 < volume[50.0] < 4 < volume[63.0] < 8 < volume[80.0] < 20  # millilitres


def test_the_synthetic_reference_is_the_same_at_another_voxel_size() -> None:
    volumes = [fn.lesion_reference(spacing=s).incidence.sum() * s**3 for s in (3.0, 4.0)]
    assert abs(volumes[0] / volumes[1] - 1) < 0.05  # what sums over a coarser grid leave


def test_without_makes_a_null_reference_of_the_same_level(reference) -> None:
    null = reference.without("I(age - 63)")
    assert not null.coefficients[:, 1].any() and np.array_equal(null.coefficients[:, 0], reference.coefficients[:, 0])
    with pytest.raises(DataError, match="'sex' is no coefficient"):
        reference.without("sex")


def test_a_fit_of_lesions_is_a_reference_whose_lesions_give_it_back(reference) -> None:
    images = fn.simulate_lesions(300, reference=reference, seed=2, min_count=30).images
    fitted = fn.fit("lesion ~ I(age - 63)", images, family="binomial(probit)", estimator="mean_br")
    second = fn.lesion_reference(fitted)
    assert not second.synthetic and np.array_equal(second.coefficients, fitted.values["coef"])
    again = fn.simulate_lesions(800, reference=second, seed=3, min_count=0).images
    refitted = fn.fit("lesion ~ I(age - 63)", again, family="binomial(probit)", estimator="mean_br")
    z = (refitted.values["coef"] - second.coefficients) / refitted.values["se"]
    assert np.abs(z).max() < stats.norm.isf(1e-4 / z.size)  # Bonferroni: one false alarm in 5,000 seeds
    assert 0.7 < z.std() < 1.3  # neighbours are dependent, so that few of the values are


def test_the_statistics_of_a_fitted_reference_are_those_of_the_fit(reference) -> None:
    images = fn.simulate_lesions(200, reference=reference, seed=2, min_count=20).images
    fitted = fn.fit("lesion ~ I(age - 63)", images, family="binomial(probit)", estimator="mean_br")
    expected = fitted.values["coef"] / fitted.values["se"]
    # 1e-6: the fit's errors are those of its last step but one
    np.testing.assert_allclose(fn.lesion_reference(fitted).z(), expected, rtol=1e-6)


def test_covariates_of_a_fitted_reference_are_drawn_by_range_and_share(reference) -> None:
    images = fn.simulate_lesions(200, reference=reference, seed=2, min_count=20).images
    sex = np.where(np.arange(200) % 4 == 0, "M", "F")
    images = type(images)(**{**vars_of(images), "table": images.table.assign(sex=sex)})
    fitted = fn.fit("lesion ~ age + sex", images, family="binomial(probit)", estimator="mean_br")
    table = fn.simulate_lesions(800, reference=fn.lesion_reference(fitted), seed=5).table
    males = int((table["sex"] == "M").sum())
    assert min(stats.binom.cdf(males, 800, 0.25), stats.binom.sf(males - 1, 800, 0.25)) > 1e-4
    assert table["age"].between(images.table["age"].min(), images.table["age"].max()).all()


def vars_of(images: object) -> dict[str, object]:
    from dataclasses import fields

    return {f.name: getattr(images, f.name) for f in fields(images)}  # type: ignore[arg-type]


def test_a_fit_with_another_link_is_no_reference(reference) -> None:
    images = fn.simulate_lesions(60, reference=reference, seed=2, min_count=10).images
    fitted = fn.fit("lesion ~ age", images, family="binomial", estimator="mean_br")
    with pytest.raises(DataError, match=r"fit with family='binomial\(probit\)'"):
        fn.lesion_reference(fitted)


def test_a_fit_with_an_offset_is_no_reference(reference) -> None:
    images = fn.simulate_lesions(60, reference=reference, seed=2, min_count=10).images
    fitted = fn.fit("lesion ~ 1 + offset(age / 100)", images, family="binomial(probit)", estimator="mean_br")
    with pytest.raises(DataError, match="an offset: fit without"):
        fn.lesion_reference(fitted)


# ---- summaries and tuning ------------------------------------------------------------------------
def test_lesions_are_counted_by_six_neighbours(reference) -> None:
    images = fn.simulate_lesions(20, reference=reference, seed=6).images
    found = fn.lesion_summaries(images)
    for row in (0, 7, 19):
        full = images.unmask(images.block(0, len(images.voxels))[:, row], fill=0)
        assert found["volume"][row] == full.sum() and found["count"][row] == ndimage.label(full)[1]


def test_masks_of_selected_subjects_are_theirs(reference) -> None:
    images = fn.simulate_lesions(20, reference=reference, seed=6, min_count=0).images
    whole, chosen = list(masks(images)), list(masks(images.select([13, 2])))
    assert np.array_equal(chosen[0], whole[13]) and np.array_equal(chosen[1], whole[2])


def test_written_masks_are_read_as_they_were(reference, tmp_path) -> None:
    made = fn.simulate_lesions(9, reference=reference, seed=6)
    table = pd.read_csv(made.to_nifti(tmp_path), sep="\t")
    table["lesion"] = [str(tmp_path / name) for name in table["lesion"]]
    read = fn.read_images(table, "lesion")
    assert np.array_equal(read.voxels, made.images.voxels)
    V = len(read.voxels)
    assert np.array_equal(read.block(0, V), made.images.block(0, V))


def test_a_group_of_age_without_subjects_has_no_median() -> None:
    summaries = pd.DataFrame({"volume": [1.0, 3.0], "count": [1.0, 1.0], "size": [1.0, 3.0]})
    found = medians_by_age(summaries, [50.0, 52.0], decile_edges(np.arange(45.0, 85.0)).tolist())
    assert found["volume"].isna().tolist() == [True] + [False] * 1 + [True] * 8


def test_tuning_finds_the_length_scale_of_the_target() -> None:
    reference = fn.lesion_reference(spacing=6)
    target = fn.simulate_lesions(300, reference=reference, ell="2 voxels", seed=8).images
    tuned = fn.tune_ell(target, reference, scales=("1 voxel", "2 voxels", "3.5 voxels"), n=300, seed=1)
    assert tuned.ell == "2 voxels"
    assert len(tuned.plot().axes) == 4
    lesions = [float(tuned.medians[ell]["count"].mean()) for ell in ("1 voxel", "2 voxels", "3.5 voxels")]
    assert lesions == sorted(lesions, reverse=True)


def test_tuning_without_the_age_is_refused(reference) -> None:
    images = fn.simulate_lesions(5, reference=reference).images
    with pytest.raises(DataError, match="no column 'years'; there are age, lesion"):
        fn.tune_ell(images, reference, age="years")
