"""The pages about runs, explorations and evolutions: their code makes them again, their tables are theirs."""

from __future__ import annotations

import base64
import html
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn


def page(answer: Any, folder: Path) -> str:
    return html.unescape(Path(answer.report(folder / "page.html")).read_text("utf-8"))


def code(text: str) -> str:
    found = re.search(r'<pre class="wrap">(.*?)</pre>', text, re.DOTALL)
    assert found is not None
    return found[1]


def table(text: str, name: str) -> pd.DataFrame:
    found = re.search(rf'download="{name}" href="data:text/csv;charset=utf-8;base64,([^"]*)"', text)
    assert found is not None
    return pd.read_csv(io.BytesIO(base64.b64decode(found[1])))


def test_a_run_writes_no_page_under_the_name_of_a_pdf(tmp_path: Path) -> None:
    n = fn.simulate("fhn", duration="20 ms", seed=1)
    with pytest.raises(ValueError, match=r"name it page\.html"):
        n.report(tmp_path / "page.pdf")
    assert not list(tmp_path.iterdir())


def test_the_code_of_a_runs_page_makes_the_run_again(tmp_path: Path) -> None:
    n = fn.simulate("fhn", params={"x_ext": 1.0, "sigma_ou": 0.1}, duration="20 ms", outputs=["x"], ou="exact", seed=4)
    told = code(page(n, tmp_path))
    again: dict[str, Any] = {}
    exec(told, again)
    np.testing.assert_array_equal(again["n"]["x"], n["x"])
    assert "..." not in told


def test_the_code_of_a_networks_page_makes_the_run_again_from_the_pages_tables(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    network = fn.Connectome.simulate(4)
    n = fn.simulate("hopf", network, {"sigma_ou": 0.1}, duration="4 s", every="10 ms", bold={"gain": 0.5}, seed=4)
    text = page(n, tmp_path)
    for name in ("weights.csv", "lengths_mm.csv"):
        table(text, name).to_csv(name, index=False)
    again: dict[str, Any] = {}
    exec(code(text), again)
    np.testing.assert_array_equal(again["n"]["x"], n["x"])
    np.testing.assert_array_equal(again["n"].bold, n.bold)
    assert again["n"].nodes == n.nodes


def test_the_page_of_an_exploration_has_its_table_and_what_its_runs_must_say(tmp_path: Path) -> None:
    e = fn.explore("fhn", {"x_ext": [0.0, 0.5, 1.0]}, duration="50 ms", seed=1)
    text = page(e, tmp_path)
    np.testing.assert_allclose(table(text, "runs.csv")["x_ext"], e.table["x_ext"])
    assert '"x_ext": [0, 0.5, 1]' in code(text) and all(message in text for message in e.messages)


def test_the_page_of_an_evolution_has_all_individuals_and_its_call(tmp_path: Path) -> None:
    w = fn.evolve(lambda p: p.x**2, {"x": (-2, 2)}, population=6, initial=8, generations=2, seed=1)
    text = page(w, tmp_path)
    assert len(table(text, "individuals.csv")) == len(w.to_frame())
    assert "population=6, initial=8, generations=2, seed=1" in code(text)


def test_a_page_that_cannot_be_written_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make it first"):
        fn.simulate("fhn", duration="5 ms", seed=1).report(tmp_path / "absent" / "run.html")
