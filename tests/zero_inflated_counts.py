"""Counts with extra zeros, and their fit: what two test files share."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

import formula_neuro as fn


def inflated(seed=1, family="poisson", levels=15, size=12, p=0.3, slope=0.8):
    """Counts of cells in mice, some of which are 0 for another reason than their mean."""
    rng = np.random.default_rng(seed)
    n = levels * size
    g, x, z = np.repeat(np.arange(levels), size), rng.normal(size=n), rng.normal(size=n)
    mu = np.exp(1 + 0.4 * x + rng.normal(size=levels)[g] / 2)
    drawn = {
        "poisson": lambda: rng.poisson(mu),
        "nbinom2": lambda: rng.negative_binomial(2, 2 / (2 + mu)),
        "nbinom1": lambda: rng.negative_binomial(mu / 1.5, 1 / 2.5),
    }
    y = drawn.get(family, drawn["poisson"])()
    y = np.where(rng.random(n) < special.expit(special.logit(p) + slope * z), 0, y)
    part = np.where(rng.random(n) < p, 0, rng.binomial(6, special.expit(0.3 * x + rng.normal(size=levels)[g])))
    return pd.DataFrame({"y": y, "part": part / 6, "m": 6, "x": x, "z": z, "g": g, "h": rng.integers(0, 6, n)})


def zip_of(data, formula="y ~ x + (1|g)", family="poisson", zeros="~ z", **options):
    return fn.fit(formula, data, family=family, estimator=fn.Laplace(zero_inflation=zeros), **options)
