"""The maps of a meta-regression as images: (statistic, cell) and (statistic, map)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from ..family import Array
from .variances import map_variance

if TYPE_CHECKING:
    from .fit import FociFit

Key = tuple[str, str]
BASELINE = "(Intercept)"
OF_CELLS = {
    "intensity": "foci expected in a voxel of one analysis whose global moderators are 0",
    "log_intensity": "logarithm of the intensity",
    "se": "standard error of the log intensity, studies as clusters",
    "relative": "intensity over its mean in the mask: 1 where foci fall evenly, whatever their number",
    "relative_se": "standard error of the logarithm of the relative intensity, studies as clusters",
    "foci": "foci observed in the voxel",
}
OF_EFFECTS = {
    "effect": "coefficient of the log intensity, in every voxel",
    "se": "standard error of the coefficient, studies as clusters",
    "z": "coefficient over its standard error",
    "p": "two-sided p value of z",
}


class FociMaps(Mapping[Key, Any]):
    """Maps on the grid of the mask, as nibabel images: maps["intensity", "a"], maps["effect", "x"].

    Values are float64, NaN outside the mask. `at_voxels(key)` is the map as an array of the mask's voxels.
    """

    def __init__(self, fit: FociFit):
        self._fit = fit

    def __getitem__(self, key: Key) -> Any:
        return self._fit.brain.image(self.at_voxels(key))

    def at_voxels(self, key: Key, covariance: str = "robust") -> Array:
        """The map's values in the voxels of the mask, (V,); covariance: of standard errors, as in tidy()."""
        if key not in set(self):
            raise KeyError(self._unknown(key))
        statistic, name = key
        if name in self._fit.request.cells:
            return of_cell(self._fit, statistic, name, covariance)
        return of_effect(self._fit, statistic, name, covariance)

    def __iter__(self) -> Iterator[Key]:
        for cell in self._fit.cells:
            yield from ((statistic, cell) for statistic in OF_CELLS)
        for name in effects(self._fit):
            yield from ((statistic, name) for statistic in statistics_of(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return any(key == mine for mine in self)

    def __repr__(self) -> str:
        names = effects(self._fit)
        more = f" and ({' | '.join(OF_EFFECTS)}, {' | '.join(names)})" if names else ""
        return f"({' | '.join(OF_CELLS)}, {' | '.join(self._fit.cells)}){more}"

    def _unknown(self, key: object) -> str:
        tested = isinstance(key, tuple) and key[:1] in (("z",), ("p",)) and key[1:] in [(c,) for c in self._fit.cells]
        hint = "; cells are tested by fn.homogeneity(c) and compared by fn.contrast(c, 'a - b')" if tested else ""
        return f"there is no map {key!r}; there are {self!r}{hint}"


def effects(fit: FociFit) -> tuple[str, ...]:
    """The maps that are no intensities of a cell: those of numbers in s(...), and differences of factors."""
    return tuple(name for name in fit.request.maps if name not in fit.request.cells)


def statistics_of(name: str) -> tuple[str, ...]:
    """What there is of a map that is no cell: of a baseline no test, as 0 is an intensity of 1 focus in every voxel."""
    return tuple(OF_EFFECTS)[:2] if name == BASELINE else tuple(OF_EFFECTS)


def of_cell(fit: FociFit, statistic: str, cell: str, covariance: str = "robust") -> Array:
    """One statistic of a cell in the voxels of the mask, (V,)."""
    R = np.atleast_2d(fit.request.cells[cell])
    if statistic == "foci":
        return observed(fit, cell)
    if statistic in ("se", "relative_se"):
        what = "intensity" if statistic == "se" else "shape"
        return np.sqrt(map_variance(fit, R, covariance, what)[:, 0, 0])
    eta = fit.engine.expand(R @ fit.engine.b)[0]
    if statistic == "log_intensity":
        return eta
    if statistic == "relative":
        return np.asarray(len(eta) * special.softmax(eta))
    return np.exp(eta)


def of_effect(fit: FociFit, statistic: str, name: str, covariance: str = "robust") -> Array:
    """One statistic of a map that is no cell in the voxels of the mask, (V,)."""
    R = np.zeros((1, len(fit.request.maps)))
    R[0, fit.request.maps.index(name)] = 1.0
    effect = fit.engine.expand(R @ fit.engine.b)[0]
    if statistic == "effect":
        return effect
    se = np.sqrt(map_variance(fit, R, covariance)[:, 0, 0])
    if statistic == "se":
        return se
    z = effect / se
    return z if statistic == "z" else 2 * special.ndtr(-np.abs(z))


def observed(fit: FociFit, cell: str) -> Array:
    """Foci of the analyses of a cell in every voxel, (V,)."""
    request = fit.request
    mine = request.group[request.located.analysis] == fit.cells.index(cell)
    return np.bincount(request.located.voxel[mine], minlength=len(fit.brain.voxels)).astype(np.float64)
