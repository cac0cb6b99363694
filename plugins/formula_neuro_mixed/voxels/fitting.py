"""The backends of images: a mixed model in every voxel."""

from __future__ import annotations

from formula_neuro.kernels.rank import aliased
from formula_neuro.kernels.voxel_blocks import Problem, fit_blocks
from formula_neuro.maps.fit import MapFit
from formula_neuro.maps.request import MapRequest

from ..checks import check_groups, check_residual
from ..lmm.identified import about_absorbed, about_identification, absorbed
from .freedom import Engine
from .rows import Rows
from .scalar import Scalar
from .single import Single
from .template import OneTerm

MOST_EFFECTS = 3
WHY = f"only models with one term of at most {MOST_EFFECTS} effects and no structure are fitted many voxels at once"


def fit_lmm(request: MapRequest) -> MapFit:
    """Fit a linear mixed model by REML or maximum likelihood in every voxel of the request's images."""
    design, rows = request.design, Rows.of(request)
    random = design.random
    taken = absorbed(random, request.weights, rows.basis) if rows.reml else {}
    messages = (
        *aliased(design.names, rows.basis.kept),
        *check_groups(random),
        *check_residual(random, rows.n),
        *about_identification(random),
        *about_absorbed(random, taken),
    )
    problem, path = _problem(request, rows, bool(taken))
    return fit_blocks(request, problem, "voxel-lmm", messages=(*messages, *path), engine=Engine())


def _problem(request: MapRequest, rows: Rows, inside: bool) -> tuple[Problem, tuple[str, ...]]:
    """The fastest path that takes the model, and what there is to say of it; `inside`: some columns of Z are X's."""
    random, device = request.design.random, request.running.device
    one = len(random) == 1 and random[0].structure == "us"
    if one and len(random[0].columns) == 1:
        scalar = Scalar.of(random[0], rows, device)
        if scalar is not None:
            return scalar, ()
    single = Single.of(request, rows.basis)
    note = (
        ()
        if device == "cpu"
        else (f"device={device!r} serves one random effect a level; this model ran on the processor",)
    )
    if one and len(random[0].columns) <= MOST_EFFECTS and not inside:
        return OneTerm.of(request, single), note
    return single, (*note, f"all {len(request.images.voxels):,} voxels were fitted one by one, as tables: {WHY}")
