"""Hypotheses about maps and moderators by the names of levels: texts, mappings, matrices and families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from ...family import Array
from ...inference.hypothesis import as_rows
from ..maps import effects

if TYPE_CHECKING:
    from ..fit import FociFit

FAMILIES = ("pairwise", "reference", "consecutive", "zero")


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """matrix (q, r) @ (the r maps or moderators `names`) = value (q,); `labels` say each row.

    `spatial`: whether `names` are maps, the cells of s(...) first, then the others; else global moderators.
    """

    label: str
    names: tuple[str, ...]
    matrix: Array
    value: Array
    labels: tuple[str, ...]
    spatial: bool

    def row(self, number: int) -> Hypothesis:
        """One of its rows by itself."""
        label = self.labels[number]
        return Hypothesis(label, self.names, self.matrix[[number]], self.value[[number]], (label,), self.spatial)


def spatial_names(fit: FociFit) -> tuple[str, ...]:
    """What has a map: cells, then effects of numbers and differences of factors."""
    return (*fit.cells, *effects(fit))


def spatial_rows(fit: FociFit) -> Array:
    """The combinations of the fitted maps that `spatial_names` are, (r, C)."""
    request = fit.request
    own = [np.asarray(request.maps) == name for name in effects(fit)]
    return np.array([*(np.asarray(row) for row in request.cells.values()), *own], dtype=np.float64)


def hypotheses(fit: FociFit, given: Any, reference: str | None = None) -> Hypothesis | dict[str, Hypothesis]:
    """What is asked: one hypothesis, or by name those of a family or of a mapping from names to hypotheses."""
    known = {*spatial_names(fit), *fit.names}
    if isinstance(given, str) and given in FAMILIES and given not in known:
        return family(fit, given, reference)
    if reference is not None:
        raise ValueError(f"reference={reference!r} belongs to the family 'reference'; leave it out here")
    if isinstance(given, Mapping) and not _weights(given):
        return {str(name): _renamed(hypothesis(fit, one), str(name)) for name, one in given.items()}
    return hypothesis(fit, given)


def family(fit: FociFit, word: str, reference: str | None = None) -> dict[str, Hypothesis]:
    """All comparisons of a family, named "a - b".

    "pairwise": all pairs of cells; "reference": each with the first, or with `reference`; "consecutive": each with the
    one before; "zero": each map that is no cell, and each global moderator, by itself.
    """
    if word == "zero":
        found = {name: hypothesis(fit, {name: 1.0}) for name in (*effects(fit), *fit.names)}
        if not found:
            raise DataError(
                "the family 'zero' tests effects of numbers and moderators, and the formula has none; intensities are "
                "tested against chance by fn.homogeneity(c)"
            )
        return found
    cells = fit.cells
    if len(cells) < 2:
        raise DataError(f"the family {word!r} compares cells of s(...), and there is one, {', '.join(cells)}")
    pairs = _pairs(cells, word, reference)
    return {f"{a} - {b}": _renamed(hypothesis(fit, {a: 1.0, b: -1.0}), f"{a} - {b}") for a, b in pairs}


def _pairs(cells: tuple[str, ...], word: str, reference: str | None) -> list[tuple[str, str]]:
    if word == "reference":
        first = cells[0] if reference is None else reference
        if first not in cells:
            raise ValueError(f"reference={reference!r} is no cell of s(...); there are {', '.join(cells)}")
        return [(cell, first) for cell in cells if cell != first]
    if reference is not None:
        raise ValueError(f"reference={reference!r} belongs to the family 'reference'; leave it out with {word!r}")
    return list(combinations(cells, 2)) if word == "pairwise" else [(b, a) for a, b in pairwise(cells)]


def hypothesis(fit: FociFit, given: Any) -> Hypothesis:
    """One hypothesis, of maps or of moderators; raises ValueError or FormulaError for what cannot be read.

    Numbers count the cells, and the other maps where there are any; where the model has no other reading of their
    width, the moderators.
    """
    maps, moderators = spatial_names(fit), fit.names
    if _numeric(given):
        width = np.atleast_2d(np.asarray(given, dtype=float)).shape[-1]
        if width == len(fit.cells) != len(maps):
            given = np.pad(np.atleast_2d(np.asarray(given, dtype=float)), ((0, 0), (0, len(maps) - width)))
        spatial = width in (len(fit.cells), len(maps)) or width != len(moderators)
        names = maps if spatial else moderators
        matrix, value, labels = as_rows(given, names)
        return Hypothesis(" & ".join(labels), names, matrix, value, tuple(labels), spatial)
    every = tuple(dict.fromkeys((*maps, *moderators)))
    matrix, value, labels = as_rows(given, every)
    of_maps = matrix[:, : len(maps)].any()
    if of_maps and matrix[:, len(maps) :].any():
        raise ValueError(
            f"{' & '.join(labels)} mixes maps ({', '.join(maps)}) with moderators of the whole brain "
            f"({', '.join(moderators)}); test them apart"
        )
    if of_maps:
        return Hypothesis(" & ".join(labels), maps, matrix[:, : len(maps)], value, tuple(labels), True)
    columns = [every.index(name) for name in moderators]
    return Hypothesis(" & ".join(labels), moderators, matrix[:, columns], value, tuple(labels), False)


def level_free(fit: FociFit, asked: Hypothesis) -> bool:
    """Whether the combinations compare maps: whether they stay when all intensities are multiplied by a number."""
    cells = np.array([np.asarray(row, dtype=np.float64) for row in fit.request.cells.values()])
    direction = np.linalg.lstsq(cells, np.ones(len(cells)), rcond=None)[0]
    return bool(np.allclose(asked.matrix @ spatial_rows(fit) @ direction, 0.0, atol=1e-9))


def check_comparison(fit: FociFit, asked: Hypothesis) -> None:
    """Refuse a single intensity against 1 focus a voxel, which nobody asks."""
    if not level_free(fit, asked) and not asked.value.any():
        raise ValueError(
            f"{asked.label}: the weights of the intensities do not sum to 0, so that this would test an intensity of 1 "
            "focus in every voxel; compare cells, as 'a - b', or test one against chance with fn.homogeneity(c)"
        )


def _renamed(one: Hypothesis, label: str) -> Hypothesis:
    labels = (label,) if len(one.labels) == 1 else one.labels
    return Hypothesis(label, one.names, one.matrix, one.value, labels, one.spatial)


def _weights(given: Mapping[Any, Any]) -> bool:
    """Whether a mapping gives weights by name, not hypotheses by name."""
    return not given or all(np.ndim(one) == 0 and not isinstance(one, (str, Mapping)) for one in given.values())


def _numeric(given: Any) -> bool:
    if isinstance(given, (str, Mapping)):
        return False
    return not (isinstance(given, Sequence) and any(isinstance(row, str) for row in given))
