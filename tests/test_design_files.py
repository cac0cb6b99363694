"""Optimal designs as files for FSL, SPM and others, and answers of several contrasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro_design.measures import measures
from formula_neuro_design.objective import objective

SCANS = np.arange(60)
FRAME = {"x": np.clip((SCANS - 10) / 15, 0, 1), "t": SCANS / 60}
EVENTS = {"onset": [10.0, 50.0, 90.0], "duration": [2.0] * 3, "trial_type": ["a"] * 3}


def of_scans(text: str = "~ center(shift(x, 0, 7)) + center(t)", **changes: Any) -> Any:
    return fn.optimize_design(text, FRAME, **{"contrast": "x", "columns": 3, "fix": ["x", "t"]} | changes)


def of_events(**changes: Any) -> Any:
    call: dict[str, Any] = {"contrast": "a", "columns": 2, "tr": 2.0, "volumes": 70, "hrf": fn.DoubleGamma(n=5)}
    return fn.optimize_design("~ hrf(trial_type) + cosine(128)", EVENTS, **call | changes)


def read_fsl(path: Path) -> tuple[dict[str, str], np.ndarray]:
    head, _, body = path.read_text().partition("/Matrix\n")
    words = dict(line.split("\t", 1) for line in head.splitlines() if line)
    return words, np.array([[float(x) for x in line.split()] for line in body.splitlines()])


def estimate(Z: np.ndarray, c: np.ndarray, y: np.ndarray) -> float:
    return float(c @ np.linalg.lstsq(Z, y, rcond=None)[0])


# ---- FSL -----------------------------------------------------------------------------------------
def test_a_constant_is_left_out_for_fsl_and_the_estimate_is_the_same(tmp_path: Path):
    d = of_events()
    mat, con = d.to_fsl(tmp_path / "design")
    words, Z = read_fsl(mat)
    c = read_fsl(con)[1][0]
    assert words["/NumWaves"] == "4" == str(len(d.design.columns) - 1)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    y = 100 + np.random.default_rng(1).standard_normal(70)
    # FEAT takes the mean of the data away; twelve digits are written
    assert estimate(Z, c, y - y.mean()) == pytest.approx(estimate(d.design.to_numpy(), d.contrast, y), rel=1e-9)


def test_several_contrasts_are_rows_of_fsls_file(tmp_path: Path):
    d = of_scans(contrast={"dose": "x", "drift": "t"}, columns=4)
    words, c = read_fsl(d.to_fsl(tmp_path / "design")[1])
    assert (words["/ContrastName1"], words["/ContrastName2"], words["/NumContrasts"]) == ("dose", "drift", "2")
    assert c.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    heights = [float(x) for x in words["/PPheights"].split()]
    assert heights == pytest.approx(np.ptp(d.design[["x", "t"]].to_numpy(), axis=0), rel=1e-12)


def test_fsls_matrix_begins_after_five_lines_of_head(tmp_path: Path):
    d = of_events()
    mat, _ = d.to_fsl(tmp_path / "design")
    lines = mat.read_text().splitlines()
    assert (
        lines[0].startswith("/NumWaves") and lines[1] == "/NumPoints\t70" and lines[3] == "" and lines[4] == "/Matrix"
    )
    table = pd.read_csv(mat, sep="\t", skiprows=5, header=None)
    np.testing.assert_allclose(table[0], d.design["free1"] - d.design["free1"].mean(), atol=1e-12)


# ---- SPM -----------------------------------------------------------------------------------------
def test_spm_has_regressors_names_and_contrasts(tmp_path: Path):
    d = of_events()
    found = loadmat(d.to_spm(tmp_path / "regressors"))
    assert [str(name[0]) for name in found["names"][0]] == ["free1", "free2", "drift_1", "drift_2"]
    assert str(found["contrast_names"][0, 0][0]) == "a" and found["contrasts"].tolist() == [[1, 0, 0, 0]]
    with_constant = np.column_stack([found["R"], np.ones(70)])  # which SPM adds
    y = 100 + np.random.default_rng(1).standard_normal(70)
    own = estimate(d.design.to_numpy(), d.contrast, y)
    assert estimate(with_constant, np.array([1.0, 0, 0, 0, 0]), y) == pytest.approx(own, rel=1e-9)


def test_one_stem_does_for_fsl_and_spm(tmp_path: Path):
    d = of_events()
    mat, _ = d.to_fsl(tmp_path / "design")
    assert d.to_spm(tmp_path / "design") == tmp_path / "design_spm.mat"
    assert mat.read_text().startswith("/NumWaves")


def test_a_design_of_fsl_is_not_replaced(tmp_path: Path):
    d = of_events()
    mat, _ = d.to_fsl(tmp_path / "design")
    with pytest.raises(DataError, match="is a design of FSL, which SPM's would replace"):
        d.to_spm(mat)


@pytest.mark.parametrize("write", ["to_fsl", "to_spm", "to_csv"])
def test_a_folder_that_is_not_there_is_said(tmp_path: Path, write: str):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist; make it first"):
        getattr(of_events(), write)(tmp_path / "nowhere" / "design")


def test_a_mean_without_a_constant_is_refused(tmp_path: Path):
    d = of_scans("~ shift(x, 0, 7) + center(t)")
    with pytest.raises(DataError, match=r"column 'x' has the mean .*SPM takes means away"):
        d.to_spm(tmp_path / "regressors.mat")


# ---- tables --------------------------------------------------------------------------------------
def test_tables_read_back_are_the_design_and_its_contrasts(tmp_path: Path):
    d = of_events()
    table, contrasts = d.to_csv(tmp_path / "design.csv")
    pd.testing.assert_frame_equal(pd.read_csv(table), d.design, check_exact=False, rtol=1e-14)
    row = pd.read_csv(contrasts)
    assert row["contrast"].tolist() == ["a"] and row.iloc[0, 1:].tolist() == d.contrast.tolist()
    assert (table.name, contrasts.name) == ("design.csv", "design_contrasts.csv")


# ---- several contrasts -----------------------------------------------------------------------------
def test_the_answer_for_one_of_several_contrasts_has_its_own_measures():
    d = of_scans(contrast=["x", "t"], columns=4, noise=0.3)
    parts = [d.of(label) for label in ("x", "t")]
    assert sum(part.objective for part in parts) == pytest.approx(d.objective, rel=1e-9)
    for i, part in enumerate(parts):
        seen = measures(part.white_design, part.contrast, part.white_family, part.g)
        np.testing.assert_allclose(part.bias, seen.bias, atol=1e-12)
        np.testing.assert_allclose(part.variance_change, d.variance_change[i], atol=1e-12)
        assert objective(part.white_design, part.contrast, part.white_family) == pytest.approx(
            part.objective, rel=1e-12
        )
    assert len(parts[0].power()) == 8 and parts[1].of("t") is parts[1]


def test_the_table_and_summary_of_several_contrasts_have_all():
    d = of_scans(contrast={"dose": "x", "drift": "t"}, columns=4)
    table = d.to_frame()
    assert table["contrast_of"].tolist() == ["dose"] * 8 + ["drift"] * 8
    assert table["bias"].tolist() == d.bias.ravel().tolist()
    assert "dose: Design of 60 scans" in d.summary() and "drift: Design of 60 scans" in str(d)


@pytest.mark.parametrize("verb", ["power", "roc", "simulate", "compare", "pareto", "plot"])
def test_what_is_of_one_contrast_says_how_to_ask_for_one(verb: str):
    d = of_scans(contrast=["x", "t"], columns=4)
    with pytest.raises(DataError, match=r"the design has 2 contrasts; ask for one of them first: .of\('x'\) or"):
        getattr(d, verb)()
    with pytest.raises(DataError, match="'y' is no contrast of this design; there are 'x', 't'"):
        d.of("y")


def test_the_usual_analyses_beside_one_of_several_contrasts_are_of_its_own_column():
    d = of_scans(contrast={"dose": "x", "drift": "t"}, columns=4)
    assert list(d.of("drift").first.columns) == ["t", "x"] and list(d.first.columns) == ["x", "t"]
    both = of_scans(contrast="x + t", columns=3)
    found = np.linalg.lstsq(both.first.to_numpy(), FRAME["x"] - FRAME["x"].mean(), rcond=None)[0]
    assert found[0] == pytest.approx(1)  # x alone has the contrast 1
    assert both.first.columns[0] == "x + t"
