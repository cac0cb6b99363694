"""Families as R names them: `binomial(probit)`, `poisson`, `Gamma(log)`, `nbinom2`, `quasi(log, mu^2)`.

A Family adds to its link the variance function, the deviance, the likelihood and the rules of its response.
All functions take and return float64 arrays.
"""

from __future__ import annotations

from .base import Family
from .continuous import Gamma, Gaussian, InverseGaussian
from .discrete import Binomial, Poisson
from .foci import FociFamily, as_foci_family
from .links import Array  # the rest of the package takes its array type from here
from .negative_binomial import NBinom2
from .overdispersed import Beta, BetaBinomial, NBinom1
from .quasi import Quasi, QuasiBinomial, QuasiPoisson
from .words import FAMILIES, as_family

__all__ = [
    "Array", "Family", "FAMILIES", "as_family", "Gaussian", "Binomial", "Poisson", "Gamma", "InverseGaussian",
    "QuasiBinomial", "QuasiPoisson", "Quasi", "NBinom2", "NBinom1", "Beta",
    "BetaBinomial", "FociFamily", "as_foci_family",
]  # fmt: skip
