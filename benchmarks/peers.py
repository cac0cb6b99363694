"""Mixed models by maximum likelihood beside gpboost and statsmodels, where these are installed.

Each reading of ours is taken right after one of each peer, on the same threads (two, if OMP_NUM_THREADS does not say
otherwise: a busy machine wants one). `whole` is fn.fit() with its formula and design, `fit` the fit of a request that
is ready. gpboost takes matrices: its time, with standard errors as ours has them, is to be read beside `fit`.
statsmodels' MixedLM takes a formula: beside `whole`. It has one grouping factor, gpboost no correlation of slopes and
intercepts; `-` is what a peer has not, or that it is not installed.
Prints a markdown table of medians, with what ours has more of log-likelihood.
`python benchmarks/peers.py sleepstudy` runs the models whose names contain the word.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np
import pandas as pd
from mixed import cells, million

import formula_neuro as fn
from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro.registry import installed, run

THREADS = int(os.environ["OMP_NUM_THREADS"])
Answer = tuple[float, float]  # seconds, log-likelihood


@dataclass(frozen=True)
class Model:
    name: str
    data: str
    fixed: str
    groups: tuple[str, ...]
    slope: str = ""
    family: str = "gaussian"
    repeats: int = 15

    @property
    def formula(self) -> str:
        bars = (f"({self.slope or '1'} | {group})" for group in self.groups)
        return " + ".join((self.fixed, *bars))


MODELS = [
    Model("sleepstudy, intercept", "sleepstudy", "Reaction ~ Days", ("Subject",)),
    Model("sleepstudy, slopes", "sleepstudy", "Reaction ~ Days", ("Subject",), slope="Days"),
    Model("1200 rows, 24 groups, 5 conditions", "cells", "res ~ treatment", ("mouse",)),
    Model("Penicillin, crossed", "Penicillin", "diameter ~ 1", ("plate", "sample")),
    Model("1,000,000 rows, intercept", "million", "y ~ x", ("g",), repeats=3),
    Model("InstEval, crossed", "InstEval", "y ~ service + dept", ("s", "d"), repeats=2),
    Model("water-lick, binomial", "waterlick", "lick ~ dff", ("mouseID",), family="binomial"),
    Model(
        "VerbAgg, binomial, crossed",
        "VerbAgg",
        "r2 ~ Anger + Gender + btype + situ",
        ("id", "item"),
        family="binomial",
        repeats=5,
    ),
]


def table_of(name: str) -> pd.DataFrame:
    if name in ("cells", "million"):
        return {"cells": cells, "million": million}[name](np.random.default_rng(1))
    if name == "waterlick":
        return fn.datasets.waterlick()
    from formula_neuro_r import data

    return data("lme4", name)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def ours(model: Model, table: pd.DataFrame) -> tuple[Callable[[], Answer], Callable[[], Answer]]:
    """The fit of a ready request, and the whole call."""
    estimator = "ml" if model.family == "gaussian" else "laplace"
    request = as_request(model_matrix(model.formula, table), as_family(model.family), estimator)
    backend = installed().choose(request)

    def fit() -> Answer:
        seconds, found = timed(lambda: run(backend, request))
        return seconds, found.loglik

    def whole() -> Answer:
        seconds, found = timed(lambda: fn.fit(model.formula, table, family=model.family, estimator=estimator))
        return seconds, found.loglik

    return fit, whole


def by_gpboost(model: Model, table: pd.DataFrame) -> Callable[[], Answer] | None:
    if model.slope or (gpboost := _found("gpboost")) is None:
        return None
    design = model_matrix(model.formula, table)
    y = np.asarray(as_request(design, as_family(model.family)).y)
    groups = np.column_stack([pd.Categorical(table[group]).codes for group in model.groups])
    likelihood = "gaussian" if model.family == "gaussian" else "bernoulli_logit"

    def fit() -> Any:
        found = gpboost.GPModel(group_data=groups, likelihood=likelihood, num_parallel_threads=THREADS)
        found.fit(y=y, X=design.matrix)
        found.get_coef(std_err=True)
        return found

    def answer() -> Answer:
        seconds, found = timed(fit)
        return seconds, -float(found.get_current_neg_log_likelihood())

    return answer


def by_statsmodels(model: Model, table: pd.DataFrame) -> Callable[[], Answer] | None:
    if len(model.groups) > 1 or model.family != "gaussian" or _found("statsmodels") is None:
        return None
    formula = import_module("statsmodels.formula.api")
    random = f"~{model.slope or '1'}"

    def answer() -> Answer:
        def fit() -> Any:
            made = formula.mixedlm(model.fixed, table, groups=model.groups[0], re_formula=random)
            return made.fit(reml=False)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds, found = timed(fit)
        return seconds, float(found.llf)

    return answer


def _found(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def line(model: Model, table: pd.DataFrame) -> str:
    calls: list[Callable[[], Answer] | None] = [by_gpboost(model, table), by_statsmodels(model, table)]
    calls += ours(model, table)
    for call in calls:  # the first also imports
        if call is not None:
            call()
    readings = [[None if call is None else call() for call in calls] for _ in range(model.repeats)]
    columns = list(zip(*readings, strict=True))
    seconds = [None if column[0] is None else median(taken for taken, _ in column) for column in columns]
    gpboost, statsmodels, fit, whole = seconds
    gains = [None if column[0] is None else columns[2][0][1] - column[0][1] for column in columns[:2]]
    times = " | ".join("-" if s is None else f"{s * 1e3:.2f}" for s in (gpboost, statsmodels, fit, whole))
    ratios = " | ".join("-" if s is None else f"{s / mine:.2f}" for s, mine in ((gpboost, fit), (statsmodels, whole)))
    return f"| {model.name} | {times} | {ratios} | {' | '.join('-' if g is None else f'{g:.1e}' for g in gains)} |"


def release(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"no {name}"


def main(wanted: str = "") -> None:
    packages = ", ".join(map(release, ("numpy", "gpboost", "statsmodels")))
    print(f"Python {platform.python_version()}, {packages}, {os.cpu_count()} cores\n")
    heads = ["model", "gpboost, ms", "statsmodels, ms", "fit, ms", "whole, ms", "gpboost / fit", "statsmodels / whole"]
    print(f"| {' | '.join(heads)} | log-likelihood less gpboost's | less statsmodels' |\n|---|{'---:|' * 8}")
    for model in MODELS:
        if wanted in model.name:
            print(line(model, table_of(model.data)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
