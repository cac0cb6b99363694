"""m.shape_parameter(): what a family has beside its mean, with its error."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import Unable
from ..result import Fit
from .coefficients import check_level


def shape_parameter(fit: Fit, conf_level: float = 0.95) -> pd.DataFrame:
    """One row: term ("theta" of nbinom2, "phi" of nbinom1, beta, betabinomial), estimate, std_error and limits.

    The limits are Wald's on the scale of the logarithm, as glmmTMB's; NaN where the shape went to its limit. Raises
    Unable for families without a shape that is estimated; sigma is the residual sd of those with a dispersion.

    >>> import formula_neuro as fn
    >>> data = {"cells": [0, 2, 9, 4, 1, 5, 12, 0, 6, 4, 3, 17], "mouse": list("aaabbbcccddd")}
    >>> m = fn.fit("cells ~ 1 + (1|mouse)", data, family="nbinom2")
    >>> shape_parameter(m).round(1).values.tolist()
    [['theta', 1.2, 0.7, 0.4, 3.5]]
    """
    check_level(conf_level)
    shape = fit.family.shape
    if shape is None:
        raise Unable(f"{fit.family} has no shape that is estimated; m.sigma is the residual standard deviation")
    name, value, error = shape
    with np.errstate(all="ignore"):  # at a limit there is no error
        spread = np.exp(stats.norm.ppf((1 + conf_level) / 2) * error / value)
        limits = [value / spread, value * spread] if np.isfinite(value) and value > 0 else [np.nan, np.nan]
    return pd.DataFrame([[name, value, error, *limits]], columns="term estimate std_error conf_low conf_high".split())
