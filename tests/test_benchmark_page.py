"""The benchmarks' page takes its tables from what scripts print."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ONE = "## One\n\nPython 3.1, 2 cores\n\n| a | b |\n|---|---|\n| x | 1 |\n\n"
PAGE = f"# B\n\n{ONE}## Two\n\n| c |\n|---|\n| 5 |\n\n| c |\n|---|\n"


@pytest.fixture(scope="module")
def keep():
    spec = importlib.util.spec_from_file_location("keep", BENCHMARKS / "tools" / "keep.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.keep


def test_a_printed_table_and_its_versions_take_the_place_of_those_of_its_heading(keep):
    page, left = keep(PAGE, "Python 3.2, 4 cores\n\n| a | b |\n|---|---|\n| y | 2 |\n| z | 3 |\nPeak: 1\n")
    expected = PAGE.replace("| x | 1 |", "| y | 2 |\n| z | 3 |").replace("Python 3.1, 2", "Python 3.2, 4")
    assert (page, left) == (expected, [])


def test_tables_of_one_heading_are_replaced_in_their_order(keep):
    page, _ = keep(PAGE, "| c |\n|---|\n| 6 |\n\n| c |\n|---|\n| 7 |\n")
    assert page.split("## Two")[1] == "\n\n| c |\n|---|\n| 6 |\n\n| c |\n|---|\n| 7 |\n"
    assert "Python 3.1" in page


def test_a_table_without_a_place_is_named_and_the_page_stays(keep):
    assert keep(PAGE, "| d |\n|---|\n| 6 |\n") == (PAGE, ["| d |"])


def test_the_page_keeps_each_of_its_sections_as_it_is(keep):
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    sections = re.split(r"(?=^## )", page, flags=re.MULTILINE)
    assert sum("|---" in section for section in sections) > 10
    for section in sections:
        assert keep(page, section) == (page, [])
