"""Mixed models of every structure, and what R says of each: tables, formulas, our fits, and one live run of R.

R is asked at the optimum that is found here, for lme4's own search stops up to 2e-3 from it in theta; what it reaches
by itself is asked as well, so that a better optimum of R's would be seen.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import formula_neuro as fn
from formula_neuro.display.grouping_words import grouping_notes


@dataclass(frozen=True)
class Model:
    """A formula, its table (`package:name` of R's, or `function:seed` of this file), and what else is asked of R."""

    formula: str
    table: str
    family: str = "gaussian"
    estimator: str | fn.Laplace | None = None
    weights: str | None = None
    means: str | None = None  # the factor of marginal means
    lme: str | None = None  # the random part as nlme writes it

    @property
    def linear(self) -> bool:
        return self.family == "gaussian"

    @property
    def judge(self) -> str:
        """The package of R that maximises the same likelihood."""
        same = self.linear or (self.family.startswith(("binomial", "poisson")) and not self.observed)
        return "lme4" if same else "glmmTMB"

    @property
    def observed(self) -> bool:
        return isinstance(self.estimator, fn.Laplace)

    @property
    def alone(self) -> bool:
        """Whether each grouping factor has one random term."""
        groups = re.findall(r"\|([^|)]+)\)", self.formula)
        return "||" not in self.formula and len(groups) == len(set(groups))

    @property
    def nodes(self) -> int:
        """Of adaptive quadrature; 1 is Laplace's approximation."""
        asked = re.fullmatch(r"AGQ\((\d+)\)", str(self.estimator))
        return int(asked[1]) if asked else 1


# ---- tables --------------------------------------------------------------------------------------
def cells(seed: int) -> pd.DataFrame:
    """Unbalanced groups, b within a but with levels of one row, a variance of 0 for even seeds."""
    rng = np.random.default_rng(seed)
    n = 240
    a = rng.choice(8, n, p=np.arange(2, 10) / 44)
    b, h, t = a * 4 + rng.integers(0, 2 + a % 3, n), rng.integers(0, 7, n), rng.integers(0, 4, n)
    b[:4] = 100 + np.arange(4)
    x, z = rng.normal(size=n), 10 + 3 * rng.normal(size=n)
    y = x + rng.normal(size=8)[a] * (1 + 0.4 * x) + 0.8 * (seed % 2) * rng.normal(size=200)[b]
    y += 0.6 * rng.normal(size=7)[h] + rng.normal(size=n)
    groups = {name: [f"{name}{i:03d}" for i in codes] for name, codes in (("a", a), ("b", b), ("h", h), ("t", t))}
    return pd.DataFrame({"y": y, "x": x, "z": z, "o": rng.normal(size=n), "w": rng.uniform(0.3, 3, n), **groups})


def animals(seed: int) -> pd.DataFrame:
    """Groups g of unequal size with cells c inside, crossed with k; a and few are constant within g."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 13, 12)
    g = np.repeat(np.arange(12), sizes)
    n = len(g)
    t = pd.DataFrame({"g": g, "c": rng.integers(0, 3, n), "k": rng.integers(0, 6, n), "few": g % 4, "a": g % 3})
    t["f"], t["h"] = rng.choice(["p", "q", "r"], n, p=[0.5, 0.3, 0.2]), rng.choice(["u", "v"], n)
    t["x"], t["z"], t["w"] = rng.normal(1, 1, n), rng.normal(size=n), rng.uniform(0.3, 3, n)
    y = t["x"] + (t["f"] == "q") + rng.normal(size=n) / np.sqrt(t["w"] if 6 <= seed <= 7 else 1)
    if seed != 10:
        cells = rng.normal(size=36)[t["g"] * 3 + t["c"]]
        y = y + rng.normal(size=12)[g] * (1 + 0.6 * t["x"]) + 0.8 * rng.normal(size=6)[t["k"]] * (1 + t["z"]) + cells
    letters = {column: t[column].map(f"{column}{{}}".format) for column in ("g", "c", "k", "few", "a")}
    return t.assign(y=y, **letters)


def trials(seed: int) -> pd.DataFrame:
    """Responses of every family, with an intercept and a slope that vary by g, a crossed factor h, and idle k."""
    rng = np.random.default_rng(seed)
    n = 240
    g, h, x = rng.integers(0, 15, n), rng.integers(0, 6, n), rng.normal(size=n)
    eta = 0.4 + 0.5 * x + 0.5 * rng.normal(size=15)[g] + 0.3 * rng.normal(size=15)[g] * x + 0.4 * rng.normal(size=6)[h]
    mu, p, size = np.exp(eta), 1 / (1 + np.exp(-eta)), rng.integers(1, 12, n)
    t = pd.DataFrame({"x": x, "o": rng.normal(size=n) / 3, "w": rng.integers(1, 4, n), "size": size})
    t["y"] = rng.binomial(1, p)
    t["count"] = rng.negative_binomial(2.0, 2.0 / (2.0 + mu))
    t["spread"] = rng.negative_binomial(mu / 1.5, 1 / 2.5)
    t["share"] = np.clip(rng.beta(6 * p, 6 * (1 - p)), 1e-4, 1 - 1e-4)
    t["hits"] = rng.binomial(size, rng.beta(5 * p, 5 * (1 - p)))
    t["time"] = rng.gamma(3.0, mu / 3.0)
    t["level"] = np.abs(mu + 0.3 * rng.normal(size=n)) + 0.5
    t["idle"] = rng.poisson(3.0, n)
    f, k, c = rng.choice(["p", "q", "r"], n), np.arange(n) % 6, rng.integers(0, 2, n)
    groups = {name: [f"{name}{i:02d}" for i in codes] for name, codes in (("g", g), ("h", h), ("k", k), ("c", c))}
    return t.assign(rest=size - t["hits"], part=t["hits"] / size, f=f, **groups)


TABLES: dict[str, Callable[[int], pd.DataFrame]] = {"cells": cells, "animals": animals, "trials": trials}


def table(source: str) -> pd.DataFrame:
    """The table that a model names."""
    from formula_neuro_r import data

    place, _, name = source.partition(":")
    return TABLES[place](int(name)) if place in TABLES else data(place, name)


# ---- models --------------------------------------------------------------------------------------
STRUCTURES = {
    "intercepts": "y ~ x + (1|a)",
    "slopes": "y ~ x + (x|a)",
    "two slopes": "y ~ 1 + (x + z|a)",
    "slopes by themselves": "y ~ x + (x||a)",
    "intercepts beside slopes of another column": "y ~ x + (1|a) + (0 + z|a)",
    "nested": "y ~ x * t + (1|a/b)",
    "nested, slopes in both": "y ~ x + (x|a/b)",
    "nested, slopes outside": "y ~ x + (x|a) + (1|b)",
    "nested and crossed": "y ~ x + (1|a/b) + (1|h)",
    "crossed": "y ~ x + (1|b) + (1|h)",
    "crossed, slopes in both": "y ~ x + (x|b) + (z|h)",
    "three crossed": "y ~ x + (1|b) + (1|h) + (1|t)",
    "an offset": "y ~ x + z + offset(o) + (x|h)",
}
PLAIN = {f"{name}, cells": Model(formula, "cells:0") for name, formula in STRUCTURES.items()}
WEIGHTED = {
    f"{name}, cells, ML, weighted": Model(formula, "cells:3", estimator="ml", weights="w")
    for name, formula in STRUCTURES.items()
}
KNOWN = {
    "sleepstudy": Model("Reaction ~ Days + (Days|Subject)", "lme4:sleepstudy", lme="~ Days | Subject"),
    "sleepstudy, ML": Model("Reaction ~ Days + (Days|Subject)", "lme4:sleepstudy", estimator="ml"),
    "sleepstudy, no correlation": Model("Reaction ~ Days + (Days||Subject)", "lme4:sleepstudy"),
    "sleepstudy, days as a factor": Model("Reaction ~ factor(Days) + (1|Subject)", "lme4:sleepstudy"),
    "Dyestuff": Model("Yield ~ 1 + (1|Batch)", "lme4:Dyestuff"),
    "Dyestuff2": Model("Yield ~ 1 + (1|Batch)", "lme4:Dyestuff2"),
    "Penicillin": Model("diameter ~ 1 + (1|plate) + (1|sample)", "lme4:Penicillin"),
    "Pastes": Model("strength ~ 1 + (1|batch/cask)", "lme4:Pastes", lme="~ 1 | batch/cask"),
    "cake": Model("angle ~ recipe * temperature + (1|recipe:replicate)", "lme4:cake", means="recipe"),
    "Oats": Model(
        "yield ~ Variety * factor(nitro) + (1|Block/Variety)",
        "nlme:Oats", means="Variety", lme="~ 1 | Block/Variety",
    ),
    "Orthodont": Model("distance ~ age * Sex + (age|Subject)", "nlme:Orthodont", means="Sex", lme="~ age | Subject"),
    "Machines": Model(
        "score ~ Machine + (1|Worker/Machine)", "nlme:Machines", means="Machine", lme="~ 1 | Worker/Machine"
    ),
}  # fmt: skip
ANIMALS = {
    "crossed, animals": Model("y ~ f * h + x + (1|g) + (1|k)", "animals:1", means="f"),
    "crossed, slopes in one, animals": Model("y ~ x + f + (x|g) + (1|k)", "animals:2"),
    "crossed, two slopes, animals": Model("y ~ x + z + f + (x|g) + (0 + z|k)", "animals:3"),
    "nested, animals": Model("y ~ a * x + f + (1|g/c)", "animals:4", means="f", lme="~ 1 | g/c"),
    "nested, slopes, animals": Model("y ~ x * f + (x|g) + (1|g:c)", "animals:5"),
    "weighted, animals": Model("y ~ x + f * h + (1|g)", "animals:6", means="f", weights="w"),
    "weighted, slopes, animals": Model("y ~ x * f + (x|g)", "animals:7", means="f", weights="w"),
    "no intercept, animals": Model("y ~ 0 + f + x + (1|g)", "animals:8", lme="~ 1 | g"),
    "no variance, animals": Model("y ~ f * x + (1|g) + (1|k)", "animals:10"),
    "an offset and a square, animals": Model(
        "y ~ x + I(x^2) + h + offset(z) + (1|g) + (1|g:c)", "animals:11", means="h"
    ),
}
HERDS = "cbind(incidence, size - incidence) ~ period + (1|herd)"
BINOMIAL = {
    "cbpp": Model(HERDS, "lme4:cbpp", "binomial"),
    "cbpp, quadrature": Model(HERDS, "lme4:cbpp", "binomial", "AGQ(10)"),
    "cbpp, probit": Model(HERDS, "lme4:cbpp", "binomial(probit)"),
    "cbpp, probit, observed weights": Model(HERDS, "lme4:cbpp", "binomial(probit)", fn.Laplace("observed")),
    "cbpp, cloglog": Model(HERDS, "lme4:cbpp", "binomial(cloglog)"),
    "binomial": Model("y ~ x + f + (1|g)", "trials:8", "binomial"),
    "binomial, quadrature": Model("y ~ x + (1|g)", "trials:8", "binomial", "AGQ(15)"),
    "binomial, slopes": Model("y ~ x + (x|g)", "trials:8", "binomial"),
    "binomial, crossed": Model("y ~ x + (1|g) + (1|h)", "trials:8", "binomial(probit)"),
    "binomial, offset": Model("y ~ x + offset(o) + (1|g)", "trials:8", "binomial(cloglog)"),
    "binomial, no variance": Model("y ~ x + (1|k)", "trials:8", "binomial"),
    "proportions, weighted": Model("part ~ x + (x|g)", "trials:8", "binomial", weights="size"),
    "binomial, nested": Model("cbind(hits, rest) ~ x + (1|g/c)", "trials:8", "binomial"),
    "binomial, cauchit": Model("cbind(hits, rest) ~ x + (1|g) + (1|h)", "trials:8", "binomial(cauchit)"),
    "binomial, three factors": Model("cbind(hits, rest) ~ x + (1|g/c) + (1|h)", "trials:8", "binomial"),
    "binomial, observed weights": Model("y ~ x + (x|g)", "trials:8", "binomial(cloglog)", fn.Laplace("observed")),
}
POISSON = {
    "poisson": Model("count ~ x + f + (1|g)", "trials:8", "poisson"),
    "poisson, quadrature": Model("count ~ x + (1|g)", "trials:8", "poisson", "AGQ(9)"),
    "poisson, weighted": Model("count ~ x + (1|g)", "trials:8", "poisson", weights="w"),
    "poisson, slopes and crossed": Model("count ~ x + offset(o) + (x|g) + (1|h)", "trials:8", "poisson"),
    "poisson, cells": Model("count ~ x + (1|g:h)", "trials:8", "poisson"),
    "poisson, slopes alone": Model("count ~ x + (0+x|g)", "trials:8", "poisson"),
    "poisson, no variance": Model("idle ~ x + (1|g) + (1|k)", "trials:8", "poisson"),
    "poisson, root": Model("count + 9 ~ x + (1|g)", "trials:8", "poisson(sqrt)", fn.Laplace("observed")),
}
DISPERSED = {
    "nbinom2": Model("count ~ x + f + (1|g)", "trials:8", "nbinom2", means="f"),
    "nbinom2, offset": Model("count ~ x + offset(o) + (x|g)", "trials:8", "nbinom2"),
    "nbinom2, root": Model("count * 3 + 9 ~ x + (1|g) + (1|h)", "trials:8", "nbinom2(sqrt)"),  # means near 0: a kink
    "nbinom2, weighted": Model("count ~ x + (1|g)", "trials:8", "nbinom2", weights="w"),
    "nbinom1": Model("spread ~ x + (1|g)", "trials:8", "nbinom1"),
    "nbinom1, crossed": Model("spread ~ x + (x||g) + (1|h)", "trials:8", "nbinom1"),
    "beta": Model("share ~ x + f + (1|g)", "trials:8", "beta", means="f"),
    "beta, weighted": Model("share ~ x + (x|g)", "trials:8", "beta", weights="w"),
    "beta, probit": Model("share ~ x + (1|g) + (1|h)", "trials:8", "beta(probit)"),
    "betabinomial": Model("cbind(hits, rest) ~ x + (1|g)", "trials:8", "betabinomial"),
    "betabinomial, crossed": Model("cbind(hits, rest) ~ x + (1|g) + (1|h)", "trials:8", "betabinomial(cloglog)"),
    "Gamma": Model("time ~ x + (1|g)", "trials:8", "Gamma(log)"),
    "Gamma, slopes and crossed": Model("time ~ x + (x|g) + (1|h)", "trials:8", "Gamma(log)"),
    "Gamma, inverse": Model("time ~ 1 + (1|g)", "trials:8", "Gamma(inverse)"),
    "Gamma, weighted": Model("time ~ x + (1|g)", "trials:8", "Gamma(log)", weights="w"),
    "gaussian, log": Model("level ~ x + (1|g)", "trials:8", "gaussian(log)"),
}
MODELS = PLAIN | WEIGHTED | KNOWN | ANIMALS | BINOMIAL | POISSON | DISPERSED


# ---- fits and answers ----------------------------------------------------------------------------
@dataclass(frozen=True)
class Beside:
    """Tables by their names; a fit and R's answer by the model's name."""

    tables: dict[str, pd.DataFrame]
    fits: dict[str, fn.Fit]
    answers: dict[str, dict]


def beside(folder: Path) -> Beside:
    """Every model fitted, and R asked about all of them in one run, whose files go into the folder."""
    tables = {source: table(source) for source in dict.fromkeys(model.table for model in MODELS.values())}
    fits = {
        name: fn.fit(m.formula, tables[m.table], family=m.family, estimator=m.estimator, weights=m.weights)
        for name, m in MODELS.items()
    }
    asked = {
        "tables": {source: _columns(t) for source, t in tables.items()},
        "models": {name: _asked(m, fits[name]) for name, m in MODELS.items()},
    }
    (folder / "asked.json").write_text(json.dumps(asked, default=float))
    script = Path(__file__).with_suffix(".R")
    command = ["Rscript", str(script), str(folder / "asked.json"), str(folder / "answers.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Beside(tables, fits, json.loads((folder / "answers.json").read_text()))


def _columns(table: pd.DataFrame) -> dict:
    """The columns as JSON, with the levels of factors."""
    out = {}
    for name, column in table.items():
        values = column.astype(object).where(column.notna(), None).tolist()
        out[name] = {"values": values}
        if isinstance(column.dtype, pd.CategoricalDtype):
            out[name] |= {"levels": [str(v) for v in column.cat.categories], "ordered": bool(column.cat.ordered)}
            out[name]["values"] = [None if v is None else str(v) for v in values]
        elif not pd.api.types.is_numeric_dtype(column.dtype):
            out[name] |= {"levels": sorted(set(values)), "ordered": False}
    return out


def _asked(model: Model, fit: fn.Fit) -> dict:
    word, _, link = model.family.partition("(")  # binomial(probit): binomial, probit
    given = {
        "formula": model.formula,
        "table": model.table,
        "family": {"beta": "beta_family"}.get(word, word),
        "judge": model.judge,
        "nodes": model.nodes,
        "reml": model.estimator != "ml",
        "theta": fit.theta.tolist(),
        "beta": fit.beta.tolist(),
        "se": np.asarray(fit.se).tolist(),
        "alone": model.alone,
        "terms": any(term.variables for term in fit.request.design.terms),
        "fixed": model.formula.split(" + (")[0],
    }
    more = {"link": link.rstrip(")") or None, "means": model.means, "weights": model.weights, "lme": model.lme}
    return given | {key: value for key, value in more.items() if value is not None}


# ---- what a model is an example of ---------------------------------------------------------------
def singular(fit: fn.Fit) -> bool:
    """Whether some covariance of random effects has no full rank."""
    return any(np.linalg.eigvalsh(effect.covariance)[0] < 1e-9 for effect in fit.random)


def words(model: Model, fit: fn.Fit) -> set[str]:
    """The structures that a fit shows, told from the fit and its table."""
    design = fit.request.design
    pairs = " ".join(grouping_notes(design.random))
    factors = len({term.group for term in design.random})
    sizes = [np.bincount(term.codes) for term in design.random]
    found = {
        "single factor": factors == 1,
        "nested": factors == 2 and "nested" in pairs,
        "crossed": factors == 2 and "crossed" in pairs,
        "general": factors > 2 and "crossed" in pairs,
        "random slopes": any(len(effect.columns) > 1 for effect in fit.random),
        "singular": singular(fit),
        "zero variance": any((np.diag(effect.covariance) == 0).any() for effect in fit.random),
        "unbalanced": any(size.min() < size.max() for size in sizes),
        "balanced": all(size.min() == size.max() for size in sizes),
        "weighted": model.weights is not None,
        "offset": "offset(" in model.formula,
        "adaptive quadrature": model.nodes > 1,
        "maximum likelihood": model.estimator == "ml",
        "REML": model.linear and model.estimator is None,
    }
    return {word for word, holds in found.items() if holds} | {model.family.partition("(")[0]}
