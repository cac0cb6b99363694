"""Small data that the package makes itself, so that examples run offline and without a licence.

All four stand in for the examples of Yu et al. (2022), "Beyond t test and ANOVA: applications of mixed-effects
models for more rigorous statistical analysis in neuroscience", Neuron 110:21-35, and of its slides. Every number is
SIMULATED, and the tables say so in `attrs["note"]`; they say nothing about real mice.
"""

from __future__ import annotations

from .calcium import calcium_amplitude, calcium_frequency
from .pcreb import pcreb
from .water_lick import waterlick

__all__ = ["calcium_amplitude", "calcium_frequency", "pcreb", "waterlick"]
