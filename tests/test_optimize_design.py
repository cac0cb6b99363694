"""fn.optimize_design: the paper's figures, the candidates of a formula, files, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError
from formula_neuro_design.blocks import Asked, blocks
from formula_neuro_design.candidates import candidates
from formula_neuro_design.constraints import first_columns
from formula_neuro_design.objective import objective
from formula_neuro_design.paper import initial_design

FORMULA = "~ center(shift(infusion, 0, 49)) + center(drift)"
SCANS = np.arange(598)
FRAME = pd.DataFrame({"infusion": np.clip((SCANS - 116) / 168, 0, 1), "drift": SCANS / 598})
CALL: dict[str, Any] = {
    "contrast": "infusion", "columns": 3, "fix": ["infusion", "drift"], "snr": {"infusion": 1, "drift": 0.5},
}  # fmt: skip
SMALL = {"x": np.clip((SCANS[:60] - 10) / 15, 0, 1), "t": SCANS[:60] / 60}


def signs(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"infusion": a, "drift": b} for a, b in pairs]


def small(text: str = "~ center(shift(x, 0, 7)) + center(t)", **changes: Any) -> Any:
    settings: dict[str, Any] = {"contrast": "x", "columns": 3, "fix": ["x", "t"], **changes}
    return fn.optimize_design(text, SMALL, **settings)


# ---- the paper's figures ---------------------------------------------------------------------------
# G is printed with six decimals, and the paper's designs are known to about 1e-6: half a unit of the last and as much.
@pytest.mark.parametrize(("free", "printed"), [(False, 2.693467), (True, 0.265484)])
def test_the_objective_is_the_papers(free: bool, printed: float):
    d = fn.optimize_design(FORMULA, FRAME, **CALL | {"columns": 4, "free_contrast": free})
    assert d.objective == pytest.approx(printed, abs=1.2e-6)


def test_a_free_contrast_is_the_papers_in_the_fixed_columns():
    d = fn.optimize_design(FORMULA, FRAME, **CALL | {"columns": 4, "free_contrast": True})
    np.testing.assert_allclose(d.contrast[:2], [0.73519, 0.47890], atol=1e-5)  # printed with five decimals


# The paper prints bounds of its curves with two or three decimals: .004 for bias and .006 for variance.
@pytest.mark.parametrize(
    ("changes", "bias_36", "bias_50", "first", "last"),
    [
        ({}, 0.05, 0.12, 0.096, None),
        ({"phi": "A", "k": 1000}, 0.01, 0.03, 0.345, 0.07),
        ({"phi": 0.1}, None, 0.055, 0.195, None),
    ],
    ids=["example 1", "example 2", "example 3"],
)
def test_bias_and_variance_are_the_papers(changes: Any, bias_36: Any, bias_50: float, first: float, last: Any):
    d = fn.optimize_design(FORMULA, FRAME, **CALL | changes)
    assert abs(d.bias[-1]) == pytest.approx(bias_50, abs=0.004)
    assert d.variance_change[0] == pytest.approx(first, abs=0.006)
    assert bias_36 is None or np.abs(d.bias[:36]).max() < bias_36 + 0.004
    assert last is None or d.variance_change[-1] == pytest.approx(last, abs=0.006)


def test_blocks_of_signs_and_null_designs_are_the_papers_example_4():
    pairs = signs((1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5), (0, 1), (0, -1))
    d = fn.optimize_design(FORMULA, FRAME, contrast="infusion", columns=3, snr=pairs, phi=0.01)
    table = d.to_frame()
    assert table["block"].value_counts(sort=False).tolist() == [50, 50, 50, 50, 1, 1]
    blocks = [own["variance_change"] for _, own in table[table["block"] < 5].groupby("block")]
    for change in blocks:
        assert change.iloc[[0, -1]].tolist() == pytest.approx([0.32, 0.05], abs=0.006)
    assert np.abs(d.bias).max() < 0.024 and d.variance_bias.max() < 2e-3


def test_a_delayed_response_is_estimated_with_the_bias_that_is_told():
    d = fn.optimize_design(FORMULA, FRAME, **CALL)
    late = np.concatenate([np.zeros(40), FRAME["infusion"].to_numpy()[:-40]])
    y = 3 * (late - late.mean()) + 1.5 * (FRAME["drift"] - FRAME["drift"].mean()).to_numpy()
    estimate = d.contrast @ np.linalg.lstsq(d.design.to_numpy(), y, rcond=None)[0]
    assert estimate / 3 - 1 == pytest.approx(d.bias[40], abs=1e-9)  # both are least squares, without noise


# ---- designs of a formula --------------------------------------------------------------------------
def test_a_shift_moves_the_raw_column_later_and_is_centred_afterwards():
    found = candidates("~ center(shift(x, -1, 2)) + t", pd.DataFrame({"x": [1.0, 2, 4, 8], "t": [0.0, 1, 2, 3]}))
    rows = np.array([[2, 4, 8, 0], [1, 2, 4, 8], [0, 1, 2, 4], [0, 0, 1, 2]], dtype=float)
    np.testing.assert_allclose(found.X[:, :, 0], rows - rows.mean(axis=1, keepdims=True), atol=1e-15)
    np.testing.assert_array_equal(found.X[:, :, 1], [[0, 1, 2, 3]] * 4)
    assert found.table["shift"].tolist() == [-1, 0, 1, 2] and found.names == ("x", "t")
    np.testing.assert_array_equal(found.first, found.X[1])


def test_a_formula_without_a_shift_is_one_design():
    d = small("~ center(x) + center(t)", columns=2)
    assert len(d.bias) == 1 and d.bias[0] == pytest.approx(0, abs=1e-12)  # the truth itself is fitted


def test_two_terms_of_one_variable_are_named_by_their_text():
    d = small("~ shift(x, 0, 5) + t + I(t^2)", fix=["x", "I(t^2)"], columns=3)
    assert list(d.design.columns) == ["x", "I(t^2)", "free1"]


def test_fixed_columns_are_the_terms_at_shift_0_to_the_last_bit():
    x = SMALL["x"] - SMALL["x"].mean()
    assert (small().design["x"].to_numpy() == x).all()


def test_a_contrast_that_is_not_fixed_stands_at_the_first_free_column():
    d = small(fix=["t"])
    assert list(d.design.columns) == ["t", "free1", "free2"] and d.contrast.tolist() == [0, 1, 0]


def test_free_columns_end_at_a_peak_of_1():
    d = small(columns=4)
    assert d.design[["free1", "free2"]].max().tolist() == pytest.approx([1, 1], rel=1e-12)


def test_the_objective_told_is_that_of_the_design_and_contrast_told():
    for free in (False, True):
        d = small(free_contrast=free)
        designs = candidates("~ center(shift(x, 0, 7)) + center(t)", pd.DataFrame(SMALL))
        family = blocks([designs], np.eye(2)[:1], Asked()).family
        assert objective(d.design.to_numpy(), d.contrast, family) == pytest.approx(d.objective, rel=1e-9)


def test_the_unit_of_a_column_changes_nothing():
    d = small(free_contrast=True)
    far = fn.optimize_design(
        "~ center(shift(x, 0, 7)) + center(t)", SMALL | {"x": 1e12 * SMALL["x"]}, contrast="x", columns=3,
        fix=["x", "t"], snr={"x": 1e-12, "t": 1}, free_contrast=True,
    )  # fmt: skip
    np.testing.assert_allclose(far.bias, d.bias, atol=1e-7)  # the objective is flat at its least value


# ---- the paper's own search ------------------------------------------------------------------------
@pytest.mark.parametrize("free", [False, True])
def test_algorithm_1_keeps_the_constraints_and_ends_above_the_exact_solver(free: bool):
    paper, exact = small(method="paper", free_contrast=free), small(free_contrast=free)
    assert (paper.design["x"] == exact.design["x"]).all() and (free or paper.contrast.tolist() == [1, 0, 0])
    assert exact.objective <= paper.objective * (1 + 1e-9) and paper.objective < 1.05 * exact.objective
    assert any('method="exact"' in text for text in paper.messages)


def test_algorithm_1_starts_from_section_2_b():
    designs = candidates("~ center(shift(x, 0, 7)) + center(t)", pd.DataFrame(SMALL))
    own = blocks([designs], np.eye(2)[:1], Asked())
    nothing = first_columns(np.zeros((60, 0)), 3, np.eye(3)[0])
    Z, c = initial_design(own.signal, own.family.l, nothing)
    shifted = designs.X[:, :, 0]
    np.testing.assert_allclose(Z[:, 0], shifted.mean(axis=0), atol=1e-12)  # equal amplitudes: the plain mean
    left = shifted.T - shifted.mean(axis=0)[:, None]
    kept = np.linalg.norm(left - Z[:, 1:] @ (Z[:, 1:].T @ left))
    assert kept == pytest.approx(np.sqrt((np.linalg.svd(left)[1][2:] ** 2).sum()), rel=1e-9)  # Eckart and Young
    assert c.tolist() == [1, 0, 0]


# ---- what is told ----------------------------------------------------------------------------------
def test_the_trap_of_a_free_contrast_is_told_and_signs_take_it_away():
    both = [{"x": 1, "t": 1}, {"x": 1, "t": -1}, {"x": 0, "t": 1}, {"x": 0, "t": -1}]
    assert any("t has one sign in all designs" in text for text in small(free_contrast=True).messages)
    assert not any("one sign" in text for text in small(free_contrast=True, snr=both).messages)
    assert not any("one sign" in text for text in small().messages)


def test_a_design_of_free_columns_alone_says_that_t_is_not_students():
    assert any("not Student's" in text for text in small(fix=[]).messages)


def test_the_summary_has_the_objective_and_the_notes():
    d = small(fix=[])
    said = d.summary()
    assert f"{d.objective:.6f}" in said and f"Note: {d.messages[0]}" in said


# ---- files and nilearn -----------------------------------------------------------------------------
def read_fsl(path: Path) -> tuple[dict[str, str], np.ndarray]:
    head, _, body = path.read_text().partition("/Matrix\n")
    words = dict(line.split("\t", 1) for line in head.splitlines() if line)
    return words, np.array([[float(x) for x in line.split()] for line in body.splitlines()])


def test_fsls_files_hold_the_design_and_the_contrast(tmp_path: Path):
    d = small()
    mat, con = d.to_fsl(tmp_path / "model")
    words, Z = read_fsl(mat)
    assert (words["/NumWaves"], words["/NumPoints"]) == ("3", "60")
    heights = [float(x) for x in words["/PPheights"].split()]
    assert heights == pytest.approx(np.ptp(d.design.to_numpy(), axis=0), rel=1e-12)  # thirteen digits are written
    np.testing.assert_allclose(Z, d.design, rtol=0, atol=1e-12)
    words, c = read_fsl(con)
    assert (words["/NumWaves"], words["/NumContrasts"], words["/ContrastName1"]) == ("3", "1", "x")
    assert c.tolist() == [[1, 0, 0]]


def test_columns_with_a_mean_are_not_written_for_fsl(tmp_path: Path):
    with pytest.raises(DataError, match=r"column 'x' has the mean .* put every term of the formula in center"):
        small("~ shift(x, 0, 7) + center(t)").to_fsl(tmp_path / "model")


def test_nilearn_takes_the_design_and_estimates_by_it():
    nibabel = pytest.importorskip("nibabel")
    first_level = pytest.importorskip("nilearn.glm.first_level")
    d = small()
    data = np.random.default_rng(1).standard_normal((2, 1, 1, 60)).astype(np.float32)
    images = nibabel.Nifti1Image(data, np.eye(4)), nibabel.Nifti1Image(np.ones((2, 1, 1), np.int8), np.eye(4))
    model = first_level.FirstLevelModel(
        mask_img=images[1], noise_model="ols", signal_scaling=False, minimize_memory=False
    )
    model.fit(images[0], design_matrices=d.design)
    found = model.compute_contrast(d.contrast, output_type="effect_size").get_fdata().ravel()
    own = d.contrast @ np.linalg.lstsq(d.design.to_numpy(), data.reshape(2, 60).T.astype(float), rcond=None)[0]
    np.testing.assert_allclose(found, own, rtol=1e-4, atol=1e-5)  # nilearn computes in single precision


# ---- what is refused -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"contrast": "y"}, "contrast names 'y'; the formula's variables are x, t"),
        ({"fix": ["x", "y"]}, "fix names 'y'"),
        ({"fix": ["x", "x"]}, "fix names a variable twice"),
        ({"columns": 1}, "2 columns are fixed, but the design has 1"),
        ({"columns": 60}, "columns is 60 and the data has 60 scans"),
        ({"columns": 11}, "span 9 directions and the design would have 11 columns, .* ask for 2 fewer"),
        ({"columns": 2.5}, "columns is 2.5; a whole number"),
        ({"starts": 0}, "starts is 0"),
        ({"method": "best"}, "method is 'best'"),
        ({"method": "paper", "starts": 2}, "starts belongs to method"),
        ({"method": "paper", "columns": 10}, "a column more than there are designs, 9, not 10"),
        ({"fix": ["t"], "columns": 1}, "no column is left for the contrast: fix 'x' too"),
        ({"snr": {"x": 1}}, "snr says nothing of t; give 0"),
        ({"snr": {"x": 1, "t": 0, "u": 1}}, "snr names 'u'"),
        ({"snr": "strong"}, "snr is 'strong'; a number"),
        ({"snr": "1"}, "snr is '1'; a number"),
        ({"snr": {"x": True, "t": 0}}, "snr is .*; a number"),
        ({"free_contrast": "yes"}, "free_contrast is 'yes'; True or False"),
        ({"starts": "2"}, "starts is '2'; a whole number from 1"),
        ({"snr": np.inf}, "snr is inf; a number"),
        ({"snr": []}, "snr is an empty list"),
        ({"snr": 0}, "the contrast is 0 in every design"),
        ({"phi": 1.0}, "phi is 1; at least 0"),
        ({"phi": -0.1}, "phi is -0.1"),
        ({"phi": 0}, "no design has a phi above 0"),
        ({"phi": "C"}, "phi is 'C'"),
        ({"phi": [0.5, 0.5]}, "phi has 2 entries and snr 1"),
        ({"k": 10}, "k belongs to phi"),
        ({"phi": "A", "k": 0}, "k is 0; a number above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: Any, said: str):
    with pytest.raises(DataError, match=said):
        small(**changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y ~ x + t", "a design has a right side of fixed terms only"),
        ("~ x + (1|t)", "a design has a right side of fixed terms only"),
        ("~ 1", "no terms"),
        ("~ x:t", "x:t: a design is a sum of columns"),
        ("~ shift(x, 0, 3) + shift(t, 0, 3)", "one shift"),
        ("~ shift(x, 0, 1.5) + t", "two whole numbers of scans"),
        ("~ shift(x, 3) + t", "two whole numbers of scans"),
        ("~ shift(x, 5, 2) + t", "from 5 to 2"),
        ("~ shift(x, 0, 60) + t", "moves all 60 scans out"),
        ("~ shift(u, 0, 6) + t", "u is not a column"),
        ("~ center(shift(x, 0, 3)) + 1", "a design gets no intercept; give a column of ones"),
    ],
)
def test_formulas_that_make_no_design_are_refused(text: str, said: str):
    with pytest.raises(FormulaError, match=said):
        small(text)


def test_a_number_within_a_term_is_no_intercept():
    assert small(
        "~ center(shift(I(x + 1 + t), 0, 3)) + center(t) + 0", contrast="t", fix=["t"], columns=2
    ).bias.shape == (4,)


def test_data_that_make_no_design_are_refused():
    with pytest.raises(DataError, match="x is missing or infinite in row 3"):
        fn.optimize_design("~ shift(x, 0, 2) + t", SMALL | {"x": [1, 2, np.nan] * 20}, contrast="x", columns=2)
    with pytest.raises(DataError, match="x, t at shift 0 are collinear or 0"):
        fn.optimize_design("~ shift(x, 0, 2) + t", SMALL | {"x": 2 * SMALL["t"]}, contrast="x", columns=2)
    with pytest.raises(DataError, match="x, t at shift 50 are collinear or 0"):
        small("~ center(shift(x, 50, 55)) + center(t)")
    with pytest.raises(DataError, match="texts or factor levels"):
        fn.optimize_design("~ x + t", SMALL | {"t": ["a", "b"] * 30}, contrast="x", columns=2)
