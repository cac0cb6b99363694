"""Score and likelihood-ratio tests in every voxel, maps of terms, TFCE: beside tables and independent sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

import formula_neuro as fn
from formula_neuro.errors import Unable
from formula_neuro.maps.inference.clusters import STRUCTURES
from formula_neuro.maps.inference.tfce import Neighbours, enhanced


@pytest.fixture(scope="module")
def images():
    simulated = fn.simulate_lesions(90, reference=fn.lesion_reference(spacing=12), seed=3, min_count=4)
    rng = np.random.default_rng(5)
    table = simulated.images.table.assign(sex=rng.choice(["F", "M"], 90), site=np.repeat(["A", "B", "C"], 30))
    return replace(simulated.images, table=table)


FORMULA = "lesion ~ age + sex + site"


def fitted(images, estimator="ml", family="binomial", formula=FORMULA):
    return fn.fit(formula, images, family=family, estimator=estimator)


def tables(v, voxels=4):
    """The voxels with most events as tables: (number, fit)."""
    order = np.argsort(-np.asarray(v.request.images.counts), kind="stable")[:voxels]
    return [(int(k), v.at(int(k))) for k in order]


# ---- score and likelihood ratio ------------------------------------------------------------------
@pytest.mark.parametrize("test", ["score", "lr"])
@pytest.mark.parametrize("hypothesis", ["age", "age = 0.05", "siteB - siteC"])
def test_a_voxel_s_test_is_that_of_its_table(images, test, hypothesis) -> None:
    v = fitted(images)
    z = fn.contrast(v, hypothesis, test=test).values["z"]
    for number, table in tables(v):
        expected = fn.contrast(table, hypothesis, test=test).table
        # null models end where a scoring step moves by less than 1e-8 of a standard error
        assert z[number] ** 2 == pytest.approx(float(expected["statistic"].iloc[0]), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("estimator, family", [("mean_br", "binomial"), ("jeffreys", "binomial(cloglog)")])
def test_penalised_ratios_keep_what_is_tested_in_the_penalty_as_tables_do(images, estimator, family) -> None:
    v = fitted(images, estimator, family, "lesion ~ age + site")
    found = fn.contrast(v, ["siteB", "siteC"], test="lr").values["statistic"]
    for number, table in tables(v, 2):
        expected = fn.contrast(table, ["siteB", "siteC"], test="lr").joint
        assert found[number] == pytest.approx(float(expected["statistic"].iloc[0]), rel=1e-6)


def test_likelihood_ratios_have_the_side_of_their_estimate(images) -> None:
    v = fitted(images)
    z, estimate = fn.contrast(v, "age", test="lr").values["z"], v.values["coef"][:, 1]
    finite = np.isfinite(estimate)
    assert np.array_equal(np.sign(z[finite]), np.sign(estimate[finite]))


def test_where_wald_has_no_z_the_others_are_finite_and_point_to_infinity(images) -> None:
    v = fitted(images, formula="lesion ~ site")
    apart = v.values["separated"][:, 2] == -1  # no event at site C, and some at A
    wald = fn.contrast(v, "siteC").values["z"]
    assert apart.sum() > 1 and np.isnan(wald[apart]).all()
    for test in ("score", "lr"):
        z = fn.contrast(v, "siteC", test=test).values["z"][apart]
        assert np.isfinite(z).all() and (z < 0).all()


def test_least_squares_have_one_test_alone(images) -> None:
    v = fn.fit(FORMULA, images)
    wald, score = fn.contrast(v, "age"), fn.contrast(v, "age", test="score")
    assert np.array_equal(wald.values["t"], score.values["t"]) and score.test == "score"


def test_bias_reduced_maps_have_score_tests_and_say_whose_they_are(images) -> None:
    reduced, plain = fitted(images, "mean_br"), fitted(images)
    found = fn.contrast(reduced, "age", test="score")
    assert np.allclose(found.values["z"], fn.contrast(plain, "age", test="score").values["z"], rtol=1e-9)
    assert "maximum likelihood" in str(found)


def test_without_a_penalised_likelihood_there_is_no_ratio(images) -> None:
    with pytest.raises(Unable, match="score test"):
        fn.contrast(fitted(images, "mean_br", "binomial(probit)"), "age", test="lr")


def test_options_of_tables_are_not_taken_in_silence(images) -> None:
    v = fitted(images)
    with pytest.raises(Unable, match="test= alone"):
        fn.contrast(v, "age", alternative="greater")
    with pytest.raises(ValueError, match="wald, score, lr"):
        fn.contrast(v, "age", test="rao")


# ---- terms ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("type", ["I", "II", "III"])
@pytest.mark.parametrize("family, test", [("gaussian", "F"), ("binomial", "Chisq"), ("binomial", "Rao")])
def test_terms_of_a_voxel_are_those_of_its_table(images, type, family, test) -> None:
    v = fitted(images, family=family, formula="lesion ~ age * sex + site")
    found = fn.anova(v, type=type, test=test)
    for number, table in tables(v, 2):
        expected = fn.anova(table, type=type, test=test).set_index("term")["statistic"]
        for term, values in found.values.items():
            # a score that is nearly 0 keeps fewer digits
            assert values["statistic"][number] == pytest.approx(expected[term], rel=1e-6, abs=1e-8)


def test_terms_without_a_ratio_are_tested_by_their_scores(images) -> None:
    found = fn.anova(fitted(images, "mean_br", "binomial(probit)"))
    assert found.test == "Rao" and found.df == {"age": 1, "sex": 1, "site": 2}
    assert found.to_frame()["voxels"].tolist() == [len(images.voxels)] * 3


def test_wald_s_terms_are_joint_contrasts(images) -> None:
    v = fitted(images, "mean_br")
    found = fn.anova(v, test="Wald")
    joint = fn.contrast(v, ["siteB", "siteC"]).values["statistic"]
    assert np.allclose(found.values["site"]["statistic"], joint, rtol=1e-8)


def test_a_term_is_a_contrast_with_maps_and_thresholds(images) -> None:
    found = fn.anova(fn.fit(FORMULA, images))
    site = found.term("site")
    assert not site.signed and site.threshold("none", 0.5).kept.sum() == (found.values["site"]["p"] <= 0.5).sum()
    assert found.maps["statistic", "site"].shape == images.grid.shape
    with pytest.raises(ValueError, match="age, sex, site"):
        found.term("height")


def test_questions_that_maps_of_terms_have_no_answer_to(images) -> None:
    v = fitted(images)
    for options in ({"test": "F"}, {"type": "IV"}, {"test": "LM"}):
        with pytest.raises(ValueError):
            fn.anova(v, **options)
    with pytest.raises(Unable, match="one fit"):
        fn.anova(v, v)
    with pytest.raises(Unable, match="type='III'"):
        fn.anova(v, test="Wald", type="I")


# ---- TFCE ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_tfce_is_the_integral_that_fine_steps_approach(images, connectivity) -> None:
    """Steps at the middles of equal slices, with clusters by scipy, beside the exact sum."""
    h = np.random.default_rng(1).normal(size=len(images.voxels)).round(2)
    exact = enhanced(h, Neighbours.of(images, connectivity))
    dh, stepped = 0.01, np.zeros(len(h))
    for sign in (1, -1):
        for height in np.arange(dh / 2, np.abs(h).max(), dh):
            there = images.unmask((sign * h > height).astype(float), fill=0.0) > 0
            names = ndimage.label(there, STRUCTURES[connectivity])[0].ravel()[images.voxels]
            sizes = np.bincount(names)
            sizes[0] = 0
            stepped += sign * np.sqrt(sizes[names]) * height**2 * dh
    # no merge lies inside a slice, as heights are whole hundredths: the middle rule errs by dh^2 / 12 an h alone
    assert np.allclose(stepped, exact, rtol=1e-3, atol=1e-4)


def test_tfce_agrees_with_nilearn_s_steps(images) -> None:
    utils = pytest.importorskip("nilearn.mass_univariate._utils")
    h = np.random.default_rng(2).normal(size=len(images.voxels))
    dh = 0.01
    grid = images.unmask(h, fill=0.0)[..., None]
    theirs = utils.calculate_tfce(grid, STRUCTURES[26], dh=dh)[..., 0].ravel()[images.voxels] * dh
    mine = enhanced(h, Neighbours.of(images, 26))
    # theirs sums at the upper ends of slices: off by a slice's share, of which a peak has few
    assert np.corrcoef(mine, theirs)[0, 1] > 0.9999 and np.allclose(mine, theirs, atol=0.02 * np.abs(mine).max())
