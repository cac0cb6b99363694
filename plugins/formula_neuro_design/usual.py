"""An answer beside the usual analyses of the same data, and what such a comparison leaves unsaid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .comparison import Comparison, Rival, compared
from .power import standing, threshold_of
from .rivals import of_components, of_regressor, of_responses

if TYPE_CHECKING:
    from .answer import OptimalDesign


def compared_with_usual(d: OptimalDesign, truth: OptimalDesign, alpha: float | None) -> Comparison:
    """The table and its notes. Raises DataError."""
    if len(truth.design) != len(d.design):
        raise DataError(f"the truth has {len(truth.design)} scans and this design {len(d.design)}")
    found = [*usual(d), Rival("optimal", d.design.to_numpy(dtype=float), d.contrast, _own(d), rescale=False)]
    family = truth.family if d.noise is None else d.noise.family(truth.family)
    return Comparison(compared([_white(one, d) for one in found], family, truth.g, alpha), _notes(d, truth))


def power_of(rival: Rival, d: OptimalDesign, alpha: float) -> Array:
    """The power (m,) of a usual analysis's one-sided t test for each design of d."""
    found = standing(_white(rival, d).Z, rival.c, d.white_family)
    return found.beyond(np.array([threshold_of(alpha, None, found.nu)]))[:, 0]


def _white(rival: Rival, d: OptimalDesign) -> Rival:
    return rival if d.noise is None else replace(rival, Z=d.noise.whiten(rival.Z))


def usual(d: OptimalDesign) -> list[Rival]:
    """Of events: the analyses of other packages. Else the undelayed regressor, with its derivative, and components."""
    k = 1 if d.evoked is None else d.weights.shape[1]
    nuisance = d.first.iloc[:, k:].to_numpy(dtype=float)
    if d.evoked is not None:
        return of_responses(d.evoked, d.weights[0], nuisance)
    some = d.family.l != 0
    count = max(1, min(_own(d), int(some.sum())))
    found = of_components(d.family.v[:, some] / d.family.l[some], nuisance, count)
    return [*of_regressor(d.first.iloc[:, 0].to_numpy(dtype=float), nuisance), found]


def _own(d: OptimalDesign) -> int:
    """Columns of the design that are not a nuisance's."""
    beside = set(map(str, d.first.columns[1 if d.evoked is None else d.weights.shape[1] :]))
    return sum(str(name) not in beside for name in d.design.columns)


def _notes(d: OptimalDesign, truth: OptimalDesign) -> tuple[str, ...]:
    told = [
        "each of the usual analyses is multiplied by the number that makes it unbiased on average over the designs; "
        "the optimal one is not",
        "the derivative boost is not t-distributed, so it has no power here",
        "what stands for the response in finite impulse responses and principal components is a choice; packages that "
        "use such a basis test it by F",
    ]
    if d.evoked is not None:
        told.append("this is one sequence of events; with another one the figures differ")
    if truth is d:
        told.insert(0, "the truth is the family that the optimal design was made for; give truth= for another one")
    if np.all(d.family.phi == 0.5):
        told.append("phi = .5 minimises the squared error that is scored here")
    return tuple(told)
