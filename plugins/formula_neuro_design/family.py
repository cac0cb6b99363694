"""The family of true designs, in units of the noise: all that the objective knows of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import DataError
from formula_neuro.family import Array


@dataclass(frozen=True, eq=False)
class Family:
    """m designs y = X_i b_i + e, e ~ N(0, sigma_i^2 I), of n scans.

    v (n, M): columns X_i b_i / sigma_i; l (M,), or (s, M) for s contrasts: the true contrast cX' b_i / sigma_i;
    phi (m,) or (s, m): the variance's share of the criterion, in [0, 1); w (m,): weights. There is a column a design,
    unless `of` (M,) says the design, from 0, of each: amplitudes known by their second moments have several columns
    (`moments.py`). Raises DataError.
    """

    v: Array
    l: Array
    phi: Array
    w: Array
    of: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        if self.v.ndim != 2 or 0 in self.v.shape:
            raise DataError(f"a family of designs is a table of scans by designs, got the shape {self.v.shape}")
        self._check_shapes()
        for name in ("v", "l", "phi", "w"):
            if not np.isfinite(getattr(self, name)).all():
                raise DataError(f"{name} has values that are missing or infinite")
        _check_phi(self.phi)
        if (self.w < 0).any() or not (self.w > 0).any():
            raise DataError(f"weights are at least 0 and not all 0; the lowest is {self.w.min():g}")
        if not (np.atleast_2d(self.phi) * self.w > 0).any(axis=1).all():
            raise DataError("no design has a phi above 0: the variance has no price, so there is no best design")
        if not (self.truth * self.by_column(self.w)).any(axis=1).all():
            raise DataError(
                "the contrast is 0 in every design, so there is nothing to estimate; give amplitudes in snr, one for "
                "each variable or a list of these, whose contrast is not 0, as go=1, stop=0.5 for go - stop"
            )

    def _check_shapes(self) -> None:
        columns = self.v.shape[1]
        m = columns if self.of is None else int(self.of.max()) + 1
        s = len(self.l) if self.l.ndim == 2 else 1
        if self.of is not None and (self.of.shape != (columns,) or set(self.of.tolist()) != set(range(m))):
            raise DataError(f"of says the design, 0 to m - 1, of each of the {columns} columns; got {self.of}")
        for name, size, shapes in (
            ("l", columns, [(columns,), (s, columns)]), ("phi", m, [(m,), (s, m)]), ("w", m, [(m,)]),
        ):  # fmt: skip
            seen = getattr(self, name).shape
            if seen not in shapes:
                what = "columns" if name == "l" and self.of is not None else "designs"
                raise DataError(f"{name} has the shape {seen}; one value for {size} {what} is expected")

    @property
    def truth(self) -> Array:
        """l as a table (s, M)."""
        return np.atleast_2d(self.l)

    @property
    def kappa(self) -> Array:
        """The price of |a|^2 for each contrast (s,): sum_i 2 phi_i w_i, once a design."""
        return np.broadcast_to(2 * np.atleast_2d(self.phi) @ self.w, len(self.truth))

    @property
    def price(self) -> Array:
        """2 phi w of each column's design, (s, M): what misfit costs."""
        return self._tabled(2 * self.phi * self.w)

    @property
    def push(self) -> Array:
        """(2 - 2 phi) w of each column's design, (s, M): what squared bias costs."""
        return self._tabled((2 - 2 * self.phi) * self.w)

    def by_column(self, values: Array) -> Array:
        """Values of designs (..., m) for each column (..., M)."""
        return values if self.of is None else np.asarray(values[..., self.of])

    def by_design(self, values: Array) -> Array:
        """Sums (..., m) of each design's columns (..., M)."""
        if self.of is None:
            return values
        sums = np.zeros((*values.shape[:-1], len(self.w)))
        np.add.at(sums.T, self.of, values.T)
        return sums

    def _tabled(self, values: Array) -> Array:
        return np.broadcast_to(self.by_column(values), self.truth.shape)


def _check_phi(phi: Array) -> None:
    odd = phi[(phi < 0) | (phi >= 1)]
    if len(odd):
        raise DataError(f"phi is {odd[0]:g}; at least 0 (bias alone) and below 1 (variance alone) is expected")
