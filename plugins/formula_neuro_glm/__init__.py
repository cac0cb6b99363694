"""Linear and generalized linear models on tables, in float64: the records; the numerics are imported when chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formula_neuro.registry import Backend, hookimpl

if TYPE_CHECKING:
    from formula_neuro.request import Request


@dataclass(frozen=True)
class LinearBackend(Backend):
    """Least squares: the identity link only."""

    def refuses(self, request: Request) -> str | None:
        link = request.family.link.name
        reason = super().refuses(request)
        if reason is None and link != "identity":
            return f"fits the identity link only, not {request.family}"
        return reason


LM = LinearBackend(
    name="native-lm",
    models=frozenset({"lm"}),
    families=frozenset({"gaussian"}),
    estimators=frozenset({"ml"}),
    target="formula_neuro_glm.lm:fit",
    max_random=0,
    rank=10,
    help="least squares by QR, with weights, offsets and R's aliased columns",
)


GLM = Backend(
    name="native-glm",
    models=frozenset({"glm"}),
    families=frozenset({"binomial", "poisson"}),
    estimators=frozenset({"ml"}),
    target="formula_neuro_glm.glm:fit",
    max_random=0,
    rank=10,
    help="generalized linear models by guarded Fisher scoring, separation found and named",
)


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    return [LM, GLM]
