"""Whole-brain runs beside neurolib: python speed.py [LONG], with neurolib 0.6.2 here or in NEUROLIB_PYTHON.

A made-up connectome of 80 nodes, all connected, delays up to 117 steps. Every reading of ours is taken right after one
of neurolib's, both in seconds of one core, as other work on the machine then weighs on both. Rates are in millions of
node-steps a second: nodes x Euler steps x parameter sets. Ours are calls of fn.simulate and fn.explore as users make
them, with a sample each ms, once what they need is compiled. neurolib has no batches: beside 64 sets stands its single
run. Then the 64 sets with noise by the clock, on one thread and on two. With LONG, 300 s of BOLD follow (minutes), each
in a process of its own, with its peak memory.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

import formula_neuro as fn

NODES, LONGEST, SETS, REPEATS = 80, 117, 64, 3
STEP = 0.1  # ms
VARIED = {"aln": "mue_ext_mean", "fhn": "x_ext"}
SIGMA = {"aln": 0.1, "fhn": 0.05}
SINGLE, BATCH = 2000.0, 250.0  # ms


def network() -> dict[str, np.ndarray]:
    """Weights (largest 1) and lengths in mm, whose delays at 20 mm/ms have a median of 40 steps."""
    rng = np.random.default_rng(0)
    weights = rng.lognormal(-2, 1.2, (NODES, NODES))
    lengths = 2.0 * np.minimum(rng.gamma(2.5, 17, (NODES, NODES)).round(), LONGEST)
    for matrix in (weights, lengths):
        np.fill_diagonal(matrix, 0)
    return {"weights": weights / weights.max(), "lengths": lengths}


class Peer:
    """neurolib in its own process, which waits while ours runs; none where it is not installed."""

    def __init__(self, folder: str, matrices: dict[str, np.ndarray]):
        file = Path(folder) / "network.npz"
        np.savez(file, **matrices)
        script = Path(__file__).with_name("peer_speed.py")
        self.process = subprocess.Popen(
            [os.environ.get("NEUROLIB_PYTHON", sys.executable), str(script), str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.versions = self._line()

    def run(self, model: str, duration: float, sigma: float, bold: bool = False) -> dict[str, float] | None:
        if not self.versions:
            return None
        asked = {"model": model, "nodes": NODES, "duration": duration, "sigma": sigma, "bold": bold}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None


def seconds(call: Callable[[], Any]) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


def single(model: str, sigma: float, connectome: Any, duration: float = SINGLE, **more: Any) -> Any:
    return fn.simulate(
        model, connectome, {"sigma_ou": sigma}, duration=duration, every=1.0, seed=1, progress=False, **more
    )


def batch(model: str, sigma: float, connectome: Any, dtype: str, workers: int = 1) -> Any:
    return fn.explore(
        model, {VARIED[model]: np.linspace(0.4, 1.4, SETS)}, connectome, {"sigma_ou": sigma}, duration=BATCH,
        every=1.0, seed=1, dtype=dtype, workers=workers, progress=False,
    )  # fmt: skip


def table(peer: Peer, connectome: Any) -> None:
    print("| run | neurolib, M/s | here, M/s | here / neurolib |\n|---|---:|---:|---:|")
    for model in VARIED:
        for sigma in (0.0, SIGMA[model]):
            noise = "noise" if sigma else "no noise"
            line(peer, f"{model}, one set, {noise}", model, sigma, SINGLE, 1,
                 lambda m=model, s=sigma: single(m, s, connectome))  # fmt: skip
            for dtype in ("float64", "float32"):
                line(peer, f"{model}, {SETS} sets, {noise}, {dtype}", model, sigma, BATCH, SETS,
                     lambda m=model, s=sigma, d=dtype: batch(m, s, connectome, d))  # fmt: skip


def line(peer: Peer, what: str, model: str, sigma: float, duration: float, sets: int, call: Callable[[], Any]) -> None:
    """One row: medians of rates, and the median of the ratios of neighbouring readings."""
    call()  # compiles
    theirs, ours = [], []
    for _ in range(REPEATS):
        read = peer.run(model, SINGLE, sigma)
        theirs.append(NODES * SINGLE / STEP / read["seconds"] / 1e6 if read else float("nan"))
        ours.append(NODES * duration / STEP * sets / seconds(call) / 1e6)
    ratio = median(o / t for o, t in zip(ours, theirs, strict=True))
    print(f"| {what} | {median(theirs):.1f} | {median(ours):.1f} | {ratio:.1f} |", flush=True)


def clock(connectome: Any) -> None:
    """The best of REPEATS by the clock, which is what two threads shorten."""
    print("\n| 64 sets with noise, float64 | threads | M/s by the clock |\n|---|---:|---:|")
    for model in VARIED:
        for workers in (1, 2):
            took = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                batch(model, SIGMA[model], connectome, "float64", workers)
                took.append(time.perf_counter() - began)
            print(f"| {model} | {workers} | {NODES * BATCH / STEP * SETS / min(took) / 1e6:.1f} |", flush=True)


def long(peer: Peer) -> None:
    """300 s of aln with BOLD, with the peak memory of the process."""
    read = peer.run("aln", 300_000.0, SIGMA["aln"], bold=True)
    command = [sys.executable, __file__, "BOLD"]
    mine = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    print("\n| 300 s of aln with BOLD | seconds | peak memory, MB |\n|---|---:|---:|")
    if read:
        print(f"| neurolib, chunks of 10 s | {read['seconds']:.0f} | {read['peak_mb']:.0f} |")
    print(f"| here | {mine['seconds']:.0f} | {mine['peak_mb']:.0f} |")


def main() -> None:
    matrices = network()
    connectome = fn.Connectome(matrices["weights"], lengths_mm=matrices["lengths"])
    if "BOLD" in sys.argv:
        took = seconds(lambda: single("aln", SIGMA["aln"], connectome, 300_000.0, bold=True, outputs=[]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": took, "peak_mb": peak}))
        return
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(folder, matrices)
        there = peer.versions or {"neurolib": "not installed"}
        theirs = ", ".join(f"{name} {number}" for name, number in there.items())
        ours = f"Python {platform.python_version()}, numpy {version('numpy')}, numba {version('numba')}"
        print(f"{ours}; neurolib's: {theirs}; {os.cpu_count()} cores\n")
        table(peer, connectome)
        clock(connectome)
        if "LONG" in sys.argv:
            long(peer)


if __name__ == "__main__":
    main()
