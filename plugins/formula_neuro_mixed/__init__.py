"""Mixed models on tables, in float64: the records; the numerics are imported when they are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formula_neuro.registry import Backend, hookimpl

if TYPE_CHECKING:
    from formula_neuro.request import Request


@dataclass(frozen=True)
class LinearMixedBackend(Backend):
    """Gaussian responses with the identity link."""

    def refuses(self, request: Request) -> str | None:
        reason = super().refuses(request)
        if reason is None and request.family.link.name != "identity":
            return f"fits the identity link only, not {request.family}"
        return reason


@dataclass(frozen=True)
class GeneralizedMixedBackend(Backend):
    """Laplace for any random terms, quadrature for one random intercept or slope."""

    def refuses(self, request: Request) -> str | None:
        reason = super().refuses(request)
        if reason is not None or getattr(request.estimator, "nodes", 1) == 1:
            return reason
        effects = [len(term.columns) for term in request.design.random]
        if effects != [1]:
            terms = f"{len(effects)} terms" if len(effects) != 1 else f"one term of {effects[0]} effects"
            return f"quadrature takes one scalar random effect such as (1|g), not {terms}; use estimator='laplace'"
        return None


LMM = LinearMixedBackend(
    name="native-lmm",
    models=frozenset({"lmm"}),
    families=frozenset({"gaussian"}),
    estimators=frozenset({"reml", "ml"}),
    target="formula_neuro_mixed.lmm:fit",
    rank=10,
    help="linear mixed models by Newton's method with exact derivatives",
)
GLMM = GeneralizedMixedBackend(
    name="native-glmm",
    models=frozenset({"glmm"}),
    families=frozenset({"binomial", "poisson"}),
    estimators=frozenset({"laplace", "agq"}),
    target="formula_neuro_mixed.glmm:fit",
    rank=10,
    help="generalized linear mixed models by Laplace or adaptive quadrature, with exact gradients",
)


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    return [LMM, GLMM]
