"""An answer beside the usual analyses of the same data, and what such a comparison leaves unsaid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .comparison import Comparison, Rival, compared
from .rivals import of_components, of_regressor

if TYPE_CHECKING:
    from .answer import OptimalDesign


def compared_with_usual(d: OptimalDesign, truth: OptimalDesign, alpha: float | None) -> Comparison:
    """The table and its notes. Raises DataError."""
    if len(truth.design) != len(d.design):
        raise DataError(f"the truth has {len(truth.design)} scans and this design {len(d.design)}")
    found = [*usual(d), Rival("optimal", d.design.to_numpy(dtype=float), d.contrast, _own(d), rescale=False)]
    white = [replace(one, Z=one.Z if d.noise is None else d.noise.whiten(one.Z)) for one in found]
    family = truth.family if d.noise is None else d.noise.family(truth.family)
    return Comparison(compared(white, family, truth.g, alpha), _notes(d, truth))


def usual(d: OptimalDesign) -> list[Rival]:
    """The undelayed regressor, with its derivative, their boost, and principal components of the family."""
    x, nuisance = d.first[d.name].to_numpy(dtype=float), _nuisance(d)
    some = d.family.l != 0
    count = max(1, min(_own(d), int(some.sum())))
    return [*of_regressor(x, nuisance), of_components(d.family.v[:, some] / d.family.l[some], nuisance, count)]


def _nuisance(d: OptimalDesign) -> Array:
    return d.first.drop(columns=d.name).to_numpy(dtype=float)


def _own(d: OptimalDesign) -> int:
    """Columns of the design that are not a nuisance's."""
    return sum(name not in d.first.columns or name == d.name for name in map(str, d.design.columns))


def _notes(d: OptimalDesign, truth: OptimalDesign) -> tuple[str, ...]:
    told = [
        "each of the usual analyses is multiplied by the number that makes it unbiased on average over the designs; "
        "the optimal one is not",
        "the derivative boost is not t-distributed, so it has no power here",
        "the contrast of principal components is a choice; packages that use such a basis test it by F",
    ]
    if truth is d:
        told.insert(0, "the truth is the family that the optimal design was made for; give truth= for another one")
    if np.all(d.family.phi == 0.5):
        told.append("phi = .5 minimises the squared error that is scored here")
    return tuple(told)
