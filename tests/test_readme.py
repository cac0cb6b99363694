"""README's code runs as it stands, section by section, on files such as its reader has; so do its shell commands.

The lines of its first section begin with >>> and are doctests.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL))
CODE = re.compile(r"^```python\n(?!>>>)(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"`(formula-neuro (?:fit|optimize-design)[^`]*)`")


# ---- the files that the reader has -----------------------------------------------------------------
def participants() -> None:
    """40 masks with a sphere of random size, their table, and the mask of all that is looked at."""
    rng = np.random.default_rng(1)
    affine = np.diag([6.0, 6, 6, 1])
    places = np.stack(np.meshgrid(*[np.arange(9)] * 3, indexing="ij"), axis=-1)
    table = pd.DataFrame({"lesion": [f"sub-{i:02d}.nii.gz" for i in range(40)], "age": rng.uniform(40, 80, 40).round()})
    table["sex"] = rng.choice(["f", "m"], 40)
    for path, age in zip(table["lesion"], table["age"], strict=True):
        apart = np.linalg.norm(places - rng.integers(2, 7, 3), axis=-1)
        nib.save(nib.Nifti1Image((apart < 1 + age / 40).astype(np.uint8), affine), path)
    table.to_csv("participants.tsv", sep="\t", index=False)
    nib.save(nib.Nifti1Image(np.ones((9, 9, 9), np.uint8), affine), "brain.nii.gz")


def published() -> None:
    import formula_neuro as fn

    rng = np.random.default_rng(1)
    table = pd.DataFrame({"diagnosis": ["schizophrenia", "depression"] * 20, "drug": ["Yes", "Yes", "No", "No"] * 10})
    table["age"], table["subtype"] = rng.uniform(20, 60, 40).round(), rng.choice(["type1", "type2"], 40)
    fn.simulate_foci(table=table, peaks=5, seed=1).to_studyset("studyset.json")


def events() -> None:
    onsets = np.cumsum(np.random.default_rng(1).uniform(6, 14, 30)).round(1)
    table = pd.DataFrame({"onset": onsets, "duration": 1.0, "trial_type": ["go", "stop"] * 15})
    table.to_csv("events.tsv", sep="\t", index=False)


def connectome() -> None:
    import formula_neuro as fn

    brain = fn.Connectome.simulate(4, seed=1)
    for name, matrix in (("weights", brain.weights), ("lengths", brain.lengths_mm)):
        np.savetxt(f"{name}.csv", matrix, delimiter=",")


def trials() -> None:
    import formula_neuro as fn

    fn.datasets.waterlick().to_csv("trials.csv", index=False)


FILES = {
    "Every voxel": participants,
    "Foci of published studies": published,
    "Design matrices": events,
    "Brain models": connectome,
}


# ---- the code ---------------------------------------------------------------------------------------
def test_every_section_with_code_is_run_here():
    assert {name for name, text in SECTIONS.items() if CODE.search(text)} == set(FILES)


@pytest.mark.r
@pytest.mark.parametrize("section", FILES)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg", "ignore:BOLD is saturated")
def test_a_sections_code_runs(section, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    import formula_neuro as fn

    monkeypatch.chdir(tmp_path)
    FILES[section]()
    names: dict[str, object] = {"fn": fn}
    for block in CODE.findall(SECTIONS[section]):
        exec(compile(block, "README.md", "exec"), names)
    plt.close("all")


@pytest.mark.r
@pytest.mark.parametrize("section", [name for name, text in SECTIONS.items() if SHELL.search(text)])
def test_a_sections_commands_run(section, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from formula_neuro.cli import app

    monkeypatch.chdir(tmp_path)
    (FILES | {"A first fit": trials})[section]()
    for command in SHELL.findall(SECTIONS[section].replace("\n", " ")):
        run = CliRunner().invoke(app, shlex.split(command)[1:])
        assert run.exit_code == 0, run.output


# ---- the names --------------------------------------------------------------------------------------
def test_the_table_of_what_is_called_how_names_what_is_there():
    import formula_neuro as fn
    from formula_neuro.result import Fit

    page = (Path(__file__).parents[1] / "docs" / "you-know-you-type.md").read_text(encoding="utf-8")
    typed = "\n".join(re.split(r"(?<!\\)\|", row)[2] for row in page.splitlines() if row.startswith("| `"))
    assert len(re.findall(r"\bfn\.(\w+)", typed)) > 40
    assert [name for name in re.findall(r"\bfn\.(\w+)", typed) if not hasattr(fn, name)] == []
    fields = {*dir(Fit), *Fit.__dataclass_fields__}
    assert [name for name in re.findall(r"\bm\.(\w+)", typed) if name not in fields] == []


def test_readmes_own_table_is_a_part_of_the_whole_one():
    page = (Path(__file__).parents[1] / "docs" / "you-know-you-type.md").read_text(encoding="utf-8")
    rows = [row for row in SECTIONS["You know, you type"].splitlines() if row.startswith("| `")]
    assert len(rows) >= 10
    assert [row for row in rows if row not in page] == []
