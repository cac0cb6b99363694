"""What a user gets who installs the package: the wheel, built here without a network, and the lists behind it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = sorted(p for folder in ("plugins", "r_bridge") for p in (ROOT / folder).glob("formula_neuro_*") if p.is_dir())


def built(kind: str, folder: Path) -> Path:
    """The archive that the build back end makes of this checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    with zipfile.ZipFile(built("wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> list[str]:
    with tarfile.open(built("sdist", tmp_path_factory.mktemp("sdist"))) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def test_the_wheel_holds_formula_neuro_its_plugins_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel}
    packages = {"formula_neuro", *(folder.name for folder in FOLDERS)}
    assert {top for top in tops if not top.endswith(".dist-info")} == packages


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    for folder in (ROOT / "formula_neuro", *FOLDERS):
        files = {p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        assert {p.relative_to(folder.parent).as_posix() for p in files} <= set(wheel)


def test_r_files_and_the_reports_template_are_among_them(wheel):
    assert {Path(name).suffix for name in wheel} >= {".R", ".j2"}


def test_every_package_says_that_it_is_typed(wheel):
    assert {f"{name}/py.typed" for name in ("formula_neuro", *(p.name for p in FOLDERS))} <= set(wheel)


def test_the_wheel_carries_the_licence(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_plugin_folders_packages_and_entry_points_are_the_same_list():
    folders = [folder.relative_to(ROOT).as_posix() for folder in FOLDERS]
    packages = CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    points = CONFIG["project"]["entry-points"]["formula_neuro"]
    assert sorted(packages) == sorted(["formula_neuro", *folders])
    assert sorted(points.values()) == sorted(folder.name for folder in FOLDERS)


def test_an_entry_point_is_named_as_its_package():
    points = CONFIG["project"]["entry-points"]["formula_neuro"]
    assert {f"formula_neuro_{name}" for name in points} == set(points.values())


def test_folders_that_are_no_packages_have_no_init():
    assert not [p for p in ("plugins", "r_bridge", "tests", "vignettes") if (ROOT / p / "__init__.py").exists()]


def test_the_sdist_holds_what_a_wheel_and_the_tests_need(sdist):
    packages = CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    wanted = {"pyproject.toml", "LICENSE", "README.md", "dev", "constraints.txt", "tests/conftest.py"}
    assert wanted | {f"{package}/__init__.py" for package in packages} <= set(sdist)


def test_rpy2_is_no_hard_dependency():
    # its build fails where R is not on PATH, and would take the whole installation with it
    assert not [line for line in CONFIG["project"]["dependencies"] if line.startswith("rpy2")]
