"""The contract that a backend must pass, for third parties' tests:

from formula_neuro.testing import check_backend
def test_my_backend_keeps_the_contract():
    check_backend(MY_RECORD)
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from . import registry
from .asking import as_request
from .design import model_matrix
from .estimator import Estimator, as_estimator
from .family import Family, as_family
from .registry import Backend
from .request import Request
from .result import Fit

FORMULAS = {"lm": "y ~ x + f", "glm": "y ~ x + f", "lmm": "y ~ x + f + (1|g)", "glmm": "y ~ x + f + (1|g)"}

# Families from which nothing can be drawn at all, and what stands in for them.
DRAWN_AS = {"quasi": "gaussian", "quasibinomial": "binomial", "quasipoisson": "poisson"}
SHAPE = 2.0  # of families that have one beside the mean: nothing can be drawn from them before they are fitted
TRIALS = 12  # of a share, where one success or none would say nothing of its distribution's shape


def check_backend(backend: Backend) -> None:
    """Fit small data by every model and family that the record names, and check what comes back.

    Raises AssertionError with one line a broken promise: the coefficients' names and order, shapes and
    dtypes, which rows were used, unchanged inputs, pickling, the same numbers for the same request,
    finite likelihoods, and refusals in words.
    """
    problems = [*_record(backend)]
    if backend.images:
        from .maps.testing import problems_of_maps

        problems += problems_of_maps(backend)
    if backend.foci:
        from .foci.testing import problems_of_foci

        problems += problems_of_foci(backend)
    for model in sorted(backend.models if not backend.images and not backend.foci else ()):
        for family in sorted(backend.families):
            request = small_request(backend, model, family)
            if request is None:
                continue
            refusal = backend.refuses(request)
            if refusal is None:
                problems += [f"{model}, {family}: {problem}" for problem in _fit(backend, request)]
            elif not isinstance(refusal, str) or not refusal.strip():
                problems.append(f"{model}, {family}: refuses without a reason")
    if problems:
        raise AssertionError(f"backend {backend.name!r}:\n  " + "\n  ".join(problems))


def small_request(backend: Backend, model: str, family: str) -> Request | None:
    """A request of 60 rows with one missing value, or None where the model and family do not go together."""
    if model.startswith("l") and family != "gaussian":
        return None
    log = model.startswith("g") and family in ("gaussian", "Gamma", "inverse.gaussian")  # a link that any mean suits
    chosen = as_family(f"{family}(log)" if log else family)
    design = model_matrix(FORMULAS[model], _data(chosen), weights="trials")
    estimator = _estimator(backend, model)
    return as_request(design, chosen, estimator) if estimator else None


def _estimator(backend: Backend, model: str) -> Estimator | None:
    default = as_estimator(None, model)
    return default if default.word in backend.estimators else None


def _data(family: Family) -> pd.DataFrame:
    rng = np.random.default_rng(20)
    n, groups = 60, 6
    g = np.arange(n) % groups
    table = pd.DataFrame({"x": rng.standard_normal(n), "f": np.where(rng.random(n) < 0.5, "a", "b"), "g": g})
    eta = 0.5 + 0.3 * table.x.to_numpy() + 0.3 * rng.standard_normal(groups)[g]
    mu = np.exp(np.clip(eta, -1, 1)) if family.range[1] > 1 else 1 / (1 + np.exp(-eta))
    table["trials"] = TRIALS if family.name == "betabinomial" else 1
    table["y"] = _drawable(family).draw(mu, table["trials"].to_numpy(dtype=float), 0.1, rng)
    table.loc[7, "x"] = np.nan
    return table


def _drawable(family: Family) -> Family:
    """The family or its stand-in, with a shape that is to be estimated set to SHAPE."""
    if family.shape is None or np.isfinite(family.shape[1]):
        return as_family(DRAWN_AS.get(family.name, family))
    return replace(family, **{family.shape[0]: SHAPE})  # type: ignore[arg-type]


def _record(backend: Backend) -> Iterator[str]:
    for field in ("name", "target", "help"):
        if not isinstance(getattr(backend, field), str) or not getattr(backend, field):
            yield f"the record has no {field}"
    if ":" not in backend.target:
        yield f"target {backend.target!r} is not 'module:function'"
    try:
        pickle.dumps(backend)
    except Exception as error:  # whatever a third party's field raises is the finding
        yield f"the record cannot be pickled ({error})"
    stranger = small_request(Backend("-", {"lm"}, {"gaussian"}, {"ml"}, "-:-"), "lm", "gaussian")  # type: ignore[arg-type]
    assert stranger is not None
    if "lm" not in backend.models and not backend.refuses(stranger):
        yield "does not refuse a model that it does not name"


def _fit(backend: Backend, request: Request) -> Iterator[str]:
    before = pickle.dumps((request.y, request.weights, request.design.matrix, request.design.data))
    fit: Any = registry.run(backend, request)
    if not isinstance(fit, Fit):
        yield f"returns {type(fit).__name__}, not a Fit"
        return
    again = registry.run(backend, request)
    if pickle.dumps((request.y, request.weights, request.design.matrix, request.design.data)) != before:
        yield "changes its input"
    n, p = request.shape
    for name, value, shape in (
        ("beta", fit.beta, (p,)),
        ("covariance", fit.covariance, (p, p)),
        ("eta", fit.eta, (n,)),
    ):
        if value.shape != shape or value.dtype != np.float64:
            yield f"{name} is {value.dtype} {value.shape}, expected float64 {shape}"
    if fit.request.design is not request.design or fit.request.family.name != request.family.name:
        yield "the fit does not carry the request that made it"  # but its family may have an estimated parameter
    if fit.backend != backend.name:
        yield f"the fit names backend {fit.backend!r}"
    numbers = [fit.deviance, fit.sigma, *([fit.loglik] if request.family.likelihood else [])]
    if not np.isfinite(numbers).all():
        yield "loglik, deviance or sigma is not finite on easy data"
    if not fit.converged or not all(isinstance(message, str) for message in fit.messages):
        yield f"does not converge on easy data, or messages are not texts: {fit.messages}"
    if not np.array_equal(fit.beta, again.beta):
        yield "two fits of one request differ"
    groups = [(term.group, term.columns, term.levels) for term in request.design.random]
    if [(effect.group, effect.columns, effect.levels) for effect in fit.random] != groups:
        yield "the random effects are not those of the design, in its order"
    try:
        pickle.loads(pickle.dumps(fit))
    except Exception as error:  # whatever a third party's engine raises is the finding
        yield f"the fit cannot be pickled ({error})"
