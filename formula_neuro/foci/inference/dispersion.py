"""Whether the numbers of foci vary more than Poisson's, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from ...errors import Unable
from ...family import Array

if TYPE_CHECKING:
    from ..fit import FociFit


def dispersion(fit: FociFit, conf_level: float = 0.95) -> pd.DataFrame:
    """One row a cell: cell, alpha, conf_low, conf_high, statistic, p_value, logp; see FociFit.dispersion."""
    if not 0 < conf_level < 1:
        raise ValueError(f"conf_level= lies between 0 and 1, as .95; got {conf_level!r}")
    found: Any = getattr(fit.engine, "dispersions", None)
    if found is None:
        raise Unable(
            f"a {fit.family.name} fit with maps of numbers, or with NiMARE's splines, has no test of overdispersion; "
            "fit family='clustered_negative_binomial'"
        )
    found = found()
    width = special.ndtri(0.5 + conf_level / 2) * found.log_se
    return pd.DataFrame(
        {
            "cell": list(fit.cells),
            "alpha": found.alpha,
            "conf_low": found.alpha * np.exp(-width),
            "conf_high": found.alpha * np.exp(width),
            "statistic": found.statistic,
            "p_value": edge_p(found.statistic),
            "logp": edge_logp(found.statistic),
        }
    )


def edge_p(statistic: Array) -> Array:
    """P values of likelihood ratios whose parameter lies at an edge under the null (Self & Liang 1987, case 5).

    Half of the distribution is 0, half chi-squared with one degree of freedom: the square root's upper normal tail.

    >>> edge_p(np.array([0.0, 2.705543454095404])).round(6).tolist()
    [1.0, 0.05]
    """
    return np.where(statistic > 0, special.ndtr(-np.sqrt(statistic)), 1.0)


def edge_logp(statistic: Array) -> Array:
    """-log10 of these p values, where they are too small for a number as well."""
    return np.where(statistic > 0, -special.log_ndtr(-np.sqrt(statistic)) / np.log(10), 0.0)
