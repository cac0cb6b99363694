"""Lesion maps voxel by voxel beside brglm2 and glm() of R, in one run; prints markdown tables.

Processor time of one thread, so that other programmes on the machine disturb less; R is timed inside one R process by
its formula call with a summary, as one would loop over voxels, and needs brglm2. The floor is what the arithmetic of
the passes costs by torch's own kernels: one erfc, one exp, eight simple operations and the matrix products a number.
Passes are those over all rows; what a coarse model of many rows or the closing pass costs is not in the floor.
`--map` fits the whole synthetic map of 72,603 voxels, 13,680 subjects and 6 columns on all cores; otherwise its time is
extrapolated from 1,200 voxels.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr

from formula_neuro.estimator import as_estimator
from formula_neuro.family import as_family
from formula_neuro_glm.voxels.problem import Problem

VOXELS, SUBJECTS = 72_603, 13_680


@dataclass(frozen=True)
class Case:
    name: str
    subjects: int
    columns: int
    voxels: int
    voxels_in_r: int


CASES = [
    Case("N=250, P=2", 250, 2, 3000, 60),
    Case("N=1000, P=2", 1000, 2, 2000, 40),
    Case("N=1000, P=6", 1000, 6, 500, 30),
    Case("N=13680, P=2", SUBJECTS, 2, 300, 8),
    Case("N=13680, P=6", SUBJECTS, 6, 600, 8),
]


def design(n: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """An intercept and age; or sbp, age, sex, head size and age by sex as in the study of UK Biobank."""
    age = 62.9 + 7.4 * rng.standard_normal(n)
    if columns == 2:
        return np.column_stack([np.ones(n), age])
    sex = (rng.random(n) < 0.53).astype(float)
    sbp, head = 140 + 18 * rng.standard_normal(n), 1.3 + 0.1 * rng.standard_normal(n)
    return np.column_stack([np.ones(n), sbp, age, sex, head, age * sex])


def lesions(X: np.ndarray, voxels: int, rng: np.random.Generator) -> np.ndarray:
    """Voxels (C, n) with incidences from 1 in 10,000 to 1 in 10, one event at least, as uint8."""
    Z = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    Z[:, 0] = 1.0
    Y = np.zeros((voxels, len(X)), dtype=np.uint8)
    for first in range(0, voxels, 256):
        part = Y[first : first + 256]
        b = 0.15 * rng.standard_normal((len(part), X.shape[1]))
        b[:, 0] = rng.uniform(-3.7, -1.3, len(part))
        part[:] = rng.random(part.shape) < ndtr(b @ Z.T)
        empty = np.flatnonzero(~part.any(axis=1))
        part[empty, rng.integers(0, len(X), len(empty))] = 1
    return Y


def problem(X: np.ndarray, estimator: str = "mean_br") -> Problem:
    return Problem.of(X, as_family("binomial(probit)"), as_estimator(estimator))


def milliseconds(p: Problem, Y: np.ndarray, repeats: int = 3) -> tuple[float, float]:
    """Processor time a voxel, and passes over the rows a voxel; blocks as a map has them."""
    size = max(1, 16_000_000 // Y.shape[1])
    p.fit(Y[:20])
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        answers = [p.fit(Y[first : first + size]) for first in range(0, len(Y), size)]
        taken.append(time.process_time() - start)
    assert all(a["converged"].all() for a in answers if a["class"].max() == 0)
    return 1e3 * median(taken) / len(Y), float(np.mean(np.concatenate([a["iterations"] for a in answers])))


def floor(n: int, r: int) -> float:
    """Milliseconds of one pass over n rows of one voxel by torch's kernels, on arrays that stay in the cache."""
    C = max(4, 80_000 // n)
    x, y = torch.rand(C, n, dtype=torch.float64), torch.rand(C, n, dtype=torch.float64)
    Q, XX = torch.rand(n, r, dtype=torch.float64), torch.rand(n, r * (r + 1) // 2, dtype=torch.float64)
    b, V = torch.rand(C, r, dtype=torch.float64), torch.rand(C, r * (r + 1) // 2, dtype=torch.float64)
    parts = [
        lambda: torch.erfc(x, out=y), lambda: torch.exp(x, out=y), lambda: x @ Q, lambda: b @ Q.T, lambda: x @ XX,
        lambda: V @ XX.T, *[lambda: torch.mul(x, x, out=y)] * 8,
    ]  # fmt: skip
    total = 0.0
    for part in parts:
        taken = []
        for _ in range(9):
            start = time.process_time()
            part()
            taken.append(time.process_time() - start)
        total += median(taken)
    return 1e3 * total / C


def in_r(data: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        for name, (X, Y) in data.items():
            pd.DataFrame(X[:, 1:], columns=[f"x{j}" for j in range(1, X.shape[1])]).to_csv(
                Path(folder, f"{name}_X.csv"), index=False, float_format="%.17g"
            )
            pd.DataFrame(Y.T, columns=[f"y{j}" for j in range(len(Y))]).to_csv(
                Path(folder, f"{name}_Y.csv"), index=False
            )
        pd.DataFrame({"name": list(data)}).to_csv(Path(folder, "models.csv"), index=False)
        script = Path(__file__).with_name("voxels.R")
        said = subprocess.run(["Rscript", script, folder], check=True, capture_output=True, text=True).stdout
    return {line.split("\t")[0]: line.split("\t")[1:] for line in said.splitlines()}


def whole_map(X: np.ndarray, voxels: int) -> float:
    """Seconds for the map's voxels, made block by block beforehand and kept as bits; all cores, wall time."""
    rng = np.random.default_rng(2)
    size = 16_000_000 // len(X)
    blocks = [np.packbits(lesions(X, min(size, voxels - first), rng), axis=1) for first in range(0, voxels, size)]
    p = problem(X)
    start = time.perf_counter()
    for bits in blocks:
        p.fit(np.unpackbits(bits, axis=1, count=len(X)))
    return time.perf_counter() - start


def main() -> None:
    whole = "--map" in sys.argv
    rng = np.random.default_rng(1)
    data = {}
    for case in CASES:
        X = design(case.subjects, case.columns, rng)
        data[case.name] = X, lesions(X, case.voxels, rng)
    r = in_r({case.name: (data[case.name][0], data[case.name][1][: case.voxels_in_r]) for case in CASES})
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {r['version'][0]}, {os.cpu_count()} cores\n")
    print("| mean-BR probit, ms a voxel | glm() | brglm2 | here | brglm2 / here | passes | here / floor |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for case in CASES:
        X, Y = data[case.name]
        here, passes = milliseconds(problem(X), Y)
        least = passes * floor(case.subjects, case.columns)
        there, ml = float(r[case.name][0]), float(r[case.name][1])
        print(
            f"| {case.name} | {ml:.2f} | {there:.2f} | {here:.4f} | {there / here:.0f} | "
            f"{passes:.1f} | {here / least:.2f} |",
            flush=True,
        )
    torch.set_num_threads(threads)
    print(f"\n| the map, {VOXELS:,} x {SUBJECTS:,}, {threads} threads | brglm2, min | here, min | brglm2 / here |")
    print("|---|---:|---:|---:|")
    for columns in (6, 2):
        name = f"N=13680, P={columns}"
        voxels = VOXELS if whole else 1200
        here = whole_map(data[name][0], voxels) * VOXELS / voxels / 60
        there = float(r[name][0]) * VOXELS / 6e4
        shown = f"{columns} columns" + ("" if whole else ", from 1,200 voxels")
        print(f"| {shown} | {there:.0f} | {here:.1f} | {there / here:.0f} |")
    print(f"\nPeak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
