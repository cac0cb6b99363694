"""What a backend is asked to fit in every voxel: the one value that crosses from the front end to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..asking import as_request
from ..design import Design, model_matrix
from ..estimator import Estimator
from ..family import Array, Family
from ..request import Request
from ..running.fingerprint import fingerprint
from ..running.where import HERE, Running
from ..searches.search import Search

if TYPE_CHECKING:
    from ..images.stack import Images


@dataclass(frozen=True, eq=False)
class MapRequest:
    """One model to fit in every voxel of a stack of images, complete: nothing is looked up elsewhere.

    The design has no response: its rows (n) are the images of `images`, in their order; weights (n,) are prior weights.
    """

    model: str  # "lm", "glm", "lmm", "glmm"
    family: Family
    estimator: Estimator
    design: Design
    images: Images
    weights: Array
    messages: tuple[str, ...] = ()
    running: Running = HERE
    source: Images | None = None  # all images that were read, before rows were chosen; refit() starts there

    of_images: ClassVar[bool] = True
    like_glmmtmb: ClassVar[bool] = False
    inflation: ClassVar[None] = None
    residuals: ClassVar[frozenset[str]] = frozenset()
    search: ClassVar[Search] = Search()

    @property
    def n_random(self) -> int:
        return len(self.design.random)

    @property
    def spatial(self) -> bool:
        """Whether terms have a map of their own; beside images all have."""
        return bool(self.design.formula.spatial)

    @property
    def structures(self) -> frozenset[str]:
        return frozenset(term.structure for term in self.design.random)

    @property
    def shape(self) -> tuple[int, int]:
        """Images and fixed columns."""
        rows, columns = self.design.matrix.shape
        return rows, columns

    def describe(self) -> str:
        """In words: "glm (binomial) in 72603 voxels of 250 images"."""
        n = self.n_random
        random = f", {n} random term{'s' if n != 1 else ''}" if n else ""
        voxels = len(self.images.voxels)  # 0 before they are read
        where = f"{f'{voxels} voxels' if voxels else 'every voxel'} of {self.shape[0]} images"
        return f"{self.model} ({self.family.name}{random}) in {where}"

    def at(self, voxel: int) -> Request:
        """The same model of one analysed voxel (its number among them) as a request of a table."""
        design, name = self.design, self.images.response
        assert design.given is not None
        whole = design.given.table
        values = np.full(len(whole), np.nan)
        values[design.rows] = self.images.block(voxel, voxel + 1)[0]
        table = whole.assign(**{name: values})
        given = design.given
        chosen = np.zeros(len(whole), dtype=bool)
        chosen[design.rows] = True
        again = model_matrix(
            design.formula.text,
            table,
            weights=given.weights,
            offset=given.offset,
            subset=chosen,
            contrasts=given.contrasts,
            na_action=given.na_action,
        )
        return as_request(again, self.family, self.estimator)

    @property
    def key(self) -> str:
        """A digest of all that decides the numbers: the images, the design, the family and the estimator."""
        design = self.design
        model = (self.model, str(self.family), repr(self.estimator), design.names)
        random = [(term.basis, term.codes) for term in design.random]
        return fingerprint((self.images.key, model, design.matrix, design.offset, random, self.weights))
