from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from formula_neuro import doctor, registry
from formula_neuro.commands import remedies
from formula_neuro.doctor import Finding


def finding(name: str, findings: list[Finding]) -> Finding:
    (found,) = [f for f in findings if f.name == name]
    return found


def fake(folder: Path, name: str, text: str) -> None:
    """A program of this name that prints a text."""
    program = folder / name
    program.write_text(f"#!/bin/sh\nwhile read -r line; do echo \"$line\"; done <<'END'\n{text}\nEND\n")
    program.chmod(0o755)


def fake_r(folder: Path, version: str, missing: str = "") -> None:
    packages = ["" if name == missing else "1.0" for name in doctor.R_PACKAGES]
    fake(folder, "R", version)
    fake(folder, "Rscript", "\n".join(["/usr/lib/R", version, *packages]))


@pytest.fixture
def bare(tmp_path, monkeypatch) -> Path:
    """PATH is one empty folder; no conda."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    return tmp_path


@pytest.fixture
def no_children(monkeypatch) -> None:
    """torch and rpy2 are not tried: what they say is not the point of the test."""
    monkeypatch.setattr(doctor, "_torch", lambda: Finding("torch", True, "2.4", "", doctor.EVERYTHING))
    monkeypatch.setattr(doctor, "_ask_rpy2", lambda: (True, "loads R"))


@pytest.fixture(scope="module")
def fresh() -> tuple[list[Finding], set[str]]:
    """An examination of this machine in a fresh process: its findings, and the modules then loaded."""
    code = "import sys; from formula_neuro.doctor import *; print(as_json(examine())); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    findings, modules = done.stdout.splitlines()
    return [Finding(**item) for item in json.loads(findings)], set(modules.split())


def test_everything_required_is_found_where_the_tests_run(fresh):
    assert doctor.complete(fresh[0])


@pytest.mark.r
def test_r_and_its_packages_are_found_where_the_cross_checks_run(fresh):
    assert doctor.complete(fresh[0], require_r=True)


@pytest.mark.rpy2
def test_rpy2_is_found_where_it_is_installed(fresh):
    assert finding("rpy2", fresh[0]).ok


def test_r_is_complete_without_rpy2():
    with_r = Finding("R", True, "4.2.2", "", doctor.R)
    assert doctor.complete([with_r, Finding("rpy2", False, "missing", "pip install ...", doctor.RPY2)], require_r=True)


def test_an_examination_imports_neither_torch_nor_rpy2(fresh):
    assert not {"torch", "rpy2"} & fresh[1]


def test_whatever_is_missing_comes_with_a_command(bare, no_children):
    lacking = [f for f in doctor.examine() if not f.ok]
    assert lacking and all(f.remedy for f in lacking)


def test_without_r_only_r_is_incomplete(bare, no_children):
    findings = doctor.examine()
    assert not finding("R", findings).ok
    assert doctor.complete(findings)
    assert not doctor.complete(findings, require_r=True)


@pytest.mark.parametrize(("version", "extra"), [("4.2.2", "r"), ("4.5.3", "r"), ("4.6.0", "r-new"), ("5.0.1", "r-new")])
def test_rs_version_decides_the_extra(bare, no_children, version, extra):
    fake_r(bare, version)
    found = finding("R", doctor.examine())
    assert found.ok and found.found.endswith(f"needs the extra {extra!r}")


def test_a_missing_r_package_on_debian_is_an_apt_command(bare, no_children, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fake(bare, "apt-get", "")
    fake(bare, "sudo", "")
    fake_r(bare, "4.2.2", missing="lmerTest")
    assert (
        finding("R lmerTest", doctor.examine()).remedy == "sudo apt-get install --no-install-recommends r-cran-lmertest"
    )


def test_a_missing_r_in_a_conda_environment_is_a_conda_command(bare, no_children, monkeypatch):
    monkeypatch.setenv("CONDA_PREFIX", "/opt/conda")
    assert finding("R", doctor.examine()).remedy == "conda install -c conda-forge r-base"


def test_a_missing_package_of_an_r_that_nobody_manages_is_installed_by_r(bare, no_children):
    fake_r(bare, "4.2.2", missing="brglm2")
    assert finding("R brglm2", doctor.examine()).remedy == "Rscript -e 'install.packages(\"brglm2\")'"


def test_an_rscript_that_fails_is_named_with_its_last_words(bare, no_children):
    fake_r(bare, "4.2.2")
    (bare / "Rscript").write_text("#!/bin/sh\necho 'cannot open shared object file' >&2\nexit 1\n")
    found = finding("R", doctor.examine())
    assert not found.ok and "cannot open shared object file" in found.found


def test_a_child_that_crashes_does_not_take_us_along():
    assert doctor._run(sys.executable, "-c", "import os; os.abort()") == (False, "ended by signal 6")


def test_an_rpy2_that_does_not_load_is_removed_before_the_other_is_installed(bare, no_children, monkeypatch):
    monkeypatch.setattr(doctor, "_ask_rpy2", lambda: (False, "undefined symbol: R_getVar"))
    monkeypatch.setattr(doctor, "_version", lambda distribution: "3.6.7")
    fake_r(bare, "4.2.2")
    fake(bare, "make", "")
    found = finding("rpy2", doctor.examine())
    assert "R_getVar" in found.found
    assert "uninstall -y rpy2" in found.remedy and found.remedy.endswith('--no-cache-dir "formula_neuro[r]"')


def test_a_plugin_that_cannot_be_loaded_is_a_finding_and_not_required(bare, no_children, monkeypatch):
    broken = registry.Plugin("mylab", "1.0", failure="ImportError: no module named numbers2")
    monkeypatch.setattr(doctor, "installed", lambda: registry.Registry((broken,)))
    findings = doctor.examine()
    assert "numbers2" in finding("plugin mylab", findings).found
    assert doctor.complete(findings)


def test_the_text_has_one_line_a_finding_and_names_the_command(bare, no_children):
    findings = doctor.examine()
    lines = doctor.as_text(findings).split("\n\n")[0].split("\n")
    assert len(lines) == len(findings)
    assert all(f.ok or f.remedy in line for f, line in zip(findings, lines, strict=True))


def test_the_text_ends_with_one_command_for_all_of_r(bare, no_children, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    fake(bare, "apt-get", "")
    (line,) = [
        line for line in doctor.as_text(doctor.examine()).split("\n") if "apt-get update" in line and "lme4" in line
    ]
    assert line.split(" && ")[0] == "    apt-get update"
    assert {"r-base-core", *(f"r-cran-{name.lower()}" for name in doctor.R_PACKAGES)} <= set(line.split())


def test_where_nothing_is_missing_the_text_says_so():
    assert doctor.as_text([Finding("torch", True, "2.13", "", doctor.EVERYTHING)]).endswith("Nothing is missing.")


def test_a_user_without_sudo_is_told_to_ask_root(bare, no_children, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fake(bare, "apt-get", "")
    assert finding("chromium", doctor.examine()).remedy == "su -c 'apt-get install --no-install-recommends chromium'"
    assert "su -c 'apt-get update && apt-get install --no-install-recommends chromium'" in doctor.as_text(
        doctor.examine()
    )


def test_a_python_whose_path_holds_a_blank_is_quoted(bare, no_children, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/my work/python")
    monkeypatch.setattr(doctor, "_version", lambda distribution: "")
    assert finding("numba", doctor.examine()).remedy.startswith("'/home/my work/python' -m pip install ")


def test_an_environment_without_pip_is_served_by_uv(monkeypatch):
    monkeypatch.setattr(remedies, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "executable", "/venv/python")
    assert remedies.extra("plot") == 'uv pip install --python /venv/python "formula_neuro[plot]"'


def test_the_json_reads_back_as_the_findings(bare, no_children):
    findings = doctor.examine()
    assert [Finding(**item) for item in json.loads(doctor.as_json(findings))] == findings
