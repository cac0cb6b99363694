"""Laplace's approximation with EM for Q: mean, covariance and Sigma without sampling.

Given Q, b is normal around its mode with precision H. The mode lies nearer 0 than the mean where events are rare, so
that the mean is the mode plus H^-1 t, with t from the log-likelihood's third derivatives. Q is then
df (I + sum over edges of E D D')^-1, and so on to a fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from formula_neuro.family import Array

from .answer import Answer
from .draws import Moments, Noise, batches
from .model import Model
from .newton import Mode, level, mode
from .posterior import Normal
from .precision import FixedPoint, coordinates, fixed_point, matrix_of
from .system import System
from .uncertainty import sigma_draws

FINE, COARSE = 1e-9, 1e-7  # of the log posterior, by voxel: last Newton steps of 5e-5 and 5e-4 deviations
START = 10.0  # precision of differences between neighbours, of standardised covariates
MOST = 40  # EM steps
TOLERANCE = 3e-4  # of the coordinates of Q, whose own uncertainty is some 4 divided by the root of V
ROUGH = 1e-2
IN_STEPS, MOST_IN_STEPS, ENOUGH = 8, 64, 20_000  # draws of an EM step: at least, at most, times voxels
SOLVED = 1e-6


@dataclass
class Step:
    """One EM step on Q's coordinates, which starts where the last one ended."""

    model: Model
    noise: Noise
    skew: bool
    b: Array
    delta: Array | None = field(default=None)
    shift: Array | None = field(default=None)

    def __call__(self, theta: Array) -> Array:
        model, Q = self.model, matrix_of(theta, self.model.shape[1])
        found = mode(model, Q, self.b, COARSE)
        self.b = found.b
        self.delta = found.system.solve(self.noise.perturbation(found.system), self.delta, SOLVED)
        moments = Moments.of(found.system, self.delta)
        self.shift = shifted(model, found, moments.covariance(found.system), self.shift) if self.skew else None
        mean = self.b if self.shift is None else self.b + self.shift[:, :, 0]
        S = np.eye(len(Q)) + model.scatter(mean) + moments.scatter
        return coordinates(np.asarray(model.df * np.linalg.inv(S)))


def shifted(model: Model, found: Mode, covariance: Array, start: Array | None) -> Array:
    """From the mode to the mean, (V, P, 1)."""
    t = model.likelihood.skewness(found.b, covariance)
    return found.system.solve(t[:, :, None], start, SOLVED)


def laplace(model: Model, draws: int = 32, seed: int = 1) -> Answer:
    """The posterior of a model by Laplace's approximation; `draws` for the covariances by voxel."""
    V, P = model.shape
    start = np.broadcast_to(level(model), (V, P)).copy()
    steps = max(IN_STEPS, min(MOST_IN_STEPS, ENOUGH // V))
    step = Step(model, Noise.of(model.graph, P, range(steps), seed), False, start)
    search, skewed = sought(step, coordinates(START * np.eye(P)))
    found = mode(model, matrix_of(search.theta, P), step.b, FINE)
    covariance = covariances(model, found.system, draws, seed)
    shift = shifted(model, found, covariance, step.shift)[:, :, 0]
    mean = found.b + shift
    furthest = float(np.abs(shift / np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))).max())
    sigma, known = sigma_draws(step, search.theta, model.df, seed)
    row = {"steps": search.steps, "last_change": search.change, "skew_in_search": skewed, "furthest_shift": furthest}
    return Answer(
        mean,
        covariance,
        model.likelihood.incidence(mean, covariance),
        sigma,
        mean.mean(axis=0),
        level_covariance(found.system),
        search.change < TOLERANCE,
        notes(search, skewed, furthest, known),
        pd.DataFrame([row]),
        posterior=Normal(model.graph, found.system, mean),
    )


def sought(step: Step, theta: Array) -> tuple[FixedPoint, bool]:
    """Q's coordinates, and whether the correction of the means was part of the search.

    Q is sought without it first, and then with it. Where the data say so little that this has no fixed point, Q stays
    as it was without, and the correction is added once.
    """
    rough = fixed_point(step, theta, ROUGH, MOST)
    step.skew = True
    search = fixed_point(step, rough.theta, TOLERANCE, MOST)
    if search.change < TOLERANCE:
        return search, True
    step.skew = False
    return fixed_point(step, rough.theta, TOLERANCE, MOST), False


def notes(search: FixedPoint, skewed: bool, furthest: float, known: bool) -> tuple[str, ...]:
    """What there is to say of the approximation."""
    said = []
    if search.change >= TOLERANCE:
        said.append(
            f"the search for Sigma did NOT end within {MOST} steps: its last one changed the logarithms of Q's factor "
            f"by {search.change:.1g}"
        )
    if not skewed:
        said.append(
            "events are so rare that Sigma with the correction for skewness has no fixed point: Sigma is that of the "
            "uncorrected means, and the correction was added once; spreads are likely to be too small then: compare "
            "with estimator=Spatial(method='gibbs'), in chains long enough to meet"
        )
    if furthest > 0.5:
        said.append(
            f"the correction for skewness moves some coefficients by up to {furthest:.1f} posterior standard "
            "deviations, where Laplace's approximation is rough: compare with estimator=Spatial(method='gibbs') there"
        )
    if not known:
        said.append("how sure Sigma is could not be told from the search: its spread is that for known coefficients")
    return tuple(said)


def level_covariance(system: System) -> Array:
    """Of the means of b over voxels, (P, P): 1'H^-1 1 / V^2."""
    V, P = system.A.shape[:2]
    ones = np.broadcast_to(np.eye(P), (V, P, P)).copy()
    C = system.solve(ones, tolerance=SOLVED).mean(axis=0) / V
    return (C + C.T) / 2


def covariances(model: Model, system: System, draws: int, seed: int) -> Array:
    """Of b at every voxel, (V, P, P)."""
    total = None
    for numbers in batches(draws):
        noise = Noise.of(model.graph, model.shape[1], numbers, seed)
        moments = Moments.of(system, system.solve(noise.perturbation(system), tolerance=SOLVED))
        total = moments if total is None else total + moments
    assert total is not None
    return total.covariance(system)
