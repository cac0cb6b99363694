"""varcorr() and ranef(): what a mixed model says of its random effects, as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..nearest import not_known
from ..result import Fit
from .prediction.joint_covariance import joint
from .told import told


def varcorr(fit: Fit) -> pd.DataFrame:
    """Variances, then covariances (none of diag()), term by term in lme4's order; the residual last.

    Columns as lme4's as.data.frame(VarCorr(m)): group, term, term2 (None for a variance), covariance, and
    sd_or_correlation (a standard deviation for a variance, a correlation for a covariance).
    """
    rows: list[tuple[str, str | None, str | None, float, float]] = []
    for given, effect in zip(fit.request.design.random, fit.random, strict=True):
        V, K = effect.covariance, len(effect.columns)
        sd = np.sqrt(np.diag(V))
        rows += [(effect.group, effect.columns[k], None, V[k, k], sd[k]) for k in range(K)]
        for j in range(K if given.structure != "diag" else 0):
            for k in range(j + 1, K):
                with np.errstate(invalid="ignore", divide="ignore"):
                    rho = float(V[j, k] / (sd[j] * sd[k]))  # NaN where a variance is 0, as lme4
                rows.append((effect.group, effect.columns[j], effect.columns[k], V[j, k], rho))
    if fit.request.family.dispersed:
        rows.append(("Residual", None, None, fit.sigma**2, fit.sigma))
    for name, value in fit.residual.items():  # of a residual structure: sds by level after the first's, and phi
        if name.startswith("sd "):
            level = name[3:].rpartition(" / ")[0]
            rows.append(("Residual", level, None, (fit.sigma * value) ** 2, fit.sigma * value))
        else:
            rows.append(("Residual", name, None, float("nan"), value))
    table = pd.DataFrame(rows, columns=["group", "term", "term2", "covariance", "sd_or_correlation"])
    names = {c: pd.Series([row[i] for row in rows], dtype=object) for i, c in ((1, "term"), (2, "term2"))}
    return told(table.assign(**names))  # objects, because pandas' text columns turn None into NaN


def ranef(fit: Fit, sd: str = "conditional") -> pd.DataFrame:
    """Conditional modes: one row a level and term, with group, level, term, estimate and sd.

    sd: "conditional", given the coefficients, as lme4's condVar; "prediction", with what not knowing the coefficients
    adds: the standard error of the mode as a prediction of the level's effect. Both take the variances as known.
    """
    if sd not in ("conditional", "prediction"):
        raise ValueError(not_known("sd", sd, ("conditional", "prediction")))
    columns = ["group", "level", "term", "estimate", "sd"]
    if not fit.random:
        return pd.DataFrame(columns=columns)
    parts, whole = [], joint(fit) if sd == "prediction" else None
    for i, effect in enumerate(fit.random):
        n, k = effect.modes.shape
        covariances = effect.mode_covariance if whole is None else effect.mode_covariance + whole.added(i)
        variances = np.diagonal(covariances, axis1=1, axis2=2)
        parts.append(
            pd.DataFrame(
                {
                    "group": effect.group,
                    "level": np.repeat(list(effect.levels), k),
                    "term": np.tile(list(effect.columns), n),
                    "estimate": effect.modes.ravel(),
                    "sd": np.sqrt(np.maximum(variances, 0.0)).ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[columns]
