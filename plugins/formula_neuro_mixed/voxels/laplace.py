"""A binomial mixed model with one scalar random effect in many voxels at once: the bootstrap's batch over voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array
from formula_neuro.maps.request import MapRequest

from ..batch import rows as batch_rows
from ..batch.boundary import Template, settle_many
from ..batch.glmm import inside, takes
from ..batch.laplace import LARGEST
from ..batch.laplace import Laplace as Target
from ..batch.newton import Which, minimise_many
from ..batch.problem import Problem, problem_of
from ..checks import SINGULAR

AT_ONCE = 100_000  # numbers of an array by rows
START = 0.5  # of theta
TOLERANCE = 1e-12  # of the deviance: what the last step would gain, which is taken all the same


class Counted(Target):
    """The deviance, which counts how often a voxel's derivatives were asked for."""

    def __init__(self, problem: Problem, wy: Array):
        super().__init__(problem, wy)
        self.asked = np.zeros(wy.shape[1], dtype=np.int32)

    def expand(self, psi: Array, which: Which) -> tuple[Array, Array, Array]:
        self.asked[which] += 1
        return super().expand(psi, which)


@dataclass(frozen=True, eq=False)
class Found:
    """C voxels at their maxima; `sure` (C,) where there is no doubt that this is what a single fit finds."""

    beta: Array  # (C, P)
    covariance: Array  # (C, r, r) of the kept columns
    theta: Array  # (C, 1), lme4's
    loglik: Array
    deviance: Array  # at the modes
    iterations: NDArray[np.int32]
    singular: NDArray[np.bool_]
    sure: NDArray[np.bool_]


def problem(request: MapRequest) -> Problem | None:
    """The batch's view of a request; None where it does not take the model."""
    return problem_of(request) if takes(request) and request.estimator.word == "laplace" else None


def maximised(problem: Problem, Y: NDArray[Any]) -> Found:
    """The fits to masks Y (C, rows used), none of which is constant or separated."""
    size = max(8, AT_ONCE // len(problem.w))
    parts = [_some(problem, Y[first : first + size].T.astype(np.float64)) for first in range(0, len(Y), size)]
    return Found(*(np.concatenate([getattr(part, name) for part in parts]) for name in Found.__dataclass_fields__))


def _some(problem: Problem, y: Array) -> Found:
    everyone = np.arange(y.shape[1])
    target = Counted(problem, np.ascontiguousarray(problem.merge @ y))
    found = settle_many(
        lambda psi, which: minimise_many(target, psi, which, tolerance=TOLERANCE),
        target.value,
        Template(1),
        _start(problem, y),
        everyone,
    )
    point, free = found.point, np.abs(found.point[:, 0]) >= SINGULAR
    _, gradient, hessian = target.expand(point, everyone)
    inverse, _ = _inverse(hessian, free)
    step = np.einsum("cij,cj->ci", inverse, np.where(found.converged[:, None], gradient, 0.0))
    step[~free, 0] = 0.0
    moved = point - step
    value = target.value(moved, everyone)
    better = found.converged & (value <= found.value + 1e-9 * np.maximum(1.0, np.abs(found.value)))
    point, value = np.where(better[:, None], moved, point), np.where(better, value, found.value)
    inverse, known = _inverse(target.expand(point, everyone)[2], free)
    theta, b = np.abs(point[:, 0]), point[:, 1:]
    # rare events may have two maxima, one of a large variance: there the search of tables decides
    inside_range = inside(problem.family, problem.X @ b.T + problem.offset)
    with np.errstate(all="ignore"):  # a voxel that is lost is fitted again
        eta = target.modes(point, everyone, target.wy).eta
        kernel = target.rows.kernel(target.wy, problem.w, eta).sum(axis=0)
    back = problem.scale * np.linalg.inv(problem.basis.R)
    return Found(
        beta=problem.beta(b),
        covariance=back @ (2 * inverse[:, 1:, 1:]) @ back.T,
        theta=(theta * problem.spread)[:, None],
        loglik=batch_rows.log_constants(problem.family, y, problem.weights) - value / 2,
        deviance=-2 * kernel,
        iterations=target.asked,
        singular=~free,
        sure=found.converged & known & (theta < LARGEST / 2) & inside_range & np.isfinite(kernel),
    )


def _start(problem: Problem, y: Array) -> Array:
    """psi (C, 1 + r): the level of each voxel's share of events, a little away from 0 and 1."""
    w = problem.weights
    share = ((w * y).sum(axis=0) + 0.5) / (w.sum() + 1)
    level = np.asarray(problem.family.link(share))
    one = problem.basis.Q.sum(axis=0) / problem.scale
    return np.column_stack([np.full(len(level), START), level[:, None] * one])


def _inverse(H: Array, free: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    """The inverses of Hessians (C, m, m), without theta where it is 0, and which are positive definite."""
    H = H.copy()
    H[~free, 0, :], H[~free, :, 0], H[~free, 0, 0] = 0.0, 0.0, 1.0
    values, vectors = np.linalg.eigh(H)
    known = values[:, 0] > 0
    scaled = vectors / np.where(known[:, None], values, 1.0)[:, None, :]
    return np.asarray(scaled @ vectors.transpose(0, 2, 1)), np.asarray(known)
