"""The plugin that the documentation shows: built as a wheel, and its own tests run where it is installed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent / "example_plugin"
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the wheel's files, its entry point among them."""
    built, site = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = built.iterdir()
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    return site


def test_the_reference_names_everything_that_the_plugin_imports():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PROJECT.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = {(node.module, alias.name) for node in nodes for alias in node.names if "formula_neuro" in str(node.module)}
    pages = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("api-plugins.md", "api-fits.md"))
    assert ("formula_neuro.registry", "Backend") in ours
    whole = ("formula_neuro.errors", "formula_neuro.request")  # all members
    missing = [f"{module}.{name}" for module, name in ours if module not in whole and name not in pages]
    assert not missing and not [module for module, _ in ours if module not in pages]


def test_the_wheel_holds_the_package_and_its_entry_point(site):
    assert sorted(path.name for path in (site / "mylab_neuro").glob("*.py")) == ["__init__.py", "lm.py"]
    (points,) = site.glob("*.dist-info/entry_points.txt")
    assert points.read_text().split() == ["[formula_neuro]", "mylab", "=", "mylab_neuro"]


def test_its_own_tests_pass_in_a_process_that_finds_it_installed(site):
    code = f"import sys, pytest; sys.path.insert(0, {str(site)!r}); sys.exit(pytest.main(sys.argv[1:]))"
    options = ["-q", "-p", "no:cacheprovider", "-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(PROJECT)]
    run = subprocess.run(
        [sys.executable, "-c", code, *options, str(PROJECT / "own_tests.py")], capture_output=True, text=True
    )
    assert run.returncode == 0 and "4 passed" in run.stdout, run.stdout + run.stderr


def test_a_submodule_is_imported_without_asking_the_plugins():
    """A plugin that imports one would otherwise be read while half of it is there, and kept as broken."""
    code = "from formula_neuro import words, registry; print(registry.installed.cache_info().misses)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"
