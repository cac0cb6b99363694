"""Expected foci of analyses, in the whole brain and in every voxel, with standard errors; and foci drawn from a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from ..errors import Unable
from ..family import Array
from ..images.brain import Brain
from ..scalars import is_whole
from .engine import KINDS
from .variances import map_variance, resting_on_one

if TYPE_CHECKING:
    from .fit import FociFit
    from .request import FociRequest
    from .table import Foci

TYPES = ("foci", "intensity")
MOST = 200  # analyses whose maps are held at a time, each of as many numbers as voxels, three times


@dataclass(frozen=True, eq=False, repr=False)
class PredictedMaps:
    """Expected foci in every voxel, (n, V) each: `intensity`, `log_se`, and the limits `low` and `high`."""

    brain: Brain
    intensity: Array
    log_se: Array
    low: Array
    high: Array

    def __repr__(self) -> str:
        n, V = self.intensity.shape
        return f"PredictedMaps({n:,} {'analysis' if n == 1 else 'analyses'}, {V:,} voxels; .image(row, 'intensity'))"

    def image(self, row: int = 0, what: str = "intensity") -> Any:
        """One row's map as an image; what: "intensity", "log_se", "low" or "high"."""
        return self.brain.image(getattr(self, what)[row])


@dataclass(frozen=True, eq=False)
class Rows:
    """Analyses to predict: L (n, C), Z (n, q), offset (n,); NaN where a covariate is missing."""

    L: Array
    Z: Array
    offset: Array
    index: pd.Index


def predict(fit: FociFit, newdata: Any, type: str, covariance: str, conf_level: float) -> pd.DataFrame | PredictedMaps:
    """See FociFit.predict."""
    if type not in TYPES:
        raise ValueError(f"type={type!r} is not known; there are {', '.join(TYPES)}")
    if covariance not in KINDS:
        raise ValueError(f"vcov={covariance!r} is not known; there are {', '.join(KINDS)}")
    if not 0 < conf_level < 1:
        raise ValueError(f"conf_level= lies between 0 and 1, as .95; got {conf_level!r}")
    rows = rows_of(fit, newdata)
    wide = float(special.ndtri(0.5 + conf_level / 2))
    return totals(fit, rows, covariance, wide) if type == "foci" else maps(fit, rows, covariance, wide)


def rows_of(fit: FociFit, newdata: Any) -> Rows:
    """The columns of other analyses, or of those that were fitted."""
    request = fit.request
    if newdata is None:
        design = request.design
        return Rows(request.L, design.matrix, design.offset, design.index)
    if request.layout is None:
        raise Unable("this fit does not keep how its columns were made, so that it predicts its own analyses alone")
    again = request.layout.moderators.design.apply(newdata)
    Z = again.matrix[:, list(request.layout.moderators.kept)]
    return Rows(request.layout.maps.of(newdata), Z, again.offset, again.index)


# ---- the whole brain -----------------------------------------------------------------------------
def totals(fit: FociFit, rows: Rows, covariance: str, wide: float) -> pd.DataFrame:
    """Expected foci in the whole mask, of every row: fitted, log_se, conf_low, conf_high."""
    patterns, number = np.unique(rows.L, axis=0, return_inverse=True)
    known = ~np.isnan(patterns).any(axis=1)
    logs, gradients = np.full(len(patterns), np.nan), np.full((len(patterns), np.asarray(fit.engine.b).size), np.nan)
    for k in np.flatnonzero(known):
        eta = fit.engine.expand(patterns[k : k + 1] @ fit.engine.b)
        logs[k] = special.logsumexp(eta)
        mean = fit.engine.project(special.softmax(eta, axis=1))[0]
        gradients[k] = np.outer(patterns[k], mean).ravel()
    number = number.reshape(-1)
    log_mean = logs[number] + rows.offset + rows.Z @ fit.engine.gamma
    G = np.hstack([gradients[number], rows.Z])
    fine = ~np.isnan(G).any(axis=1) & ~np.isnan(rows.offset)
    se = np.full(len(G), np.nan)
    if fine.any():
        each, back = np.unique(G[fine], axis=0, return_inverse=True)
        variances = np.diag(functionals(fit, each.T, covariance))
        se[fine] = np.sqrt(np.maximum(variances, 0.0))[back.reshape(-1)]
    if covariance == "robust":  # as in maps: a cell that one study fits exactly has no variance over studies
        se[resting_on_one(fit, rows.L)] = np.nan
    table = {"fitted": log_mean, "log_se": se, "conf_low": log_mean - wide * se, "conf_high": log_mean + wide * se}
    return pd.DataFrame({k: v if k == "log_se" else np.exp(v) for k, v in table.items()}, index=rows.index)


def functionals(fit: FociFit, G: Array, covariance: str) -> Array:
    """The covariance of m linear functions G' (b, gamma), G (C P + q, m): (m, m)."""
    G = np.ascontiguousarray(G)
    if covariance != "robust":
        return np.asarray(G.T @ fit.engine.solve(G, covariance))
    solved = fit.engine.solve(G)
    moved = fit.engine.scores() @ solved
    return np.asarray(len(moved) / (len(moved) - 1) * moved.T @ moved)


# ---- every voxel ---------------------------------------------------------------------------------
def maps(fit: FociFit, rows: Rows, covariance: str, wide: float) -> PredictedMaps:
    """Expected foci in every voxel, of every row, with limits."""
    if len(rows.L) > MOST:
        raise ValueError(f"maps of {len(rows.L)} analyses would fill the memory; predict at most {MOST} at a time")
    n, V = len(rows.L), len(fit.brain.voxels)
    log, se = np.full((n, V), np.nan), np.full((n, V), np.nan)
    for i in range(n):
        if not np.isnan(np.concatenate([rows.L[i], rows.Z[i], rows.offset[i : i + 1]])).any():
            log[i], se[i] = _one(fit, rows.L[i], rows.Z[i], float(rows.offset[i]), covariance)
    return PredictedMaps(fit.brain, np.exp(log), se, np.exp(log - wide * se), np.exp(log + wide * se))


def _one(fit: FociFit, row: Array, z: Array, offset: float, covariance: str) -> tuple[Array, Array]:
    """Log intensity and its standard error in every voxel, (V,) each."""
    C, P = np.asarray(fit.engine.b).shape
    R = row[None]
    log = fit.engine.expand(R @ fit.engine.b)[0] + offset + float(z @ fit.engine.gamma)
    variance = map_variance(fit, R, covariance)[:, 0, 0]
    if z.any():
        G = np.concatenate([np.zeros(C * P), z])[:, None]
        level = fit.engine.solve(G, "fisher" if covariance == "robust" else covariance)
        if covariance == "robust":
            scores = fit.engine.scores()
            level = fit.engine.solve(scores.T @ (scores @ level)) * (len(scores) / (len(scores) - 1))
        cross = fit.engine.expand(R @ level[: C * P, 0].reshape(C, P))[0]
        variance = variance + 2 * cross + float(z @ level[C * P :, 0])
    return log, np.sqrt(np.maximum(variance, 0.0))


# ---- new foci ------------------------------------------------------------------------------------
def simulate(fit: FociFit, n: int, seed: int | np.random.Generator | None) -> list[Foci]:
    """See FociFit.simulate."""
    if not is_whole(n, least=1):
        raise ValueError(f"n= is a number of data sets, 1 or more; got {n!r}")
    if not (seed is None or isinstance(seed, np.random.Generator) or is_whole(seed)):
        raise ValueError(f"seed is a whole number of 0 or more, or a numpy Generator; got {seed!r}")
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    return [_drawn(fit.engine.simulate(rng)) for _ in range(n)]


def _drawn(request: FociRequest) -> Foci:
    """The foci that a request places, as data for fit()."""
    inside, analyses = request.located, request.foci.studies
    order = np.argsort(inside.analysis, kind="stable")
    places = dict(zip("xyz", inside.points[order].T, strict=True))
    keys = analyses.iloc[inside.analysis[order]][["study", "analysis"]].reset_index(drop=True)
    return replace(request.foci, foci=keys.assign(**places), messages=("drawn from a fit",), truth=None)
