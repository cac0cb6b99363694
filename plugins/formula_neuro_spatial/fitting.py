"""The backend of estimator="spatial": from a request to maps of posterior means and standard deviations."""

from __future__ import annotations

import time
from dataclasses import replace

from formula_neuro.errors import DataError
from formula_neuro.estimator import Spatial
from formula_neuro.maps.fit import MapFit
from formula_neuro.maps.request import MapRequest

from .answer import Answer, values
from .engine import engine
from .graph import MaskGraph
from .laplace import laplace
from .likelihood import Likelihood
from .model import Model
from .pieces import about_voxels, chosen, whole_mask
from .rows import Rows


def fit(request: MapRequest) -> MapFit:
    """Fit the spatial model in the mask of the request, voxels without an event included."""
    started = time.perf_counter()
    how = request.estimator
    assert isinstance(how, Spatial)
    if request.running.device != "cpu" and how.method != "gibbs":
        raise ValueError(
            f"Spatial(method='laplace') runs on the cpu, not on device={request.running.device!r}: leave device= "
            "out, or take method='gibbs'"
        )
    rows = Rows.of(request.design.matrix, request.design.offset, request.design.names)
    images, graph, notes = chosen(whole_mask(request.images), rows, how.components)
    read = about_voxels(request.images, images)
    own = (message for message in request.messages if message not in request.images.messages)
    request = replace(request, images=images)
    model = model_of(request, how, rows, graph)
    answer = answered(model, how, request)
    messages = (*read, *own, *notes, *answer.notes, _about_prior(model.prior_df))
    found = values(answer, rows.T, model.likelihood.loglik(answer.mean))
    tables = engine(answer, rows.T, request.design.names)
    seconds = time.perf_counter() - started
    return MapFit(request, "spatial", found, messages=messages, seconds=seconds, engine=tables)


def model_of(request: MapRequest, how: Spatial, rows: Rows, graph: MaskGraph) -> Model:
    """The model of the images of a request."""
    likelihood = Likelihood.of(rows, request.images.block, graph.size)
    P = rows.shape[1]
    model = Model(likelihood, graph, P + 1.0 if how.prior_df is None else how.prior_df)
    if model.df <= P + 1:
        raise DataError(
            f"prior_df={model.prior_df:g} and {graph.size:,} voxels give Q's distribution {model.df:g} degrees "
            f"of freedom; Sigma of {P} coefficients has a mean above {P + 1} alone: leave prior_df= out, or take a "
            "larger one"
        )
    return model


def answered(model: Model, how: Spatial, request: MapRequest) -> Answer:
    """The posterior by the method that the estimator names."""
    seed = request.running.seed
    if how.method == "laplace":
        return laplace(model, how.draws or 32, seed, request.running.progress)
    from .gibbs.chains import Plan, folder, gibbs  # which needs torch

    given = {name: getattr(how, name) for name in ("draws", "chains", "burn_in", "thin", "maps")}
    plan = Plan(**{name: number for name, number in given.items() if number is not None})
    return gibbs(model, plan, request.running, folder(request))


def _about_prior(prior_df: float) -> str:
    return (
        f"the precision between neighbours has the prior Wishart({prior_df:g}, I) for standardised covariates; "
        "fit.engine.sigma and fit.engine.level have the posterior of Sigma and of the means over voxels"
    )
