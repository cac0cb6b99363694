"""Score tests of comparisons: the null model fitted once, and what every study adds to its maps.

L_j(v) = x_v' A^-1 u_j, of the null model's scores u_j and information A of the maps. Moderators are those of the null
model, and held: where their 0 lies has no part in the test. The shape of a map is free of the level of its scores: L_j
less its mean over the brain, weighted by intensity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from ...errors import DataError
from ...family import Array
from ..aliasing import independent
from ..maps import effects
from .hypotheses import Hypothesis
from .wald import of_chi2, of_z
from .welch import Compared, quadratic

if TYPE_CHECKING:
    from ..fit import FociFit
    from ..request import FociRequest

Index = NDArray[np.intp]
ROWS = 32  # maps at a time: 60 MB of a brain of 2 mm
SMALL = 20_000_000  # numbers, above which they are kept in single precision


@dataclass(frozen=True, eq=False)
class NullScores:
    """Contributions to the null model's maps: coefficients (J, P) of L = X coefficients', and how they are compared.

    `cell` (J,) is each contribution's cell of the fit, `rows` (J,) one of its analyses; `x` (J,) the covariate of a
    tested effect, else empty; `center` (m, V) the weights of the mean that a shape leaves out, by the `pattern` (J,) of
    a contribution; else none.
    """

    null: FociFit
    coefficients: Array
    by: Compared
    cell: Index
    rows: Index
    x: Array
    pattern: Index
    center: Array

    def at(self, rows: Any) -> Array:
        """L of some contributions, in all voxels."""
        L = self.null.engine.expand(self.coefficients[rows])
        for number, weights in enumerate(self.center):
            own = self.pattern[rows] == number
            L[own] -= (L[own] @ weights)[:, None]
        return L

    def maps(self) -> NDArray[Any]:
        """L (J, V), in single precision where they are many numbers."""
        return in_rows(self.at, len(self.coefficients), len(self.null.brain.voxels))

    def statistic(self) -> Array:
        """Welch's statistic in every voxel, (V,), as welch() has it of maps(), none of which is made.

        The residuals of a study are linear in the basis, x_v'c_k - m_k, so that their squares add up to
        x_v'(sum c_k c_k') x_v - 2 x_v'(sum m_k c_k) + sum m_k^2.
        """
        by, engine = self.by, self.null.engine
        N, a = by.weights(by.D)
        means = self._means()
        theta, level = by.D.T @ self.coefficients / N[:, None], by.D.T @ means / N
        e = self.coefficients - by.T[:, None] * (by.D @ theta)
        m = means - by.T * (by.D @ level)
        J = len(by.T)
        sums = [sparse.csr_array((weights, (by.study, np.arange(J)))) for weights in a.T]
        parts = [(own @ e, own @ m) for own in sums]
        variance = np.array(
            [
                [engine.spread(c.T @ d) - engine.expand((c.T @ n + d.T @ o)[None])[0] + o @ n for d, n in parts]
                for c, o in parts
            ]
        )
        return quadratic(engine.expand(by.W @ theta) - (by.W @ level)[:, None], variance)

    def _means(self) -> Array:
        """(J,) what the shape of each contribution leaves out; 0 of intensities."""
        if not len(self.center):
            return np.zeros(len(self.coefficients))
        xbar = self.null.engine.project(self.center)
        return np.asarray(np.einsum("jp,jp->j", self.coefficients, xbar[self.pattern]))


def in_rows(make: Callable[[slice], Array], J: int, V: int) -> NDArray[Any]:
    """(J, V) of rows that are made some at a time, in single precision where they are many numbers."""
    out = np.empty((J, V), dtype=np.float32 if J * V > SMALL else np.float64)
    for start in range(0, J, ROWS):
        rows = slice(start, min(start + ROWS, J))
        out[rows] = make(rows)
    return out


def comparable(fit: FociFit, asked: Hypothesis) -> str:
    """Why a hypothesis has no score test, or "" where it has one."""
    if fit.family.name == "negative_binomial":
        return "the family negative_binomial is of totals over analyses, so that studies have no scores of their own"
    if asked.value.any():
        return "values other than 0 have no null model of the same kind"
    cells = len(fit.cells)
    if asked.matrix[:, :cells].any() and asked.matrix[:, cells:].any():
        return "cells and effects are mixed"
    if asked.matrix[:, cells:].any():
        if len(asked.matrix) > 1 or np.count_nonzero(asked.matrix) > 1:
            return "several effects are not permuted together; test them one by one"
        name = asked.names[int(np.flatnonzero(asked.matrix[0])[0])]
        others = [other for other in effects(fit) if other != name]
        if others:
            return f"s(...) has other effects beside it ({', '.join(others)})"
        column = fit.request.L[:, fit.request.maps.index(name)]
        return f"{name} is a difference of factors in s(a) + s(b); write s(a:b)" if _binary_beside(fit, column) else ""
    if np.abs(asked.matrix.sum(axis=1)).max() > 1e-9:
        return "the weights do not sum to 0"
    if not indicators(fit.request):
        return "maps are not those of the cells (s(a:b) has a map a cell)"
    used = np.atleast_1d(asked.matrix.any(axis=0))
    few = [name for name, mine in zip(fit.cells, used, strict=False) if mine and _studies(fit, name) < 2]
    return f"{', '.join(few)} has one study, so that nothing varies" if few else ""


def indicators(request: FociRequest) -> bool:
    """Whether the cells have a map each, and there are no others."""
    rows = np.array([np.asarray(row) for row in request.cells.values()])
    return rows.shape[0] == rows.shape[1] and bool(
        (np.sort(rows, axis=1)[:, :-1] == 0).all() and (rows.max(1) == 1).all()
    )


def _binary_beside(fit: FociFit, column: Array) -> bool:
    """Whether a map's column is a difference of factors: 0 and 1, and part of a cell."""
    return bool(np.isin(column, (0.0, 1.0)).all()) and len(effects(fit)) > 0 and len(fit.cells) > 1


def _studies(fit: FociFit, cell: str) -> int:
    return len(np.unique(fit.request.cluster[fit.request.group == fit.cells.index(cell)]))


def score_values(fit: FociFit, asked: Hypothesis, what: str) -> tuple[dict[str, Array], tuple[str, ...]]:
    """z, p and logp of the score test of a hypothesis, of several rows "statistic" besides; and what to say of it."""
    found = null_scores(fit, asked, what)
    said = () if found.null.converged else ("the null model of the score test did not converge",)
    return values_of(found.statistic(), len(found.by.W)), said


def values_of(statistic: Array, q: int) -> dict[str, Array]:
    """The maps of z of one row, or of chi-squared of q."""
    return of_z(statistic) if q == 1 else of_chi2(statistic, q)


def null_scores(fit: FociFit, asked: Hypothesis, what: str) -> NullScores:
    """What every study adds to the maps of the null model that a hypothesis makes."""
    effect = bool(asked.matrix[:, len(fit.cells) :].any())
    request, group = fit.request, fit.request.group
    if effect:
        gone = request.maps.index(asked.names[int(np.flatnonzero(asked.matrix[0])[0])])
        rows, x = np.arange(len(group)), request.L[:, gone]
        null = fit.engine.refit(_without_map(request, gone))
    else:
        used = np.flatnonzero(asked.matrix.any(axis=0))
        rows = np.flatnonzero(np.isin(group, used))
        x = np.zeros(len(group))
        null = fit.engine.refit(_pooled(among(request, rows), " + ".join(np.asarray(fit.cells)[used])))
    keys = np.column_stack([request.cluster, group, x])[rows]
    first, code = np.unique(keys, axis=0, return_index=True, return_inverse=True)[1:]
    code, J = code.reshape(-1), len(first)
    size = null.request.totals.astype(np.float64) if what == "shape" else _exposure(null)
    T = np.asarray(np.bincount(code, size, J), dtype=np.float64)
    if what == "shape" and not T.any():
        raise DataError("there is no focus in the cells compared, so that there is no shape to compare")
    cell, x = group[rows[first]], x[rows[first]]
    study = np.unique(keys[first, 0], return_inverse=True)[1].reshape(-1)
    if effect:
        D, W = centred(x, T, cell), np.ones((1, 1))
    else:
        D, W = (cell[:, None] == used).astype(float), _independent(asked.matrix[:, used])
    patterns, pattern = np.unique(null.request.L[first], axis=0, return_inverse=True)
    log_maps = null.engine.expand(patterns @ null.engine.b)
    return NullScores(
        null,
        _influences(null, code, J, first),
        Compared(T, D, study, W),
        cell,
        rows[first],
        x if effect else np.empty(0),
        pattern.reshape(-1),
        special.softmax(log_maps, axis=1) if what == "shape" else np.empty((0, 0)),
    )


def among(request: FociRequest, rows: Index) -> FociRequest:
    """The request of these analyses alone, without global columns that these cannot tell apart."""
    if len(rows) == len(request.L):
        return request
    design = request.design
    Z = design.matrix[rows]
    kept = [j - 1 for j in independent(np.column_stack([np.ones(len(rows)), Z])) if j]
    number = np.full(len(request.L), -1, dtype=np.intp)
    number[rows] = np.arange(len(rows))
    own = number[request.located.analysis] >= 0
    located = replace(
        request.located,
        points=request.located.points[own],
        voxel=request.located.voxel[own],
        analysis=number[request.located.analysis[own]],
    )
    return replace(
        request,
        design=replace(
            design,
            matrix=Z[:, kept],
            names=tuple(design.names[j] for j in kept),
            offset=design.offset[rows],
        ),
        L=request.L[rows],
        group=request.group[rows],
        cluster=np.unique(request.cluster[rows], return_inverse=True)[1].reshape(-1),
        foci=request.foci.select(rows),
        located=located,
        messages=(),
    )


def centred(x: Array, T: Array, cell: Index) -> Array:
    """A covariate less its mean in each cell, weighted by T, as a column (J, 1)."""
    total = np.bincount(cell, T)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(cell, T * x) / total
    return (x - mean[cell])[:, None]


def _influences(null: FociFit, code: Index, J: int, rows: Index) -> Array:
    """(J, P): A^-1 u_j on the map of the analyses that contribution j is of; `rows` are analyses of each.

    A and u_j are those of the maps' coefficients, the moderators being held: what a study says of these moves a map at
    moderators of 0, wherever 0 lies, and is no difference between maps.
    """
    engine, (_, C, q) = null.engine, null.request.shape
    P = engine.b.shape[1]
    u = engine.scores(code)[:J].T.copy()
    u[C * P :] = 0.0
    solved = engine.solve(np.hstack([u, np.eye(C * P + q, q, -C * P)]))
    moved, unit = solved[:, :J], solved[:, J:]
    if q:  # the right hand sides of the moderators for which they stay where they are
        moved = moved - unit @ np.linalg.solve(unit[C * P :], moved[C * P :])
    return np.asarray(np.einsum("jc,cpj->jp", null.request.L[rows], moved[: C * P].reshape(C, P, J)))


def _exposure(null: FociFit) -> Array:
    """exp(offset + z'gamma) of every analysis, (M,)."""
    design = null.request.design
    offset = np.zeros(len(null.request.L)) if design.offset is None else design.offset
    return np.exp(offset + design.matrix @ null.engine.gamma)


def _pooled(request: FociRequest, name: str) -> FociRequest:
    """The request in which all analyses have one map."""
    one = np.ones((len(request.L), 1))
    zeros = np.zeros(len(one), dtype=np.intp)
    return replace(request, L=one, maps=(name,), cells={name: np.ones(1)}, group=zeros)


def _without_map(request: FociRequest, gone: int) -> FociRequest:
    """The request without the map of an effect."""
    left = [j for j in range(len(request.maps)) if j != gone]
    cells = {name: np.asarray(row)[left] for name, row in request.cells.items()}
    return replace(request, L=request.L[:, left], maps=tuple(request.maps[j] for j in left), cells=cells)


def _independent(W: Array) -> Array:
    from ...inference.intervals.restrict import independent_rows

    return independent_rows(W, np.zeros(len(W)))[0]
