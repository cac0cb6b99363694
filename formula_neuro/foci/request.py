"""What a backend is asked to fit to foci: the one value that crosses from the front end to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..design import Design
from ..estimator import Estimator
from ..family import Array, FociFamily
from ..images.brain import Brain
from ..running.where import HERE, Running
from ..searches.search import Search

if TYPE_CHECKING:
    from .spatial_part import Columns
    from .table import Foci


@dataclass(frozen=True, eq=False)
class Located:
    """Foci inside the mask: `points` (J, 3) in mm (MNI), the voxel of each among those analysed, and its analysis.

    `voxel` (J,) counts brain.voxels, `analysis` (J,) the rows of the request.
    """

    points: Array
    voxel: NDArray[np.intp]
    analysis: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Layout:
    """How the columns of maps and of moderators are made for other analyses, and the foci that fit() was given."""

    maps: Columns
    moderators: Columns
    source: Foci
    contrasts: Mapping[str, Any] | None = None  # as given to fit()


@dataclass(frozen=True, eq=False)
class FociRequest:
    """One meta-regression, complete: M analyses, C maps, q global columns.

    log mean of analysis i in voxel v = x_v' sum_c L_ic b_c + offset_i + z_i' gamma.

    `design` is the global part: Z = design.matrix (M, q) with design.names, no intercept; design.offset (M,).
    `L` (M, C) holds the columns of the spatial terms, `maps` their names (C,): for s(factor) an indicator a level.
    `cells` names the patterns of the factors in s(...), as rows over the maps: an intensity map each ("a:b" by level
    names). `group` (M,) numbers each analysis's cell; a dispersion is estimated for each. `cluster` (M,) numbers its
    study: what scores are summed over.
    """

    family: FociFamily  # poisson, quasipoisson, negative_binomial, clustered_negative_binomial
    estimator: Estimator  # Splines
    design: Design
    L: Array
    maps: tuple[str, ...]
    cells: Mapping[str, Array]
    group: NDArray[np.intp]
    cluster: NDArray[np.intp]
    foci: Foci
    located: Located
    brain: Brain
    messages: tuple[str, ...] = ()
    running: Running = HERE
    layout: Layout | None = None  # None: nothing can be predicted for other analyses

    model: ClassVar[str] = "cbmr"
    of_images: ClassVar[bool] = False
    of_foci: ClassVar[bool] = True
    spatial: ClassVar[bool] = True
    n_random: ClassVar[int] = 0
    structures: ClassVar[frozenset[str]] = frozenset()
    residuals: ClassVar[frozenset[str]] = frozenset()
    search: ClassVar[Search] = Search()
    inflation: ClassVar[None] = None

    @property
    def totals(self) -> NDArray[np.intp]:
        """Foci of every analysis inside the mask, t (M,)."""
        return np.bincount(self.located.analysis, minlength=len(self.L))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Analyses, maps and global columns."""
        return len(self.L), len(self.maps), len(self.design.names)

    def describe(self) -> str:
        """In words: "cbmr (poisson, 4 maps, 2 global columns) of 906 analyses"."""
        analyses, maps, columns = self.shape
        said = f"{maps} map{'s' * (maps != 1)}, {columns} global column{'s' * (columns != 1)}"
        return f"{self.model} ({self.family.name}, {said}) of {analyses:,} analyses"
