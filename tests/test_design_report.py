"""Pictures and the page of an optimal design."""

from __future__ import annotations

import base64
import functools
import html
import json
import pickle
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro_design.sentences import code

SCANS = np.arange(60)
FRAME = {"x": np.clip((SCANS - 10) / 15, 0, 1), "t": SCANS / 60}
CALL: dict[str, Any] = {"contrast": "x", "columns": 3, "fix": ["x", "t"], "snr": [{"x": 1, "t": 0.5}, {"x": 0, "t": 1}]}
EVENTS = {"onset": [10.0, 31, 50, 77], "duration": [1.0] * 4, "trial_type": ["go"] * 4}
KINDS = ["design", "responses", "filter", "fits", "bias", "variance", "misfit", "pareto", "columns", "phi", "search",
         "power", "roc", "estimates"]  # fmt: skip


@functools.cache
def optimal() -> Any:
    return fn.optimize_design("~ center(shift(x, 0, 7)) + center(t)", FRAME, **CALL)


@functools.cache
def of_events() -> Any:
    return fn.optimize_design(
        "~ hrf(trial_type) + cosine(60)", EVENTS, tr=2.0, volumes=60, contrast="go", columns=2, hrf=fn.HalfCosine(n=8)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_is_drawn_for_shifts_and_events(kind: str):
    for d in (optimal(), of_events()):
        figure = d.plot(kind)
        assert figure.axes and figure.axes[0].get_title(loc="left")
        assert figure.axes[0].lines or figure.axes[0].collections or figure.axes[0].texts


def test_a_plot_without_a_kind_has_four_pictures():
    assert [axes.get_title(loc="left") for axes in optimal().plot().axes] == [
        "Columns of the design",
        "Bias",
        "Variance",
        "Power",
    ]


def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="no picture 'shape'; there are design, responses"):
        optimal().plot("shape")


def test_the_curve_of_bias_is_the_answers():
    (_, line) = optimal().plot("bias").axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), 100 * optimal().bias[:8])


def test_the_dots_between_bias_and_variance_are_the_designs_own():
    for d in (
        optimal(),
        fn.optimize_design("~ center(shift(x, 0, 7)) + center(t)", FRAME, **CALL | {"max_bias": 0.02}),
    ):
        some = d.family.l != 0
        largest, rms = (line for line in d.plot("pareto").axes[0].lines if line.get_marker() == "o")
        assert largest.get_xdata()[0] == pytest.approx(100 * np.abs(d.bias[some]).max())
        assert rms.get_ydata()[0] == pytest.approx(1 + np.average(d.variance_change, weights=d.family.w))


# ---- the page ------------------------------------------------------------------------------------
@functools.cache
def page(make: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return Path(make().report(Path(folder) / "design.html")).read_text("utf-8")


def test_the_page_needs_nothing_else_and_holds_the_design():
    text = page(optimal)
    assert "http://" not in text and "https://" not in text and "<script" not in text
    (data,) = re.findall(r'download="design.json" href="data:application/json;base64,([^"]*)"', text)
    kept = json.loads(base64.b64decode(data))
    np.testing.assert_array_equal(np.array(kept["design"]), optimal().design.to_numpy())


def test_the_code_of_the_page_makes_the_design_again():
    text = html.unescape(page(optimal))
    call = re.search(r"fn\.optimize_design\(.*\)", text)
    assert call is not None
    again = eval(call[0].replace('"data.csv"', "FRAME"), {"fn": fn, "FRAME": FRAME})
    np.testing.assert_array_equal(again.design.to_numpy(), optimal().design.to_numpy())


@pytest.mark.parametrize("make", [optimal, of_events])
def test_the_code_of_the_page_runs_beside_the_pages_own_table(make: Any, tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    (data,) = re.findall(r'download="data.csv" href="data:text/csv;charset=utf-8;base64,([^"]*)"', page(make))
    Path("data.csv").write_bytes(base64.b64decode(data))
    again: dict[str, Any] = {}
    exec(code(make()), again)
    np.testing.assert_allclose(again["d"].design, make().design, rtol=1e-9, atol=1e-12)  # digits of the file


def test_an_answer_of_functions_can_be_kept_and_its_code_says_what_it_leaves_out():
    shapes = {"quick": lambda t: t * np.exp(-t / 2), "slow": lambda t: t**2 * np.exp(-t / 2)}
    d = fn.optimize_design("~ hrf(trial_type)", EVENTS, tr=2.0, volumes=60, contrast="go", columns=2, hrf=shapes)
    again = pickle.loads(pickle.dumps(d))
    np.testing.assert_array_equal(again.design, d.design)
    assert 'hrf={"quick": ..., "slow": ...}' in code(again) and "... stands for what was given" in code(again)


def test_the_page_of_events_has_the_other_packages_analyses():
    text = page(of_events)
    assert "spm response + derivative + dispersion" in text and "fn.HalfCosine(n=8, " in text


def test_a_page_that_cannot_be_written_is_refused_before_work(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="make it first"):
        optimal().report(tmp_path / "absent" / "design.html")


def test_the_summary_says_what_was_found_the_bias_and_what_to_ask_next():
    said = of_events().summary()
    assert "(2 found, " in said and "contrast  free1: 1, 0 elsewhere" in said
    assert f"{100 * np.abs(of_events().bias).max():.1f} % at most" in said and ".compare()" in said


# ---- columns -------------------------------------------------------------------------------------
def test_the_table_of_columns_has_this_designs_objective_and_the_fewest_that_hold_the_contrast():
    for d in (optimal(), of_events()):
        table = d.columns().set_index("columns")
        assert table.loc[d.design.shape[1], "objective"] == pytest.approx(d.objective, rel=1e-9)
    assert optimal().columns()["columns"].iloc[0] == 2  # x and t are fixed and hold it
    assert of_events().columns()["columns"].iloc[0] == of_events().design.shape[1] - 1


def test_more_columns_are_those_of_a_call_that_asks_for_them():
    more = fn.optimize_design("~ center(shift(x, 0, 7)) + center(t)", FRAME, **CALL | {"columns": 5})
    assert optimal().columns([5])["objective"].item() == pytest.approx(more.objective, rel=1e-9)
