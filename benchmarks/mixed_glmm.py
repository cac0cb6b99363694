"""Generalized linear mixed models beside glmer() and glmmTMB(), in one run: the whole fn.fit() call against R's alone.

R is timed inside one R process, without any bridge; both sides include the formula and the design. Prints a markdown
table of medians, with the difference of the log-likelihoods (above 0: ours is higher). lme4 puts a quadrature's
log-likelihood on a scale of its own: no difference is shown there. Needs R with lme4 and glmmTMB, and the extra `r`.
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

import formula_neuro as fn


@dataclass(frozen=True)
class Model:
    name: str
    data: str
    formula: str
    family: str
    r_call: str
    estimator: str | None = None
    repeats: int = 9
    calls: int = 3  # a reading, because R's clock counts milliseconds


HERDS = "cbind(incidence, size - incidence) ~ period + (1|herd)"
LICKS = "lick ~ dff + (1|mouseID)"
VERBS = "r2 ~ Anger + Gender + btype + situ + (1|id) + (1|item)"
TICKS = "TICKS ~ YEAR + (1|BROOD) + (1|LOCATION)"
MODELS = [
    Model("cbpp, Laplace", "cbpp", HERDS, "binomial", f"glmer({HERDS}, d, binomial)"),
    Model("cbpp, AGQ(10)", "cbpp", HERDS, "binomial", f"glmer({HERDS}, d, binomial, nAGQ = 10)", "AGQ(10)"),
    Model("water-lick, Laplace", "waterlick", LICKS, "binomial", f"glmer({LICKS}, d, binomial)"),
    Model("water-lick, AGQ(10)", "waterlick", LICKS, "binomial", f"glmer({LICKS}, d, binomial, nAGQ = 10)", "AGQ(10)"),
    Model("grouseticks, two crossed", "ticks", TICKS, "poisson", f"glmer({TICKS}, d, poisson)", calls=1),
    Model("VerbAgg, 316 x 24 crossed", "verbs", VERBS, "binomial", f"glmer({VERBS}, d, binomial)", repeats=2, calls=1),
    Model(
        "5,000 rows, 200 groups, slopes",
        "slopes",
        "y ~ x + (x|g)",
        "binomial",
        "glmer(y ~ x + (x|g), d, binomial)",
        repeats=2,
        calls=1,
    ),
    Model(
        "grouseticks, nbinom2, glmmTMB", "ticks", TICKS, "nbinom2", f"glmmTMB({TICKS}, d, nbinom2)", repeats=3, calls=1
    ),
    Model("grouseticks, nbinom2, glmer.nb", "ticks", TICKS, "nbinom2", f"glmer.nb({TICKS}, d)", repeats=1, calls=1),
]


def tables() -> dict[str, pd.DataFrame]:
    from formula_neuro_r import data

    rng = np.random.default_rng(1)
    g, x = np.arange(5000) % 200, rng.standard_normal(5000)
    eta = 0.3 + 0.5 * x + 0.8 * rng.standard_normal(200)[g] + 0.4 * rng.standard_normal(200)[g] * x
    slopes = pd.DataFrame({"x": x, "g": g, "y": (rng.random(5000) < 1 / (1 + np.exp(-eta))).astype(int)})
    text = {"verbs": ["id", "item"], "ticks": ["YEAR", "BROOD", "LOCATION"]}
    read = {
        "cbpp": data("lme4", "cbpp"),
        "verbs": data("lme4", "VerbAgg"),
        "ticks": data("lme4", "grouseticks"),
        "waterlick": fn.datasets.waterlick(),
        "slopes": slopes,
    }
    return {name: table.astype(dict.fromkeys(text.get(name, []), "string")) for name, table in read.items()}


def here(model: Model, table: pd.DataFrame) -> tuple[float, float]:
    """Median seconds, and the log-likelihood."""
    taken, fit = [], None
    for _ in range(model.repeats + 3):
        start = time.perf_counter()
        fit = fn.fit(model.formula, table, family=model.family, estimator=model.estimator)
        taken.append(time.perf_counter() - start)
    assert fit is not None
    return median(taken[1:]), fit.loglik  # the first call also imports the backend


def there(data: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        for name, table in data.items():
            table.to_csv(Path(folder, f"{name}.csv"), index=False, float_format="%.17g")
        rows = [(m.name, m.data, m.r_call, m.repeats, m.calls) for m in MODELS]
        models = pd.DataFrame(rows, columns=["name", "data", "call", "repeats", "calls"])
        models.to_csv(Path(folder, "models.csv"), index=False)
        script = Path(__file__).with_suffix(".R")
        said = subprocess.run(["Rscript", script, folder], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {line.split("\t")[0]: line.split("\t")[1:3] for line in said.splitlines()}


def main() -> None:
    data = tables()
    answers = there(data)
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, {answers['version'][0]}, {os.cpu_count()} cores\n"
    )
    print("| model | R, ms | here, ms | R / here | log-likelihood here - R |\n|---|---|---|---|---|")
    for model in MODELS:
        seconds, loglik = here(model, data[model.data])
        r, r_loglik = map(float, answers[model.name])
        apart = "" if model.estimator else f"{loglik - r_loglik:.1e}"
        print(f"| {model.name} | {r * 1e3:.1f} | {seconds * 1e3:.1f} | {r / seconds:.1f} | {apart} |")


if __name__ == "__main__":
    main()
