"""The commands that install what is missing, as this machine and this Python are managed; several as one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec

_APT = "apt-get install --no-install-recommends"  # R's packages recommend hundreds of others
_DEBIAN = re.compile(f"(?:sudo |su -c ')?({_APT}) ([^']*)'?")


def pip(what: str, verb: str = "install") -> str:
    """The command that installs this into the Python that runs here; an environment made by uv has no pip."""
    python = shlex.quote(sys.executable)
    if find_spec("pip"):
        return f"{python} -m pip {verb} {what}"
    return f"uv pip {verb.removesuffix(' -y')} --python {python} {what}"


def extra(name: str, flags: str = "") -> str:
    """The command that installs what an extra of ours asks for, the package itself being there."""
    return pip(f'{flags} "formula_neuro[{name}]"'.lstrip())


def system(apt: str, conda: str = "", home: str = "", cran: str = "") -> str:
    """The command that installs a system package by what this machine, or the R at `home`, is managed with."""
    prefix = os.environ.get("CONDA_PREFIX", "")
    if prefix and (not home or home.startswith(prefix)):
        return f"conda install -c conda-forge {conda or apt}"
    if shutil.which("apt-get") and home in ("", "/usr/lib/R"):
        return _as_root(f"{_APT} {apt}")
    if cran:
        return f"Rscript -e 'install.packages(\"{cran}\")'"
    return f"conda install -c conda-forge {conda or apt}"


def _as_root(command: str) -> str:
    """The command as this user can have it run by root: a bare Debian has no sudo."""
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo"):
        return " && ".join(f"sudo {part}" for part in command.split(" && "))
    return f"su -c '{command}'"


def together(commands: Iterable[str]) -> list[str]:
    """The same done by the fewest commands: one for each installer, Debian's lists brought up to date first.

    >>> together(["conda install -c conda-forge r-nlme", "conda install -c conda-forge make && pip install 'x[r]'"])
    ['conda install -c conda-forge r-nlme make', "pip install 'x[r]'"]
    """
    wanted: dict[str, list[str]] = {}
    for command in (part for whole in commands for part in whole.split(" && ")):
        found = _DEBIAN.fullmatch(command) or re.fullmatch(r"(.* install(?: -c conda-forge)?) (.*)", command)
        head, what = found.groups() if found else (command, "")
        if what not in wanted.setdefault(head, []):
            wanted[head].append(what)
    return [_one(head, what) for head, what in wanted.items()]


def _one(head: str, what: list[str]) -> str:
    command = " ".join([head, *what]).rstrip()
    return _as_root(f"apt-get update && {command}") if head == _APT else command
