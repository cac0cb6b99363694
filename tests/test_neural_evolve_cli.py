"""`formula-neuro evolve`: the same evolution as in Python, from a file that defines the objective."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import formula_neuro as fn
from formula_neuro.cli import app

CIRCLE = "def circle(p):\n    return abs(p.x**2 + p.y**2 - 1)\n\ndef rate(n):\n    return float(n['x'].max())\n"
SMALL = ["--population", "6", "--initial", "8", "--generations", "2", "--seed", "1"]


@pytest.fixture
def objectives(tmp_path: Path) -> Path:
    file = tmp_path / "fitness.py"
    file.write_text(CIRCLE)
    return file


def run(*words: str):
    return CliRunner().invoke(app, ["evolve", *words])


def test_the_individuals_are_those_of_evolve(objectives: Path):
    done = run(f"{objectives}:circle", "--bound", "x=-5:5", "--bound", "y=-5:5", *SMALL, "--json")
    w = fn.evolve(
        lambda p: abs(p.x**2 + p.y**2 - 1), {"x": (-5, 5), "y": (-5, 5)}, population=6, initial=8, generations=2, seed=1
    )
    found = [one["f0"] for one in json.loads(done.stdout)["individuals"]]
    assert found == pytest.approx(w.to_frame()["f0"].tolist(), rel=1e-9)  # JSON has ten digits


def test_a_model_is_simulated_for_each_individual_and_the_table_written(objectives: Path, tmp_path: Path):
    model = ["--model", "fhn", "--duration", "20 ms", "--param", "sigma_ou=0"]
    done = run(f"{objectives}:rate", "--bound", "x_ext=0:1", *SMALL, *model, "--maximise",
               "--out", str(tmp_path / "all.csv"))  # fmt: skip
    assert done.exit_code == 0 and "f0 maximised" in done.stdout and "all.csv" in done.stderr
    assert {"x_ext", "f0", "generation"} <= set(pd.read_csv(tmp_path / "all.csv").columns)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.py:f", "--bound", "x=0:1"], "no such file: no.py"),
        (["fitness.py", "--bound", "x=0:1"], "FILE.py:FUNCTION is expected"),
        (["FILE:square", "--bound", "x=0:1"], "defines no function 'square'"),
        (["FILE:circle", "--bound", "x=1"], "NAME=LOW:HIGH, two numbers, is expected"),
        (["FILE:circle", "--bound", "x=0:1", "--bound", "x=0:2"], "each parameter is named once"),
        (["FILE:circle", "--bound", "x=0:1", "--duration", "1 s"], "give --model too"),
        (["FILE:circle", "--bound", "x=0:1", "--out", "all.xls"], "files may end in .npz, .csv"),
        (["FILE:circle", "--bound", "x=0:1", "--workers", "2"], "--workers is of simulations"),
        (["FILE:circle", "--bound", "x=0:1", "--areas", "4"], "--weights is of simulations"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(words: list[str], said: str, objectives: Path):
    done = run(words[0].replace("FILE", str(objectives)), *words[1:])
    assert done.exit_code == 2 and said in done.stderr


def test_a_network_is_evolved_and_kept_with_its_page(objectives: Path, tmp_path: Path):
    network = ["--model", "fhn", "--areas", "4", "--duration", "20 ms", "--dt", "0.5"]
    files = ["--out", str(tmp_path / "w.npz"), "--report", str(tmp_path / "w.html")]
    done = run(f"{objectives}:rate", "--bound", "K_gl=0:1", *SMALL, *network, *files)
    assert done.exit_code == 0, done.output
    brain = fn.Connectome.simulate(4)
    w = fn.evolve(lambda n: float(n["x"].max()), {"K_gl": (0, 1)}, population=6, initial=8, generations=2, seed=1,
                  simulate={"model": "fhn", "connectome": brain, "duration": 20, "dt": 0.5})  # fmt: skip
    assert fn.load_evolution(tmp_path / "w.npz").to_frame()["f0"].equals(w.to_frame()["f0"])
    assert "K_gl" in (tmp_path / "w.html").read_text("utf-8")
