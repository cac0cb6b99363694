"""Estimates and t values of simulated scans, for every design of a family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.inference.sides import TWO, as_side
from formula_neuro.scalars import is_whole

from .family import Family
from .objective import estimator
from .power import check_scale


@dataclass(frozen=True, eq=False)
class Simulation:
    """Of m designs and n simulated runs each, in standard deviations of the noise.

    truth (m,): the true contrast; estimate, residual_sd and t (m, n). All designs meet the same n runs of noise, so
    differences between designs are sharper than each by itself.
    """

    truth: Array
    estimate: Array
    residual_sd: Array
    t: Array
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """A row a design: the truth, mean and sd of the estimate, mean of the residual variance, mean t."""
        return self.table.assign(
            truth=self.truth,
            mean=self.estimate.mean(axis=1),
            sd=self.estimate.std(axis=1, ddof=1),
            residual_variance=(self.residual_sd**2).mean(axis=1),
            mean_t=self.t.mean(axis=1),
        )

    def share_beyond(self, threshold: float, *, alternative: str | None = None) -> Array:
        """The share of runs (m,) with T beyond the threshold; alternative: as in power(). Raises ValueError."""
        side = None if alternative is None else as_side(alternative)
        sign = np.where(self.truth < 0, -1.0, 1.0)[:, None] if side is None else float(side)
        t = np.abs(self.t) if side == TWO else sign * self.t
        return np.asarray((t > threshold).mean(axis=1))


def simulated(
    Z: Array, c: Array, family: Family, n: int, rng: np.random.Generator, table: pd.DataFrame, scale: float = 1.0
) -> Simulation:
    """Fits of y = scale v_i + e, e standard normal, by least squares on Z: n runs of scans, each met by all designs.

    What is left of scale v + e off Z has the squared length |Pv|^2 + 2 (Pv)'(Pe) + |Pe|^2, so no run is formed for
    every design. Raises DataError.
    """
    if not is_whole(n, least=2):
        raise DataError(f"n is {n!r}; a number of simulated runs from 2 is expected")
    check_scale(scale)
    a, (scans, p) = estimator(Z, c), Z.shape
    Q, v = np.linalg.qr(Z)[0], scale * family.v
    e = rng.standard_normal((scans, n))
    off_v, off_e = v - Q @ (Q.T @ v), e - Q @ (Q.T @ e)
    squared = (off_v**2).sum(axis=0)[:, None] + 2 * off_v.T @ off_e + (off_e**2).sum(axis=0)
    residual_sd = np.sqrt(squared / (scans - p))
    estimate = (a @ v)[:, None] + a @ e
    return Simulation(scale * family.l, estimate, residual_sd, estimate / (residual_sd * np.sqrt(a @ a)), table.copy())
