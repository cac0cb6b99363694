"""Generalized estimating equations by geeglm() of geepack, which needs the rows of a cluster side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.data.values import Categorical, as_factor
from formula_neuro.errors import DataError
from formula_neuro.estimator import GEE
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .abilities import Refitting
from .asked import arguments
from .engine import Answer, call
from .received import fit_from

POWERS = {"none": 0.0, "kc": 0.5, "md": 1.0}
CORRECTED = "the correction of standard errors is worked out in R from geepack's estimates, which itself has none"


def fit(request: Request) -> Fit:
    """geeglm() on rows sorted by cluster and time; corrections of its sandwich are computed from its estimates."""
    how = request.estimator
    assert isinstance(how, GEE)
    if (request.weights == 0).any():
        raise DataError("geepack takes weights above 0; leave the rows of weight 0 out with subset=")
    version = call("load_packages", {"packages": ("geepack",)}).value["version"][0]
    began = time.perf_counter()
    clusters, times, labels = _clusters(request, how)
    order = np.lexsort([times, clusters])
    asked: dict[str, Any] = {
        "clusters": clusters[order].astype(np.int32),
        "corr": how.corr,
        "power": POWERS[how.bias],
        "shares": np.ascontiguousarray(request.y[order]),
        "prior": np.ascontiguousarray(request.weights[order]),
    }
    if how.corr in ("ar1", "unstructured"):
        asked["times"] = times[order].astype(np.int32)
    answer = call("fit_geepack", {**arguments(_sorted(request, order)), **asked})
    ran = f"{version[:-1]} by {'rpy2' if answer.engine == 'rpy2' else 'Rscript'})"
    engine = Refitting("geepack", ran)
    found = fit_from(_sorted(request, order), "geepack", answer, time.perf_counter() - began, engine)
    eta = np.empty_like(found.eta)
    eta[order] = found.eta
    return replace(
        found,
        request=request,
        eta=eta,
        sigma=float(answer.value["sigma"][0]),
        residual=_residual(answer, how, labels),
        messages=(*found.messages, *([CORRECTED] if how.bias != "none" else [])),
    )


def _clusters(request: Request, how: GEE) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[str, ...]]:
    """Clusters and times as numbers from 1 on, and the names of the times (their places for "unstructured")."""
    codes = as_factor(request.design.beside[how.cluster]).codes
    if how.order is None:
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], codes[order])
        times = np.empty(len(codes), dtype=np.intp)
        times[order] = np.arange(len(codes)) - starts + 1
        return codes + 1, times, tuple(str(t) for t in range(1, int(times.max()) + 1))
    value = request.design.beside[how.order]
    if isinstance(value, Categorical):
        return codes + 1, value.codes + 1, value.levels
    numbers = np.asarray(value).astype(np.intp)
    found, places = np.unique(numbers, return_inverse=True)
    times = places + 1 if how.corr == "unstructured" else numbers - numbers.min() + 1
    return codes + 1, times, tuple(map(str, found))


def _sorted(request: Request, order: NDArray[np.intp]) -> Request:
    """The request with its rows in another order."""
    d = request.design
    design = replace(
        d,
        y=None if d.y is None else d.y[order],
        matrix=d.matrix[order],
        offset=d.offset[order],
        extra_offset=None if d.extra_offset is None else d.extra_offset[order],
        weights=None if d.weights is None else d.weights[order],
        rows=d.rows[order],
        index=d.index[order],
        data=d.data.iloc[order].reset_index(drop=True),
    )
    return replace(request, design=design, y=request.y[order], weights=request.weights[order])


def _residual(answer: Answer, how: GEE, labels: tuple[str, ...]) -> Mapping[str, float]:
    """Correlations by our names; pairs of times that never meet are left out."""
    values = np.atleast_1d(answer.value["alpha"]) if answer.value.get("alpha") is not None else np.empty(0)
    if how.corr != "unstructured":
        return {"alpha": float(values[0])} if len(values) else {}
    found = {}
    for name, value in zip(answer.value["alpha_names"], values, strict=True):
        i, j = (int(part) for part in name.removeprefix("alpha.").split(":"))
        found[f"alpha.{labels[i - 1]}:{labels[j - 1]}"] = float(value)
    return found
