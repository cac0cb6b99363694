"""The finished value of a model fitted in every voxel, and the questions that it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..display.shown import Summary
from ..errors import DataError, Unable
from ..estimator import BIAS_REDUCED
from ..family import Array, Family
from ..images.brain import Brain
from ..result import Fit
from .lacking import cannot
from .maps import Maps
from .request import MapRequest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .agreement import MapAgreement

OVERLAP, QUASI, COMPLETE, ALL_ZERO, ALL_ONE, UNDEFINED = range(6)
CLASSES = ("overlap", "quasi-complete separation", "complete separation", "all zero", "all one", "undefined")


@dataclass(frozen=True, eq=False)
class MapFit:
    """A model fitted in every voxel of a stack of images: maps as images, numbers by voxel, verbs for the whole brain.

    `values` holds arrays whose first axis are the V analysed voxels: coef and se (V, p), covariance (V, p (p + 1) / 2)
    by rows of the lower triangle, loglik, deviance, iterations, converged and class (V,), separated (V, p); of linear
    models also sigma. Voxels without an estimate are NaN.
    """

    request: MapRequest
    backend: str
    values: Mapping[str, Array]
    df_resid: float = float("inf")  # of t statistics; inf: normal
    messages: tuple[str, ...] = ()
    seconds: float = float("nan")
    engine: Any = None

    # ---- numbers ---------------------------------------------------------------------------------
    @property
    def names(self) -> tuple[str, ...]:
        """R's names of the coefficients, p of them."""
        return self.request.design.names

    @property
    def family(self) -> Family:
        return self.request.family

    @property
    def nobs(self) -> int:
        """Images used."""
        return self.request.shape[0]

    @property
    def n_voxels(self) -> int:
        """Voxels analysed."""
        return len(self.request.images.voxels)

    @property
    def coef(self) -> pd.DataFrame:
        """The coefficients, a row a voxel (its 0-based indices i, j, k) and a column a coefficient."""
        return pd.DataFrame(self.values["coef"], index=self.voxel_index, columns=list(self.names))

    @property
    def se(self) -> pd.DataFrame:
        """The standard errors, as `coef`."""
        return pd.DataFrame(self.values["se"], index=self.voxel_index, columns=list(self.names))

    @cached_property
    def voxel_index(self) -> pd.MultiIndex:
        """The 0-based indices of the analysed voxels in the grid."""
        images = self.request.images
        return pd.MultiIndex.from_arrays(np.unravel_index(images.voxels, images.grid.shape), names=["i", "j", "k"])

    @property
    def converged(self) -> bool:
        """Whether the search ended well in every voxel whose estimate is finite."""
        return not self.unfinished.any()

    @property
    def unfinished(self) -> NDArray[np.bool_]:
        """Voxels whose search did not end well, (V,); those are not meant whose estimate is infinite."""
        return np.asarray(self.fitted & ~self.infinite & ~np.asarray(self.values["converged"], dtype=bool))

    @property
    def infinite(self) -> NDArray[np.bool_]:
        """Voxels whose estimate is infinite, (V,): those that are separated, unless the estimator is finite there."""
        if "class" not in self.values or self.request.estimator.word in BIAS_REDUCED:
            return np.zeros(self.n_voxels, dtype=bool)
        return np.isin(self.values["class"], (QUASI, COMPLETE, ALL_ZERO, ALL_ONE))

    @cached_property
    def fitted(self) -> NDArray[np.bool_]:
        """Which voxels have an estimate, (V,)."""
        return np.asarray(~np.isnan(self.values["coef"]).all(axis=1))

    @property
    def posterior(self) -> bool:
        """Whether its maps are of a posterior: `se` is its standard deviation, and P(coefficient > 0) is a map."""
        return "positive" in self.values

    @property
    def finite_df(self) -> bool:
        """Whether statistics are t, of a linear model, not normal."""
        return "df" in self.values or bool(np.isfinite(self.df_resid))

    def freedom(self, j: int) -> Array:
        """Degrees of freedom of coefficient j in every voxel, (V,); inf: normal."""
        if "df" in self.values:
            return np.asarray(self.values["df"][:, j])
        return np.full(self.n_voxels, self.df_resid)

    def contrast_freedom(self, L: Array) -> Array:
        """Degrees of freedom of a combination L (q, p) in every voxel, (V,); the engine's own where it has some."""
        own = getattr(self.engine, "freedom", None)
        return np.full(self.n_voxels, self.df_resid) if own is None else np.asarray(own(self, L))

    def covariance(self) -> Array:
        """The covariances of the coefficients, (V, p, p)."""
        p = len(self.names)
        rows, columns = np.tril_indices(p)
        full = np.empty((self.n_voxels, p, p))
        full[:, rows, columns] = self.values["covariance"]
        full[:, columns, rows] = self.values["covariance"]
        return full

    # ---- the brain -------------------------------------------------------------------------------
    @cached_property
    def brain(self) -> Brain:
        """Where its maps live: the grid, mask and space of the images, and the voxels analysed."""
        from .files.space import space_code

        images = self.request.images
        return Brain(images.grid, images.mask, images.voxels, space_code(images))

    @property
    def provenance(self) -> dict[str, Any]:
        """What made its maps, for the sidecars of files."""
        from .files.output import provenance

        return provenance(self)

    # ---- maps ------------------------------------------------------------------------------------
    @property
    def maps(self) -> Maps:
        """The maps as images: maps["z", "age"], maps["coef", "sexM"], maps["incidence"], maps["converged"]."""
        return Maps(self)

    @cached_property
    def words(self) -> Mapping[str, Array]:
        """The maps of one word, (V,) each."""
        images = self.request.images
        found = {name: values for name, values in self.values.items() if np.ndim(values) == 1}
        if images.binary:
            found["incidence"] = np.asarray(images.counts) / self.nobs
        return found

    def image(self, values: Array) -> Any:
        """Numbers of the analysed voxels (V,) as an image on the grid of the mask."""
        return self.brain.image(values)

    def at(self, place: tuple[float, float, float] | int, *, backend: str | None = None, voxel: bool = False) -> Fit:
        """The same model at one place, fitted as a table, with all that such a fit answers.

        place: millimetres (x, y, z), or with `voxel=True` the 0-based indices (i, j, k); a whole number counts the
        analysed voxels.
        """
        from .. import registry

        number = self.number_of(place, voxel)
        if self.posterior:
            told = zip(self.names, self.values["coef"][number], self.values["se"][number], strict=True)
            said = ", ".join(f"{name} {mean:.3g} (sd {sd:.3g})" for name, mean, sd in told)
            raise Unable(f"v.at() fits one voxel as a table, which {cannot(self, 'at')}. Its posterior there: {said}")
        request = self.request.at(number)
        return registry.run(registry.installed().choose(request, backend), request)

    def number_of(self, place: tuple[float, float, float] | int, voxel: bool = False) -> int:
        """Which of the analysed voxels lies at a place."""
        images = self.request.images
        if isinstance(place, (int, np.integer)):
            if not 0 <= place < self.n_voxels:
                raise DataError(f"voxel {place} was asked for, but {self.n_voxels} were analysed (0 is the first)")
            return int(place)
        position = np.asarray(place, dtype=float)
        if position.shape != (3,):
            raise DataError(f"a place has three numbers, as (24, -10, 20); got {place!r}")
        if not voxel:
            position = (np.linalg.inv(images.grid.affine) @ np.r_[position, 1.0])[:3]
        ijk = np.round(position).astype(int)
        shape = np.asarray(images.grid.shape)
        if (ijk < 0).any() or (ijk >= shape).any():
            raise DataError(f"{place} lies outside the images (voxel {tuple(ijk.tolist())} of {tuple(shape.tolist())})")
        flat = int(np.ravel_multi_index(tuple(ijk), images.grid.shape))
        found = int(np.searchsorted(images.voxels, flat))
        if found == self.n_voxels or images.voxels[found] != flat:
            raise DataError(f"{place} (voxel {tuple(ijk.tolist())}) is not among the {self.n_voxels} voxels analysed")
        return found

    # ---- tables and words ------------------------------------------------------------------------
    def tidy(self, alpha: float = 0.05) -> pd.DataFrame:
        """One row a coefficient: voxels with an estimate, separated ones, |z| > 1.96, discoveries, and the largest z.

        Columns: term, voxels, separated (infinite by maximum likelihood, whatever the estimator), to_plus_infinity and
        to_minus_infinity (the data may leave the sign open), beyond_1.96, discoveries (false discovery rate `alpha`,
        Benjamini and Hochberg), of which positive and negative, z_min, z_max, and the median estimate.
        """
        from .display.tables import by_coefficient

        return by_coefficient(self, alpha)

    def glance(self) -> pd.DataFrame:
        """One row on the whole: model, family, images, voxels, how many converged, their classes, seconds."""
        from .display.tables import overall

        return overall(self)

    def summary(self) -> Summary:
        """The fit in words: what was fitted where, a table by coefficient, separation, convergence."""
        from .display.words import summary

        return Summary(summary(self))

    def plot(self, statistic: str = "z", coefficient: str | None = None) -> Figure:
        """Axial slices of one map over a brain, or the histograms of z; a figure that a notebook shows.

        v.plot("z", "age"), v.plot("coef", "age"), v.plot("incidence"), v.plot("class"), v.plot("histogram"). Without a
        coefficient, the last one. Needs the extra "plot".
        """
        from .display.plot import plot

        return plot(self, statistic, coefficient)

    def to_nifti(self, folder: str | os.PathLike[str], layout: str = "bids", dtype: str = "float64") -> list[str]:
        """Write the maps and what they are to a folder; the paths written.

        layout: "bids" (contrast-age_stat-z_statmap.nii.gz and the like, as fitlins and nilearn name them; NaN where
        nothing was fitted), "fsl" (cope1, varcope1, zstat1, design.mat, ...; 0 there) or "spm" (beta_0001, con_0001,
        spmT_0001, ...; NaN there). Each map has a JSON sidecar. dtype: "float64", or "float32" for half the size.
        """
        from .files.output import to_nifti

        return to_nifti(self, folder, layout, dtype)

    def report(self, path: str | os.PathLike[str], *, crosscheck: MapAgreement | None = None) -> str:
        """Write one self-contained HTML page on the fit (no request leaves it); its path. Needs the extra "plot".

        It holds slices of every coefficient's z and estimates, histograms, separation and convergence, clusters, and
        the code in Python and R. `crosscheck`, the answer of fn.crosscheck(v), adds R's verdict.
        """
        from .display.report import report

        return report(self, path, crosscheck=crosscheck)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        from .display.words import short_html

        return short_html(self)
