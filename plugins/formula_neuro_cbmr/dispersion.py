"""Whether frailties vary at all: likelihood ratio tests of alpha = 0, which lies at the edge of what alpha can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from formula_neuro.family import Array

from .clustered import clustered_level
from .totals import Level, Totals


@dataclass(frozen=True, eq=False)
class DispersionTest:
    """By group: alpha, the standard error of its logarithm, the statistic 2 (l - l at alpha = 0) and its p value."""

    group: tuple[str, ...]
    alpha: Array
    log_se: Array
    statistic: Array
    p_value: Array

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Of alpha, by the normal distribution of its logarithm; NaN where alpha is 0."""
        width = np.sqrt(chi2.ppf(level, 1)) * self.log_se
        return self.alpha * np.exp(-width), self.alpha * np.exp(width)


def dispersion_tests(totals: Totals, level: Level) -> DispersionTest:
    """A test a group, the other groups' variances free; `level` is the fit with all free.

    Half of the null distribution is 0, half chi-squared with one degree of freedom (Self & Liang 1987, case 5).
    """
    groups = totals.groups
    statistic = np.zeros(groups)
    for j in np.flatnonzero(level.alpha > 0):
        without = clustered_level(totals, poisson=(np.arange(groups) == j) | (level.alpha == 0))
        statistic[j] = max(0.0, 2 * (level.loglik - without.loglik))
    return DispersionTest(totals.names[:groups], level.alpha, level.alpha_se, statistic, edge_p(statistic))


def edge_p(statistic: Array) -> Array:
    """P values under half a point mass at 0 and half a chi-squared with one degree of freedom; 1 at 0.

    >>> edge_p(np.array([0.0, 2.705543454095404])).round(6).tolist()
    [1.0, 0.05]
    """
    return np.where(statistic > 0, chi2.sf(statistic, 1) / 2, 1.0)
