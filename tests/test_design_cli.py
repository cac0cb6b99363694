"""`formula-neuro optimize-design`: results on stdout, files where they are asked for, one line an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import formula_neuro as fn
from formula_neuro.cli import app
from formula_neuro.errors import DataError
from formula_neuro.hrf import as_hrf

FORMULA = "~ center(shift(x, 0, 7)) + center(t)"
EVENTS = "onset\tduration\ttrial_type\n10\t2\tgo\n30\t2\tstop\n50\t2\tgo\n90\t2\tgo\n"
OF_EVENTS = ("~ hrf(trial_type) + cosine(128)", "events.tsv", "--contrast", "go", "--tr", "2", "--volumes", "70")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a table of scans and one of events."""
    monkeypatch.chdir(tmp_path)
    scans = np.arange(60)
    pd.DataFrame({"x": np.clip((scans - 10) / 15, 0, 1), "t": scans / 60}).to_csv("scans.csv", index=False)
    Path("events.tsv").write_text(EVENTS)
    return tmp_path


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["optimize-design", *words])


def scans(*words: str) -> Any:
    return run(FORMULA, "scans.csv", "--contrast", "x", "--columns", "3", "--fix", "x", "--fix", "t", *words)


def test_a_design_is_summarised():
    done = scans("--snr", "x=1,t=0.5", "--phi", "A", "--k", "100")
    d = fn.optimize_design(
        FORMULA, "scans.csv", contrast="x", columns=3, fix=["x", "t"], snr={"x": 1, "t": 0.5}, phi="A", k=100
    )
    assert done.exit_code == 0 and done.stdout.strip() == str(d.summary()).strip()


def test_an_option_given_again_is_another_block():
    found = json.loads(scans("--snr", "x=1,t=1", "--snr", "x=-1,t=1", "--snr", "0", "--json").stdout)
    assert [row["block"] for row in found["designs"]] == [1] * 8 + [2] * 8 + [3]
    assert [row["contrast"] for row in found["designs"]] == [1] * 8 + [-1] * 8 + [0]


def test_events_and_responses_are_said_in_words():
    done = run(*OF_EVENTS, "--columns", "2", "--hrf", "double-gamma(latency=-1:3, n=5)", "--noise", "0.3", "--json")
    found = json.loads(done.stdout)
    assert [row["latency"] for row in found["designs"]] == [-1, 0, 1, 2, 3]
    assert found["columns"] == ["free1", "free2", "stop", "drift_1", "drift_2", "constant"]
    call: dict[str, Any] = {"hrf": fn.DoubleGamma(latency=(-1, 3), n=5), "tr": 2.0, "volumes": 70, "noise": 0.3}
    d = fn.optimize_design(OF_EVENTS[0], "events.tsv", contrast="go", columns=2, **call)
    np.testing.assert_allclose(found["design"], d.design, atol=1e-12)


def test_criteria_are_options():
    limited = json.loads(scans("--max-bias", "0.05", "--json").stdout)
    assert max(abs(row["bias"]) for row in limited["designs"]) <= 0.05 * (1 + 1e-5)  # rounding of the search
    assert "of either sign" in scans("--snr", "x=1", "--nuisance", "t=1", "--minimax").stdout


def test_out_has_files_for_nilearn_fsl_and_spm(folder: Path):
    done = run(*OF_EVENTS, "--columns", "2", "--hrf", "double-gamma", "--out", "new/design", "--report", "design.html")
    assert done.exit_code == 0, done.stderr
    names = sorted(path.name for path in (folder / "new/design").iterdir())
    assert names == [
        "design.con", "design.csv", "design.mat", "design_contrasts.csv", "design_spm.mat", "designs.csv",
        "summary.txt",
    ]  # fmt: skip
    assert "<html" in (folder / "design.html").read_text() and "wrote design.html" in done.stderr


@pytest.mark.parametrize("wrong", [("--columns", "many"), ("--hrf", "nope"), ("--tr", "0")])
def test_a_command_that_fails_leaves_no_folder(folder: Path, wrong: tuple[str, ...]):
    assert run(*OF_EVENTS, *wrong, "--out", "none/of/these").exit_code == 2
    assert not (folder / "none").exists()


def test_a_file_in_the_place_of_the_folder_is_said(folder: Path):
    done = run(*OF_EVENTS, "--out", "events.tsv/design")
    assert done.exit_code == 2 and "events.tsv is a file, and a folder is expected" in done.stderr


def test_a_design_that_fsl_would_change_is_said_and_written_for_the_others(folder: Path):
    done = run("~ shift(x, 0, 7)", "scans.csv", "--contrast", "x", "--columns", "2", "--out", "here")
    assert done.exit_code == 0 and "no files for FSL and SPM: column 'free1' has the mean" in done.stderr
    assert (folder / "here/design.csv").exists() and not (folder / "here/design.mat").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--snr", "x:1"), "--snr 'x:1': NAME=NUMBER is expected"),
        (("--columns", "many"), "columns is 'many'"),
        (("--tr", "2"), "tr belongs to events"),
        (("--report", "nowhere/design.html"), "the folder nowhere does not exist"),
    ],
)
def test_an_error_is_one_line_and_usage(words: tuple[str, ...], said: str):
    done = scans(*words)
    assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("double-gamma(lag=1)", "lag is none of latency, dispersion"),
        ("double-gamma(latency=soon)", "no number or range"),
        ("double-gamma(latency=1:2:3)", "no number or range"),
        ("half cosine", "'half-cosine', 'double-gamma'"),
    ],
)
def test_words_of_responses_that_cannot_be_read_are_refused(word: str, said: str):
    with pytest.raises(DataError, match=said):
        as_hrf(word)


def test_words_of_responses_are_their_values():
    assert as_hrf("half-cosine(n=50, seed=2, h1=0:1)") == fn.HalfCosine(n=50, seed=2, h1=(0, 1))
    assert as_hrf("Glover(latency=1.5)").latency == 1.5
