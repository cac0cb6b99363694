"""A normal approximation of the posterior with EM for Q: mean, covariance and Sigma without sampling.

Given Q, b is normal with the mean m at which the expected gradient of the log posterior vanishes and with the expected
curvature as its precision, expectations being over that normal distribution itself: the one nearest to the posterior in
Kullback and Leibler's sense (Opper and Archambeau 2009, Neural Computation 21, 786). Laplace's approximation, the mode
with its curvature, is where the search begins; where events are rare the mode lies nearer 0 than the mean, and Sigma
with it. Q is df (I + sum over edges of E D D')^-1, and so on to a fixed point: but for the rounding of quadrature and
draws, each half of a step raises the same lower bound of the posterior density of Q.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from formula_neuro.family import Array

from .answer import Answer
from .draws import Moments, Noise, batches
from .foretold import counted
from .model import Model
from .newton import Mode, level, mode
from .posterior import Normal
from .precision import FixedPoint, coordinates, fixed_point, matrix_of
from .system import System
from .uncertainty import sigma_draws

FINE, COARSE = 1e-9, 1e-7  # of the log posterior, by voxel: last Newton steps of 5e-5 and 5e-4 deviations
START = 10.0  # precision of differences between neighbours, of standardised covariates
MOST = 100  # EM steps
TOLERANCE = 3e-4  # of the coordinates of Q, whose own uncertainty is some 4 divided by the root of V
ROUGH = 5e-2
FAR = 0.4  # of a mean from the mode, in standard deviations: beyond, sds of two thirds of the exact ones were seen
IN_STEPS, MOST_IN_STEPS, ENOUGH = 4, 64, 20_000  # draws of an EM step: at least, at most, times voxels
SOLVED = 1e-5  # of draws, of the norm in units of which H's diagonal blocks are 1
ROUNDS, SETTLED = 5, 1e-4  # of mean and covariance within a step, until the expected scatter of edges settles


@dataclass
class Step:
    """One EM step on Q's coordinates, which starts where the last one ended: at the mode, or, `spread`, at the mean."""

    model: Model
    noise: Noise
    b: Array
    spread: bool = False
    delta: Array | None = field(default=None)
    covariance: Array | None = field(default=None)

    @classmethod
    def of(cls, model: Model, seed: int) -> Step:
        """From the level of all voxels, with a few draws that stay the same."""
        V, P = model.shape
        draws = max(IN_STEPS, min(MOST_IN_STEPS, ENOUGH // V))
        return cls(model, Noise.of(model.graph, P, range(draws), seed), np.broadcast_to(level(model), (V, P)).copy())

    def __call__(self, theta: Array) -> Array:
        model, Q = self.model, matrix_of(theta, self.model.shape[1])
        old = None
        for _ in range(ROUNDS):
            found = mode(model, Q, self.b, COARSE, self.covariance if self.spread else None)
            self.b = found.b
            self.delta = found.system.solve(self.noise.perturbation(found.system), self.delta, SOLVED)
            moments = Moments.of(found.system, self.delta)
            self.covariance = moments.covariance(found.system)
            S = np.eye(len(Q)) + model.scatter(self.b) + moments.scatter
            if not self.spread or (old is not None and np.abs(S - old).max() < SETTLED * np.abs(S).max()):
                break
            old = S
        return coordinates(np.asarray(model.df * np.linalg.inv(S)))


def laplace(model: Model, draws: int = 32, seed: int = 1, progress: bool | None = None) -> Answer:
    """The posterior of a model by a normal approximation; `draws` for the covariances by voxel."""
    P = model.shape[1]
    step = Step.of(model, seed)
    with counted(step, model.shape, progress) as told:
        rough = fixed_point(told, coordinates(START * np.eye(P)), ROUGH, MOST)
        step.spread = True  # from there, as an expectation takes RULE times as long
        search = fixed_point(told, rough.theta, TOLERANCE, MOST)
        Q = matrix_of(search.theta, P)
        found, covariance = _closing(step, Q, draws, seed)
        furthest = _from_mode(model, found, covariance, Q)
        sigma, known = sigma_draws(told, search.theta, model.df, seed)
    row = {"steps": search.steps, "last_change": search.change, "furthest_shift": furthest}
    return Answer(
        found.b,
        covariance,
        model.likelihood.incidence(found.b, covariance),
        sigma,
        found.b.mean(axis=0),
        level_covariance(found.system),
        search.change < TOLERANCE,
        notes(search, furthest, known),
        pd.DataFrame([row]),
        posterior=Normal(model.graph, found.system, found.b, likelihood=model.likelihood),
    )


def given(model: Model, Q: Array, draws: int = 32, seed: int = 1) -> tuple[Array, Array]:
    """Means (V, P) and covariances (V, P, P) of b at a precision that is known."""
    step = Step.of(model, seed)
    for step.spread in (False, True):
        step(coordinates(Q))
    found, covariance = _closing(step, Q, draws, seed)
    return found.b, covariance


def _closing(step: Step, Q: Array, draws: int, seed: int) -> tuple[Mode, Array]:
    """The mean with the precision there, and covariances of more draws than the search has."""
    found = mode(step.model, Q, step.b, FINE, step.covariance)
    covariance = covariances(step.model, found.system, draws, seed)
    return mode(step.model, Q, found.b, FINE, covariance), covariance


def _from_mode(model: Model, found: Mode, covariance: Array, Q: Array) -> float:
    """About how far the mean lies from the mode, at most, in standard deviations: a Newton step from there."""
    slope = model.likelihood.derivatives(found.b).gradient - model.laplacian(found.b) @ Q
    way = found.system.solve(slope[:, :, None], tolerance=ROUGH)[:, :, 0]
    return float(np.abs(way / np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))).max())


def notes(search: FixedPoint, furthest: float, known: bool) -> tuple[str, ...]:
    """What there is to say of the approximation."""
    said = []
    if search.change >= TOLERANCE:
        said.append(
            f"the search for Sigma did NOT end within {MOST} steps: its last one changed the logarithms of Q's factor "
            f"by {search.change:.1g}"
        )
    if furthest > FAR:
        said.append(
            f"the posterior is skewed: some means lie {furthest:.1f} posterior standard deviations from the mode, and "
            "standard deviations may be too small and z too large there, by a tenth where events are rare, by a third "
            "where all values of many voxels are alike; v.engine.check() measures it, and "
            "estimator=Spatial(method='gibbs') is exact but for Monte Carlo error"
        )
    if not known:
        said.append("how sure Sigma is could not be told from the search: its spread is that for known coefficients")
    return tuple(said)


def level_covariance(system: System) -> Array:
    """Of the means of b over voxels, (P, P): 1'H^-1 1 / V^2."""
    V, P = system.A.shape[:2]
    ones = np.broadcast_to(np.eye(P), (V, P, P)).copy()
    C = system.solve(ones).mean(axis=0) / V
    return np.asarray((C + C.T) / 2)


def covariances(model: Model, system: System, draws: int, seed: int) -> Array:
    """Of b at every voxel, (V, P, P)."""
    total = None
    for numbers in batches(draws):
        noise = Noise.of(model.graph, model.shape[1], numbers, seed)
        moments = Moments.of(system, system.solve(noise.perturbation(system), tolerance=SOLVED))
        total = moments if total is None else total + moments
    assert total is not None
    return total.covariance(system)
