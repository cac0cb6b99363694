"""What simulated lesions follow: maps of coefficients of a probit model, from a fit or made up.

The made-up one is a brain of ellipsoids with two ventricles. Lesions are likeliest in caps around them and rarer with
the distance; the probability rises with age, most where lesions are common. It is synthetic: no subject was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage, special

from ..design import Design, model_matrix
from ..errors import DataError
from ..family import Array
from ..images.grid import Grid
from ..images.store import Indices

if TYPE_CHECKING:
    from ..maps.fit import MapFit

AGES = (45.0, 82.0)  # years, the range of UK Biobank's imaging study
CENTRE = 63  # years
EXTENT = (180.0, 216.0, 180.0)  # mm, of the box that holds the brain
ORIGIN = (-90.0, -126.0, -72.0)  # mm, its corner, as MNI's


@dataclass(frozen=True, eq=False)
class LesionReference:
    """Coefficient maps (V, P) of a probit model in the voxels (V,) of a grid, with the design that they belong to.

    `table` holds covariates of a population, whose ranges and shares new subjects are drawn from.
    """

    grid: Grid
    voxels: Indices  # (V,) flat indices
    design: Design
    coefficients: Array  # (V, P)
    table: pd.DataFrame
    synthetic: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.design.names

    def probability(self, table: pd.DataFrame) -> Array:
        """The probability of a lesion at every voxel for each row of a table, (V, n)."""
        X = self.design.apply(table).matrix
        return np.asarray(special.ndtr(self.coefficients @ X.T))

    @property
    def incidence(self) -> Array:
        """The share of the reference's own subjects that have a lesion, by the model, (V,)."""
        X = self.design.matrix
        total = np.zeros(len(self.voxels))
        for rows in np.array_split(X, max(1, len(X) // 64)):
            total += special.ndtr(self.coefficients @ rows.T).sum(axis=1)
        return np.asarray(total / len(X))

    def without(self, *names: str) -> LesionReference:
        """The same reference with these coefficients set to 0: for studies of false positives."""
        from dataclasses import replace

        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise DataError(f"{unknown[0]!r} is no coefficient of the reference; there are {', '.join(self.names)}")
        changed = self.coefficients.copy()
        changed[:, [self.names.index(name) for name in names]] = 0.0
        return replace(self, coefficients=changed)


def lesion_reference(fit: MapFit | None = None, *, spacing: float = 2.0) -> LesionReference:
    """The reference that a fit with the probit link makes, or a synthetic one on a grid of `spacing` mm.

    A fit's voxels without finite coefficients are left out; bias-reduced estimates leave out none.

    >>> reference = lesion_reference(spacing=8)
    >>> reference.names, float(reference.incidence.max().round(2))
    (('(Intercept)', 'I(age - 63)'), 0.15)
    """
    if fit is not None:
        return _of_fit(fit)
    if not 1 <= spacing <= 12:
        raise ValueError(f"spacing is the size of a voxel in mm, from 1 to 12; got {spacing!r}")
    rng = np.random.default_rng(2021)
    table = pd.DataFrame({"age": np.clip(rng.normal(62.9, 7.4, 2000), *AGES)})
    design = model_matrix(f"~ I(age - {CENTRE})", table)
    grid, voxels, coefficients = _synthetic(spacing)
    return LesionReference(grid, voxels, design, coefficients, table, True)


def _of_fit(fit: MapFit) -> LesionReference:
    if str(fit.family) != "binomial(probit)":
        raise DataError(
            f"the reference is a probit model, whose masks are fields above 0; the fit is {fit.family}: "
            "fit with family='binomial(probit)'"
        )
    finite = np.isfinite(fit.values["coef"]).all(axis=1)
    images = fit.request.images
    table = images.table[[c for c in fit.request.design.data.columns if c in images.table.columns]]
    coefficients = np.asarray(fit.values["coef"][finite], dtype=float)
    return LesionReference(images.grid, images.voxels[finite], fit.request.design, coefficients, table)


# ---- a brain of ellipsoids -----------------------------------------------------------------------
def _synthetic(spacing: float) -> tuple[Grid, Indices, Array]:
    """Grid, voxels (V,) and coefficients (V, 2): the intercept at 63 years, and the slope by year of age."""
    width, length, height = (round(side / spacing) + 1 for side in EXTENT)
    shape = (width, length, height)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = ORIGIN
    x, y, z = np.meshgrid(
        *(ORIGIN[a] + spacing * np.arange(n) for a, n in enumerate(shape)), indexing="ij", sparse=True
    )
    brain = (x / 68) ** 2 + ((y + 18) / 84) ** 2 + ((z - 8) / 62) ** 2 <= 1
    side = np.abs(x)
    bend = 12 + 0.004 * (y + 20) ** 2  # the horns diverge
    ventricles = ((side - bend) / 7) ** 2 + ((y + 18) / 42) ** 2 + ((z - 14) / 10) ** 2 <= 1
    outside = ndimage.distance_transform_edt(~ventricles, sampling=spacing)
    depth = ndimage.distance_transform_edt(brain, sampling=spacing)
    white = brain & ~ventricles & (depth > 12)
    caps = np.exp(-((np.abs(y + 18) - 42) ** 2) / 400 - (z - 14) ** 2 / 800)
    incidence = 0.002 + 0.5 * np.exp(-outside / 5.5) * (0.35 + 0.75 * caps) + 0.02 * np.exp(-outside / 16)
    incidence = incidence * np.clip((depth - 8) / 14, 0, 1)
    voxels = np.flatnonzero(white.ravel() & (incidence.ravel() > 2e-4)).astype(np.int64)
    level = np.clip(incidence.ravel()[voxels], 2e-4, 0.5)
    intercept = special.ndtri(level)
    slope = 0.012 + 0.035 * (level / 0.5) ** 0.4
    return Grid(shape, affine), voxels, np.stack([intercept, slope], axis=1)
