"""Linear mixed models beside lme4's, in one run: each reading of ours is taken right after one of R's.

R runs alone in its own process, without a bridge. `fit` is the model fit of a request that is ready, `whole` is
fn.fit() with the formula and the design, as lmer() has them too. Prints a markdown table of medians, the difference
of the criteria (ours less lme4's: below 0 ours is the better optimum) and the peak memory of the largest fit.
Needs R with lme4, and the extra `r` to read lme4's data sets. `python benchmarks/mixed.py sleepstudy` runs the models
whose names contain the word.
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

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np
import pandas as pd
import scipy

import formula_neuro as fn
from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro.registry import installed, run


@dataclass(frozen=True)
class Model:
    name: str
    data: str
    formula: str
    reml: bool = True
    repeats: int = 9

    @property
    def times(self) -> int:
        """Calls a reading."""
        return 5 if self.repeats >= 9 else 1

    @property
    def r_call(self) -> str:
        return f"lmer({self.formula}, data = d, REML = {str(self.reml).upper()})"


MODELS = [
    Model("sleepstudy, intercept", "sleepstudy", "Reaction ~ Days + (1|Subject)"),
    Model("sleepstudy, slopes", "sleepstudy", "Reaction ~ Days + (Days|Subject)"),
    Model("1200 rows, 24 groups, 5 conditions", "cells", "res ~ treatment + (1|mouse)"),
    Model("Penicillin, crossed", "Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)"),
    Model("Pastes, nested", "Pastes", "strength ~ 1 + (1|batch/cask)"),
    Model("100,000 rows, 2000 in 200 groups", "nested", "y ~ x + (1|a/b)", repeats=3),
    Model("1,000,000 rows, intercept", "million", "y ~ x + (1|g)", repeats=3),
    Model("1,000,000 rows, slopes", "million", "y ~ x + (x|g)", repeats=1),
    Model("InstEval, crossed", "InstEval", "y ~ service*dept + (1|s) + (1|d)", reml=False, repeats=1),
]


def tables(names: set[str]) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(1)
    made = {"cells": cells, "nested": nested, "million": million}
    found = {name: make(rng) for name, make in made.items() if name in names}
    if names - set(made):
        from formula_neuro_r import data

        found |= {name: data("lme4", name) for name in sorted(names - set(made))}
    return found


def cells(rng: np.random.Generator) -> pd.DataFrame:
    """As many cells in as many mice as in a known study, of uneven numbers."""
    mouse = np.sort(rng.choice(24, 1200, p=rng.dirichlet(np.full(24, 4.0))))
    res = 0.5 * rng.standard_normal(24)[mouse] + 0.6 * rng.standard_normal(1200)
    return pd.DataFrame({"treatment": np.array(list("abcde"))[mouse % 5], "mouse": texts("m", mouse), "res": res})


def nested(rng: np.random.Generator) -> pd.DataFrame:
    b = rng.integers(0, 2000, 100_000)
    x = rng.standard_normal(len(b))
    y = x + rng.standard_normal(200)[b % 200] + 0.5 * rng.standard_normal(2000)[b] + rng.standard_normal(len(b))
    return pd.DataFrame({"y": y, "x": x, "a": texts("a", b % 200), "b": texts("b", b)})


def million(rng: np.random.Generator) -> pd.DataFrame:
    g = rng.integers(0, 1000, 1_000_000)
    x = rng.standard_normal(len(g))
    y = 2 + 0.5 * x + 0.7 * rng.standard_normal(1000)[g] + rng.standard_normal(len(g))
    return pd.DataFrame({"y": y, "x": x, "g": texts("g", g)})


def texts(prefix: str, codes: np.ndarray) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, [f"{prefix}{i:04d}" for i in range(codes.max() + 1)])


@dataclass(frozen=True)
class Reading:
    """Median seconds of the fit alone, of the whole call and of lme4, and both criteria."""

    fit: float
    whole: float
    r: float
    ours: float
    theirs: float


def reading(model: Model, number: int, table: pd.DataFrame, r: subprocess.Popen[str]) -> Reading:
    estimator = "reml" if model.reml else "ml"
    request = as_request(model_matrix(model.formula, table), as_family("gaussian"), estimator)
    backend = installed().choose(request)
    ours = run(backend, request).criterion  # which also imports the backend
    fits, wholes, there, theirs = [], [], [], float("nan")
    for _ in range(model.repeats):
        assert r.stdin and r.stdout
        r.stdin.write(f"{number}\n")
        r.stdin.flush()
        seconds, theirs = (float(word) for word in r.stdout.readline().split())
        there.append(seconds)
        fits.append(timed(lambda: run(backend, request), model.times))
        wholes.append(timed(lambda: fn.fit(model.formula, table, estimator=estimator), model.times))
    return Reading(median(fits), median(wholes), median(there), ours, theirs)


def timed(call, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def main(wanted: str = "") -> None:
    models = [model for model in MODELS if wanted in model.name]
    data = tables({model.data for model in models})
    with tempfile.TemporaryDirectory() as folder:
        for name, table in data.items():
            table.to_csv(Path(folder, f"{name}.csv"), index=False, float_format="%.17g")
            factors = table.select_dtypes(exclude="number").columns  # which a file of numbers does not tell
            Path(folder, f"{name}.factors").write_text("\n".join([*factors, ""]))
        rows = [{"name": m.name, "data": m.data, "call": m.r_call, "times": m.times} for m in models]
        pd.DataFrame(rows).to_csv(Path(folder, "models.csv"), index=False)
        command = ["Rscript", str(Path(__file__).with_suffix(".R")), folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as r:
            assert r.stdout
            versions = r.stdout.readline().strip()
            print(f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, ", end="")
            print(f"{versions}, {os.cpu_count()} cores\n")
            print("| model | lme4, ms | fit, ms | whole, ms | lme4 / fit | lme4 / whole | criterion less lme4's |")
            print("|---|---:|---:|---:|---:|---:|---:|")
            for number, model in enumerate(models, 1):
                t = reading(model, number, data[model.data], r)
                figures = f"{t.r * 1e3:.1f} | {t.fit * 1e3:.2f} | {t.whole * 1e3:.2f}"
                ratios = f"{t.r / t.fit:.0f} | {t.r / t.whole:.0f}"
                print(f"| {model.name} | {figures} | {ratios} | {t.ours - t.theirs:.1e} |", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nPeak memory of this process: {peak:.2f} GB")


if __name__ == "__main__":
    main(*sys.argv[1:])
