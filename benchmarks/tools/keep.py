"""Runs a benchmark and puts the tables that it prints into README.md: python tools/keep.py SCRIPT [ARGUMENTS].

A printed table takes the place of the one with the same heading line, several of one heading in their order; a line
that begins with "Python 3" takes the place of its section's. What the page has no place for is named, and left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "README.md"
TABLE = re.compile(r"^(\|.*\|)\n(\|[-:| ]+\|)\n((?:\|.*\|\n)*)", re.MULTILINE)
VERSIONS = re.compile(r"^Python 3.*$", re.MULTILINE)


def keep(page: str, printed: str) -> tuple[str, list[str]]:
    """The page with the printed tables in place of its own, and the headings that it has no place for."""
    given: dict[str, list[str]] = {}
    for table in TABLE.finditer(printed if printed.endswith("\n") else printed + "\n"):
        given.setdefault(table[1], []).append(table[0])
    versions = VERSIONS.search(printed)
    parts = re.split(r"(?=^## )", page, flags=re.MULTILINE)
    return "".join(_section(part, given, versions[0] if versions else None) for part in parts), list(given)


def _section(text: str, given: dict[str, list[str]], versions: str | None) -> str:
    """One section with its tables replaced; those used up are taken out of `given`."""
    if not any(table[1] in given for table in TABLE.finditer(text)):
        return text

    def replaced(table: re.Match[str]) -> str:
        waiting = given.get(table[1], [table[0]])
        first = waiting.pop(0)
        if not waiting:
            given.pop(table[1], None)
        return first

    text = TABLE.sub(replaced, text)
    return VERSIONS.sub(lambda _: versions, text, count=1) if versions else text


def main() -> int:
    lines = []
    with subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if run.returncode:
        print(f"keep: exit status {run.returncode}; README.md stays as it is", file=sys.stderr)
        return run.returncode
    page, left = keep(PAGE.read_text(encoding="utf-8"), "".join(lines))
    for heading in left:
        print(f"keep: README.md has no table {heading}", file=sys.stderr)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
