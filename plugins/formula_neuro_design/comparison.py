"""An optimal design beside the analyses that it competes with, scored on the same truths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from formula_neuro.family import Array

from .family import Family
from .objective import estimator
from .power import standing, threshold_of

DRAWS = 400  # of an estimate that is not linear, for each design: its mean is then known to 5 % of its sd


@dataclass(frozen=True, eq=False)
class Rival:
    """A design Z (n, p) and contrast c (p,); `own` of its columns are not nuisance.

    rescale: whether the estimate is multiplied so that it is unbiased on average. With boost=True the estimate is the
    derivative boost (Calhoun 2004), made of the first two columns: the sign of the first coefficient times the norm of
    both, each times the length of its column, by the length of the first. c then has no part.
    """

    name: str
    Z: Array
    c: Array
    own: int
    boost: bool = False
    rescale: bool = True


@dataclass(frozen=True, eq=False)
class Comparison:
    """`table` has a row an analysis; `notes` say what the comparison does not say."""

    table: pd.DataFrame
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        return self.table.copy()

    def __repr__(self) -> str:
        width = int(self.table["analysis"].str.len().max())
        named = self.table.round(3).assign(analysis=self.table["analysis"].str.ljust(width))
        shown = named.to_string(index=False, na_rep="-")
        return "\n".join([shown, *(f"\nNote: {note}" for note in self.notes)])


def compared(
    rivals: Sequence[Rival], family: Family, g: Array, alpha: float | None = None, seed: int = 1
) -> pd.DataFrame:
    """A row a rival: rms_bias, max_bias, sd_ratio, rmse, mean_power and min_power over the designs with an effect.

    A rival's estimate is multiplied by the number that makes it unbiased on average over them (`factor`), so that none
    is blamed for its unit. Biases are shares of the true contrast; sd_ratio is the mean ratio of standard deviation to
    that of the true design's own fit, g (m,) its square; rmse is in standard deviations of the noise. Power is that of
    one-sided t tests at alpha, .001 unless given, and NaN for the boost, which is not t-distributed. An estimate whose
    sign is wrong on average has power alone. Raises DataError.
    """
    some = np.flatnonzero(family.l != 0)
    truths = Truths(family.v[:, some], family.l[some], family.w[some], g[some])
    rows = [_scored(rival, truths, alpha, seed) for rival in rivals]
    return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class Truths:
    """The designs with an effect: v (n, m), l, w and g (m,)."""

    v: Array
    l: Array
    w: Array
    g: Array


def _scored(rival: Rival, truths: Truths, alpha: float | None, seed: int) -> dict[str, object]:
    mean, sd = _boosted(rival.Z, truths, seed) if rival.boost else _linear(rival, truths)
    factor = 1 / np.average(mean / truths.l, weights=truths.w) if rival.rescale else 1.0
    factor = factor if np.isfinite(factor) and factor > 0 else np.nan  # the wrong sign on average: no unit is right
    bias, spread = factor * mean / truths.l - 1, factor * sd
    power = np.full(len(truths.l), np.nan) if rival.boost else _power(rival, truths, alpha)
    return {
        "analysis": rival.name,
        "columns": rival.own,
        "rms_bias": float(np.sqrt(np.average(bias**2, weights=truths.w))),
        "max_bias": float(np.abs(bias).max()),
        "sd_ratio": np.nan if rival.boost else float(np.average(spread / np.sqrt(truths.g), weights=truths.w)),
        "rmse": float(np.sqrt(np.average((bias * truths.l) ** 2 + spread**2, weights=truths.w))),
        "mean_power": float(np.average(power, weights=truths.w)),
        "min_power": float(power.min()),
        "factor": float(factor),
    }


def _linear(rival: Rival, truths: Truths) -> tuple[Array, Array]:
    """Mean and standard deviation (m,) of c'gamma."""
    a = estimator(rival.Z, rival.c)
    return a @ truths.v, np.full(len(truths.l), np.sqrt(a @ a))


def _boosted(Z: Array, truths: Truths, seed: int) -> tuple[Array, Array]:
    """Mean and standard deviation (m,) of the derivative boost, by draws of the two coefficients."""
    Q, R = np.linalg.qr(Z)
    inverse = np.linalg.inv(R)[:2]  # of two rows: coefficients are inverse Q'y
    noise = inverse @ np.random.default_rng(seed).standard_normal((Z.shape[1], DRAWS))
    first, second = (inverse @ (Q.T @ truths.v))[:, :, None] + noise[:, None]
    lengths = (Z[:, :2] ** 2).sum(axis=0)
    drawn = np.sign(first) * np.sqrt(first**2 + second**2 * lengths[1] / lengths[0])
    return drawn.mean(axis=1), drawn.std(axis=1)


def _power(rival: Rival, truths: Truths, alpha: float | None) -> Array:
    family = Family(truths.v, truths.l, np.full(len(truths.l), 0.5), np.ones(len(truths.l)))
    found = standing(rival.Z, rival.c, family)
    return found.beyond(np.array([threshold_of(alpha, None, found.nu)]))[:, 0]
