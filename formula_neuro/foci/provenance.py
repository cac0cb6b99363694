"""What made the maps of a meta-regression, for the sidecars of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..maps.files.output import model_of

if TYPE_CHECKING:
    from .fit import FociFit


def provenance(fit: FociFit) -> dict[str, Any]:
    """Formula, family, estimator, versions, counts."""
    request = fit.request
    return model_of(fit) | {
        "Analyses": fit.nobs,
        "Studies": fit.n_studies,
        "Foci": int(request.totals.sum()),
        "Voxels": len(fit.brain.voxels),
        "FociKey": request.foci.key,
        "Messages": list(dict.fromkeys((*request.messages, *fit.messages))),
    }
