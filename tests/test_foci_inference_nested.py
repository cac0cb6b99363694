"""Nested meta-regressions of foci: likelihood ratios, terms, simulation, and fits side by side."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable
from formula_neuro.foci.inference.nested import Gain

COARSE = fn.Splines(spacing="40 mm", smooth="none")


def small_brain() -> nib.Nifti1Image:
    """An ellipsoid of 5 mm voxels."""
    shape = (20, 23, 18)
    ijk = np.moveaxis(np.indices(shape), 0, -1)
    half = (np.array(shape) - 1) / 2
    return nib.Nifti1Image((((ijk - half) / half) ** 2).sum(-1).__le__(1).astype(np.uint8), np.diag([5.0, 5, 5, 1]))


@pytest.fixture(scope="module")
def foci():
    found = fn.simulate_foci(
        60, seed=1, mask=small_brain(), counts="negative_binomial", dispersion=0.5, mean=5, noise=15, fwhm=40
    )
    rng = np.random.default_rng(0)
    return found.with_studies(
        {"group": np.tile(["a", "b"], 30), "z": rng.normal(size=60), "k": np.tile(["u", "v", "w"], 20)}
    )


def fitted(formula: str, foci, family: str = "poisson"):
    return fn.fit(formula, foci, family=family, mask=small_brain(), estimator=COARSE)


@pytest.fixture(scope="module")
def fits(foci):
    return {
        "one": fitted("foci ~ s(1)", foci),
        "two": fitted("foci ~ s(group)", foci),
        "more": fitted("foci ~ s(group) + z + k", foci),
        "clustered": fitted("foci ~ s(group) + z + k", foci, "clustered_negative_binomial"),
        "quasi": fitted("foci ~ s(group) + z", foci, "quasipoisson"),
    }


def test_nested_fits_are_compared_by_twice_the_rise_of_their_likelihood(fits) -> None:
    table = fn.anova(fits["more"], fits["one"], fits["two"])
    assert table["n_parameters"].is_monotonic_increasing
    rise = 2 * (fits["more"].loglik - fits["two"].loglik)
    assert table["statistic"][2] == pytest.approx(rise)
    assert table["df"][2] == 3
    assert table["p_value"][2] == pytest.approx(stats.chi2.sf(rise, 3))


def test_poisson_ratios_warn_of_totals_that_vary_more(fits) -> None:
    said = " ".join(fn.anova(fits["two"], fits["more"]).attrs["messages"])
    assert "times as much as Poisson's" in said
    assert "times as much" not in " ".join(fn.anova(fits["more"], fits["clustered"]).attrs["messages"])


def test_thin_maps_warn_that_ratios_are_not_chi_squared(foci) -> None:
    few = foci.select(np.arange(16))
    table = fn.anova(fitted("foci ~ s(1)", few), fitted("foci ~ s(group)", few))
    assert "foci for each effective coefficient" in " ".join(table.attrs["messages"])


def test_a_larger_model_that_is_smoothed_more_is_said_to_be(foci) -> None:
    plain, smooth = fn.Splines("40 mm", smooth=0.01), fn.Splines("40 mm", smooth=0.1)
    small = fn.fit("foci ~ s(1)", foci, mask=small_brain(), estimator=plain)
    large = fn.fit("foci ~ s(group)", foci, mask=small_brain(), estimator=smooth)
    assert large.loglik < small.loglik
    assert "fn.Splines(smooth=0.01)" in " ".join(fn.anova(small, large).attrs["messages"])


def test_dispersions_that_cannot_be_negative_are_tested_by_a_mixture(fits) -> None:
    table = fn.anova(fits["more"], fits["clustered"])
    found = table["statistic"][1]
    expected = 0.5 * stats.chi2.sf(found, 1) + 0.25 * stats.chi2.sf(found, 2)
    assert table["p_value"][1] == pytest.approx(expected)
    assert Gain(0.0, 0, 2, ()).p_value == 1.0
    assert Gain(1.0, 0, 1, ()).p_value == pytest.approx(stats.chi2.sf(1, 1) / 2)
    assert Gain(3.0, 2, 0, ()).p_value == pytest.approx(stats.chi2.sf(3, 2))


def test_models_that_are_not_nested_are_said_to_be(foci, fits) -> None:
    other = fitted("foci ~ s(1) + z", foci)
    assert "not nested" in " ".join(fn.anova(other, fits["two"]).attrs["messages"])


def test_what_has_no_likelihood_or_other_foci_is_refused(foci, fits) -> None:
    with pytest.raises(Unable, match="no likelihood"):
        fn.anova(fits["two"], fits["quasi"])
    with pytest.raises(DataError, match="different analyses"):
        fn.anova(fits["one"], fitted("foci ~ s(group)", foci.select(np.arange(40))))
    with pytest.raises(Unable, match="test= alone"):
        fn.anova(fits["one"], fits["two"], type="II")
    with pytest.raises(Unable, match="likelihood ratios"):
        fn.anova(fits["one"], fits["two"], test="Rao")


def test_the_terms_of_one_fit_have_walds_test(fits) -> None:
    table = fn.anova(fits["more"])
    assert table["term"].tolist() == ["z", "k"] and table["df"].tolist() == [1, 2]
    joint = fn.contrast(fits["more"], ["kv", "kw"]).joint
    assert table["statistic"][1] == pytest.approx(joint["statistic"][0])
    assert table["p_value"][1] == pytest.approx(joint["p_value"][0])
    with pytest.raises(Unable, match="no global moderator"):
        fn.anova(fits["two"])


def test_fits_stand_side_by_side(fits) -> None:
    found = fn.compare(fits["two"], fits["more"], fits["clustered"], names=["two", "more", "clustered"])
    assert found.texts.loc["foci"].nunique() == 1
    assert found.texts.loc["alpha a", "two"] == ""
    assert "Clustered negative binomial meta-regression of foci" in str(found)
    with pytest.raises(TypeError, match="not with fits of a table"):
        fn.compare(fits["two"], fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]}))


def test_foci_drawn_from_the_smaller_fit_give_its_likelihood_ratios(fits) -> None:
    test = fn.bootstrap_test(fits["one"], fits["two"], n=5, seed=2)
    again = fn.bootstrap_test(fits["two"], fits["one"], n=3, seed=2)
    np.testing.assert_allclose(again.draws, test.draws[:3])
    assert test.n_used == 5 and (test.draws > 0).all()
    assert test.df == pytest.approx(fits["two"].n_parameters - fits["one"].n_parameters)
    with pytest.raises(Unable, match="n=, seed="):
        fn.bootstrap_test(fits["one"], fits["two"], n=5, resume=test)
