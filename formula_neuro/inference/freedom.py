"""Degrees of freedom of tests of coefficients, by the word that names the method."""

from __future__ import annotations

import numpy as np

from ..errors import Unable
from ..family import Array
from ..nearest import not_known
from ..result import Fit
from .ability import ability

DF_WORDS = ("satterthwaite", "kenward-roger", "containment", "residual", "none")


def degrees_of_freedom(fit: Fit, L: Array, word: str | None = None) -> Array:
    """Denominator degrees of freedom (q,) of the contrasts L (q, p); None takes the model's default."""
    if word is not None and word not in DF_WORDS:
        raise ValueError(not_known("df", word, DF_WORDS, {"kr": "kenward-roger", "inf": "none", "asymptotic": "none"}))
    q, model = len(L), fit.request.model
    plain = model == "glmm" or (model == "glm" and not fit.request.family.dispersed)
    if word == "none" or (word is None and plain):
        return np.full(q, np.inf)
    if word == "residual" or (word is None and model != "lmm"):
        return np.full(q, fit.df_resid)
    if model != "lmm" and (model, word) != ("glmm", "containment"):
        takes = "'containment', 'residual' or 'none'" if model == "glmm" else "'residual' or 'none'"
        raise Unable(f"df={word!r} is for linear mixed models; this is a {model}, which takes {takes}")
    if word is None and not hasattr(fit.engine, "df"):
        return np.full(q, np.nan)
    known = ~np.isnan(fit.beta)
    found = np.full(q, np.nan)
    asked = ~(np.abs(L[:, ~known]) > 0).any(axis=1)  # a contrast of an aliased coefficient has no answer
    if asked.any():
        method = ability(fit, "df", f"df={word!r}")
        found[asked] = method(fit, L[asked], word or getattr(fit.engine, "default_df", "satterthwaite"))
    return found


def pooled_df(nu: Array) -> float:
    """One denominator for an F test from its q one-row degrees of freedom (Kuznetsova et al. 2017, lmerTest).

    nu if all are equal, 2 if any is at most 2, else 2E/(E - q) with E = sum nu/(nu - 2).

    >>> pooled_df(np.array([10.0, 10.0])), pooled_df(np.array([1.5, 10.0])), round(pooled_df(np.array([4.0, 8.0])), 3)
    (10.0, 2.0, 5.0)
    """
    if np.isnan(nu).any():
        return float("nan")
    if len(nu) == 1 or np.isinf(nu).all() or np.ptp(nu) < 1e-8 * abs(nu[0]):
        return float(nu[0])
    if (nu <= 2).any():
        return 2.0
    total = float((nu / (nu - 2)).sum())
    return 2 * total / (total - len(nu)) if total > len(nu) else float("inf")
