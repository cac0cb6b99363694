"""What less bias costs in variance: the best design for each price, from variance alone to bias alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.scalars import is_number

from .constraints import Constraints
from .family import Family
from .measures import measures
from .objective import estimator
from .reduced import coordinates
from .solver import Solution, solve

FACTORS = tuple(float(x) for x in np.logspace(-4, 1, 21))  # the path is smooth: more points show no more


def pareto_path(family: Family, constraints: Constraints, g: Array, factors: Sequence[float] = FACTORS) -> pd.DataFrame:
    """A row a factor: phi (the mean), objective, rms_bias, max_bias, variance_change (the mean) and variance_bias.

    factors multiply the odds phi / (1 - phi) of every design, 1 being the phi of the family: below it bias weighs
    more. Biases are over the designs with an effect, variance_bias is the largest. Raises DataError.
    """
    if np.ndim(factors) != 1 or not len(factors) or not all(is_number(step) and step > 0 for step in factors):
        raise DataError(f"factors is {factors!r}; numbers above 0 are expected, 1 being the design's own phi")
    steps = np.asarray(factors, dtype=float)
    space, near, rows = coordinates(family, constraints.B), None, []
    for step in np.sort(steps)[::-1]:  # the shrunken end is the easy one, and each solution starts the next search
        odds = step * family.phi / (1 - family.phi)
        priced = replace(family, phi=odds / (1 + odds))
        found = solve(priced, constraints, space=space, near=near)
        near = estimator(found.Z, found.c)
        rows.append({"factor": float(step), **_told(found, priced, g)})
    return pd.DataFrame(rows[::-1])


def _told(found: Solution, family: Family, g: Array) -> dict[str, float]:
    seen = measures(found.Z, found.c, family, g)
    truth = family.by_design(family.l**2)
    some = truth > 0
    return {
        "phi": float(np.average(family.phi, weights=family.w)),
        "objective": found.objective,
        "rms_bias": float(np.sqrt(np.average(seen.bias[some] ** 2, weights=family.w[some]))),
        "max_bias": float(np.abs(seen.bias[some]).max()),
        "variance_change": float(np.average(seen.variance_change, weights=family.w)),
        "variance_bias": float(seen.variance_bias.max()),
    }
