"""m.zero_inflation(): the coefficients of the probability of zeros that are none of the family's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..design import Design
from ..errors import Unable
from ..family import Array, Binomial
from ..inflation import ZeroInflation
from ..result import Fit
from .coefficients import check_level, wald
from .told import told

TYPES = ("conditional", "zprob", "zlink")  # glmmTMB's words


def zero_inflation(fit: Fit, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
    """One row a coefficient of the zero-inflation model, on the logit scale, with the columns of tidy().

    They are z tests. exponentiate: estimates and limits as odds ratios. Raises Unable without zero inflation.

    >>> import formula_neuro as fn
    >>> data = {"cells": [0, 0, 3, 4, 0, 5, 2, 0, 6, 4, 0, 7, 5, 3, 0, 6], "mouse": list("aaaabbbbccccdddd")}
    >>> m = fn.fit("cells ~ 1 + (1|mouse)", data, family="poisson", estimator=fn.Laplace(zero_inflation="~ 1"))
    >>> zero_inflation(m)[["term", "estimate", "std_error"]].round(2).values.tolist()
    [['(Intercept)', -0.54, 0.53]]
    """
    check_level(conf_level)
    found = required(fit, "m.zero_inflation() is")
    assert fit.request.inflation is not None
    names = list(fit.request.inflation.names)
    table = wald(names, found.gamma, found.se, np.full(len(names), np.inf), conf_level)
    if exponentiate:
        with np.errstate(over="ignore"):  # a coefficient on its way to infinity has an infinite limit
            for column in ("estimate", "conf_low", "conf_high"):
                table[column] = np.exp(table[column])
    return told(table)


def required(fit: Fit, what: str) -> ZeroInflation:
    """The fit's zero inflation; raises Unable where it has none."""
    if fit.inflation is None:
        raise Unable(
            f"{what} of models with zero inflation, and this has none; fit it with estimator=fn.Laplace("
            "zero_inflation='~ 1')"
        )
    return fit.inflation


def refuse(fit: Fit, what: str, instead: str) -> None:
    """Raise Unable where a fit has zero inflation and `what` is not defined for it."""
    if fit.inflation is not None:
        raise Unable(f"{what} not defined here for models with zero inflation; {instead}")


def columns(fit: Fit, newdata: Any) -> Design:
    """The columns of the zero-inflation model in the rows used, or in new data."""
    required(fit, "the probability of extra zeros is")
    design = fit.request.inflation
    assert design is not None
    return design if newdata is None else design.apply(newdata, False)


def probability(fit: Fit, newdata: Any) -> pd.Series:
    """p for the rows used, or for new data; NaN where a covariate is missing."""
    design = columns(fit, newdata)
    p = required(fit, "the probability of extra zeros is").probability(design)
    return pd.Series(p, index=design.index, name="zprob")


def variance(fit: Fit, mu: Array) -> Array:
    """The variance (n,) of each row about (1 - p) mu: (1 - p) (V + p mu^2), V over the trials of shares.

    Of counts the whole is divided by the weights.
    """
    p, w, shares = fit.zero_probability, fit.request.weights, isinstance(fit.family, Binomial)
    own = fit.family.variance(mu) / (w if shares else 1.0)
    return np.asarray((1 - p) * (own + p * mu**2) / (1.0 if shares else w))
