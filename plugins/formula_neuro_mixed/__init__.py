"""Mixed models on tables, in float64: the records; the numerics are imported when they are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formula_neuro.registry import Backend, hookimpl
from formula_neuro.searches.search import OPTIMIZERS

if TYPE_CHECKING:
    from formula_neuro.maps.request import MapRequest
    from formula_neuro.request import Request

STRUCTURES = frozenset(
    {"us", "diag", "diag(..., hom = TRUE)", "cs", "cs(..., hom = TRUE)", "ar1", "ar1(..., hom = FALSE)"}
)
# families whose expected weights have a closed form
WITH_FISHER = ("binomial", "poisson", "gaussian", "Gamma", "inverse.gaussian")


@dataclass(frozen=True)
class LinearMixedBackend(Backend):
    """Gaussian responses with the identity link."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        reason = super().refuses(request)
        if reason is None and request.family.link.name != "identity":
            return f"fits the identity link only, not {request.family}"
        return reason


@dataclass(frozen=True)
class GeneralizedMixedBackend(Backend):
    """Laplace for any random terms, quadrature for one random intercept or slope."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        reason = super().refuses(request)
        weights = getattr(request.estimator, "weights", None)
        if reason is None and weights == "expected" and request.family.name not in WITH_FISHER:
            return f"takes observed weights for {request.family.name}; leave weights= out"
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
    residuals=frozenset({"VarIdent", "AR1"}),
    optimizers=frozenset(OPTIMIZERS),
    structures=STRUCTURES,
    target="formula_neuro_mixed.lmm.fitting:fit",
    rank=10,
    help="linear mixed models by Newton's method with exact derivatives",
)
GLMM = GeneralizedMixedBackend(
    name="native-glmm",
    models=frozenset({"glmm"}),
    families=frozenset(
        {"binomial", "poisson", "gaussian", "Gamma", "inverse.gaussian", "nbinom1", "nbinom2", "beta", "betabinomial"}
    ),
    estimators=frozenset({"laplace", "agq"}),
    optimizers=frozenset(OPTIMIZERS),
    structures=STRUCTURES,
    target="formula_neuro_mixed.glmm.fitting:fit",
    inflation=True,
    rank=10,
    help="generalized linear mixed models by Laplace or adaptive quadrature, with exact derivatives",
)


@dataclass(frozen=True)
class EstimatingBackend(Backend):
    """Families whose variance is known up to a factor, which is estimated whatever the family."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        reason = super().refuses(request)
        if reason is None and request.family.name == "nbinom2" and not getattr(request.family, "fixed", False):
            return "estimates no theta; give one, as family='nbinom2(log, theta=2)', or take a mixed model"
        return reason


GEE = EstimatingBackend(
    name="native-gee",
    models=frozenset({"gee"}),
    families=frozenset(
        {"gaussian", "binomial", "poisson", "Gamma", "inverse.gaussian", "nbinom2"}
        | {"quasibinomial", "quasipoisson", "quasi"}
    ),
    estimators=frozenset({"gee"}),
    target="formula_neuro_mixed.gee.fitting:fit",
    max_random=0,
    rank=10,
    help="generalized estimating equations: working correlations within clusters, sandwich corrected for few of them",
)


VOXEL_LMM = LinearMixedBackend(
    name="voxel-lmm",
    models=frozenset({"lmm"}),
    families=frozenset({"gaussian"}),
    estimators=frozenset({"reml", "ml"}),
    structures=STRUCTURES,
    target="formula_neuro_mixed.voxels.fitting:fit_lmm",
    images=True,
    rank=10,
    help="linear mixed models in every voxel of a stack of images",
)


@dataclass(frozen=True)
class VoxelMixedBackend(GeneralizedMixedBackend):
    """Masks, whose model has no dispersion."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        reason = super().refuses(request)
        if reason is None and request.family.link.name not in VOXEL_LINKS:
            return f"has no {request.family.link.name} link in voxels (has {', '.join(VOXEL_LINKS)})"
        return reason


VOXEL_LINKS = ("logit", "probit", "cloglog")
VOXEL_GLMM = VoxelMixedBackend(
    name="voxel-glmm",
    models=frozenset({"glmm"}),
    families=frozenset({"binomial"}),
    estimators=frozenset({"laplace", "agq"}),
    structures=STRUCTURES,
    target="formula_neuro_mixed.voxels.fitting:fit_glmm",
    images=True,
    rank=10,
    help="binomial mixed models in every voxel of a stack of masks",
)


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    return [LMM, GLMM, GEE, VOXEL_LMM, VOXEL_GLMM]
