"""What simulated lesions follow: maps of coefficients of a probit model, from a fit or made up.

The made-up one is a brain of ellipsoids with two ventricles. Lesions are likeliest in caps around them and rarer with
the distance; the probability rises with age, most where lesions are common. It is synthetic: no subject was measured.
Its constants were chosen so that about as many voxels of 2 mm are hit as in the paper (23,404 by 250 subjects, 40,286
by 1,000, 72,603 by 13,680; Kindalova, Kosmidis and Nichols 2021, 3.1), with some millilitres of lesions a subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

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
AT_ONCE = 4_000_000  # probabilities that are held at a time
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

    def __repr__(self) -> str:
        kind = "synthetic" if self.synthetic else "fitted"
        where = f"{len(self.voxels):,} voxels of {self.grid.describe().partition(' voxels of ')[2]}"
        return f"LesionReference({kind}, {self.design.formula} in {where})"

    def probability(self, table: pd.DataFrame) -> Array:
        """The probability of a lesion at every voxel for each row of a table, (V, n)."""
        X = self.design.apply(table).matrix
        return np.asarray(special.ndtr(self.coefficients @ X.T))

    @property
    def incidence(self) -> Array:
        """The share of the reference's own subjects that have a lesion, by the model, (V,)."""
        X, share = self._subjects
        return np.concatenate([special.ndtr(part @ X.T) @ share for part in self._parts(len(X))])

    def z(self, n: int | None = None) -> Array:
        """Coefficients by their standard errors in n subjects like the table's (default: as many), (V, P).

        Errors are those of the expected information, so that for a reference of a fit these are the fit's statistics.
        """
        X, share = self._subjects
        P = X.shape[1]
        products = (X[:, :, None] * X[:, None, :]).reshape(len(X), P * P) * share[:, None]
        information = np.concatenate([_weights(part @ X.T) @ products for part in self._parts(len(X))])
        subjects = len(self.design.matrix) if n is None else n
        covariance = np.linalg.inv(information.reshape(-1, P, P) * subjects)
        return np.asarray(self.coefficients / np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)))

    @property
    def _subjects(self) -> tuple[Array, Array]:
        """The distinct rows of the design (m, P) and the share of the subjects that each has, (m,)."""
        X, counts = np.unique(self.design.matrix, axis=0, return_counts=True)
        return X, counts / counts.sum()

    def _parts(self, rows: int) -> list[Array]:
        """The coefficients in parts of which (part, rows) is small."""
        return np.array_split(self.coefficients, 1 + len(self.coefficients) * rows // AT_ONCE)

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

    A fit's voxels without finite coefficients are left out; bias-reduced estimates leave out none. The synthetic one
    is a model of 2,000 made-up ages (45 to 82 years, mean 63) in a made-up brain: no subject was measured.

    >>> reference = lesion_reference(spacing=8)
    >>> reference.names, float(reference.incidence.max().round(2))
    (('(Intercept)', 'I(age - 63)'), 0.38)
    """
    if fit is not None:
        if not hasattr(fit, "n_voxels"):
            raise DataError(
                f"a reference is made of a fit in every voxel, v = fn.fit('lesion ~ age', ...), got {fit!r}"
            )
        return _of_fit(fit)
    if not 1 <= spacing <= 12:
        raise ValueError(f"spacing is the size of a voxel in mm, from 1 to 12; got {spacing!r}")
    rng = np.random.default_rng(2021)
    table = pd.DataFrame({"age": np.clip(rng.normal(62.9, 7.4, 2000).round(), *AGES)})
    design = model_matrix(f"~ I(age - {CENTRE})", table)
    grid, voxels, coefficients = _synthetic(spacing)
    return LesionReference(grid, voxels, design, coefficients, table, True)


def _of_fit(fit: MapFit) -> LesionReference:
    if str(fit.family) != "binomial(probit)":
        raise DataError(
            f"the reference is a probit model, whose masks are fields above 0; the fit is {fit.family}: "
            "fit with family='binomial(probit)'"
        )
    design = fit.request.design
    if design.random or np.any(design.offset):
        raise DataError(
            "the reference is a probit model of fixed columns alone; the fit has "
            + ("random effects" if design.random else "an offset")
            + ": fit without"
        )
    finite = np.isfinite(fit.values["coef"]).all(axis=1)
    images = fit.request.images
    table = images.table[[c for c in design.data.columns if c in images.table.columns]]
    coefficients = np.asarray(fit.values["coef"][finite], dtype=float)
    return LesionReference(images.grid, images.voxels[finite], design, coefficients, table)


def _weights(eta: Array) -> Array:
    """Fisher's information of a probit about its linear predictor, phi^2 / (Phi (1 - Phi))."""
    least = np.finfo(float).tiny
    return np.asarray(np.exp(-(eta**2)) / (2 * np.pi) / np.maximum(special.ndtr(eta) * special.ndtr(-eta), least))


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
    y = y + 18  # mm from the middle of the brain
    depth = -_outside((x, y, z - 8), (68, 84, 62))
    bend = 12 + 0.004 * (y + 2) ** 2  # the horns diverge
    outside = _outside((np.abs(x) - bend, y, z - 14), (7, 42, 10))
    caps = np.exp(-((np.abs(y) - 42) ** 2) / 400 - (z - 14) ** 2 / 800)
    incidence = 0.45 * np.exp(-outside / 1.7) * (0.35 + 0.75 * caps) + 0.0055 * np.exp(-outside / 5)
    incidence = incidence * np.clip((depth - 4) / 14, 0, 1)
    level = incidence.ravel()
    voxels = np.flatnonzero((depth > 0).ravel() & (outside > 0).ravel() & (level > 1e-5)).astype(np.int64)
    intercept = special.ndtri(level[voxels])
    texture = (1 + 0.4 * np.sin(x / 9 + 1) * np.cos(y / 12) * np.cos(z / 8)).ravel()  # the slope varies in space
    slope = (0.012 + 0.035 * (level[voxels] / 0.5) ** 0.4) * texture[voxels]
    return Grid(shape, affine), voxels, np.stack([intercept, slope], axis=1)


def _outside(place: tuple[Array, Array, Array], axes: tuple[float, float, float]) -> Array:
    """The distance of places from an ellipsoid's surface, to first order, negative within; all mm."""
    scaled = [part / axis for part, axis in zip(place, axes, strict=True)]
    radius = np.sqrt(sum((part**2 for part in scaled), np.zeros(())))
    slope = np.sqrt(sum(((part / axis) ** 2 for part, axis in zip(scaled, axes, strict=True)), np.zeros(())))
    return np.asarray((radius - 1) * radius / np.maximum(slope, 1e-9))
