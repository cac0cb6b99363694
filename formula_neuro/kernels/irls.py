"""Generalized linear models by guarded Fisher scoring: the fit itself, or where a mixed model starts.

With mu1 = dmu/deta and V the variance function: W = w mu1^2 / V, working residual (y - mu) / mu1,
each step solves X'WX db = X'W (y - mu) / mu1 by QR (McCullagh & Nelder 1989, section 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import FitError
from ..family import Array, Family


@dataclass(frozen=True, eq=False)
class Scoring:
    """Where Fisher scoring ended; `decrement` is the fall of the deviance that one more step predicts."""

    b: Array
    eta: Array
    mu: Array
    deviance: float
    decrement: float
    iterations: int
    converged: bool


def inside(family: Family, eta: Array) -> NDArray[np.bool_]:
    """Which rows' means lie inside the family's range, (n,)."""
    with np.errstate(all="ignore"):
        mu = family.link.inverse(eta)
    fine = np.isfinite(eta) & np.isfinite(mu)
    if family.link.name == "inverse":
        fine &= eta > 0  # the other branch gives negative means
    if family.name == "binomial":
        return fine & (mu > 0) & (mu < 1)
    return fine if family.name == "gaussian" else fine & (mu > 0)


def irls(
    X: Array, y: Array, w: Array, offset: Array, family: Family, *, iterations: int = 100, tolerance: float = 1e-15
) -> Scoring:
    """Maximum likelihood of eta = X b + offset; X (n, r) of full rank on the rows with w > 0.

    Steps that raise the deviance or leave the family's range are halved. Raises FitError when no
    admissible start is found (identity and log links).
    """
    eta = _start(X, y, w, offset, family)
    b: Array = np.linalg.lstsq(X, eta - offset, rcond=None)[0].astype(np.float64)
    deviance = float(family.deviance(y, family.link.inverse(eta), w).sum())
    decrement, steps = np.inf, 0
    while steps < iterations:
        steps += 1
        step, decrement = _direction(X, y, w, eta, family)
        if decrement < tolerance * (0.1 + abs(deviance)):
            break
        moved = _halved(X, y, w, offset, family, b, step, deviance)
        if moved is None:
            break
        b, eta, deviance = moved
    enough = decrement < 1e-8 * (0.1 + abs(deviance))  # also where rounding ended it; R's epsilon
    return Scoring(b, eta, family.link.inverse(eta), deviance, float(decrement), steps, bool(enough))


def _direction(X: Array, y: Array, w: Array, eta: Array, family: Family) -> tuple[Array, float]:
    mu, mu1 = family.link.inverse(eta), family.link.derivative(eta)
    root = np.sqrt(w / family.variance(mu)) * np.abs(mu1)
    Q, R = np.linalg.qr(X * root[:, None])
    c = Q.T @ (root * (y - mu) / mu1)
    return np.linalg.lstsq(R, c, rcond=None)[0], float(c @ c)


def _halved(
    X: Array, y: Array, w: Array, offset: Array, family: Family, b: Array, step: Array, deviance: float
) -> tuple[Array, Array, float] | None:
    for _ in range(30):
        candidate = b + step
        eta = X @ candidate + offset
        if inside(family, eta).all():
            new = float(family.deviance(y, family.link.inverse(eta), w).sum())
            if new <= deviance + 1e-12 * abs(deviance):
                return candidate, eta, new
        step = step / 2
    return None


def _start(X: Array, y: Array, w: Array, offset: Array, family: Family) -> Array:
    """A linear predictor in the model's space: near R's starting means, else near the overall mean."""
    used: NDArray[np.bool_] = w > 0
    means = family.start(y[used], w[used])
    overall = float(np.average(y[used], weights=w[used]))
    with np.errstate(divide="ignore"):  # counts that are all 0 have no log
        level = float(family.link(np.array(overall)))
    for target in (family.link(means), np.full(int(used.sum()), level)):
        b = np.linalg.lstsq(X[used], target - offset[used], rcond=None)[0]
        eta = np.asarray(X @ b + offset)
        if inside(family, eta).all():
            return eta
    raise FitError(
        f"no starting values with means inside the range of {family} were found; "
        f"another link ({', '.join(family.links)}) has no such limits"
    )
