"""The nonparametric bootstraps: whole clusters drawn again, or residuals and conditional modes drawn again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...data.values import Categorical, Value, as_factor, keep
from ...design import RandomTerm
from ...errors import Unable
from ...estimator import Estimator
from ...estimator.residual_structure import AR1
from ...family import Array
from ...request import Request
from ...result import Fit
from ..prediction.simulation import fixed_part
from ..rows.clusters import clusters_of
from ..rows.working import working

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Clusters:
    """What is drawn as a whole: the rows (of positive weight) of each cluster."""

    name: str  # "rows" where each row is one
    members: tuple[Rows, ...]


def clusters_to_draw(fit: Fit, cluster: str | None) -> Clusters:
    """The clusters of a column, or by default of the outermost grouping factor, or the rows of a model without groups.

    Raises Unable where a grouping factor has levels in several clusters: drawn again they would fall apart.
    """
    used = np.flatnonzero(fit.request.weights > 0)
    random = fit.request.design.random
    cluster = getattr(fit.request.estimator, "cluster", None) if cluster is None else cluster  # a GEE's own
    if cluster is None and not random:
        return Clusters("rows", tuple(used[:, None]))
    if cluster is None:
        outer = min(random, key=lambda term: len(term.levels))
        name, codes = outer.group, outer.codes[used]
    else:
        (found,) = clusters_of(fit, cluster, fit.request.weights > 0)
        name, codes = found.name, found.codes
    for term in random:
        pairs = len(pd.unique(term.codes[used] * (codes.max() + 1) + codes))
        if pairs > len(np.unique(term.codes[used])):
            raise Unable(
                f"whole clusters of {name} cannot be drawn again: levels of {term.group} lie in several of them; take "
                "resample='parametric', or name a cluster= in which all groups are nested"
            )
    order = np.argsort(codes, kind="stable")
    ends = np.flatnonzero(np.diff(codes[order])) + 1
    return Clusters(name, tuple(np.split(used[order], ends)))


def of_clusters(request: Request, clusters: Clusters, drawn: NDArray[np.intp]) -> Request:
    """The request on the clusters `drawn`, in that order; one drawn twice counts as two clusters."""
    rows = np.concatenate([clusters.members[i] for i in drawn])
    copy = np.repeat(np.arange(len(drawn)), [len(clusters.members[i]) for i in drawn])
    design = request.design
    new = replace(
        design,
        y=None if design.y is None else design.y[rows],
        matrix=np.asfortranarray(design.matrix[rows]),
        random=tuple(_copied(term, rows, copy) for term in design.random),
        offset=design.offset[rows],
        extra_offset=None if design.extra_offset is None else design.extra_offset[rows],
        weights=None if design.weights is None else design.weights[rows],
        rows=design.rows[rows],
        index=pd.RangeIndex(len(rows)),
        data=design.data.iloc[rows],
        beside=_beside(request, rows, copy),
    )
    return request.on_rows(new, rows)


def _beside(request: Request, rows: Rows, copy: Rows) -> dict[str, Value]:
    """Columns beside the formula on these rows; in those that tell clusters apart each copy is one of its own."""
    how = request.estimator
    apart = {getattr(how, "cluster", None), *(getattr(s, "group", None) for s in _series(how))}
    found = {name: keep(value, rows) for name, value in request.design.beside.items()}
    for name in found.keys() & apart:
        factor = as_factor(request.design.beside[name])
        both = copy * len(factor.levels) + factor.codes[rows]
        left, codes = np.unique(both, return_inverse=True)
        found[name] = Categorical(codes.astype(np.intp), tuple(f"copy {place}" for place in left))
    return found


def _series(how: Estimator) -> list[Any]:
    return [structure for structure in getattr(how, "residual", ()) if isinstance(structure, AR1)]


def _copied(term: RandomTerm, rows: Rows, copy: Rows) -> RandomTerm:
    """The term on these rows, a level of each copy being a level of its own."""
    both = copy * len(term.levels) + term.codes[rows]
    found, codes = np.unique(both, return_inverse=True)
    levels = tuple(f"{term.levels[i % len(term.levels)]} ({i // len(term.levels) + 1})" for i in found.tolist())
    return replace(term, codes=codes.astype(np.intp), levels=levels, basis=np.ascontiguousarray(term.basis[rows]))


@dataclass(frozen=True, eq=False)
class Pool:
    """Residuals and conditional modes of a linear (mixed) model, made as large as its variances say.

    Modes shrink, and residuals with them: as they are they would vary too little (Carpenter, Goldstein & Rasbash
    2003). Residuals are times sqrt(w), of one variance sigma^2; of a model without groups each was divided by
    sqrt(1 - leverage).
    """

    fixed: Array  # (n,)
    modes: tuple[Array, ...]  # (L, K) of each term
    residuals: Array  # (rows used,)


def pool(fit: Fit) -> Pool:
    """What a residual bootstrap draws from; Unable for other than linear models."""
    if fit.request.model not in ("lm", "lmm"):
        raise Unable(
            "residuals can be drawn again in linear models only: those of a generalized one have no common "
            "distribution; take resample='parametric' or 'cases'"
        )
    if fit.request.residuals:
        raise Unable("residuals of a structure are not exchangeable; take resample='parametric' or 'cases'")
    w = fit.request.weights
    used = w > 0
    e = (fit.request.y - fit.eta)[used] * np.sqrt(w[used])
    if fit.request.model == "lm":
        base = working(fit, "a residual bootstrap is")
        e = e / np.sqrt(np.maximum(1 - base.hat, 1e-12))
    e = e - e.mean()
    spread = float(np.sqrt((e**2).mean()))
    modes = tuple(reflated(effect.modes, effect.covariance) for effect in fit.random)
    return Pool(fixed_part(fit), modes, e * (fit.sigma / spread if spread > 0 else 0.0))


def reflated(modes: Array, covariance: Array) -> Array:
    """Modes (L, K) centred, and turned so that their covariance is the one estimated (K, K)."""
    centred = modes - modes.mean(axis=0)
    return np.asarray(centred @ _root(centred.T @ centred / len(modes), inverse=True) @ _root(covariance))


def _root(S: Array, inverse: bool = False) -> Array:
    """Symmetric square root, or that of the pseudo-inverse."""
    values, vectors = np.linalg.eigh(S)
    fine = values > 1e-10 * max(float(values.max()), 1e-300)
    root = np.zeros_like(values)
    root[fine] = values[fine] ** (-0.5 if inverse else 0.5)
    return np.asarray((vectors * root) @ vectors.T)


def redrawn(fit: Fit, source: Pool, rng: np.random.Generator) -> Array:
    """One response (n,): fixed part, modes and residuals drawn with replacement; rows of weight 0 keep theirs."""
    request = fit.request
    used = request.weights > 0
    y = source.fixed.copy()
    for term, modes in zip(request.design.random, source.modes, strict=True):
        drawn = modes[rng.integers(len(modes), size=len(modes))]
        y += np.einsum("nk,nk->n", term.basis, drawn[term.codes])
    residuals = source.residuals[rng.integers(len(source.residuals), size=len(source.residuals))]
    y[used] += residuals / np.sqrt(request.weights[used])
    return np.where(used, y, request.y)
