"""Linear combinations of coefficients with what is needed to test them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...family import Array
from ..precision import Precision
from ..sides import TWO, limits
from .adjust import Statistics, critical


@dataclass(frozen=True, eq=False)
class Estimates:
    """L b + offset with its covariance and degrees of freedom; NaN where it is not estimable."""

    value: Array  # (q,)
    covariance: Array  # (q, q)
    df: Array  # (q,)

    @classmethod
    def of(cls, own: Precision, L: Array, offset: Array) -> Estimates:
        known = ~np.isnan(own.fit.beta)
        given = ~np.isnan(L).any(axis=1)
        value, V, freedom = np.full(len(L), np.nan), np.full((len(L), len(L)), np.nan), np.full(len(L), np.nan)
        rows = np.where(known, L[given], 0.0)
        value[given] = rows @ np.nan_to_num(own.fit.beta) + offset[given]
        V[np.ix_(given, given)] = own.of(rows)
        freedom[given] = own.freedom(rows)
        return cls(value, V, freedom)

    @property
    def se(self) -> Array:
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def columns(self, conf_level: float, side: int = TWO) -> dict[str, Array]:
        half = critical(Statistics(self.value, self.df, self.covariance, side=side), "none", conf_level) * self.se
        low, high = limits(self.value, half, side)
        return {"estimate": self.value, "std_error": self.se, "df": self.df, "conf_low": low, "conf_high": high}
