"""Spatially varying coefficients of lesion maps under a CAR prior: the record; the numerics are imported later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formula_neuro.registry import Backend, hookimpl

if TYPE_CHECKING:
    from formula_neuro.maps.request import MapRequest
    from formula_neuro.request import Request


@dataclass(frozen=True)
class SpatialBackend(Backend):
    """Probit models of masks, all images counting alike."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        reason = super().refuses(request)
        if reason is None and request.family.link.name != "probit":
            return f'has the probit link only, not {request.family}; write family="binomial(probit)"'
        if reason is None and (request.weights != 1).any():
            return "takes no weights: leave weights= out"
        return reason


SPATIAL = SpatialBackend(
    name="spatial",
    models=frozenset({"glm"}),
    families=frozenset({"binomial"}),
    estimators=frozenset({"spatial"}),
    target="formula_neuro_spatial.fitting:fit",
    images=True,
    max_random=0,
    rank=10,
    help="probit models of masks with spatially varying coefficients under a multivariate CAR prior",
)


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    return [SPATIAL]
