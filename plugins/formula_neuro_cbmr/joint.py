"""Maps and global coefficients searched together: numbers in s(...), additive maps, splines without a constant.

For analysis i of pattern p, in internal maps beta with rows M_p, log mean = x_v'(M_p beta) + o_i + z_i'gamma. With
w_i = exp(o_i + z_i'gamma), T_p = sum w_i, zeta_p = sum w_i z_i and e_pv = exp(x_v'(M_p beta)) the likelihood is

    l = sum_c r_c'beta_c + sum_i t_i (o_i + z_i'gamma) - sum_p T_p sum_v e_pv - lambda/2 sum_c beta_c'S beta_c,

its information has blocks X' diag(sum_p M_pc M_pd T_p e_p) X, the border X' sum_p M_pc zeta_p e_p and the corner
sum_i w_i (sum_v e_pv) z_i z_i'. The array of patterns and voxels is made a block of voxels at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .bordered import Bordered
from .factor import factor
from .poisson import ENOUGH, EXACT, HALVINGS, IDLE, STEPS, TOLERANCE, Cell, slack, start
from .problem import Problem

AT_ONCE = 64  # patterns whose intensities are held at a time
BLOCK = 100_000  # numbers of the array of patterns and voxels that are held at a time: what a core's cache holds


@dataclass(frozen=True, eq=False)
class Joint:
    """A problem in internal maps: `M` (G, C) takes the place of the patterns, `to_maps` (C, C) takes beta to b.

    Where every pattern has a map of its own, internal maps are those; else M'M = G/C I, so that neither the penalty nor
    rounding depends on how the maps' numbers are scaled and centred. `blocks` are the maps whose information hangs
    together. `ratio` (M,) multiplies the exposures: frailties' means given the totals, None for Poisson.
    """

    problem: Problem
    M: Array
    to_maps: Array
    blocks: tuple[tuple[int, ...], ...]
    ratio: Array | None = None

    @cached_property
    def r(self) -> Array:
        """Rows of the foci by internal map, (C, P)."""
        return np.asarray(self.M.T @ self.problem.pattern_rows)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        return [(c, d) for maps in self.blocks for c in maps for d in maps if c <= d]

    @cached_property
    def t_offset(self) -> float:
        return float(self.problem.request.totals @ self.problem.request.design.offset)

    @cached_property
    def tz(self) -> Array:
        """sum_i t_i z_i, (q,)."""
        return np.asarray(self.problem.request.totals @ self.problem.request.design.matrix)

    def weights(self, gamma: Array) -> Array:
        """w (M,)."""
        design = self.problem.request.design
        w = np.exp(design.offset + design.matrix @ gamma)
        return np.asarray(w if self.ratio is None else self.ratio * w)

    def by_pattern(self, values: Array) -> Array:
        """Sums over the analyses of every pattern, (G, ...)."""
        out = np.zeros((len(self.M), *values.shape[1:]))
        np.add.at(out, self.problem.pattern, values)
        return out

    def start(self) -> tuple[Array, Array]:
        """The same constant intensity in all patterns, gamma 0."""
        q = self.problem.request.design.matrix.shape[1]
        exposure = float(self.weights(np.zeros(q)).sum())
        foci = float(self.problem.pattern_foci.sum())
        level = start(Cell("all", self.r[0], foci, exposure), self.problem.splined)
        share = np.linalg.lstsq(self.M, np.ones(len(self.M)), rcond=None)[0]
        return np.outer(share, level), np.zeros(q)


def joint(problem: Problem) -> Joint:
    """The problem in internal maps."""
    patterns = problem.patterns
    G, C = patterns.shape
    if problem.saturated:
        return Joint(problem, np.eye(G), np.asarray(np.linalg.inv(patterns)), tuple((c,) for c in range(C)))
    Q, R = np.linalg.qr(patterns)
    scale = np.sqrt(G / C)
    return Joint(problem, Q * scale, np.asarray(np.linalg.inv(R)) * scale, (tuple(range(C)),))


@dataclass(frozen=True, eq=False)
class Point:
    """Where a search stands: S (G,) are the sums of e_p, `gradient_maps` (C, V), `pair_maps` and `border_maps`."""

    beta: Array
    gamma: Array
    value: float
    w: Array
    S: Array
    gradient_maps: Array
    pair_maps: Array
    border_maps: Array


@dataclass(frozen=True, eq=False)
class JointFound:
    """The optimum: beta (C, P), gamma (q,), the (penalised) information, the log-likelihood without its penalty."""

    beta: Array
    gamma: Array
    information: Bordered
    loglik: float
    fitted: Array  # (M,) expected foci of every analysis
    least: Array  # (G,) the smallest intensity of a pattern over its mean
    steps: int
    decrement: float
    gradient: float
    converged: bool


def at(model: Joint, beta: Array, gamma: Array, smoothing: float) -> Point:
    """The value and all volumes that derivatives need, in one pass over blocks of voxels."""
    w = model.weights(gamma)
    T = model.by_pattern(w)
    zeta = model.by_pattern(w[:, None] * model.problem.request.design.matrix)
    C, q, M = model.M.shape[1], zeta.shape[1], model.M
    tables = [(M * T[:, None]).T]
    tables += [np.stack([M[:, c] * M[:, d] * T for c, d in model.pairs])]
    tables += [(M[:, :, None] * zeta[:, None, :]).reshape(len(M), C * q).T]
    K = np.concatenate(tables)
    maps = model.problem.splined.basis.expand(beta)
    volumes, S = np.empty((len(K), maps.shape[1])), np.zeros(len(M))
    step = max(1, BLOCK // len(M))
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, maps.shape[1], step):
            e = M @ maps[:, first : first + step]
            np.exp(e, out=e)
            S += e.sum(axis=1)
            volumes[:, first : first + step] = K @ e
        value = _loglik(model, beta, gamma, T, S) - 0.5 * smoothing * _roughness(model, beta)
    n = len(model.pairs)
    return Point(beta, gamma, value, w, S, volumes[:C], volumes[C : C + n], volumes[C + n :])


def _loglik(model: Joint, beta: Array, gamma: Array, T: Array, S: Array) -> float:
    return float((model.r * beta).sum() + model.t_offset + model.tz @ gamma - T @ S)


def _roughness(model: Joint, beta: Array) -> float:
    return sum(model.problem.splined.penalty.roughness(b) for b in beta)


def derivatives(model: Joint, point: Point, smoothing: float) -> tuple[Array, Bordered]:
    """The gradient (C P + q,) and the penalised information at a point."""
    splined, Z = model.problem.splined, model.problem.request.design.matrix
    C, P = point.beta.shape
    fitted = point.w * point.S[model.problem.pattern]
    maps = model.r - splined.basis.project(point.gradient_maps) - smoothing * (splined.penalty.S @ point.beta.T).T
    gradient = np.concatenate([maps.reshape(-1), model.tz - Z.T @ fitted])
    volume = dict(zip(model.pairs, point.pair_maps, strict=True))
    blocks = []
    for each in model.blocks:
        A = np.empty((len(each), P, len(each), P))
        for i, c in enumerate(each):
            for j, d in enumerate(each[: i + 1]):
                A[i, :, j] = A[j, :, i] = splined.gram.weighted(volume[d, c])
            A[i, :, i] += smoothing * splined.S
        blocks.append(factor(A.reshape(len(each) * P, -1)))
    q = Z.shape[1]
    border = splined.basis.project(point.border_maps).reshape(C, q, P).transpose(0, 2, 1).reshape(C * P, q)
    return gradient, Bordered(tuple(blocks), border, Z.T @ (fitted[:, None] * Z))


def newton(
    model: Joint,
    smoothing: float,
    begin: tuple[Array, Array] | None = None,
    tolerance: float = TOLERANCE,
) -> JointFound:
    """The optimum at this smoothing parameter; raises FitError where no step rises."""
    here = at(model, *(model.start() if begin is None else begin), smoothing)
    if not np.isfinite(here.value):
        raise FitError("the intensities overflow where the search begins: are the offsets on a log scale?")
    idle = 0
    for steps in range(1, STEPS + 1):
        gradient, information = derivatives(model, here, smoothing)
        way = information.solve(gradient[:, None])[:, 0]
        decrement = float(gradient @ way)
        ahead = _ahead(model, here, way, smoothing, decrement)
        risen = 0.0 if ahead is None else ahead.value - here.value
        idle = idle + 1 if risen <= slack(here.value) else 0
        done = ahead is None or decrement < tolerance or idle >= IDLE
        here = here if ahead is None else ahead
        if done and decrement > EXACT and tolerance <= TOLERANCE:
            _, information = derivatives(model, here, smoothing)
        if done:
            return _found(model, here, information, smoothing, (steps, decrement, decrement < ENOUGH))
    return _found(model, here, information, smoothing, (STEPS, decrement, False))


def _ahead(model: Joint, here: Point, way: Array, smoothing: float, decrement: float) -> Point | None:
    """The next point, the step halved until the value does not fall; None where rounding alone is left."""
    maps, rest = way[: here.beta.size].reshape(here.beta.shape), way[here.beta.size :]
    least = here.value - slack(here.value)
    length = 1.0
    for _ in range(HALVINGS):
        there = at(model, here.beta + length * maps, here.gamma + length * rest, smoothing)
        if np.isfinite(there.value) and there.value >= least:
            return there
        length /= 2
    if decrement > ENOUGH:
        raise FitError("no step along Newton's direction raises the log-likelihood of the maps and global terms")
    return None


def _found(
    model: Joint, here: Point, information: Bordered, smoothing: float, search: tuple[int, float, bool]
) -> JointFound:
    splined, problem = model.problem.splined, model.problem
    steps, decrement, converged = search
    fitted = here.w * here.S[problem.pattern]
    maps = model.r - splined.basis.project(here.gradient_maps) - smoothing * (splined.penalty.S @ here.beta.T).T
    rest = model.tz - problem.request.design.matrix.T @ fitted
    largest = max(float(np.abs(maps).max()), float(np.abs(rest).max(initial=0.0)))
    loglik = here.value + 0.5 * smoothing * _roughness(model, here.beta)
    least = lowest(model, here.beta) * splined.basis.V / here.S
    return JointFound(
        here.beta, here.gamma, information, loglik, fitted, least, steps, decrement, largest, converged
    )  # fmt: skip


def lowest(model: Joint, beta: Array) -> Array:
    """The smallest e_pv of every pattern, (G,)."""
    maps = model.problem.splined.basis.expand(beta)
    step = max(1, BLOCK // len(model.M))
    least = np.full(len(model.M), np.inf)
    for first in range(0, maps.shape[1], step):
        least = np.minimum(least, (model.M @ maps[:, first : first + step]).min(axis=1))
    return np.exp(least)


def pattern_sums(model: Joint, beta: Array) -> Array:
    """sum_v e_pv of every pattern, (G,)."""
    maps = model.problem.splined.basis.expand(beta)
    step = max(1, BLOCK // len(model.M))
    sums = np.zeros(len(model.M))
    for first in range(0, maps.shape[1], step):
        sums += np.exp(model.M @ maps[:, first : first + step]).sum(axis=1)
    return sums


def pattern_rows(model: Joint, beta: Array) -> Array:
    """X'e_p of every pattern, (G, P)."""
    basis, M = model.problem.splined.basis, model.M
    maps = basis.expand(beta)
    parts = [basis.project(np.exp(M[at : at + AT_ONCE] @ maps)) for at in range(0, len(M), AT_ONCE)]
    return np.concatenate(parts)
