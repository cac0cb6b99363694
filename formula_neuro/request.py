"""What a backend is asked to fit: the one value that crosses from the front end to every backend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .design import Design
from .estimator import ML, Estimator
from .family import Array, Family
from .searches.search import USUAL, Search
from .syntax.bars import HOMOGENEOUS


@dataclass(frozen=True, eq=False)
class Request:
    """One model to fit, complete: nothing is looked up elsewhere.

    y (n,) is the response on the family's scale (binomial: the share of successes) and weights (n,)
    the prior weights times the trials; the design holds X (n, p), the offset (n,) and the random terms.
    `messages` are what the front end found (rows dropped and the like); a backend adds its own after them.
    """

    model: str  # "lm", "glm", "lmm", "glmm", "gee"
    family: Family
    estimator: Estimator
    design: Design
    y: Array
    weights: Array
    messages: tuple[str, ...] = ()
    search: Search = USUAL
    inflation: Design | None = None  # columns of the logit of the probability of zeros that are none of the family's

    of_images: ClassVar[bool] = False

    @property
    def n_random(self) -> int:
        return len(self.design.random)

    @property
    def structures(self) -> frozenset[str]:
        """Tags of the random terms; one with another hom= than its default is a structure of its own."""
        return frozenset(
            term.structure
            if term.hom == HOMOGENEOUS[term.structure]
            else f"{term.structure}(..., hom = {str(term.hom).upper()})"
            for term in self.design.random
        )

    @property
    def residuals(self) -> frozenset[str]:
        """Kinds of the residual structures asked for: "VarIdent", "AR1"."""
        return frozenset(type(structure).__name__ for structure in getattr(self.estimator, "residual", ()))

    @property
    def spatial(self) -> bool:
        """Whether terms have a map of their own."""
        return bool(self.design.formula.spatial)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and fixed columns."""
        rows, columns = self.design.matrix.shape
        return rows, columns

    @property
    def like_glmmtmb(self) -> bool:
        """Whether it asks for what glmmTMB maximises and lme4 does not: a dispersion or shape among the parameters of a
        GLMM, or observed weights."""
        shaped = self.family.shape is not None or self.family.name in ("Gamma", "inverse.gaussian", "gaussian")
        observed = getattr(self.estimator, "weights", None) == "observed"
        return self.model == "glmm" and (shaped or observed or self.inflation is not None)

    def describe(self) -> str:
        """In words: "glmm (Gamma, 1 random term)"."""
        n = self.n_random
        random = f", {n} random term{'s' if n != 1 else ''}" if n else ""
        return f"{self.model} ({self.family.name}{random}{', s(...)' if self.spatial else ''})"

    def with_response(self, y: Array) -> Request:
        """The same model for another response (n,), on the family's scale."""
        y = np.asarray(y, dtype=float)
        if y.shape != self.y.shape:
            raise ValueError(f"the new response has shape {y.shape}, expected {self.y.shape}")
        return replace(self, y=y)

    def with_estimator(self, estimator: Estimator) -> Request:
        return replace(self, estimator=estimator)

    def on_rows(self, design: Design, kept: NDArray[Any]) -> Request:
        """The same model on the rows that are kept, or named by place, whose design is given."""
        zeros = self.inflation
        if zeros is not None:
            zeros = replace(zeros, matrix=zeros.matrix[kept], offset=zeros.offset[kept], rows=zeros.rows[kept])
        return replace(self, design=design, y=self.y[kept], weights=self.weights[kept], inflation=zeros)

    def by_ml(self) -> Request:
        """The same model by maximum likelihood, a structure of its residuals kept."""
        return self.with_estimator(ML(getattr(self.estimator, "residual", ())))
