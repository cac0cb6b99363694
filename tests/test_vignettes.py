from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VIGNETTES = sorted((ROOT / "vignettes").glob("*.py"))


@pytest.mark.parametrize("path", VIGNETTES, ids=lambda path: path.stem)
def test_a_vignette_runs_to_its_end(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whatever it writes stays here
    runpy.run_path(str(path))


@pytest.mark.r
def test_the_water_lick_vignette_ends_in_agreement_with_r(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "native-glmm agrees with lme4" in runpy.run_path(str(ROOT / "vignettes" / "waterlick.py"))["verdict"]
