"""Meta-regressions of foci as columns of fn.compare's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...errors import DataError, Unable
from .nested import check_same_foci

if TYPE_CHECKING:
    from ..fit import FociFit

WHOLE = ("analyses", "studies", "foci", "maps", "parameters", "phi", "loglik", "aic", "bic")


def parts(fit: FociFit, covariance: Any, conf_level: float, exponentiate: bool) -> list[pd.DataFrame]:
    """Its global moderators, and the fit as a whole, in the long form of Comparison.frame."""
    moderators = fit.tidy(vcov=covariance, conf_level=conf_level, exponentiate=exponentiate)
    row = fit.glance().iloc[0].to_dict() | {"parameters": fit.n_parameters}
    pairs = [(name, float(row[name])) for name in WHOLE]
    pairs += [(f"alpha {cell}", value) for cell, value in fit.alpha.items()]
    whole = pd.DataFrame([{"term": name, "estimate": value} for name, value in pairs if np.isfinite(value)])
    return [moderators.assign(part="coefficients", separated=np.nan), whole.assign(part="fit")]


def notes(fits: Sequence[FociFit], words: Sequence[str]) -> tuple[str, ...]:
    """What keeps the columns from being comparable, and what the standard errors rest on."""
    found = []
    try:
        check_same_foci(list(fits))
    except (DataError, Unable) as error:
        found.append(str(error))
    found += [f"{fit.request.design.formula} did not converge" for fit in fits if not fit.converged]
    if len({fit.penalty for fit in fits}) > 1:
        found.append("maps are smoothed differently: their parameters are effective coefficients")
    return tuple(dict.fromkeys([*found, f"standard errors of moderators: {', '.join(dict.fromkeys(words))}"]))
