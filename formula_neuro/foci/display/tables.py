"""Tables on a meta-regression of foci: moderators, terms, cells, and one row on the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special, stats

from ..inference.moderators import moderator_precision

if TYPE_CHECKING:
    from ..fit import FociFit


def moderators(
    fit: FociFit, covariance: str | None = None, conf_level: float = 0.95, exponentiate: bool = False
) -> pd.DataFrame:
    """One row a global moderator; see FociFit.tidy."""
    if not 0 < conf_level < 1:
        raise ValueError(f"conf_level= lies between 0 and 1, as .95; got {conf_level!r}")
    precision = moderator_precision(fit, covariance)
    estimate, se = np.asarray(fit.engine.gamma, dtype=float), np.sqrt(np.diag(precision.covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / se
    df = precision.df
    half = (stats.t.ppf(0.5 + conf_level / 2, df) if np.isfinite(df) else special.ndtri(0.5 + conf_level / 2)) * se
    p = 2 * (stats.t.sf(np.abs(statistic), df) if np.isfinite(df) else special.ndtr(-np.abs(statistic)))
    table = pd.DataFrame(
        {
            "term": list(fit.names),
            "estimate": estimate,
            "std_error": se,
            "statistic": statistic,
            "df": np.full(len(se), df),
            "p_value": p,
            "conf_low": estimate - half,
            "conf_high": estimate + half,
        }
    )
    if exponentiate:
        table["std_error"] *= np.exp(table["estimate"])
        for name in ("estimate", "conf_low", "conf_high"):
            table[name] = np.exp(table[name])
    return table


def terms(fit: FociFit) -> pd.DataFrame:
    """One row a map and a global column; see FociFit.terms."""
    P = np.asarray(fit.engine.b).shape[1]
    rows = [
        {
            "name": name,
            "kind": "map",
            "question": "where" if name in fit.request.cells else "where it changes",
            "coefficients": P,
        }
        for name in fit.request.maps
    ]
    rows += [{"name": name, "kind": "global", "question": "how many", "coefficients": 1} for name in fit.names]
    return pd.DataFrame(rows, columns=["name", "kind", "question", "coefficients"])


def cells(fit: FociFit) -> pd.DataFrame:
    """One row a cell: what its map rests on, and where it is highest; see FociFit.cell_table."""
    request, rows = fit.request, []
    totals, study = request.totals, request.cluster
    at = fit.brain.world
    for g, name in enumerate(fit.cells):
        mine = request.group == g
        intensity = fit.maps.at_voxels(("intensity", name))
        peak = int(np.argmax(intensity))
        edf = float(fit.edf.get(name, np.nan))
        rows.append(
            {
                "cell": name,
                "analyses": int(mine.sum()),
                "studies": len(np.unique(study[mine])),
                "foci": int(totals[mine].sum()),
                "foci_per_analysis": float(totals[mine].mean()),
                "expected": float(intensity.sum()),
                "edf": edf,
                "foci_per_edf": float(totals[mine].sum() / edf) if edf else float("nan"),
                "highest": float(intensity[peak] / intensity.mean()),
                **dict(zip("xyz", at[peak].tolist(), strict=True)),
            }
        )
    return pd.DataFrame(rows)


def overall(fit: FociFit) -> pd.DataFrame:
    """One row on the whole fit; see FociFit.glance."""
    request = fit.request
    row = {
        "model": request.model,
        "family": fit.family.name,
        "estimator": repr(request.estimator),
        "backend": fit.backend,
        "analyses": fit.nobs,
        "studies": fit.n_studies,
        "foci": int(request.totals.sum()),
        "voxels": len(fit.brain.voxels),
        "maps": len(request.maps),
        "splines": int(np.asarray(fit.engine.b).shape[1]),
        "moderators": len(fit.names),
        "n_parameters": fit.n_parameters,
        "penalty": fit.penalty,
        "phi": fit.phi,
        "loglik": fit.loglik,
        "aic": fit.aic,
        "bic": fit.bic,
        "df_resid": fit.df_resid,
        "converged": fit.converged,
        "seconds": fit.seconds,
    }
    return pd.DataFrame([row])
