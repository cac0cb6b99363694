"""Kenward and Roger's tests by pbkrtest, of a model that R fits again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from formula_neuro.errors import Unable
from formula_neuro.family import Array
from formula_neuro.result import Fit

from .asked import arguments
from .engine import call


@dataclass(frozen=True, eq=False)
class Pbkrtest:
    """The adjusted covariance (p, p) of the coefficients, NaN where one was dropped, and the tests that go with it."""

    covariance: Array
    asked: Mapping[str, Any]  # the model as R is asked for it
    names: tuple[str, ...]
    beta: Array

    def df(self, L: Array) -> Array:
        """Degrees of freedom (q,) of the t test of each row of L (q, p)."""
        rows = {"method": "Kenward-Roger", "rows_of": np.atleast_2d(L), "columns_of": self.names}
        found: Array = call("degrees", {**self.asked, **rows}).value["df"]
        return found

    def f_test(self, L: Array, e: Array) -> tuple[float, float]:
        """The scaled F of L b = r, e = L b - r (q,), and its denominator degrees of freedom."""
        right = L @ np.nan_to_num(self.beta) - e
        value = call("kenward_roger_test", {**self.asked, "rows_of": L, "columns_of": self.names, "right": right}).value
        return float(value["statistic"][0]), float(value["df"][0])


def kenward_roger(fit: Fit, start: Mapping[str, Any]) -> Pbkrtest:
    """What pbkrtest makes of a REML fit of lmerTest; Unable for a fit by maximum likelihood."""
    if fit.request.estimator.word != "reml":
        raise Unable("Kenward and Roger's method is of REML estimates; refit with estimator='reml'")
    asked = {**arguments(fit.request), **start}
    found = call("kenward_roger", asked).value
    places = [fit.names.index(name) for name in found["names"]]
    covariance = np.full((len(fit.names), len(fit.names)), np.nan)
    covariance[np.ix_(places, places)] = found["covariance"]
    return Pbkrtest(covariance, asked, fit.names, fit.beta)
