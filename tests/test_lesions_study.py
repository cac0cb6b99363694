"""The study of accuracy: its sums beside plain arithmetic, resuming, workers, methods of one's own, figures."""

from __future__ import annotations

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.display.plot import png
from formula_neuro.errors import DataError
from formula_neuro.lesions import pictures
from formula_neuro.lesions.accuracy import Accuracy, Target, overlap
from formula_neuro.lesions.study import LesionStudy, Setting

AGE = "I(age - 63)"
SETTINGS = {"n": 80, "replicates": 3, "edges": (0.02, 0.1, 1.0), "largest": (20, 50), "seed": 7}


@pytest.fixture(scope="module")
def reference() -> object:
    return fn.lesion_reference(spacing=10)


@pytest.fixture(scope="module")
def study(reference) -> LesionStudy:
    return fn.lesion_study(reference, **SETTINGS)


def estimates(study: LesionStudy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(R, methods, V, P) coefficients and z, and (R, V) whether maximum likelihood is finite: run once more."""
    answers = [study.setting(r) for r in range(study.replicates)]
    coef, z = (np.array([[a[f"{k}.{what}"] for k in range(2)] for a in answers]) for what in ("coef", "z"))
    return coef, z, np.array([a["finite"] for a in answers])


def test_the_table_is_plain_arithmetic_of_all_repetitions(study) -> None:
    coef, z, finite = estimates(study)
    truth, inside = study.target.truth[:, 1], (study.target.incidence > 0.02) & (study.target.incidence <= 0.1)
    table = study.to_frame()
    for k, method in enumerate(("ML", "mean BR")):
        row = table[(table["method"] == method) & (table["incidence"] == "0.02-0.1")].iloc[0]
        error = np.where(finite, coef[:, k, :, 1] - truth, np.nan)[:, inside]
        error = error[:, finite[:, inside].any(axis=0)]
        known = np.isfinite(error)
        shares = [np.nansum(values, axis=0) / known.sum(axis=0) for values in (error, error**2, 1.0 * (error < 0))]
        found = row[["bias", "mse", "underestimated"]].to_numpy(dtype=float)
        np.testing.assert_allclose(found, [each.mean() for each in shares], rtol=1e-10)  # order of sums
        beyond = np.where(finite, np.abs(z[:, k, :, 1]) > 1.959964, False)[:, inside & finite.any(axis=0)]
        assert np.isclose(row["beyond"], (beyond.sum(axis=0) / known.sum(axis=0)).mean(), rtol=1e-10)


def test_correlations_are_means_over_repetitions(study) -> None:
    coef, _, finite = estimates(study)
    inside = study.target.incidence > 0.02
    each = [
        np.corrcoef(coef[r, 1, inside & finite[r], 1], study.target.truth[inside & finite[r], 1])[0, 1]
        for r in range(3)
    ]  # fmt: skip
    row = study.to_frame().query("method == 'mean BR' and incidence == '> 0.02'").iloc[0]
    assert np.isclose(row["correlation"], np.mean(each), rtol=1e-10)


def test_overlaps_are_of_the_strongest_voxels_of_the_reference(study) -> None:
    _, z, _ = estimates(study)
    found = study.overlaps().loc["mean BR", 20]
    best = set(np.argsort(-np.abs(study.target.z[:, 1]))[:20])
    each = [len(best & set(np.argsort(-np.abs(np.nan_to_num(z[r, 1, :, 1])))[:20])) / 20 for r in range(3)]
    assert np.isclose(found, np.mean(each))


def test_infinite_estimates_of_maximum_likelihood_count_for_nobody_unless_all_are_asked_for(study) -> None:
    finite, every = (study.accuracies["mean BR"] for _ in range(2))
    infinite = 3 - finite.finite.count[:, 1]
    assert infinite.sum() > 0
    assert (every.every.count == 3).all()
    assert (study.accuracies["ML"].every.count == study.accuracies["ML"].finite.count).all()


def test_bias_reduced_estimates_have_less_error_than_those_of_maximum_likelihood(study) -> None:
    table = study.to_frame().set_index(["method", "incidence"])["mse"]
    assert table["mean BR", "> 0.02"] < table["ML", "> 0.02"]


def test_repetitions_that_were_kept_are_not_run_again(reference, study, tmp_path, monkeypatch) -> None:
    fn.lesion_study(reference, **(SETTINGS | {"replicates": 2}), out=tmp_path)
    original, ran = Setting.__call__, []
    monkeypatch.setattr(Setting, "__call__", lambda self, r: (ran.append(r), original(self, r))[1])
    again = fn.lesion_study(reference, **SETTINGS, out=tmp_path)
    assert ran == [2]
    assert again.to_frame().equals(study.to_frame())


def test_a_folder_does_not_mix_studies(reference, tmp_path) -> None:
    one, two = (fn.lesion_study(reference, **(SETTINGS | {"replicates": 1, "n": n}), out=tmp_path) for n in (40, 50))
    assert len(list(tmp_path.iterdir())) == 2 and not one.to_frame().equals(two.to_frame())


def test_processes_give_the_numbers_of_one_process(reference, study) -> None:
    shared = fn.lesion_study(reference, **SETTINGS, workers=2)
    for method in study.accuracies:
        ours, theirs = study.accuracies[method].every, shared.accuracies[method].every
        np.testing.assert_allclose(ours.error, theirs.error, rtol=1e-12, atol=1e-12)  # repetitions in another order


def test_a_method_is_any_function_of_images(reference) -> None:
    def half(images: object) -> object:
        fitted = fn.fit(f"lesion ~ {AGE}", images, family="binomial(probit)", estimator="mean_br")
        return type(fitted)(fitted.request, fitted.backend, {**fitted.values, "coef": fitted.values["coef"] / 2})

    study = fn.lesion_study(reference, methods={"mean BR": "mean_br", "half": half}, **SETTINGS)
    coef = study.first
    np.testing.assert_allclose(coef["1.coef"], coef["0.coef"] / 2, rtol=1e-6)  # single precision


def test_without_an_effect_nothing_is_strongest_and_the_truth_is_0(reference) -> None:
    null = fn.lesion_study(reference.without(AGE), **SETTINGS)
    assert not null.target.truth[:, 1].any() and null.overlaps().isna().all().all()
    assert len(null.overlaps("(Intercept)").dropna()) == 2
    assert png(pictures.null_figure(null)).startswith(b"\x89PNG")


def test_quantiles_of_z_are_those_of_the_values_to_a_cell() -> None:
    rng = np.random.default_rng(1)
    target = Target(np.zeros((4000, 1)), np.zeros((4000, 1)), np.full(4000, 0.3), (0.1, 1.0), (5,))
    z = rng.normal(size=(4000, 1))
    accuracy = Accuracy.empty(target, ["x"]).plus(z, z, np.ones(4000, dtype=bool))
    at = np.array([0.025, 0.5, 0.9])
    # a cell is 0.01 wide, and the ways to define a quantile of 4,000 values differ by less than another
    np.testing.assert_allclose(accuracy.quantiles("x", 0, at), np.quantile(z, at), atol=0.02)


def test_bins_are_closed_on_the_right() -> None:
    target = Target(np.zeros((4, 1)), np.zeros((4, 1)), np.array([0.005, 0.01, 0.011, 0.5]), (0.005, 0.01, 0.02), ())
    assert target.bin.tolist() == [-1, 0, 1, -1]


def test_values_that_are_missing_overlap_last() -> None:
    assert overlap(np.array([1.0, 2.0, 0.5]), np.array([np.nan, 2.0, 0.1]), 2) == 0.5


def test_a_coefficient_that_there_is_not_is_named(study) -> None:
    with pytest.raises(DataError, match="'sex' is no coefficient of the study"):
        study.to_frame("sex")
    with pytest.raises(ValueError, match="estimates='all' is not known"):
        study.to_frame(estimates="all")


def test_the_figures_are_drawn(study, reference) -> None:
    figures = (
        pictures.coefficients_figure(study),
        pictures.maps_figure(study),
        pictures.masks_figure(reference, scales=(1.0, 2.0)),
    )
    assert [len(figure.axes) for figure in figures] == [3, 7, 4]
    assert all(png(figure, 50).startswith(b"\x89PNG") for figure in figures)
