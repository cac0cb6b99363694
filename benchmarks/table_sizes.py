"""Sizes of tests of tables at .05, and how often limits miss, where groups are few: `table_sizes.py [simulations]`.

Nothing that is tested is there. Mixed logistic models: groups of 10 rows that differ by a standard deviation of .8,
half of them treated. Clusters: unequal ones of a linear model, a third treated, as spread as the rows within.
Estimating equations: clusters of 5 rows. Predictions: the mean of a group, and a new response, of a linear mixed model
with a residual of 1. Prints the tables of benchmarks/README.md.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

import formula_neuro as fn
from formula_neuro.inference.rows.robust import robust_covariance
from formula_neuro.result import Fit

Array = NDArray[np.float64]
Draw = Iterator[dict[str, bool]]
LEVEL = 0.05


def again(fit: Fit, y: Array) -> Fit:
    """The model fitted to another response."""
    found: Fit = fit.engine.refit(fit.request.with_response(y))
    return found


def chance(eta: Array) -> Array:
    return 1 / (1 + np.exp(-eta))


def beyond(fit: Fit, df: float, variance: float) -> bool:
    """Whether the second coefficient is significant."""
    return bool(abs(fit.beta[1]) > stats.t.isf(LEVEL / 2, df) * np.sqrt(variance))


def mixed(groups: int, n: int) -> Draw:
    """A column that tells groups apart, in a mixed logistic model."""
    rng, g = np.random.default_rng(groups), np.repeat(np.arange(groups), 10)
    data = pd.DataFrame({"g": g, "treated": (g % 2) * 1.0, "y": rng.integers(0, 2, len(g))})
    small, large = (fn.fit(f"y ~ {right} + (1|g)", data, family="binomial") for right in ("1", "treated"))
    for _ in range(n):
        y = (rng.random(len(g)) < chance(0.8 * rng.normal(size=groups)[g])) * 1.0
        fit, null = again(large, y), again(small, y)
        variance, rise = fit.covariance[1, 1], max(2 * (fit.loglik - null.loglik), 0.0)
        yield {
            "z": beyond(fit, np.inf, variance), "likelihood ratio": bool(stats.chi2.sf(rise, 1) < LEVEL),
            'df="containment"': beyond(fit, groups - 2, variance),
        }  # fmt: skip


def clusters(groups: int, n: int) -> Draw:
    """A column that tells clusters apart, in a linear model."""
    rng = np.random.default_rng(groups)
    g = np.repeat(np.arange(groups), rng.integers(2, 15, groups))
    first = fn.fit("y ~ treated", pd.DataFrame({"g": g, "treated": (g % 3 == 0) * 1.0, "y": rng.normal(size=len(g))}))
    for _ in range(n):
        fit, found = again(first, rng.normal(size=groups)[g] + rng.normal(size=len(g))), {}
        for kind in ("HC1", "HC2", "HC3"):
            how = robust_covariance(fit, {"cluster": "g", "type": kind})
            found[kind] = beyond(fit, fit.df_resid, how.matrix[1, 1])
            found[f'{kind}, df="clusters"'] = beyond(fit, groups - 1, how.matrix[1, 1])
        yield found


def equations(groups: int, n: int) -> Draw:
    """A column that tells clusters apart, in generalized estimating equations."""
    rng, g = np.random.default_rng(groups), np.repeat(np.arange(groups), 5)
    data = pd.DataFrame({"g": g, "treated": (g % 2) * 1.0, "y": rng.integers(0, 2, len(g))})
    fits = {
        bias: fn.fit("y ~ treated", data, family="binomial", estimator=fn.GEE(cluster="g", bias=bias))
        for bias in ("md", "kc", "none")
    }
    for _ in range(n):
        y = (rng.random(len(g)) < chance(rng.normal(size=groups)[g])) * 1.0
        yield {bias: bool(again(fit, y).tidy()["p_value"][1] < LEVEL) for bias, fit in fits.items()}


def predictions(groups: int, n: int, sd: float) -> Draw:
    """Limits of 95 % for a group of the data and for a new one."""
    rng, g = np.random.default_rng(groups), np.repeat(np.arange(groups), 6)
    first = fn.fit("y ~ 1 + (1|g)", pd.DataFrame({"g": g, "y": rng.normal(size=len(g))}))
    old, new = {"g": [0]}, {"g": [groups]}
    for _ in range(n):
        own, other, noise = sd * rng.normal(size=groups), sd * rng.normal(), rng.normal()
        fit = again(first, own[g] + rng.normal(size=len(g)))
        asked = {
            "mean of a group": (fit.predict(old, interval="confidence"), own[0]),
            "response of a group": (fit.predict(old, interval="prediction"), own[0] + noise),
            "response of a new group": (
                fit.predict(new, interval="prediction", new_levels="zero"), other + noise,
            ),
            "mean of the population": (fit.predict(old, interval="confidence", random=False), 0.0),
        }  # fmt: skip
        yield {name: not bool(p["conf_low"][0] <= truth <= p["conf_high"][0]) for name, (p, truth) in asked.items()}


def table(title: str, cases: dict[str, Callable[[int], Draw]], n: int) -> None:
    """One row a case: shares of simulations."""
    for number, (name, draws) in enumerate(cases.items()):
        counts: defaultdict[str, int] = defaultdict(int)
        for found in draws(n):
            for key, value in found.items():
                counts[key] += value
        if not number:
            print(f"\n| {title} | {' | '.join(counts)} |\n|---|{'---:|' * len(counts)}")
        print(f"| {name} | {' | '.join(f'{count / n:.3f}' for count in counts.values())} |", flush=True)


if __name__ == "__main__":
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    table("groups of a mixed logistic model", {f"{G}": lambda n, G=G: mixed(G, n) for G in (6, 10, 20)}, simulations)
    table("clusters of a linear model", {f"{G}": lambda n, G=G: clusters(G, n) for G in (6, 12, 30)}, simulations)
    table("clusters of estimating equations", {f"{G}": lambda n, G=G: equations(G, n) for G in (10, 20)}, simulations)
    limits = {f"{G} groups, sd {sd}": lambda n, G=G, sd=sd: predictions(G, n, sd) for G in (6, 15) for sd in (0.4, 1.0)}
    table("limits of 95 % that miss", limits, simulations)
