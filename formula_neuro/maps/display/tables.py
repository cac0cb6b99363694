"""Tables on a fit in every voxel: one row a coefficient, and one row on the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..inference.multiplicity import discoveries

if TYPE_CHECKING:
    from ..fit import MapFit

BEYOND = 1.96


def by_coefficient(fit: MapFit, alpha: float = 0.05) -> pd.DataFrame:
    """One row a coefficient; see MapFit.tidy."""
    rows = []
    for j, name in enumerate(fit.names):
        estimate, z = fit.values["coef"][:, j], fit.maps.at_voxels(("z", name))
        p = fit.maps.at_voxels(("p", name))
        known, finite = ~np.isnan(estimate), np.isfinite(z)
        found = discoveries(p, alpha)
        signs = fit.values["separated"][:, j] if "separated" in fit.values else np.zeros(len(z))
        rows.append(
            {
                "term": name,
                "voxels": int(known.sum()),
                "separated": int((signs != 0).sum()),
                "to_plus_infinity": int((signs == 1).sum()),
                "to_minus_infinity": int((signs == -1).sum()),
                f"beyond_{BEYOND}": int((np.abs(z[finite]) > BEYOND).sum()),
                "discoveries": int(found.sum()),
                "positive": int((found & (z > 0)).sum()),
                "negative": int((found & (z < 0)).sum()),
                "z_min": float(z[finite].min()) if finite.any() else float("nan"),
                "z_max": float(z[finite].max()) if finite.any() else float("nan"),
                "median": float(np.median(estimate[known])) if known.any() else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def overall(fit: MapFit) -> pd.DataFrame:
    """One row on the whole fit; see MapFit.glance."""
    from ..fit import CLASSES

    request = fit.request
    row = {
        "model": request.model,
        "family": str(request.family),
        "estimator": request.estimator.word,
        "backend": fit.backend,
        "images": fit.nobs,
        "voxels": fit.n_voxels,
        "fitted": int(fit.fitted.sum()),
        "not_converged": int(fit.unfinished.sum()),
        "df_resid": fit.df_resid,
    }
    if "class" in fit.values:
        counts = np.bincount(np.asarray(fit.values["class"], dtype=int), minlength=len(CLASSES))
        row |= {name.replace(" ", "_").replace("-", "_"): int(c) for name, c in zip(CLASSES, counts, strict=True)}
    return pd.DataFrame([row | {"seconds": fit.seconds}])
