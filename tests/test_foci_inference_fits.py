"""Tests of foci on fits of every family and kind of spatial part, by the package's own engine."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import FitError, Unable

FAMILIES = ("poisson", "quasipoisson", "negative_binomial", "clustered_negative_binomial")


def small_brain() -> nib.Nifti1Image:
    """An ellipsoid of 5 mm voxels, its centre at (0, 0, 0)."""
    shape = (20, 23, 18)
    ijk = np.moveaxis(np.indices(shape), 0, -1)
    half = (np.array(shape) - 1) / 2
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    affine[:3, 3] = -5 * half
    return nib.Nifti1Image((((ijk - half) / half) ** 2).sum(-1).__le__(1).astype(np.uint8), affine)


@pytest.fixture(scope="module")
def foci():
    """Group b has a peak of its own on the right; some studies have two analyses."""
    rng = np.random.default_rng(0)
    table = {"group": np.tile(["a", "b"], 30), "z": rng.normal(size=60), "1": np.tile(["1", "2", "10"], 20)}
    peaks = {"a": [(-20, 0, 0), (0, 20, 0)], "b": [(-20, 0, 0), (25, 0, 0)]}
    return fn.simulate_foci(
        table=table, groups="group", peaks=peaks, fwhm=20, mean=4, noise=6, counts="negative_binomial",
        dispersion=0.3, analyses=(1, 2), mask=small_brain(), seed=2,
    )  # fmt: skip


def fitted(formula: str, foci, family: str = "poisson", **how):
    return fn.fit(formula, foci, family=family, mask=small_brain(), estimator=fn.Splines("30 mm", **how))


@pytest.mark.parametrize("family", FAMILIES)
def test_homogeneity_finds_the_peaks_of_each_group(foci, family) -> None:
    c = fitted("foci ~ s(group)", foci, family)
    found = fn.homogeneity(c)
    peaks = {name: test.threshold("fdr", 0.05).to_frame()[["x", "y", "z"]].to_numpy() for name, test in found.items()}
    for name, places in (("a", [(-20, 0, 0), (0, 20, 0)]), ("b", [(-20, 0, 0), (25, 0, 0)])):
        z = found[name].values["z"]
        for place in places:
            nearest = np.argmin(((c.brain.world - place) ** 2).sum(axis=1))
            assert z[nearest] > 2.5, (name, place)
        assert len(peaks[name])


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "negative_binomial"])
@pytest.mark.parametrize("what", ["intensity", "shape"])
def test_score_and_wald_tests_agree_about_groups(foci, family, what) -> None:
    c = fitted("foci ~ s(group) + z" if family != "quasipoisson" else "foci ~ s(group)", foci, family)
    score = fn.contrast(c, "b - a", what=what)
    wald = fn.contrast(c, "b - a", what=what, test="wald")
    assert score.test == "score"
    assert np.corrcoef(score.values["z"], wald.values["z"])[0, 1] > 0.85
    right = np.argmin(((c.brain.world - (25, 0, 0)) ** 2).sum(axis=1))
    assert score.values["z"][right] > 2.5
    assert fn.permutation_test(c, "b - a", n=99, what=what).p[right] < 0.1


@pytest.mark.parametrize("family", ["poisson", "clustered_negative_binomial"])
@pytest.mark.parametrize(
    ("model", "asked"),
    [("s(group)", "b - a"), ("s(group) + s(x)", "x"), ("s(x)", "x")],
    ids=["cells", "both", "effect"],
)
def test_score_tests_do_not_depend_on_where_a_moderator_is_0(foci, model, asked, family) -> None:
    table = foci.studies.assign(x=np.random.default_rng(5).normal(size=len(foci.studies)))
    data = fn.read_foci(foci.foci, studies=table.assign(far=40 - 9 * table["z"]))
    near, far = (fn.contrast(fitted(f"foci ~ {model} + {name}", data, family), asked) for name in ("z", "far"))
    assert near.test == "score"
    # the frailty models' searches end at 1e-5 standard errors
    np.testing.assert_allclose(far.values["z"], near.values["z"], rtol=0, atol=1e-4)


def test_score_tests_do_not_depend_on_the_coding_of_a_moderator(foci) -> None:
    data = fn.read_foci(foci.foci, studies=foci.studies.assign(kind=np.resize(list("ppqr"), len(foci.studies))))

    def z(**given):
        c = fn.fit("foci ~ s(group) + kind", data, mask=small_brain(), estimator=fn.Splines("30 mm"), **given)
        return fn.contrast(c, "b - a", test="score").values["z"]

    np.testing.assert_allclose(z(contrasts={"kind": "contr.sum"}), z(), rtol=0, atol=1e-6)


def test_splines_of_nimare_are_tested_alike(foci) -> None:
    theirs, ours = fitted("foci ~ s(group)", foci, basis="nimare"), fitted("foci ~ s(group)", foci)
    a, b = (fn.contrast(c, "b - a").values["z"] for c in (theirs, ours))
    assert np.corrcoef(a, b)[0, 1] > 0.9


def test_voxel_totals_have_no_scores_of_studies(foci) -> None:
    c = fitted("foci ~ s(group)", foci, "negative_binomial")
    assert fn.contrast(c, "b - a").test == "wald"
    with pytest.raises(Unable, match="no scores"):
        fn.permutation_test(c, "b - a")


def test_effects_beside_groups_are_permuted_within_them(foci) -> None:
    c = fitted("foci ~ s(group) + s(z)", foci)
    assert fn.contrast(c, "z").test == "score"
    assert fn.contrast(c, "b - a").test == "wald"
    with pytest.raises(Unable, match="not those of the cells"):
        fn.permutation_test(c, "b - a")
    assert fn.permutation_test(c, "z", n=19).contrast.label == "z"


def test_differences_of_factors_have_walds_test(foci) -> None:
    c = fitted("foci ~ s(group) + s(`1`)", foci)
    assert len(c.cells) == 6
    found = fn.contrast(c, "groupb")
    direct = fn.contrast(c, "`b:1` - `a:1`")
    assert found.test == direct.test == "wald"
    np.testing.assert_allclose(found.values["z"], direct.values["z"], rtol=1e-6)


def test_levels_that_look_like_numbers_are_read_as_names(foci) -> None:
    c = fitted("foci ~ s(`1`)", foci)
    assert fn.contrast(c, "10 - 1", test="wald").matrix.tolist() == [[-1, 1, 0]]


def test_why_walds_test_was_taken_is_said(foci) -> None:
    said = fn.contrast(fitted("foci ~ s(group) + s(z)", foci), "b - a").messages
    assert said == ("Wald's test: maps are not those of the cells (s(a:b) has a map a cell)",)


def test_a_null_model_without_an_estimate_leaves_walds_test_and_says_so(foci) -> None:
    c = fitted("foci ~ s(group)", foci)

    def broken(request):
        raise FitError("no finite estimate")

    object.__setattr__(c.engine, "refit", broken)
    found = fn.contrast(c, "b - a")
    assert found.test == "wald" and "cannot be fitted: no finite estimate" in found.messages[0]
    with pytest.raises(FitError):
        fn.contrast(c, "b - a", test="score")
