"""The backends of images: a linear or generalized linear model in every voxel."""

from __future__ import annotations

from formula_neuro.kernels.rank import aliased
from formula_neuro.kernels.voxel_blocks import fit_blocks
from formula_neuro.maps.fit import MapFit
from formula_neuro.maps.request import MapRequest

from .engine import Engine
from .problem import Problem

FEW = 4  # columns, beyond which a value takes longer as their number squared


def fit(request: MapRequest) -> MapFit:
    """Fit a GLM by maximum likelihood or bias-reduced in every voxel of the request's images."""
    problem = Problem.of(
        request.design.matrix,
        request.family,
        request.estimator,
        weights=request.weights,
        offset=request.design.offset,
        device=request.running.device,
    )
    dispersed = request.family.name == "gaussian"
    df = float(len(problem.rows.used) - problem.rows.rank) if dispersed else float("inf")
    engine = Engine(request.family, request.estimator, request.running.device)
    lost = aliased(request.design.names, problem.rows.kept)
    backend = "voxel-lm" if dispersed else "voxel-glm"
    effort = max(1.0, (problem.rows.rank / FEW) ** 2)
    return fit_blocks(request, problem, backend, effort=effort, df_resid=df, messages=lost, engine=engine)
