"""Seconds of 1000-replicate bootstrap tests here and by pbkrtest's PBmodcomp in one R process without a bridge.

R's are measured with fewer replicates and scaled up: its time is proportional to them. The two take turns, so that
other work on the machine meets both.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

import formula_neuro as fn

REPLICATES, IN_R, TURNS = 1000, 40, 3


@dataclass(frozen=True)
class Test:
    name: str
    data: str
    small: str
    large: str
    family: str = "gaussian"

    @property
    def in_r(self) -> list[str]:
        return [
            f"lmer({formula}, d, REML = FALSE)" if self.family == "gaussian" else f"glmer({formula}, d, {self.family})"
            for formula in (self.small, self.large)
        ]


TESTS = [
    Test("water-lick GLMM", "waterlick", "lick ~ (1|mouseID)", "lick ~ dff + (1|mouseID)", "binomial"),
    Test(
        "cbpp GLMM",
        "cbpp",
        "cbind(incidence, size - incidence) ~ (1|herd)",
        "cbind(incidence, size - incidence) ~ period + (1|herd)",
        "binomial",
    ),
    Test("1200 rows, 24 groups, LMM", "cells", "res ~ (1|g)", "res ~ treatment + (1|g)"),
    Test(
        "sleepstudy slopes, LMM",
        "sleepstudy",
        "Reaction ~ Days + (Days|Subject)",
        "Reaction ~ Days + I(Days^2) + (Days|Subject)",
    ),
]


def tables() -> dict[str, pd.DataFrame]:
    from formula_neuro_r import data

    rng = np.random.default_rng(1)
    g = np.arange(1200) % 24
    cells = pd.DataFrame({"treatment": np.array(list("abcde"))[g % 5], "g": g})
    cells["res"] = rng.standard_normal(24)[g] * 0.5 + rng.standard_normal(1200) * 0.6
    known = {name: data("lme4", name) for name in ("cbpp", "sleepstudy")}
    return {"waterlick": fn.datasets.waterlick(), "cells": cells, **known}


def seconds_here(test: Test, table: pd.DataFrame) -> float:
    small, large = (fn.fit(formula, table, family=test.family) for formula in (test.small, test.large))
    if test.family == "gaussian":
        small, large = (fn.refit(m, estimator="ml") for m in (small, large))
    start = time.perf_counter()
    fn.bootstrap_test(small, large, n=REPLICATES, seed=1)
    return time.perf_counter() - start


def seconds_in_r(test: Test, path: Path) -> float:
    script = Path(__file__).with_name("bootstrap.R")
    command = ["Rscript", str(script), str(path), *test.in_r, str(IN_R)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(said) * REPLICATES / IN_R


def main() -> None:
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores; R scaled from {IN_R}\n")
    print("| test of 1000 replicates | R, s | here, s | R / here |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for test in TESTS:
            table = tables()[test.data]
            path = Path(folder, f"{test.data}.csv")
            table.to_csv(path, index=False, float_format="%.17g")
            turns = [(seconds_in_r(test, path), seconds_here(test, table)) for _ in range(TURNS)]
            r, here = (median(times) for times in zip(*turns, strict=True))
            print(f"| {test.name} | {r:.1f} | {here:.2f} | {r / here:.0f} |")


if __name__ == "__main__":
    main()
