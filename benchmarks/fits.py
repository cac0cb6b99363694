"""Fit times beside R's, in one run: the whole fn.fit() call against lm(), lmer() or glmer() of R alone.

R is timed inside one R process, without any bridge; both sides include the formula and the design. Prints
a markdown table of medians. Needs R with lme4, and the extra `r` to read lme4's data sets.
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

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pandas as pd
import scipy

import formula_neuro as fn


@dataclass(frozen=True)
class Model:
    name: str
    data: str
    formula: str
    r_function: str
    family: str = "gaussian"
    estimator: str | None = None
    r_options: str = ""
    repeats: int = 15

    @property
    def r_call(self) -> str:
        family = f", family = {self.family}" if self.family != "gaussian" else ""
        return f"{self.r_function}({self.formula}, data = d{family}{self.r_options})"


MODELS = [
    Model("sleepstudy, LM", "sleepstudy", "Reaction ~ Days", "lm"),
    Model("1,000 rows, logit", "rows_1000", "y ~ x + z + f", "glm", "binomial"),
    Model("100,000 rows, logit", "rows_100000", "y ~ x + z + f", "glm", "binomial", repeats=5),
    Model("sleepstudy, random intercept", "sleepstudy", "Reaction ~ Days + (1|Subject)", "lmer"),
    Model("sleepstudy, random slopes", "sleepstudy", "Reaction ~ Days + (Days|Subject)", "lmer"),
    Model("Penicillin, crossed", "Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)", "lmer"),
    Model("1200 rows, 24 groups, 5 conditions", "cells", "res ~ treatment + (1|g)", "lmer"),
    Model("cbpp, Laplace", "cbpp", "cbind(incidence, size - incidence) ~ period + (1|herd)", "glmer", "binomial"),
    Model("water-lick, Laplace", "waterlick", "lick ~ dff + (1|mouseID)", "glmer", "binomial"),
    Model(
        "water-lick, AGQ(10)", "waterlick", "lick ~ dff + (1|mouseID)", "glmer", "binomial", "AGQ(10)", ", nAGQ = 10"
    ),
]


def tables() -> dict[str, pd.DataFrame]:
    from formula_neuro_r import data

    rng = np.random.default_rng(1)
    g = np.arange(1200) % 24
    cells = pd.DataFrame({"treatment": np.array(list("abcde"))[g % 5], "g": g})
    cells["res"] = rng.standard_normal(24)[g] * 0.5 + rng.standard_normal(1200) * 0.6
    return {
        "cells": cells,
        **{f"rows_{n}": binary(n, rng) for n in (1_000, 100_000)},
        "waterlick": fn.datasets.waterlick(),
        **{name: data("lme4", name) for name in ("sleepstudy", "Penicillin", "cbpp")},
    }


def binary(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """n rows of a logistic regression on two covariates and a factor of four levels."""
    d = pd.DataFrame({"x": rng.standard_normal(n), "z": rng.standard_normal(n), "f": rng.choice(list("abcd"), n)})
    return d.assign(y=(rng.random(n) < 1 / (1 + np.exp(-0.3 - 0.5 * d["x"]))).astype(int))


def seconds_here(model: Model, table: pd.DataFrame) -> float:
    taken = []
    for _ in range(model.repeats + 1):
        start = time.perf_counter()
        fn.fit(model.formula, table, family=model.family, estimator=model.estimator)
        taken.append(time.perf_counter() - start)
    return median(taken[1:])  # the first call also imports the backend


def seconds_in_r(data: dict[str, pd.DataFrame]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, table in data.items():
            table.to_csv(Path(folder, f"{name}.csv"), index=False, float_format="%.17g")
        rows = [{"name": m.name, "data": m.data, "call": m.r_call, "repeats": m.repeats} for m in MODELS]
        pd.DataFrame(rows).to_csv(Path(folder, "models.csv"), index=False)
        script = Path(__file__).with_name("fits.R")
        said = subprocess.run(["Rscript", script, folder], check=True, capture_output=True, text=True).stdout
    return dict(line.split("\t")[:2] for line in said.splitlines())


def main() -> None:
    data = tables()
    there = seconds_in_r(data)
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, {there['version']}, ",
        end="",
    )
    print(f"{os.cpu_count()} cores\n")
    print("| model | R, ms | here, ms | R / here |\n|---|---|---|---|")
    for model in MODELS:
        here, r = seconds_here(model, data[model.data]), float(there[model.name])
        print(f"| {model.name} | {r * 1e3:.1f} | {here * 1e3:.1f} | {r / here:.1f} |")


if __name__ == "__main__":
    main()
