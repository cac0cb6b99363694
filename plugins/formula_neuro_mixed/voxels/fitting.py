"""The backends of images: a mixed model in every voxel."""

from __future__ import annotations

from dataclasses import replace

from formula_neuro.kernels.rank import aliased
from formula_neuro.kernels.voxel_blocks import Problem, fit_blocks
from formula_neuro.maps.fit import MapFit
from formula_neuro.maps.request import MapRequest

from ..checks import check_groups, check_residual
from ..lmm.identified import about_absorbed, about_identification, absorbed
from .apart import UNDEFINED
from .freedom import Engine
from .generalized import Generalized
from .rows import Rows
from .scalar import Scalar
from .single import Single
from .template import OneTerm

MOST_EFFECTS = 3
# How many times as long a value takes as in a generalized linear model, of 80 images: 0.3, 41, 210 and 3.1 by 0.6 us.
TOGETHER, IN_PART, ALONE, MASKS = 1.0, 70.0, 350.0, 5.0
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
    problem, effort, path = _problem(request, rows, bool(taken))
    said = (*messages, *path)
    return _counted(fit_blocks(request, problem, "voxel-lmm", effort=effort, messages=said, engine=Engine()))


def _problem(request: MapRequest, rows: Rows, inside: bool) -> tuple[Problem, float, tuple[str, ...]]:
    """The fastest path that takes the model, its effort, and what there is to say of it.

    inside: some columns of Z are X's.
    """
    random, device = request.design.random, request.running.device
    one = len(random) == 1 and random[0].structure == "us"
    if one and len(random[0].columns) == 1:
        scalar = Scalar.of(random[0], rows, device)
        if scalar is not None:
            return scalar, TOGETHER, ()
    single = Single.of(request, rows.basis)
    if one and len(random[0].columns) <= MOST_EFFECTS and not inside:
        return OneTerm.of(request, single), IN_PART, _not_on(request)
    return single, ALONE, (*_not_on(request), _one_by_one(request, WHY))


def fit_glmm(request: MapRequest) -> MapFit:
    """Fit a binomial mixed model in every voxel of the request's masks."""
    design, problem = request.design, Generalized.of(request)
    messages = (
        *aliased(design.names, problem.basis.kept),
        *check_groups(design.random),
        *about_identification(design.random),
        *_not_on(request),
    )
    if problem.batch is None:
        messages += (_one_by_one(request, "only Laplace's method for one scalar random effect takes many at once"),)
    effort = ALONE if problem.batch is None else MASKS
    return _counted(fit_blocks(request, problem, "voxel-glmm", effort=effort, messages=messages))


def _counted(fit: MapFit) -> MapFit:
    """With notes on how many voxels have a variance of 0, and how many no estimate."""
    V, notes = fit.n_voxels, []
    singular, lost = int(fit.values["singular"].sum()), int((fit.values["class"] == UNDEFINED).sum())
    if singular:
        notes.append(
            f"singular in {singular:,} of {V:,} voxels: a variance of the random effects is estimated as 0 there, or a "
            'correlation as -1 or 1; see maps["singular"]'
        )
    if lost:
        notes.append(
            f"{lost:,} of {V:,} voxels have no estimate (NaN): nothing varies there beside the fixed effects or "
            "within levels"
        )
    return replace(fit, messages=(*fit.messages, *notes))


def _not_on(request: MapRequest) -> tuple[str, ...]:
    device = request.running.device
    if device == "cpu":
        return ()
    return (f"device={device!r} serves linear models of one random effect a level; this one ran on the processor",)


def _one_by_one(request: MapRequest, why: str) -> str:
    return f"all {len(request.images.voxels):,} voxels were fitted one by one, as tables: {why}"
