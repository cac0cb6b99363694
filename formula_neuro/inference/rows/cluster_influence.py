"""influence(groups=...): what leaving out each cluster, a mouse or a site, would change.

At the variances of the whole fit the generalized least squares estimate without cluster c has

    X'V^-1X - X_c'V_c^-1X_c   and   X'V^-1z - X_c'V_c^-1z_c

where no random effect is shared with other clusters; otherwise V^-1 changes too, and is built again without the rows
of c. z is the response, of a generalized model the working response at its estimates (one step of a refit).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ...errors import DataError, FitError, Unable
from ...family import Array
from ...result import Fit
from ..ability import ability
from ..prediction.joint_covariance import root_of, row_weights, scaled_basis
from ..told import told
from .clusters import Clusters, clusters_of
from .subset import on_rows


def cluster_influence(fit: Fit, groups: Any, exact: bool = False) -> pd.DataFrame:
    """One row a cluster: rows, cooks_distance, then dfbeta_<name> and dfbetas_<name> of each coefficient.

    groups: a column of the data, or labels (one a row used), or the name of a random term's group, as "cell:mouse".
    dfbeta is the coefficient of all rows less the one without the cluster; dfbetas is that in standard errors without
    it; cooks_distance is d' Cov(b)^-1 d / p, d all dfbeta of the cluster. The variances stay as they were estimated
    from all rows; `exact` refits the model without each cluster. `attrs["messages"]` says in words which clusters move
    coefficients by more than 2 / sqrt(clusters) standard errors (Belsley, Kuh & Welsch 1980), or change their sign,
    and without which the model cannot be fitted (NaN).
    """
    if exact and getattr(fit.engine, "by_formula", False):
        raise Unable(f"refits without a cluster are not offered for fits by {fit.backend}; fit the model natively")
    if fit.request.model == "gee":
        raise Unable("influence() is of models with a likelihood, and this is a GEE; refit it without the cluster")
    used, kept = fit.request.weights > 0, ~np.isnan(fit.beta)
    if not kept.any():
        raise Unable("influence() says which clusters move the coefficients, and this fit has none")
    clusters = _clusters(fit, groups, used)
    without = list(_refitted(fit, clusters, used) if exact else _downdated(fit, clusters, used, kept))
    d = np.array([one.moved for one in without])
    errors = np.array([one.se for one in without])
    cook = np.array([_cook(row[kept], fit.covariance[np.ix_(kept, kept)]) for row in d])
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = d / errors
    table = pd.DataFrame(
        {"rows": np.bincount(clusters.codes, minlength=clusters.count), "cooks_distance": cook},
        index=pd.Index(clusters.labels, name=clusters.name),
    )
    for what, values in (("dfbeta", d), ("dfbetas", scaled)):
        table = table.assign(**{f"{what}_{name}": values[:, j] for j, name in enumerate(fit.names)})
    table.attrs["messages"] = (*_words(fit, clusters, d, scaled), *_lost(clusters, d, kept))
    return told(table.sort_index())


@dataclass(frozen=True)
class Without:
    """What the coefficients (p,) do when a cluster is left out, and their standard errors then; NaN: no answer."""

    moved: Array
    se: Array


def _clusters(fit: Fit, groups: Any, used: NDArray[np.bool_]) -> Clusters:
    term = next((term for term in fit.request.design.random if term.group == groups), None)
    known = fit.request.design.given is not None and groups in map(str, fit.request.design.given.table.columns)
    if isinstance(groups, str) and term is not None and not known:
        labels = np.asarray(term.levels, dtype=object)[term.codes]
        return clusters_of(fit, pd.Series(labels, index=fit.request.design.index, name=groups), used)[0]
    ways = clusters_of(fit, groups, used)
    if len(ways) > 1:
        raise DataError("influence(groups=...) leaves out the clusters of one column; name one")
    return ways[0]


def _cook(d: Array, V: Array) -> float:
    if np.isnan(d).any():
        return float("nan")
    return float(d @ np.linalg.solve(V, d) / len(d))


# ---- by refitting ----------------------------------------------------------------------------------
def _refitted(fit: Fit, clusters: Clusters, used: NDArray[np.bool_]) -> Iterator[Without]:
    refit = ability(fit, "refit", "influence(groups=..., exact=True)")
    for c in range(clusters.count):
        kept = used.copy()
        kept[used] = clusters.codes != c
        found: Fit | None = None
        with contextlib.suppress(DataError, FitError):  # a single level left, a response that does not vary
            found = refit(on_rows(fit.request, kept))
        if found is None or not found.converged:
            yield Without(np.full(len(fit.beta), np.nan), np.full(len(fit.beta), np.nan))
        else:
            yield Without(fit.beta - found.beta, found.se.to_numpy())


# ---- by taking its share away ----------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Rows:
    """X (m, k), W X, W z (m,), Z L (m, q) and W (m,), which may be negative in some rows of some families."""

    X: Array
    WX: Array
    Wz: Array
    M: sparse.csr_array
    W: Array

    def moments(self, rows: Any = slice(None)) -> tuple[Array, Array]:
        """X'V^-1X (k, k) and X'V^-1z (k,) of these rows and no others."""
        WXz, M = np.column_stack([self.WX[rows], self.Wz[rows]]), self.M[rows].tocsc()
        total = self.X[rows].T @ WXz
        if M.shape[1]:
            A = (M.T @ M.multiply(self.W[rows][:, None]) + sparse.eye_array(M.shape[1])).tocsc()
            across = M.T @ WXz
            solver = splu(A, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
            total -= across[:, :-1].T @ solver.solve(across)
        return total[:, :-1], total[:, -1]

    def share(self, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        """As `moments` of a cluster's rows, which have few random effects: dense."""
        WXz, own = np.column_stack([self.WX[rows], self.Wz[rows]]), self.M[rows]
        touched, places = np.unique(own.indices, return_inverse=True)
        total = self.X[rows].T @ WXz
        if len(touched):
            M = np.zeros((len(rows), len(touched)))
            M[np.repeat(np.arange(len(rows)), np.diff(own.indptr)), places] = own.data
            across = M.T @ WXz
            A = M.T @ (M * self.W[rows][:, None]) + np.eye(len(touched))
            total -= across[:, :-1].T @ np.linalg.solve(A, across)
        return total[:, :-1], total[:, -1]


def _rows(fit: Fit, used: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Rows:
    request = fit.request
    W, score = (values[used] for values in row_weights(fit))
    X = request.design.matrix[np.ix_(used, kept)]
    Wz = W * (fit.eta[used] - request.design.offset[used]) + score
    M = sparse.csr_array((int(used.sum()), 0))
    if fit.random:
        M = scaled_basis(request.design.random, [root_of(effect.covariance) for effect in fit.random])[used]
    return Rows(X, X * W[:, None], Wz, M, W)


def _downdated(fit: Fit, clusters: Clusters, used: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Iterator[Without]:
    data = _rows(fit, used, kept)
    XVX, XVz = data.moments()
    b = np.linalg.solve(XVX, XVz)
    apart = all(_inside(term.codes[used], clusters.codes) for term in fit.request.design.random)
    order = np.argsort(clusters.codes, kind="stable")
    own = np.split(order, np.cumsum(np.bincount(clusters.codes, minlength=clusters.count))[:-1])
    for c, rows in enumerate(own):
        if apart:
            share = data.share(rows)
            left = XVX - share[0], XVz - share[1]
        else:
            left = data.moments(clusters.codes != c)
        yield _full(kept, *_solved(*left, b, XVX))


def _inside(codes: NDArray[np.intp], clusters: NDArray[np.intp]) -> bool:
    """Whether each level of a grouping factor lies in one cluster."""
    pairs = np.unique(np.stack([codes, clusters], axis=1), axis=0)
    return len(pairs) == len(np.unique(codes))


def _solved(XVX: Array, XVz: Array, b: NDArray[Any], whole: Array) -> tuple[Array, Array]:
    """b less the solution, and standard errors; NaN where the rows left do not determine all coefficients."""
    scale = 1 / np.sqrt(np.diag(whole))
    values, vectors = np.linalg.eigh(XVX * scale * scale[:, None])
    if values[0] < 1e-10:
        return np.full(len(b), np.nan), np.full(len(b), np.nan)
    inverse = np.asarray((vectors / values) @ vectors.T * scale * scale[:, None])
    return b - inverse @ XVz, np.asarray(np.sqrt(np.diag(inverse)))


def _full(kept: NDArray[np.bool_], moved: Array, se: Array) -> Without:
    full = np.full((2, len(kept)), np.nan)
    full[:, kept] = moved, se
    return Without(*full)


# ---- words -----------------------------------------------------------------------------------------
def _words(fit: Fit, clusters: Clusters, d: Array, scaled: Array) -> list[str]:
    """For each coefficient the cluster that moves it most, if it moves it far or changes its sign; largest first."""
    found = []
    for j, name in enumerate(fit.names):
        sizes = np.abs(scaled[:, j])
        if np.isnan(sizes).all():
            continue
        c = int(np.nanargmax(sizes))
        without = fit.beta[j] - d[c, j]
        turned = without * fit.beta[j] < 0
        if sizes[c] > 2 / np.sqrt(clusters.count) or turned:
            text = (
                f"{clusters.name} {clusters.labels[c]} moves {name} by {d[c, j]:+.3g}: {fit.beta[j]:.3g} with it, "
                f"{without:.3g} without ({sizes[c]:.1f} standard errors{', and the sign changes' if turned else ''})"
            )
            found.append((sizes[c], text))
    return [text for _, text in sorted(found, reverse=True)]


def _lost(clusters: Clusters, d: Array, kept: NDArray[np.bool_]) -> list[str]:
    lost = [str(label) for label, row in zip(clusters.labels, d, strict=True) if np.isnan(row[kept]).any()]
    if not lost:
        return []
    return [f"without {clusters.name} {', '.join(lost[:5])} not all coefficients can be estimated (NaN)"]
