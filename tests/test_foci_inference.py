"""Contrasts, homogeneity, thresholds and influence of meta-regressions, on fits made by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import formula_neuro as fn
from formula_neuro.errors import FormulaError, Unable
from formula_neuro.foci.fit import FociFit
from formula_neuro.foci.inference.hypotheses import hypothesis
from formula_neuro.foci.inference.influence import influences, study_names
from formula_neuro.foci.inference.moderators import moderator_precision
from formula_neuro.foci.inference.wald import of_z

sys.path.insert(0, str(Path(__file__).parent))
from foci_by_hand import simulated, studies


@pytest.fixture(scope="module")
def groups() -> FociFit:
    """Four cells with names that are hard to read, 60 studies, two moderators."""
    table = studies(60).assign(group=np.tile(["pain", "non-pain", "a:b c", "a:b"], 15))
    table = table.assign(age=np.random.default_rng(3).normal(size=60))
    return simulated(table, 1, different=1.5, formula="foci ~ z + age")


@pytest.fixture(scope="module")
def slope() -> FociFit:
    """One baseline, and a map of the effect of z that rises in one half."""
    return simulated(studies(60), 2, group=None, effect="z", different=1.0)


# ---- hypotheses ----------------------------------------------------------------------------------
def test_names_with_signs_blanks_and_colons_match_longest_first(groups) -> None:
    assert groups.cells == ("a:b", "a:b c", "non-pain", "pain")
    assert hypothesis(groups, "non-pain - pain").matrix.tolist() == [[0, 0, 1, -1]]
    assert hypothesis(groups, "a:b c - a:b").matrix.tolist() == [[-1, 1, 0, 0]]
    assert hypothesis(groups, "`a:b` - 0.5*pain - 0.5*`non-pain`").matrix.tolist() == [[1, 0, -0.5, -0.5]]


def test_a_matrix_counts_the_cells_and_is_carried(groups) -> None:
    rows = [[1, -1, 0, 0], [1, 0, -1, 0], [0, 0, 1, -1]]
    found = fn.contrast(groups, rows, vcov="robust")
    assert found.matrix.tolist() == rows
    assert found.weights.columns.tolist() == list(groups.cells)


def test_moderators_are_told_from_maps_by_name(groups) -> None:
    assert not hypothesis(groups, "z - age").spatial
    with pytest.raises(ValueError, match="mixes maps"):
        hypothesis(groups, "pain - z")
    with pytest.raises(FormulaError):
        hypothesis(groups, "pain - nonsense")


def test_a_single_intensity_is_refused_and_points_to_homogeneity(groups) -> None:
    with pytest.raises(ValueError, match="homogeneity"):
        fn.contrast(groups, "pain")
    with pytest.raises(ValueError, match="sum to 0"):
        fn.contrast(groups, {"pain": 1.0, "non-pain": -0.5})


def test_families_name_their_comparisons(groups) -> None:
    pairs = fn.contrast(groups, "pairwise", test="wald")
    assert list(pairs)[:2] == ["a:b - a:b c", "a:b - non-pain"] and len(pairs) == 6
    assert list(fn.contrast(groups, "reference", reference="pain", test="wald"))[-1] == "non-pain - pain"
    assert list(fn.contrast(groups, "consecutive", test="wald")) == [
        "a:b c - a:b",
        "non-pain - a:b c",
        "pain - non-pain",
    ]
    assert list(fn.contrast(groups, "zero")) == ["z", "age"]
    with pytest.raises(ValueError, match="belongs to the family 'reference'"):
        fn.contrast(groups, "pairwise", reference="pain")
    with pytest.raises(ValueError, match="no cell"):
        fn.contrast(groups, "reference", reference="rest")


def test_a_mapping_names_several_tests(groups) -> None:
    found = fn.contrast(groups, {"one": "pain - `non-pain`", "all": [[1, -1, 0, 0], [0, 1, -1, 0]], "who": "z"})
    assert list(found) == ["one", "all", "who"]
    assert found.to_frame()["rows"].tolist() == [1, 2, 1]
    assert ("z", "one") in found.maps and ("statistic", "all") in found.maps
    assert set(found.threshold("none")) == {"one", "all"}


# ---- contrasts of maps ---------------------------------------------------------------------------
def test_z_is_the_difference_over_its_standard_error(groups) -> None:
    engine = groups.engine
    found = fn.contrast(groups, "pain - `non-pain`", vcov="fisher")
    away = engine.expand(engine.b[3:4] - engine.b[2:3])[0]
    V = engine.variance(np.eye(4)[[3, 2]], "fisher")
    variance = V[:, 0, 0] + V[:, 1, 1] - 2 * V[:, 0, 1]  # moderators make the cells' maps covary
    np.testing.assert_allclose(found.values["z"], away / np.sqrt(variance), rtol=1e-10)
    np.testing.assert_allclose(found.values["p"], 2 * stats.norm.sf(np.abs(found.values["z"])), rtol=1e-10)


def test_a_row_that_repeats_another_counts_once(groups) -> None:
    alone = fn.contrast(groups, "pain - `non-pain`", vcov="robust")
    twice = fn.contrast(groups, ["pain - `non-pain`", "`non-pain` - pain"], vcov="robust")
    np.testing.assert_allclose(twice.values["statistic"], alone.values["z"] ** 2, rtol=1e-8)
    np.testing.assert_allclose(twice.values["p"], alone.values["p"], rtol=1e-8)


def test_a_joint_test_is_walds_chi_squared(groups) -> None:
    engine = groups.engine
    R = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    found = fn.contrast(groups, R, vcov="observed")
    d = engine.expand(R @ engine.b)
    V = engine.variance(R, "observed")
    for v in (0, 200, 400):
        statistic = d[:, v] @ np.linalg.inv(V[v]) @ d[:, v]
        assert found.values["statistic"][v] == pytest.approx(statistic, rel=1e-9)
        assert found.values["p"][v] == pytest.approx(stats.chi2.sf(statistic, 2), rel=1e-9)
    assert not found.signed and found.row(1).label == "row 2"


def test_contradicting_rows_are_refused(groups) -> None:
    with pytest.raises(ValueError, match="contradict"):
        fn.contrast(groups, ["pain - `non-pain` = 0", "pain - `non-pain` = 1"])


def test_a_shape_contrast_does_not_see_how_many_foci_there_are(groups) -> None:
    engine = groups.engine
    found = fn.contrast(groups, "pain - `non-pain`", what="shape", vcov="fisher")
    maps = engine.expand(engine.b)
    shapes = maps - special.logsumexp(maps, axis=1, keepdims=True)
    np.testing.assert_allclose(found.values["estimate"], shapes[3] - shapes[2], atol=1e-10)


def test_p_values_that_round_to_zero_keep_their_logarithm() -> None:
    found = of_z(np.array([60.0, 0.0]))
    assert found["p"][0] == 0.0
    assert found["logp"][0] == pytest.approx(-(np.log(2) + stats.norm.logsf(60)) / np.log(10), rel=1e-12)
    assert found["p"][1] == 1.0


def test_the_score_test_agrees_with_walds_where_there_are_many_foci() -> None:
    fit = simulated(studies(100), 5, different=0.7, per=60)
    score, wald = (fn.contrast(fit, "a - b", test=test).values["z"] for test in ("score", "wald"))
    assert np.corrcoef(score, wald)[0, 1] > 0.97
    assert np.sqrt(((score - wald) ** 2).mean()) < 0.6  # z reach 7; their denominators differ


def test_the_score_test_of_two_cells_takes_no_notice_of_the_others() -> None:
    four = simulated(studies(60, groups="abcd"), 5, different=0.7)
    two = fn.contrast(four, "a - b", test="score").values["z"]
    names, code = np.array(["c & d", "a", "b"]), np.array([1, 2, 0, 0])[four.request.group]
    three = four.engine.refit(
        replace(
            four.request,
            L=(code[:, None] == np.arange(3)).astype(float),
            maps=tuple(names),
            cells=dict(zip(names, np.eye(3), strict=True)),
            group=code,
        )
    )
    np.testing.assert_allclose(fn.contrast(three, "a - b", test="score").values["z"], two, rtol=1e-6, atol=1e-8)


def test_comparisons_are_score_tests_unless_a_covariance_is_named(groups) -> None:
    found = fn.contrast(groups, "pain - `non-pain`")
    assert found.test == "score" and "hold their level" in found.messages[0]
    assert fn.contrast(groups, "pain - `non-pain`", vcov="robust").test == "wald"


def test_an_effect_of_a_number_is_found_where_it_is(slope) -> None:
    half = np.unravel_index(slope.brain.voxels, slope.brain.grid.shape)[0] >= 5
    for options in ({"test": "wald"}, {"test": "score"}, {"test": "wald", "what": "shape"}):
        z = fn.contrast(slope, "z", **options).values["z"]
        assert np.median(z[half]) > 1.5 > 0.5 > np.median(z[~half]), options


def test_values_other_than_zero_have_wald_tests_alone(groups) -> None:
    assert fn.contrast(groups, "pain - `non-pain` = 0.5").test == "wald"
    with pytest.raises(Unable, match="other than 0"):
        fn.contrast(groups, "pain - `non-pain` = 0.5", test="score")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"what": "level"}, "intensity, shape"),
        ({"vcov": "HC3"}, "quasi, fisher, observed, robust"),
        ({"vcov": "quasi"}, "maps have fisher"),
        ({"test": "lr"}, "wald, score"),
    ],
)
def test_unknown_words_are_answered_by_the_known(groups, options, said) -> None:
    with pytest.raises(ValueError, match=said):
        fn.contrast(groups, "pain - `non-pain`", **options)


def test_arguments_of_tables_are_refused(groups) -> None:
    with pytest.raises(Unable, match="take vcov= and test="):
        fn.contrast(groups, "pain - `non-pain`", df="residual")
    m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
    with pytest.raises(Unable, match="are of foci"):
        fn.contrast(m, "x", what="shape")


def test_words_for_covariances_of_tables_and_of_foci_are_told_apart(groups) -> None:
    with pytest.raises(ValueError, match=r"vcov='HC3' is not known; there are .*robust"):
        fn.contrast(groups, "pain - `non-pain`", vcov="HC3")
    m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
    with pytest.raises(ValueError, match=r"vcov='robust'.*HC3"):
        fn.contrast(m, "x", vcov="robust")


# ---- homogeneity ---------------------------------------------------------------------------------
def test_homogeneity_compares_a_shape_with_an_even_brain(groups) -> None:
    found = fn.homogeneity(groups, vcov="fisher")["pain"]
    eta = groups.engine.expand(groups.engine.b[3:4])[0]
    estimate = eta - special.logsumexp(eta) + np.log(len(eta))
    se = np.sqrt(groups.engine.variance(np.eye(4)[[3]], "fisher", "shape")[:, 0, 0])
    np.testing.assert_allclose(found.values["z"], estimate / se, rtol=1e-9)
    np.testing.assert_allclose(found.values["p"], stats.norm.sf(found.values["z"]), rtol=1e-9)


def test_homogeneity_by_intensity_is_nimares(groups) -> None:
    found = fn.homogeneity(groups, "pain", test="intensity", vcov="fisher")["pain"]
    mine = groups.request.group == 3
    eta = groups.engine.expand(groups.engine.b[3:4])[0]
    even = groups.request.totals[mine].sum() / (mine.sum() * len(eta))
    se = np.sqrt(groups.engine.variance(np.eye(4)[[3]], "fisher")[:, 0, 0])
    np.testing.assert_allclose(found.values["z"], (eta - np.log(even)) / se, rtol=1e-9)


def test_thresholds_of_homogeneity_are_one_sided_by_themselves(groups) -> None:
    found = fn.homogeneity(groups)["pain"]
    p = found.values["p"]
    for method, oracle in (("bh", "bh"), ("by", "by")):
        kept = found.threshold(method, 0.2)
        assert kept.alternative == "greater"
        assert (kept.kept == (stats.false_discovery_control(p, method=oracle) <= 0.2)).all()
    assert (found.threshold("bonferroni").kept == (p * len(p) <= 0.05)).all()
    assert set(found.threshold("none", 0.2).to_frame()["sign"]) == {"+"}
    assert found.threshold("none", 0.2, alternative="two.sided").kept.sum() != found.threshold("none", 0.2).kept.sum()


def test_unknown_cells_and_words_of_homogeneity(groups) -> None:
    with pytest.raises(ValueError, match="no cell"):
        fn.homogeneity(groups, "rest")
    with pytest.raises(ValueError, match="shape, intensity"):
        fn.homogeneity(groups, test="level")
    with pytest.raises(ValueError, match="fisher, observed, robust"):
        fn.homogeneity(groups, vcov="quasi")


# ---- moderators ----------------------------------------------------------------------------------
def test_a_difference_of_moderators_takes_their_covariance_along(groups) -> None:
    found = fn.contrast(groups, "z - age")
    V = groups.phi * groups.engine.moderator_covariance("fisher")
    se = np.sqrt(V[0, 0] + V[1, 1] - 2 * V[0, 1])
    t = (groups.engine.gamma[0] - groups.engine.gamma[1]) / se
    assert found.to_frame()["statistic"][0] == pytest.approx(t, rel=1e-10)
    assert found.to_frame()["df"][0] == 60 - 4 - 2
    assert found.to_frame()["p_value"][0] == pytest.approx(2 * stats.t.sf(abs(t), 54), rel=1e-9)


def test_moderators_are_tested_jointly_by_f(groups) -> None:
    found = fn.contrast(groups, ["z", "age"])
    g, V = groups.engine.gamma, groups.phi * groups.engine.moderator_covariance("fisher")
    F = g @ np.linalg.solve(V, g) / 2
    assert found.joint["statistic"][0] == pytest.approx(F, rel=1e-9)
    assert found.joint["p_value"][0] == pytest.approx(stats.f.sf(F, 2, 54), rel=1e-9)


def test_studies_with_several_analyses_are_clusters_by_default() -> None:
    table = studies(40).assign(study=np.repeat([f"s{i}" for i in range(20)], 2))
    fit = simulated(table, 3, formula="foci ~ z")
    own = moderator_precision(fit)
    assert (own.word, own.df) == ("robust", 20 - 2 - 1)
    assert moderator_precision(fit, "quasi").df == 40 - 2 - 1
    assert moderator_precision(fit, "fisher").df == np.inf


# ---- influence -----------------------------------------------------------------------------------
def test_influences_of_all_studies_cancel_and_make_the_robust_variance() -> None:
    fit = simulated(studies(40), 4, per=30)
    found = fn.contrast(fit, "a - b", vcov="robust")
    L = influences(found)
    np.testing.assert_allclose(40 / 39 * (L**2).sum(axis=0), found.values["se"] ** 2, rtol=1e-8)


def test_influence_is_what_the_estimate_loses_without_the_study() -> None:
    fit = simulated(studies(60), 4, per=30)
    found = fn.contrast(fit, "a - b", vcov="robust", what="shape")
    request = fit.request
    left = np.flatnonzero(request.cluster != 7)
    number = np.full(60, -1)
    number[left] = np.arange(59)
    own = number[request.located.analysis]
    located = replace(
        request.located,
        points=request.located.points[own >= 0],
        voxel=request.located.voxel[own >= 0],
        analysis=own[own >= 0],
    )
    design = replace(request.design, matrix=request.design.matrix[left], offset=request.design.offset[left])
    without = fit.engine.refit(
        replace(request, L=request.L[left], group=request.group[left], cluster=number[request.cluster[left]],
                located=located, design=design)
    )  # fmt: skip
    change = found.values["estimate"] - fn.contrast(without, "a - b", vcov="robust", what="shape").values["estimate"]
    L = influences(found)[7]
    assert np.corrcoef(change, L)[0, 1] > 0.98  # the first order of a change that is not small


def test_the_studies_that_drive_a_cluster_are_named() -> None:
    fit = simulated(studies(40), 1, different=1.5)
    found = fn.homogeneity(fit)["b"]
    table = found.studies(found.threshold("none", 0.01), top=2)
    assert table["cluster"].value_counts().max() == 2
    assert table["study"].isin(study_names(fit)).all() and table["share"].between(0, 1).all()
    assert (table["change"] > 0).iloc[0] and table["foci"].iloc[0] > 0
    assert found.influence(table["study"][0]).shape == fit.brain.grid.shape
    empty = found.studies(found.threshold("bonferroni", 1e-30))
    assert isinstance(empty, pd.DataFrame) and not len(empty)


def test_maps_of_a_contrast_are_written_with_their_sidecars(groups, tmp_path) -> None:
    found = fn.homogeneity(groups)["a:b c"]
    names = {path.rsplit("/", 1)[1] for path in found.to_nifti(tmp_path)}
    assert "contrast-aXBC_stat-logp_statmap.nii.gz" in names and "contrast-aXBC_stat-z_statmap.json" in names
    paths = found.threshold("none", 0.2).to_nifti(tmp_path)
    assert any(path.endswith("_clusters.tsv") for path in paths)
