"""How often T passes a threshold, for every design of a family: power where there is an effect, errors where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.inference.sides import GREATER, LESS, TWO
from formula_neuro.scalars import is_number

from .family import Family
from .objective import estimator, misfit
from .t_statistic import Rows, expected_t, tail

ALPHA = 1e-3  # one-sided, as thresholds of single voxels are
POINTS = 200  # of a curve


@dataclass(frozen=True, eq=False)
class Standing:
    """What the law of T needs of every design: eta and D (m,), nu, and the sign of the true contrast (+1 for 0)."""

    eta: Array
    D: Array
    nu: int
    sign: Array

    def of(self, rows: Rows) -> Standing:
        return Standing(self.eta[rows], self.D[rows], self.nu, self.sign[rows])

    def beyond(self, threshold: Array, side: int | None = None) -> Array:
        """P(T beyond the threshold), (m, k): on the side of the true contrast, or on `side`, of as_side()."""
        if side == TWO:
            return self.beyond(threshold, GREATER) + self.beyond(threshold, LESS)
        sign = self.sign if side is None else float(side)
        return tail(threshold, sign * self.eta, self.D, self.nu)


def standing(Z: Array, c: Array, family: Family, scale: float = 1.0) -> Standing:
    """eta = a'v / |a| and D = v'(I - P)v with amplitudes `scale` times those of the family. Raises DataError."""
    check_scale(scale)
    a, (n, p) = estimator(Z, c), Z.shape
    eta = scale * (a @ family.v) / np.sqrt(a @ a)
    return Standing(eta, scale**2 * misfit(Z, family.v), n - p, np.where(family.l < 0, -1.0, 1.0))


def check_scale(scale: float) -> None:
    """Raises DataError."""
    if not is_number(scale) or scale <= 0:
        raise DataError(f"scale is {scale!r}; a number above 0 is expected, 1 for the amplitudes of the design's snr")


def threshold_of(alpha: float | None, threshold: float | None, nu: int, side: int | None = None) -> float:
    """The threshold that a central t on nu degrees of freedom passes with probability alpha. Raises DataError."""
    if threshold is not None:
        if alpha is not None:
            raise DataError("alpha and threshold are both given; one follows from the other")
        if not is_number(threshold):
            raise DataError(f"threshold is {threshold!r}; a t value is expected")
        return float(threshold)
    level = ALPHA if alpha is None else alpha
    if not is_number(level) or not 0 < level < 1:
        raise DataError(f"alpha is {level!r}; a probability between 0 and 1 is expected")
    return float(stats.t.isf(level / 2 if side == TWO else level, nu))


def power_table(found: Standing, least: Array, threshold: float, side: int | None) -> pd.DataFrame:
    """expected_t, power and best_power (m,), the last that of each true design's own fit, with eta = `least`."""
    own = Standing(least, np.zeros(len(least)), found.nu, found.sign)
    at = np.array([threshold])
    return pd.DataFrame(
        {
            "expected_t": expected_t(found.eta, found.D, found.nu),
            "power": found.beyond(at, side)[:, 0],
            "best_power": own.beyond(at, side)[:, 0],
        }
    )


def roc_table(active: Standing, null: Standing, weights: tuple[Array, Array]) -> pd.DataFrame:
    """threshold, false_positives, sensitivity (means over designs by their weights) and the lowest sensitivity."""
    centres = np.concatenate([active.sign * active.eta, null.eta])
    at = np.linspace(centres.min() - 3.5, centres.max() + 3.5, POINTS)
    seen, errors = active.beyond(at), null.beyond(at)
    return pd.DataFrame(
        {
            "threshold": at,
            "false_positives": np.average(errors, axis=0, weights=weights[1]),
            "sensitivity": np.average(seen, axis=0, weights=weights[0]),
            "lowest_sensitivity": seen.min(axis=0),
        }
    )


def chosen(family: Family, rows: Sequence[int] | None, argument: str, null: bool) -> Rows:
    """Row numbers of designs: those given, or all with (null=False) or without an effect. Raises DataError."""
    m = len(family.l)
    if rows is None:
        return np.flatnonzero((family.l == 0) == null)
    found = np.asarray(rows)
    if found.ndim != 1 or not len(found) or found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= m:
        raise DataError(f"{argument} is {rows!r}; row numbers of d.to_frame(), 0 to {m - 1}, are expected")
    return found
