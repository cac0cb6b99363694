"""The contract that a backend of images must pass: what testing.check_backend asks of its fits."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from .. import registry
from ..asking import Asked
from ..estimator import as_estimator
from ..images.grid import Grid
from ..images.stack import Images, analysed
from ..images.store import InMemory, Store
from ..registry import Backend
from .asking import map_request
from .fit import MapFit

FORMULAS = {m: "y ~ x" if m in ("lm", "glm") else "y ~ x + (1|g)" for m in ("lm", "glm", "lmm", "glmm")}
SUBJECTS, VOXELS = 40, 12


def problems_of_maps(backend: Backend) -> Iterator[str]:
    """One line a broken promise, over the models and families that the record names."""
    for model in sorted(backend.models):
        for family in sorted(backend.families):
            linear = model.startswith("l")
            default = as_estimator(None, model)
            if linear != (family == "gaussian") or default.word not in backend.estimators:
                continue
            images = small_images(family)
            request = map_request(Asked(FORMULAS[model], images, family, default))
            refusal = backend.refuses(request)
            if refusal is None:
                yield from (f"{model}, {family}: {problem}" for problem in _broken(backend, request))
            elif not isinstance(refusal, str) or not refusal.strip():
                yield f"{model}, {family}: refuses without a reason"


def small_images(family: str) -> Images:
    """Easy images in memory: VOXELS voxels of SUBJECTS, of which the responses depend on x and on six groups g."""
    rng = np.random.default_rng(20)
    table = pd.DataFrame({"x": rng.standard_normal(SUBJECTS), "g": np.arange(SUBJECTS) % 6})
    eta = 0.4 * table["x"].to_numpy() + rng.standard_normal((VOXELS, 6))[:, table["g"]] * 0.7
    noise = rng.standard_normal(eta.shape)
    counts = rng.poisson(np.exp(0.5 + eta / 2)).astype(float)
    Y = (eta + noise > 0).astype(np.uint8) if family == "binomial" else counts if family == "poisson" else eta + noise
    grid = Grid((VOXELS, 1, 1), np.eye(4))
    rows = InMemory(np.packbits(Y > 0, axis=1) if family == "binomial" else Y)
    where, whole = np.arange(VOXELS, dtype=np.int64), np.ones(VOXELS, dtype=bool)
    counted = np.count_nonzero(Y, axis=1).astype(np.int64)
    store = Store(grid, SUBJECTS, family == "binomial", where, counted, whole, rows, f"small-{family}")
    mask, subjects = np.ones(grid.shape, dtype=bool), np.arange(SUBJECTS, dtype=np.int64)
    voxels, found = analysed(store, mask, subjects, 1)
    return Images(table.assign(y="in memory"), "y", mask, store, subjects, 1, voxels, found)


def _broken(backend: Backend, request: Any) -> Iterator[str]:
    fit: Any = registry.run(backend, request)
    if not isinstance(fit, MapFit):
        yield f"returns {type(fit).__name__}, not a MapFit"
        return
    V, p = len(request.images.voxels), request.shape[1]
    wanted = {"coef": (V, p), "se": (V, p), "covariance": (V, p * (p + 1) // 2), "loglik": (V,), "converged": (V,)}
    for name, shape in wanted.items():
        if name not in fit.values or np.shape(fit.values[name]) != shape:
            yield f"has no {name} of shape {shape}"
            return
    if fit.backend != backend.name or fit.request is not request:
        yield "does not carry its backend's name and the request that made it"
    if not np.isfinite(fit.values["coef"]).all() or not np.asarray(fit.values["converged"]).all():
        yield "does not converge everywhere on easy data"
    again = registry.run(backend, request)
    if not np.array_equal(fit.values["coef"], again.values["coef"]):
        yield "two fits of one request differ"
    for number in (0, V - 1):
        table = fit.at(number)
        if np.abs((fit.values["coef"][number] - table.beta) / table.se).max() > 1e-5:
            yield f"voxel {number} has other coefficients than its own table"
    try:
        pickle.loads(pickle.dumps(fit))
    except Exception as error:  # whatever a third party's engine raises is the finding
        yield f"the fit cannot be pickled ({error})"
