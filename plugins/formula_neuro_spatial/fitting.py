"""The backend of estimator="spatial": from a request to maps of posterior means and standard deviations."""

from __future__ import annotations

import time
from dataclasses import replace

from formula_neuro.errors import DataError
from formula_neuro.estimator import Spatial
from formula_neuro.images.stack import Images, analysed
from formula_neuro.maps.fit import MapFit
from formula_neuro.maps.request import MapRequest

from .answer import Answer, values
from .engine import engine
from .gibbs.chains import Plan, gibbs
from .graph import MaskGraph
from .laplace import laplace
from .likelihood import Likelihood
from .model import Model
from .rows import Rows


def fit(request: MapRequest) -> MapFit:
    """Fit the spatial model in the largest component of the request's mask, voxels without an event included."""
    started = time.perf_counter()
    how = request.estimator
    assert isinstance(how, Spatial)
    if request.running.device != "cpu":
        raise ValueError(f"estimator='spatial' runs on the cpu, not on device={request.running.device!r}: leave it out")
    images, graph, notes = in_one_piece(request.images)
    request = replace(request, images=images)
    rows = Rows.of(request.design.matrix, request.design.offset, request.design.names)
    prior_df = rows.shape[1] + 1.0 if how.prior_df is None else how.prior_df
    model = Model(Likelihood.of(rows, images.block, graph.size), graph, prior_df)
    answer = answered(model, how, request)
    scale = (
        f"the precision between neighbours has the prior Wishart({prior_df:g}, I) for standardised covariates; "
        "fit.engine.sigma and fit.engine.level have the posterior of Sigma and of the means over voxels"
    )
    messages = (*request.messages, *notes, *answer.notes, scale)
    found = values(answer, rows.T, model.likelihood.loglik(answer.mean))
    tables = engine(answer, rows.T, request.design.names)
    return MapFit(
        request, "spatial", found, messages=messages, seconds=time.perf_counter() - started, engine=tables
    )  # fmt: skip


def answered(model: Model, how: Spatial, request: MapRequest) -> Answer:
    """The posterior by the method that the estimator names."""
    seed = request.running.seed
    if how.method == "laplace":
        return laplace(model, how.draws or 32, seed)
    given = {name: getattr(how, name) for name in ("draws", "chains", "burn_in", "thin")}
    plan = Plan(**{name: number for name, number in given.items() if number is not None})
    return gibbs(model, plan, seed, request.running.progress)


def in_one_piece(images: Images) -> tuple[Images, MaskGraph, tuple[str, ...]]:
    """The images in all voxels of the mask's largest component, its graph, and what was left out."""
    voxels, counts = analysed(images.store, images.mask, images.rows, 0)
    graph = MaskGraph.of(voxels, images.grid.shape)
    sizes = graph.components
    kept = graph.component == 0
    if kept.sum() < 2:
        raise DataError(
            f"no two of the {len(voxels):,} voxels of the mask share a face, so that the prior has no neighbours to "
            "smooth over; give mask= a mask of the brain"
        )
    within = replace(images, voxels=voxels[kept], counts=counts[kept], min_count=0)
    if len(sizes) == 1:
        return within, graph, ()
    lost = len(voxels) - int(kept.sum())
    note = (
        f"the mask has {len(sizes):,} components: the largest was analysed ({sizes[0]:,} voxels), and {lost:,} voxels "
        f"of the others were left out, as the level of every component would be fitted from its own data alone"
    )
    return within, MaskGraph.of(within.voxels, images.grid.shape), (note,)
