"""Linear and generalized linear models on tables, in float64: the records; the numerics are imported when chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formula_neuro.estimator import BIAS_REDUCED
from formula_neuro.registry import Backend, hookimpl

if TYPE_CHECKING:
    from formula_neuro.maps.request import MapRequest
    from formula_neuro.request import Request


@dataclass(frozen=True)
class LinearBackend(Backend):
    """Least squares: the identity link only."""

    def refuses(self, request: Request | MapRequest) -> str | None:
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


ADJUSTED = frozenset({"gaussian", "binomial", "poisson", "Gamma", "inverse.gaussian"})  # scores known in closed form


@dataclass(frozen=True)
class GeneralizedBackend(Backend):
    """Maximum likelihood and bias reduction; linear models by the latter only, as least squares has its own record."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        family, word = request.family.name, request.estimator.word
        reason = super().refuses(request)
        if reason is None and word == "ml" and request.model == "lm":
            return "leaves the maximum likelihood of linear models to native-lm"
        if reason is None and word in BIAS_REDUCED and family not in ADJUSTED:
            return f"has no adjusted scores of {family} (has those of {', '.join(sorted(ADJUSTED))})"
        return reason


GLM = GeneralizedBackend(
    name="native-glm",
    models=frozenset({"lm", "glm"}),
    families=ADJUSTED | {"quasibinomial", "quasipoisson", "quasi", "nbinom2"},
    estimators=frozenset({"ml", *BIAS_REDUCED}),
    target="formula_neuro_glm.glm:fit",
    max_random=0,
    rank=10,
    help="generalized linear models by guarded Fisher scoring and bias-reduced, separation found and named",
)

VOXEL_LM = LinearBackend(
    name="voxel-lm",
    models=frozenset({"lm"}),
    families=frozenset({"gaussian"}),
    estimators=frozenset({"ml"}),
    target="formula_neuro_glm.voxels.fitting:fit",
    images=True,
    max_random=0,
    rank=10,
    help="least squares in every voxel of a stack of images",
)


@dataclass(frozen=True)
class VoxelBackend(Backend):
    """Models without a dispersion, in every voxel."""

    def refuses(self, request: Request | MapRequest) -> str | None:
        reason = super().refuses(request)
        link, known = request.family.link.name, VOXEL_LINKS.get(request.family.name, ())
        if reason is None and link not in known:
            return f"has no {link} link of {request.family.name} (has {', '.join(known)})"
        return reason


VOXEL_LINKS = {"binomial": ("logit", "probit", "cloglog", "log", "cauchit"), "poisson": ("log",)}
VOXEL_GLM = VoxelBackend(
    name="voxel-glm",
    models=frozenset({"glm"}),
    families=frozenset(VOXEL_LINKS),
    estimators=frozenset({"ml", *BIAS_REDUCED}),
    target="formula_neuro_glm.voxels.fitting:fit",
    images=True,
    max_random=0,
    rank=10,
    help="generalized linear models in every voxel of a stack of images, by maximum likelihood and bias-reduced",
)


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    return [LM, GLM, VOXEL_LM, VOXEL_GLM]
