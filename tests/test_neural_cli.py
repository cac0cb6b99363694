"""`formula-neuro simulate`: results on stdout, files where they are asked for, one line an error."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import formula_neuro as fn
from formula_neuro.cli import app


def run(*words: str):
    return CliRunner().invoke(app, ["simulate", "fhn", "--duration", "20 ms", "--seed", "1", *words])


def test_a_run_is_summarised():
    done = run("--param", "x_ext=0.7", "--areas", "4")
    assert done.exit_code == 0 and done.stdout.startswith("fhn: 4 nodes, 20 ms in steps of 0.1 ms, seed 1")
    assert "given: x_ext 0.7" in done.stdout


def test_json_is_all_that_stdout_holds():
    found = json.loads(run("--every", "1", "--json").stdout)
    n = fn.simulate("fhn", duration=20, every=1, seed=1)
    assert found["status"] == "ok" and found["outputs"]["x"]["samples"] == 20
    assert found["outputs"]["x"]["mean"] == pytest.approx(n["x"].mean(), rel=1e-12)


def test_tables_and_whole_runs_are_written(tmp_path):
    np.savetxt(tmp_path / "w.csv", [[0, 1], [0.5, 0]], delimiter=",")
    network = ["--weights", str(tmp_path / "w.csv"), "--lengths", str(tmp_path / "w.csv")]
    done = run(*network, "--bold", "--tr", "10 ms", "--out", str(tmp_path / "run.csv"))
    assert "run_bold.csv" in done.stderr
    assert len(pd.read_csv(tmp_path / "run.csv")) == 400 and len(pd.read_csv(tmp_path / "run_bold.csv")) == 4
    run("--out", str(tmp_path / "run.npz"))
    assert fn.load_simulation(tmp_path / "run.npz").t[-1] == pytest.approx(20)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--param", "x_exd=1"], "did you mean 'x_ext'"),
        (["--param", "x_ext"], "NAME=VALUE is expected"),
        (["--out", "run.xls"], "not '.xls'"),
        (["--report", "run.pdf"], "name it run.html"),
        (["--areas", "4", "--weights", "w.csv"], "give one of them"),
        (["--lengths", "l.csv"], "give its --weights too"),
        (["--weights", "w.csv"], "--param signalV=0 for no delays"),
        (["--report", "absent/run.html"], "make it first"),
        (["--every", "0.15"], "no multiple of dt"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(words, told):
    done = run(*words)
    assert done.exit_code == 2 and told in done.stderr and done.stderr.count("\n") == 1


def test_a_run_that_explodes_has_status_1():
    assert run("--param", "alpha=-3", "--duration", "50 ms").exit_code == 1


def test_delays_are_read_and_a_report_written(tmp_path):
    np.savetxt(tmp_path / "w.csv", [[0, 1], [0.5, 0]], delimiter=",")
    file, page = str(tmp_path / "w.csv"), tmp_path / "run.html"
    done = run("--weights", file, "--delays", file, "--report", str(page), "--out", str(tmp_path / "run.npz"))
    assert done.exit_code == 0, done.output
    assert fn.load_simulation(tmp_path / "run").connectome.delays_ms[0, 1] == 1
    assert "fhn" in page.read_text("utf-8")


def test_an_exploration_measures_by_a_function_in_a_file(tmp_path):
    (tmp_path / "m.py").write_text("def range(n):\n    return {'low': n['x'].min(), 'high': n['x'].max()}\n")
    words = ["--vary", "x_ext=0,1", "--measure", f"{tmp_path / 'm.py'}:range", "--duration", "20 ms", "--json"]
    done = CliRunner().invoke(app, ["explore", "fhn", *words])
    assert {"low", "high"} <= set(json.loads(done.stdout)["runs"][0])
