"""How long an import takes in a fresh process, and its peak memory: a markdown table.

    python benchmarks/imports.py [repeats]

Seconds of wall time less those of an empty Python; the median of `repeats` runs, after one that fills the caches.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

OURS = {
    "`import formula_neuro`": "import formula_neuro",
    "the records of all plugins": "from formula_neuro.registry import installed; installed()",
    "`formula-neuro --help`": "import sys; sys.argv[1:] = ['--help']; from formula_neuro.cli import app; app()",
    "`fn.fit`, with what it needs": "from formula_neuro import fit",
}
OTHERS = "numpy pandas formulaic scipy.optimize matplotlib.pyplot nibabel torch nilearn.glm rpy2.rinterface".split()
PEERS = "statsmodels.api nimare neurolib.models.aln gpboost".split()

# Without the compiled files that Python keeps beside its modules, imports take several times as long.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

# A child of the child runs the code: the peak of its only child is all that this one reports.
REPORTER = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(code: str) -> tuple[float, float]:
    """Seconds and peak MB of a fresh Python that runs this code."""
    done = subprocess.run([sys.executable, "-c", REPORTER, code], capture_output=True, text=True, env=ENVIRONMENT)
    if done.returncode:
        sys.exit(f"{code}\n{done.stderr}")
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak / (1024 if sys.platform.startswith("linux") else 1024**2)  # kB on Linux, bytes on macOS


def medians(code: str, repeats: int) -> tuple[float, float]:
    measure(code)
    runs = [measure(code) for _ in range(repeats)]
    return statistics.median(s for s, _ in runs), statistics.median(mb for _, mb in runs)


def release(module: str) -> str:
    """The version of the distribution that brings a module, "" where the names differ."""
    try:
        return version(module.partition(".")[0])
    except PackageNotFoundError:
        return ""


def main(repeats: int = 3) -> None:
    found = [name for name in [*OTHERS, *PEERS] if importlib.util.find_spec(name.partition(".")[0])]
    rows = OURS | {f"`import {name}` {release(name)}".strip(): f"import {name}" for name in found}
    empty, _ = medians("pass", repeats)
    print(f"Imports: Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, "
          f"median of {repeats}; an empty Python takes {empty:.2f} s\n")  # fmt: skip
    print("| what | seconds | peak MB |\n|---|---:|---:|")
    for label, code in rows.items():
        seconds, peak = medians(code, repeats)
        print(f"| {label} | {seconds - empty:.2f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
