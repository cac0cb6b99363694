"""The family of true designs, in units of the noise: all that the objective knows of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array


@dataclass(frozen=True, eq=False)
class Family:
    """m designs y = X_i b_i + e, e ~ N(0, sigma_i^2 I), of n scans.

    v (n, m): columns X_i b_i / sigma_i, l (m,): the true contrast cX' b_i / sigma_i, phi (m,): the variance's share of
    the criterion, in [0, 1), w (m,): weights. Raises DataError.
    """

    v: Array
    l: Array
    phi: Array
    w: Array

    def __post_init__(self) -> None:
        if self.v.ndim != 2 or 0 in self.v.shape:
            raise DataError(f"a family of designs is a table of scans by designs, got the shape {self.v.shape}")
        m = self.v.shape[1]
        for name in ("l", "phi", "w"):
            if getattr(self, name).shape != (m,):
                raise DataError(
                    f"{name} has the shape {getattr(self, name).shape}; one value for {m} designs is expected"
                )
        for name in ("v", "l", "phi", "w"):
            if not np.isfinite(getattr(self, name)).all():
                raise DataError(f"{name} has values that are missing or infinite")
        _check_phi(self.phi)
        if (self.w < 0).any() or not (self.w > 0).any():
            raise DataError(f"weights are at least 0 and not all 0; the lowest is {self.w.min():g}")
        if not (self.phi * self.w > 0).any():
            raise DataError("no design has a phi above 0: the variance has no price, so there is no best design")
        if not (self.l * self.w).any():
            raise DataError("the contrast is 0 in every design, so there is nothing to estimate: give it an snr")


def _check_phi(phi: Array) -> None:
    odd = phi[(phi < 0) | (phi >= 1)]
    if len(odd):
        raise DataError(f"phi is {odd[0]:g}; at least 0 (bias alone) and below 1 (variance alone) is expected")
