"""The model, whoever fits it: masks, the mask's graph and the prior.

    Y_i(s) = 1[Z_i(s) > 0],  Z_i(s) ~ N(x_i'b(s), 1),
    p(b | Q) ~ |Q|^((V - c) / 2) exp(-1/2 sum_{s~t} (b(s) - b(t))' Q (b(s) - b(t))),  Q ~ Wishart(nu, I)

with s~t voxels that share a face and c components (Ge et al. 2014, Annals of Applied Statistics 8, 1095). The prior is
flat in the level of every component, so that there are no fixed effects beside b: their sum alone is identified.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from formula_neuro.family import Array

from .graph import MaskGraph
from .halves import Halves
from .likelihood import Likelihood


@dataclass(frozen=True, eq=False)
class Model:
    """V voxels, P columns; `prior_df` is Wishart's nu, P + 1 by default."""

    likelihood: Likelihood
    graph: MaskGraph
    prior_df: float

    @property
    def shape(self) -> tuple[int, int]:
        """Voxels V and columns P."""
        return self.graph.size, self.likelihood.rows.shape[1]

    @property
    def df(self) -> float:
        """Of the Wishart distribution of Q given b."""
        return float(self.prior_df + self.graph.size - len(self.graph.components))

    @cached_property
    def halves(self) -> Halves:
        return Halves.of(self.graph, self.shape[1])

    @property
    def adjacency(self) -> sparse.csr_array:
        return self.halves.adjacency

    def laplacian(self, b: Array) -> Array:
        """L b of b (V, P)."""
        return np.asarray(self.graph.n_s[:, None] * b - self.adjacency @ b)

    def scatter(self, b: Array) -> Array:
        """The sum over edges of D D' with D = b(s) - b(t), (P, P)."""
        half = b.T @ self.laplacian(b)
        return (half + half.T) / 2
