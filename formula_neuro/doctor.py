"""What is installed here, what is missing, and the exact command that installs it.

R, rpy2 and torch are tried in child processes: an R and an rpy2 that do not match can end the process
that loads them, and torch takes a second to import.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from .commands import remedies
from .registry import installed

EVERYTHING = "everything"
R = "R backends and cross-checks"
RPY2 = "R inside this process (Rscript serves without it)"
PICTURES = "pictures and reports"
MODELS = "brain models at full speed"
EVOLUTION = "fn.evolve by CMA-ES"
BROWSER_TESTS = "tests of reports in a browser"

R_PACKAGES = ("lme4", "lmerTest", "pbkrtest", "nlme", "emmeans", "brglm2", "glmmTMB", "geepack", "jsonlite")
MODULES = (  # name, extra, what for
    ("matplotlib", "plot", PICTURES),
    ("nilearn", "plot", PICTURES),
    ("jinja2", "plot", PICTURES),
    ("numba", "simulate", MODELS),
    ("cma", "simulate", EVOLUTION),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for: what was found, and what to type where it is missing."""

    name: str
    ok: bool
    found: str
    remedy: str
    needed_for: str


def examine() -> list[Finding]:
    """What this Python can use, one finding a thing; nothing heavy is imported into this process."""
    with ThreadPoolExecutor(max_workers=3) as pool:  # the three children take a second or two each
        torch, r, rpy2 = pool.submit(_torch), pool.submit(_ask_r), pool.submit(_ask_rpy2)
        findings = [_python(), _ourselves(), *_plugins(), torch.result()]
        findings += [*_r(r.result()), _rpy2(rpy2.result(), r.result())]
    return [*findings, *(_module(*module) for module in MODULES), _browser()]


def complete(findings: Iterable[Finding], require_r: bool = False) -> bool:
    """Whether all that is required was found; R counts only where it is asked for.

    >>> complete([Finding("lme4", False, "missing", "apt-get install r-cran-lme4", R)])
    True
    >>> complete([Finding("lme4", False, "missing", "apt-get install r-cran-lme4", R)], require_r=True)
    False
    """
    required = {EVERYTHING, R} if require_r else {EVERYTHING}
    return all(finding.ok for finding in findings if finding.needed_for in required)


def as_text(findings: Iterable[Finding]) -> str:
    """One line a finding: ok with its version, or what is missing, for what, and the command; then what follows.

    >>> print(as_text([Finding("lme4", True, "1.1.31", "", R), Finding("nlme", False, "missing", "conda ...", R)]))
    ok       lme4  1.1.31
    missing  nlme  missing; needed for R backends and cross-checks; run: conda ...
    <BLANKLINE>
    Native fits have all that they need. Whatever you want of the rest, in one go:
      R backends and cross-checks:
        conda ...
    """
    findings = list(findings)
    width = max((len(finding.name) for finding in findings), default=0)
    return "\n".join([*(_line(finding, width) for finding in findings), "", *_conclusion(findings)])


def _line(finding: Finding, width: int) -> str:
    head = f"{'ok' if finding.ok else 'missing':7}  {finding.name:{width}}  {finding.found}"
    return head if finding.ok else f"{head}; needed for {finding.needed_for}; run: {finding.remedy}"


def _conclusion(findings: list[Finding]) -> list[str]:
    """What can be done now, and for each thing that cannot, all its commands as few."""
    lacking: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.ok:
            lacking.setdefault(finding.needed_for, []).append(finding.remedy)
    ready = "Native fits lack something." if EVERYTHING in lacking else "Native fits have all that they need."
    if not lacking:
        return [f"{ready} Nothing is missing."]
    lines = [f"{ready} Whatever you want of the rest, in one go:"]
    for what, commands in lacking.items():
        lines += [f"  {what}:", *(f"    {command}" for command in remedies.together(commands))]
    return lines


def as_json(findings: Iterable[Finding]) -> str:
    """The findings as a JSON list of objects with name, ok, found, remedy, needed_for.

    >>> as_json([Finding("lme4", True, "1.1.31", "", "R")])
    '[{"name": "lme4", "ok": true, "found": "1.1.31", "remedy": "", "needed_for": "R"}]'
    """
    return json.dumps([asdict(finding) for finding in findings])


# ---- Python and the package itself ---------------------------------------------------------------
def _python() -> Finding:
    kind = "virtual environment" if sys.prefix != sys.base_prefix else "no virtual environment"
    found = f"{platform.python_version()} ({kind}, {sys.prefix})"
    return Finding("Python", sys.version_info >= (3, 11), found, "./dev doctor", EVERYTHING)


def _ourselves() -> Finding:
    version = _version("formula_neuro")
    return Finding(
        "formula_neuro", bool(version), version or "runs without being installed", remedies.pip("."), EVERYTHING
    )


def _plugins() -> list[Finding]:
    """A plugin that cannot be loaded harms only who wants it; no plugin at all is a broken installation."""
    plugins = installed().plugins
    if not plugins:
        remedy = "unset FORMULA_NEURO_PLUGINS" if "FORMULA_NEURO_PLUGINS" in os.environ else remedies.pip(".")
        return [Finding("plugins", False, "none", remedy, EVERYTHING)]
    findings = []
    for plugin in plugins:
        offers = ", ".join([b.name for b in plugin.backends] + [t.name for t in plugin.tasks])
        remedy = "reinstall or uninstall the distribution that brings it" if plugin.failure else ""
        found = plugin.failure or f"{plugin.version}: {offers}"
        findings.append(Finding(f"plugin {plugin.name}", not plugin.failure, found, remedy, "its own backends"))
    return findings


def _torch() -> Finding:
    code = (
        "import torch; c = torch.cuda.is_available(); "
        "print(torch.__version__, 'for CUDA ' + torch.version.cuda if torch.version.cuda else 'for the CPU', "
        "'with device ' + torch.cuda.get_device_name() if c else 'no CUDA device', sep=', ')"
    )
    ok, said = _run(sys.executable, "-c", code)
    return Finding("torch", ok, said, "" if ok else remedies.pip("'torch>=2.4'"), EVERYTHING)


def _module(name: str, extra: str, needed_for: str) -> Finding:
    version = _version(name)
    return Finding(name, bool(version), version or "missing", "" if version else remedies.extra(extra), needed_for)


def _browser() -> Finding:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    return Finding(
        "chromium", bool(path), path or "missing", "" if path else remedies.system("chromium"), BROWSER_TESTS
    )


# ---- R -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _RAnswer:
    """What R says of itself: home "" where there is no R that runs; a package's version "" where it is missing."""

    home: str
    version: str
    packages: dict[str, str]
    failure: str = ""

    @property
    def extra(self) -> str:
        """The pip extra whose rpy2 works with this R: rpy2 3.6.6 and later need R 4.5, R 4.6 needs them."""
        numbers = [int(part) for part in self.version.split(".")[:2]] if self.version else []
        return "r-new" if numbers >= [4, 6] else "r"


def _ask_r() -> _RAnswer:
    program = shutil.which("Rscript")
    if program is None or shutil.which("R") is None:
        return _RAnswer("", "", {}, "not on PATH")
    code = (
        "version <- function(p) tryCatch(as.character(packageVersion(p)), error = function(e) ''); "
        "writeLines(c(R.home(), as.character(getRversion()), vapply(commandArgs(TRUE), version, '')))"
    )
    ok, said = _run(program, "-e", code, *R_PACKAGES, last_line=False)
    lines = said.split("\n")
    if not ok or len(lines) != 2 + len(R_PACKAGES):
        return _RAnswer("", "", {}, f"{program} fails: {lines[-1]}")
    return _RAnswer(lines[0], lines[1], dict(zip(R_PACKAGES, lines[2:], strict=True)))


def _r(answer: _RAnswer) -> list[Finding]:
    found = f"{answer.version} ({answer.home}), needs the extra {answer.extra!r}" if answer.home else answer.failure
    return [
        Finding("R", bool(answer.home), found, "" if answer.home else remedies.system("r-base-core", "r-base"), R),
        *(_r_package(name, answer) for name in R_PACKAGES),
    ]


def _r_package(name: str, answer: _RAnswer) -> Finding:
    version = answer.packages.get(name, "")
    remedy = (
        "" if version else remedies.system(f"r-cran-{name.lower()}", f"r-{name.lower()}", home=answer.home, cran=name)
    )
    return Finding(f"R {name}", bool(version), version or "missing", remedy, R)


def _ask_rpy2() -> tuple[bool, str]:
    if not _version("rpy2-rinterface") and not _version("rpy2"):
        return False, "missing"
    return _run(sys.executable, "-c", "import rpy2.rinterface as r; r.initr(); print('loads R')")


def _rpy2(answer: tuple[bool, str], r: _RAnswer) -> Finding:
    ok, said = answer
    version = _version("rpy2-rinterface") or _version("rpy2")
    found = f"{version}, {said}" if version else said
    return Finding("rpy2", ok, found, "" if ok else _rpy2_remedy(bool(version), r), RPY2)


def _rpy2_remedy(present: bool, r: _RAnswer) -> str:
    steps = []
    if not r.home:
        steps.append(remedies.system("r-base-core", "r-base"))
    if not shutil.which("make"):
        steps.append(remedies.system("make"))  # R CMD config, in rpy2's build, needs it
    if present:  # built for another R: pip would keep it, or take the same build from its cache
        steps.append(remedies.pip("rpy2 rpy2-rinterface rpy2-robjects", "uninstall -y"))
    return " && ".join([*steps, remedies.extra(r.extra, "--no-cache-dir" if present else "")])


# ---- asking --------------------------------------------------------------------------------------
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _run(*command: str, last_line: bool = True) -> tuple[bool, str]:
    """Whether a command ended well, and what it said: its output, or the last line of its complaint."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    if done.returncode < 0:
        return False, f"ended by signal {-done.returncode}"
    if done.returncode:
        return False, (done.stderr.strip().split("\n")[-1] or f"ended with status {done.returncode}")
    lines = done.stdout.splitlines() or [""]
    return True, lines[-1] if last_line else "\n".join(lines)
