"""Meta-regression of foci on a corpus of NiMARE's (906 analyses of n-back and flanker tasks), here and by NiMARE.

Every line is a process of its own, one after the other, from its first import to its last test, in seconds of
processor time on one thread (which other work on the machine does not change), with its peak of memory. NiMARE's
optimiser is stopped after LIMIT of them (an argument, by default 150): `>` marks a time that is a lower bound, and `cut
off` a log-likelihood that still rose; 0 leaves NiMARE out. The corpus, and the mask of 2 mm with its 228,483 voxels,
are those in an installed NiMARE; without one nothing is printed but that. The floor is the arithmetic of Newton's
steps, X'WX in its separable form and Cholesky's factor, at the rate of a product of matrices measured beside it.

`python benchmarks/cbmr.py 150 poisson` runs the tasks whose names contain the word.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

PARTS = Path(__file__).parent / "cbmr"


@dataclass(frozen=True)
class Task:
    """A model, here and, where it can be asked there, in NiMARE's words (spacing in its 2 mm voxels)."""

    name: str
    family: str = "poisson"
    spacing: int = 20
    smooth: str = "none"
    formula: str = "foci ~ s(task) + zlogn + zage"
    basis: str = "renormalised"
    peer: bool = False


TASKS = [
    Task("Poisson, 20 mm", peer=True),
    Task("Poisson, 20 mm, NiMARE's basis", basis="nimare"),
    Task("clustered NB, 20 mm", family="clustered_negative_binomial", peer=True),
    Task("Poisson, 20 mm, penalised", smooth="reml"),
    Task("Poisson, 10 mm, penalised", spacing=10, smooth="reml"),
    Task("Poisson, 20 groups, 20 mm, penalised", formula="foci ~ s(lot) + zlogn + zage", smooth="reml"),
]


def main(limit: float, word: str) -> None:
    """Print a line for each task and program."""
    if find_spec("nimare") is None or find_spec("pyarrow") is None:
        print("NiMARE and pyarrow are not installed: its corpus is what this benchmark fits")
        return
    print(f"Python {platform.python_version()}, numpy {version('numpy')}, NiMARE {version('nimare')}, one thread\n")
    print("| model | by | read, s | fit, s | Wald tests, s | score test, s | whole, s | peak, GB | log-likelihood |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    steps = 0
    for task in TASKS:
        if word in task.name:
            said = run("here.py", task, limit)
            steps = steps or said.get("steps", 0)
            print(line(task, "here", said), flush=True)
            if task.peer and limit > 0:
                print(line(task, "NiMARE", run("nimare_peer.py", task, limit)), flush=True)
    print(f"\nThe floor of the first fit, {steps} steps of 457 coefficients: {floor(steps):.2f} s")


def run(script: str, task: Task, limit: float) -> dict[str, Any]:
    """What a process says of itself in its last line."""
    call = [sys.executable, str(PARTS / script), json.dumps(task.__dict__), str(limit)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1][:80]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def line(task: Task, by: str, said: dict[str, Any]) -> str:
    if "failed" in said:
        return f"| {task.name} | {by} | | | | | | | {said['failed']} |"
    cut = ">" if said["cut"] else ""
    parts = [f"{said['read']:.1f}", f"{cut}{said['fit']:.1f}", f"{said['tests']:.1f}" if said["tests"] else "-"]
    parts.append(f"{said['score']:.1f}" if said["score"] else "-")
    whole = said["read"] + said["fit"] + said["tests"] + said["score"]
    ended = " (cut off)" if cut else ""
    return (
        f"| {task.name} | {by} | {' | '.join(parts)} | {cut}{whole:.1f} | {said['peak']:.2f} | "
        f"{said['loglik']:,.2f}{ended} |"
    )


def floor(steps: int, bases: int = 457) -> float:
    """Seconds of the arithmetic of steps at 20 mm: 0.17 GF a separable X'WX, P^3 / 3 a factor; a product's rate."""
    import numpy as np

    a = np.random.default_rng(1).normal(size=(1000, 1000))
    started = time.process_time()
    for _ in range(5):
        a @ a
    rate = 5 * 2e9 / (time.process_time() - started)
    return steps * (0.17e9 + bases**3 / 3) / rate


if __name__ == "__main__":
    words = sys.argv[1:]
    main(float(words[0]) if words else 150.0, words[1] if len(words) > 1 else "")
