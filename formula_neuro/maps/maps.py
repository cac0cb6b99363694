"""The maps of a fit in every voxel: images by name, (statistic, coefficient) or one word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special, stats

from ..family import Array

if TYPE_CHECKING:
    from .fit import MapFit

Key = str | tuple[str, str]
OF_COEFFICIENTS = ("coef", "se", "t", "z", "p", "df", "positive", "separated")


class Maps(Mapping[Key, Any]):
    """Maps on the grid of the mask, as nibabel images: maps["z", "age"], maps["incidence"].

    Values are float64, NaN where nothing was fitted. `values(key)` is the map as an array of the analysed voxels.
    """

    def __init__(self, fit: MapFit):
        self._fit = fit

    def __getitem__(self, key: Key) -> Any:
        return self._fit.brain.image(self.at_voxels(key))

    def at_voxels(self, key: Key) -> Array:
        """The map's values in the analysed voxels, (V,)."""
        fit = self._fit
        if isinstance(key, tuple):
            if len(key) != 2 or key not in set(self._of_coefficients()):
                raise KeyError(self._unknown(key))
            return of_coefficient(fit, key[0], fit.names.index(key[1]))
        if key not in fit.words:
            raise KeyError(self._unknown(key))
        return np.asarray(fit.words[key], dtype=np.float64)

    def __iter__(self) -> Iterator[Key]:
        yield from self._of_coefficients()
        yield from self._fit.words

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return any(key == mine for mine in self)

    def _of_coefficients(self) -> Iterator[tuple[str, str]]:
        fit = self._fit
        absent = {"separated", "positive"} - set(fit.values)
        absent |= set() if fit.finite_df else {"t", "df"}
        for name in fit.names:
            yield from ((statistic, name) for statistic in OF_COEFFICIENTS if statistic not in absent)

    def _unknown(self, key: object) -> str:
        statistics = list(dict.fromkeys(statistic for statistic, _ in self._of_coefficients()))
        return (
            f"there is no map {key!r}; there are ({' | '.join(statistics)}, {' | '.join(self._fit.names)}) and "
            f"{', '.join(self._fit.words)}"
        )


def of_coefficient(fit: MapFit, statistic: str, j: int) -> Array:
    """One statistic of coefficient j in the analysed voxels, (V,)."""
    if statistic in fit.values:
        return np.asarray(fit.values[statistic][:, j], dtype=np.float64)
    estimate, se = fit.values["coef"][:, j], fit.values["se"][:, j]
    df = fit.freedom(j)
    return wald(statistic, estimate, se, df)


def wald(statistic: str, estimate: Array, se: Array, df: Array) -> Array:
    """ "t", "z", "p" or "df" of estimates with standard errors and degrees of freedom, (V,).

    z has the tail of t, so that thresholds of a normal hold: it is taken from logarithms and never infinite where t is
    finite. An infinite estimate with an infinite standard error has none of them.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = estimate / se
    if statistic == "t":
        return t
    if statistic == "df":
        return np.broadcast_to(df, t.shape).astype(np.float64)
    normal = ~np.isfinite(df)
    if statistic == "p":
        return np.where(normal, 2 * special.ndtr(-np.abs(t)), 2 * stats.t.sf(np.abs(t), np.where(normal, 1.0, df)))
    if np.all(normal):
        return t
    tail = stats.t.logsf(np.abs(t), np.where(normal, 1.0, df))
    return np.where(normal, t, -np.sign(t) * special.ndtri_exp(tail))
