"""What a backend of foci must do with a small meta-regression; part of formula_neuro.testing.check_backend."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from .. import registry
from ..asking import Asked
from ..estimator import Splines
from ..registry import Backend
from .asking import foci_request
from .engine import KINDS
from .fit import FociFit
from .request import FociRequest
from .simulate import simulate_foci
from .truth import ellipsoid

FORMULAS = {False: "foci ~ s(group) + scale(age)", True: "foci ~ s(group)"}


def problems_of_foci(backend: Backend) -> Iterator[str]:
    """One line a broken promise, for every family that the record names."""
    for family in sorted(backend.families):
        request = small_request(family)
        asked: Any = request  # records answer for tables, images and foci alike
        reason = backend.refuses(asked)
        if reason is None:
            yield from (f"foci, {family}: {problem}" for problem in _fit(backend, request))
        elif not isinstance(reason, str) or not reason.strip():
            yield f"foci, {family}: refuses without a reason"


def small_request(family: str) -> FociRequest:
    """Some 500 foci of 30 studies in two groups, in an ellipsoid of 4 mm, knots 60 mm apart."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"group": ["a", "b"] * 15, "age": rng.normal(40, 5, 30)})
    foci = simulate_foci(table=table, groups="group", counts="poisson", noise=8, seed=4)
    formula = FORMULAS[family == "negative_binomial"]
    return foci_request(Asked(formula, foci, family, Splines(60), mask=ellipsoid()))


def _fit(backend: Backend, request: FociRequest) -> Iterator[str]:
    fit: Any = registry.run(backend, request)
    if not isinstance(fit, FociFit):
        yield f"returns {type(fit).__name__}, not a FociFit"
        return
    analyses, maps, columns = request.shape
    V, b = len(request.brain.voxels), np.asarray(fit.engine.b)
    shapes = (
        ("fitted", fit.fitted, (analyses,)),
        ("engine.b", b, (maps, b.shape[-1])),
        ("engine.gamma", fit.engine.gamma, (columns,)),
        ("engine.expand(b)", fit.engine.expand(b), (maps, V)),
        ("engine.project", fit.engine.project(np.ones((1, V))), (1, b.shape[-1])),
        ("engine.scores()", fit.engine.scores(), (fit.n_studies, b.size + columns)),
    )
    for name, value, shape in shapes:
        if np.shape(value) != shape or not np.isfinite(value).all():
            yield f"{name} has shape {np.shape(value)}, or is not finite; expected {shape}"
    yield from _covariances(fit)
    if fit.request is not request or fit.backend != backend.name:
        yield "the fit does not carry the request that made it, or the name of its backend"
    if np.isfinite(fit.loglik) != request.family.likelihood:
        yield f"loglik is {fit.loglik}, of a family with{'' if request.family.likelihood else 'out'} a likelihood"
    if not fit.converged or not all(isinstance(message, str) for message in fit.messages):
        yield f"does not converge on easy data, or messages are not texts: {fit.messages}"
    if not np.array_equal(np.asarray(registry.run(backend, request).engine.b), b):
        yield "two fits of one request differ"
    try:
        pickle.loads(pickle.dumps(fit))
    except Exception as error:  # whatever a third party's engine raises is the finding
        yield f"the fit cannot be pickled ({error})"


def _covariances(fit: FociFit) -> Iterator[str]:
    """Variances of maps and moderators by every kind that there is."""
    V = len(fit.brain.voxels)
    R = np.eye(len(fit.request.maps))[:1]
    for kind in KINDS:
        for what in ("intensity", "shape"):
            variance = fit.engine.variance(R, kind, what)
            if variance.shape != (V, 1, 1) or not (variance > 0).all():
                yield f"engine.variance(R, {kind!r}, {what!r}) is not positive, (V, 1, 1)"
        covariance = fit.engine.moderator_covariance(kind)
        if covariance.shape != (len(fit.names),) * 2 or (len(covariance) and np.linalg.eigvalsh(covariance)[0] <= 0):
            yield f"engine.moderator_covariance({kind!r}) is no covariance of {len(fit.names)} moderators"
