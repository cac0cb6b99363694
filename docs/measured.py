"""Figures for the pages, put in while they are made: what was measured replaces a comment that names it.

<!-- measured: cross-checks -->         models beside live R, of benchmarks/checks.json
<!-- measured: tests -->                how many tests of which kind, of the same file
<!-- measured: when -->                 when that file was written, and by what
<!-- benchmark: Fit times -->           a section of benchmarks/README.md, its heading left out
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def fill(text: str) -> str:
    """The page with its comments replaced; a name that there is not raises KeyError."""
    text = re.sub(r"<!-- measured: ([\w-]+) -->", lambda found: TABLES[found[1]](), text)
    return re.sub(r"<!-- benchmark: (.+?) -->", lambda found: section(found[1]), text)


def section(title: str) -> str:
    """What stands under a heading of benchmarks/README.md, up to the next one."""
    parts = re.split(r"^## (.+)\n", (BENCHMARKS / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[title].strip()


@cache
def checks() -> dict[str, Any]:
    return json.loads((BENCHMARKS / "checks.json").read_text(encoding="utf-8"))


def cross_checks() -> str:
    rows = [
        "| model | data | R | numbers | verdict | coefficients apart, in standard errors | standard errors, relative |",
        "|---|---|---|---:|---|---:|---:|",
    ]
    for m in checks()["models"]:
        model = m["formula"].replace("|", "\\|") + (f"`, `{m['settings']}" if m["settings"] else "")
        package = re.sub(r"^r-\w+ | by \w+\)?$| \(R .*", "", m["reference"])
        apart = [f"{m['apart'][quantity][0]:.0e}" for quantity in ("coefficients", "standard errors")]
        rows.append(f"| {' | '.join([f'`{model}`', m['data'], package, str(m['numbers']), m['verdict'], *apart])} |")
    return "\n".join(rows)


def tests() -> str:
    counts = checks()["tests"]
    rows = ["| tests | number |", "|---|---:|", *(f"| {kind} | {n:,} |" for kind, n in counts.items())]
    return "\n".join([*rows, f"| together | {sum(counts.values()):,} |"])


def when() -> str:
    c = checks()
    return f"`benchmarks/checks.py` wrote the figures on {c['date']} (Python {c['python']}, numpy {c['numpy']})."


TABLES = {"cross-checks": cross_checks, "tests": tests, "when": when}
