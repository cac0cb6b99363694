"""README's grid and toy evolution, beside neurolib's where a Python with neurolib 0.6.2 is given.

    python explore_evolve.py [PEER_PYTHON]

Prints a table: what, ours, neurolib's, their ratio; and how many of the grid's points have the same largest rate. Both
run one after the other on one thread; ours are medians of five warm calls, the first call is told beside them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import formula_neuro as fn

GRID = np.linspace(0, 3, 21)
TIMES = 5


def grid() -> Any:
    """441 single nodes of 2 s, the largest rate of the last second."""
    return fn.explore(
        "aln", {"mue_ext_mean": GRID, "mui_ext_mean": GRID}, duration="2 s", skip="1 s", outputs=["rates_exc"],
        measure={"max_rate": lambda n: n["rates_exc"].max()}, sampling="sample", seed=1, progress=False,
    )  # fmt: skip


def toy() -> Any:
    """550 evaluations."""
    return fn.evolve(lambda p: (p.x**2 + p.y**2 - 1) ** 2, {"x": (-5, 5), "y": (-5, 5)}, seed=1, progress=False)


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of the first call, the median of the next ones, and the answer."""
    seconds = []
    for _ in range(TIMES + 1):
        before = time.perf_counter()
        answer = call()
        seconds.append(time.perf_counter() - before)
    return seconds[0], statistics.median(seconds[1:]), answer


def peer(python: str) -> dict[str, Any]:
    """What peer_explore.py measured."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peer.json"
        script = Path(__file__).with_name("peer_explore.py")
        subprocess.run([python, str(script), str(path)], check=False, capture_output=True,
                       env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
        return json.loads(path.read_text())


def main(arguments: list[str]) -> None:
    first_grid, warm_grid, explored = timed(grid)
    first_toy, warm_toy, evolved = timed(toy)
    theirs = peer(arguments[0]) if arguments else {}
    loop, box = theirs.get("loop", {}).get("seconds"), theirs.get("box", {}).get("seconds_a_run")
    rows = [
        ("grid, beside a plain loop of runs", first_grid, warm_grid, loop),
        ("grid, beside BoxSearch (441 x its seconds a run)", first_grid, warm_grid, None if box is None else 441 * box),
        ("toy evolution", first_toy, warm_toy, theirs.get("evolution", {}).get("seconds")),
    ]
    table = pd.DataFrame(rows, columns=["what", "first call", "ours, s", "neurolib, s"])
    table["ratio"] = table["neurolib, s"].astype(float) / table["ours, s"]
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    radius = np.hypot(evolved.population["x"], evolved.population["y"])
    print(f"toy: {len(evolved.to_frame())} evaluations, radius {radius.min():.2f} to {radius.max():.2f}")
    if "max_rate" in theirs.get("loop", {}):
        gap = np.abs(explored.table["max_rate"] - np.array(theirs["loop"]["max_rate"]))
        print(f"largest rates within 1 Hz of neurolib's in {(gap < 1).mean():.1%} of the grid (start values differ)")


if __name__ == "__main__":
    main(sys.argv[1:])
