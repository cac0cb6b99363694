"""The page about a meta-regression: its code runs beside the tables and the mask that it carries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from formula_neuro.foci.default_mask import analysed_brain
from formula_neuro.foci.display.recipes import MASK, kept_tables, own_mask, python_code

sys.path.insert(0, str(Path(__file__).parent))
from foci_small import usual


def test_the_code_of_the_page_makes_the_fit_again_from_the_pages_own_files(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    mask = own_mask(usual())
    assert mask is not None
    Path(MASK).write_bytes(mask)
    for name, table in kept_tables(usual()).items():
        table.to_csv(name, index=False)
    again: dict[str, Any] = {}
    exec("\n".join(python_code(usual(), mask=True).split("\n")[:3]), again)  # up to the fit
    np.testing.assert_allclose(again["c"].coef, usual().coef, rtol=1e-6)  # where the Newton steps stop
    assert len(again["c"].brain.voxels) == len(usual().brain.voxels)


def test_a_fit_in_the_usual_mask_carries_none() -> None:
    class Fitted:
        brain = analysed_brain(None)[0]

    assert own_mask(Fitted()) is None  # type: ignore[arg-type]
