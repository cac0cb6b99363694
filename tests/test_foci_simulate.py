"""simulate_foci(): the foci follow the truth that comes with them."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro.foci.locating import located
from formula_neuro.foci.truth import ellipsoid


def test_the_tutorials_studies_report_every_peak_once():
    foci = fn.simulate_foci(30, peaks=10, sample_size=(20, 40), seed=2)
    assert set(foci.counts) == {10} and foci.studies["sample_size"].between(20, 39).all()


def test_a_seed_gives_the_same_foci_and_another_others():
    one, again, other = (fn.simulate_foci(5, seed=seed) for seed in (1, 1, 2))
    assert one.key == again.key != other.key


def test_the_first_studies_of_many_are_those_of_few():
    few, many = (fn.simulate_foci(n, counts="poisson", analyses=(1, 3), seed=1) for n in (9, 99))
    assert np.array_equal(few.points, many.points[: len(few.points)])


def test_all_foci_lie_in_the_mask():
    foci = fn.simulate_foci(30, noise=3, clump=3, fwhm=30, seed=4)
    assert not located(foci, foci.truth.brain)[1].foci.any()


def test_a_mask_in_a_file_holds_the_foci(tmp_path):
    box = np.zeros((12, 12, 12), np.uint8)
    box[3:9, 3:9, 3:9] = 1
    affine = np.array([[-4.0, 0, 0, 30], [0, 4, 0, -30], [0, 0, 4, -20], [0, 0, 0, 1]])
    nibabel.Nifti1Image(box, affine).to_filename(tmp_path / "mask.nii.gz")
    foci = fn.simulate_foci(20, mask=tmp_path / "mask.nii.gz", seed=3)
    index = np.rint((foci.points - affine[:3, 3]) / np.diag(affine)[:3]).astype(int)
    assert box[tuple(index.T)].all() and len(foci.truth.brain.voxels) == 6**3


def test_foci_lie_about_their_peak_as_its_width_says():
    foci = fn.simulate_foci(2000, peaks=[[0.0, -16.0, 20.0]], fwhm=10, mask=ellipsoid(2), seed=5)
    sd = 10 / np.sqrt(8 * np.log(2))
    # an offset is uniform within a voxel of 2 mm, of variance 4/12; the SD of a sample of 2,000 has SE 1.6 %
    assert np.allclose(foci.points.std(axis=0), np.sqrt(sd**2 + 4 / 12), rtol=0.06)
    assert np.allclose(foci.points.mean(axis=0), [0, -16, 20], rtol=0, atol=4 * sd / np.sqrt(2000))


@pytest.mark.parametrize("clump", [1, 3])
def test_counts_of_voxels_follow_the_intensity(clump):
    foci = fn.simulate_foci(800, peaks=3, fwhm=20, noise=2, counts="poisson", clump=clump, mask=ellipsoid(8), seed=6)
    where, _ = located(foci, foci.truth.brain)
    observed = np.bincount(where.voxel, minlength=len(foci.truth.brain.voxels))
    expected = 800 * foci.truth.intensity["(Intercept)"]
    parts = np.array_split(np.argsort(expected), 8)
    o, e = (np.array([values[part].sum() for part in parts]) for values in (observed, expected))
    # clumps: three foci a place have up to three times Poisson's variance
    assert stats.chi2.sf(((o - e) ** 2 / e).sum() / clump, 8) > 0.001


def test_the_mean_number_is_that_of_the_truth():
    foci = fn.simulate_foci(3000, peaks=4, counts="poisson", noise=1, seed=7)
    assert np.isclose(foci.truth.intensity["(Intercept)"].sum(), 5)
    assert abs(foci.counts.mean() - 5) < 4 * np.sqrt(5 / 3000)  # four standard errors


def test_the_variance_of_overdispersed_numbers_is_that_of_the_dispersion():
    foci = fn.simulate_foci(4000, peaks=4, counts="negative_binomial", dispersion=0.5, seed=8)
    # var = mu + alpha mu^2 = 12; the SE of a sample variance of 4,000 is about 4 %, the tail of the gamma counted
    assert abs(foci.counts.var() / 12 - 1) < 0.16


def test_analyses_of_a_study_share_its_factor():
    foci = fn.simulate_foci(1500, peaks=4, counts="negative_binomial", dispersion=1.0, analyses=2, seed=9)
    first, second = foci.counts.reshape(-1, 2).T
    # cov = alpha mu^2 = 16 and var = 20, so that the correlation is .8
    assert abs(np.corrcoef(first, second)[0, 1] - 0.8) < 0.06


def test_effects_change_the_numbers_as_they_say():
    age = np.linspace(-1, 1, 4000)
    table = {"age": age, "drug": ["yes", "no"] * 2000}
    foci = fn.simulate_foci(table=table, peaks=4, counts="poisson", effects={"age": 0.5, "drug": {"yes": 0.3}}, seed=10)
    X = np.column_stack([np.ones(4000), age, np.array(table["drug"]) == "yes"]).astype(float)
    beta = np.array([np.log(4), 0.5, 0.3])
    score = X.T @ (foci.counts - np.exp(X @ beta))
    information = X.T @ (np.exp(X @ beta)[:, None] * X)
    assert stats.chi2.sf(score @ np.linalg.solve(information, score), 3) > 0.001  # a score test of the truth
    assert foci.truth.effects.to_numpy().tolist() == [["age", 0.5], ["drugyes", 0.3]]


def test_groups_have_peaks_of_their_own():
    table = {"diagnosis": ["s", "d"] * 20, "drug": ["yes"] * 20 + ["no"] * 20}
    foci = fn.simulate_foci(table=table, groups=["diagnosis", "drug"], peaks=2, fwhm=4, seed=11)
    assert set(foci.truth.peaks) == {"s:yes", "d:yes", "s:no", "d:no"}
    first = foci.select([0])
    away = np.sqrt(((first.points[:, None] - foci.truth.peaks["s:yes"]) ** 2).sum(axis=2)).min(axis=1)
    assert (away < 15).all()  # mm; a Gaussian of FWHM 4 mm and half the diagonal of a voxel of 4 mm


def test_a_share_of_analyses_reports_a_peak():
    foci = fn.simulate_foci(1000, peaks=5, share=0.4, seed=12)
    assert abs(foci.counts.mean() - 2) < 4 * np.sqrt(5 * 0.4 * 0.6 / 1000)  # four standard errors


def test_the_truth_makes_an_image():
    image = fn.simulate_foci(3, seed=1).truth.image()
    assert np.isclose(np.nansum(image.get_fdata()), 10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "number of studies"),
        ({"n": 3, "table": {"age": [1, 2]}}, "n=3, but the table has 2 rows"),
        ({"counts": "binomial"}, "fixed, poisson, negative_binomial"),
        ({"share": 2}, "share=2"),
        ({"noise": 0.5}, "noise=0.5"),
        ({"fwhm": 0}, "fwhm=0"),
        ({"peaks": 0}, "peaks=0"),
        ({"peaks": [1, 2, 3]}, r"\(K, 3\)"),
        ({"peaks": {"a": 2}}, r"the groups are \(Intercept\)"),
        ({"mean": 3}, "mean=3"),
        ({"effects": {"sample_size": 1}}, "counts='fixed'"),
        ({"effects": {"age": 1}, "counts": "poisson"}, "'age' is no column"),
        ({"groups": "drug"}, "'drug' is no column"),
        ({"clump": 0}, "clump=0"),
        ({"analyses": 0}, "analyses=0"),
        ({"sample_size": (40, 20)}, "sample_size="),
        ({"counts": "negative_binomial", "dispersion": 0}, "dispersion=0"),
        ({"table": {"study": ["a", "a"]}}, "'a' twice"),
    ],
)
def test_what_cannot_be_simulated_is_refused(options, words):
    with pytest.raises((ValueError, DataError), match=words):
        fn.simulate_foci(**options)


def test_the_truth_is_shown_in_a_line():
    assert repr(fn.simulate_foci(5, peaks=3, seed=1).truth).startswith("Truth(peaks: (Intercept) 3; dispersion 0;")


@pytest.mark.parametrize("seed", ["a", -1, 1.5, None, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(ValueError, match="seed is a whole number of 0 or more"):
        fn.simulate_foci(2, seed=seed)
