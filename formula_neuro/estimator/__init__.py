"""How a model is estimated, as small values: `"reml"` at the user's door becomes `REML()` at once."""

from __future__ import annotations

from .base import Estimator
from .bias_reduced import BIAS_REDUCED, Jeffreys, MeanBR, MedianBR
from .gee import GEE
from .integral import AGQ, Laplace, Normal
from .likelihood import ML, REML
from .spatial import Spatial
from .splines import Splines
from .words import DEFAULTS, as_estimator

__all__ = [
    "AGQ", "BIAS_REDUCED", "DEFAULTS", "GEE", "ML", "REML", "Estimator", "Jeffreys", "Laplace", "MeanBR", "MedianBR",
    "Normal", "Spatial", "Splines", "as_estimator",
]  # fmt: skip
