"""A problem in groups of sets that are simulated side by side, and their records put together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .problem import Problem, Record, Start
from .tracing import LANES

WIDEST = 8  # sets of one group where nodes are connected: their past then stays in a core's cache
CELLS = 512  # nodes x sets of one group where they are not
FEW = 2  # so many sets are simulated one by one, which costs less than LANES of which most are idle


def split(problem: Problem) -> list[tuple[NDArray[np.int64], int]]:
    """The sets of each group, and the group's width."""
    if np.any(problem.weights) and problem.batch <= FEW:
        return [(np.array([b]), 1) for b in range(problem.batch)]
    most = WIDEST if np.any(problem.weights) else max(CELLS // problem.nodes // LANES, 1) * LANES
    cuts = [np.arange(first, min(first + most, problem.batch)) for first in range(0, problem.batch, most)]
    return [(sets, -(-len(sets) // LANES) * LANES) for sets in cuts]


def part(problem: Problem, sets: NDArray[np.int64]) -> Problem:
    """The problem of some of the sets."""

    def of(values: Mapping[str, Array]) -> dict[str, Array]:
        return {name: v[..., sets] if v.shape[-1] > 1 else v for name, v in values.items()}

    start = problem.start
    return replace(
        problem,
        params=of(problem.params),
        stimulus=of(problem.stimulus),
        noise=replace(problem.noise, keys=problem.noise.keys[sets]),
        start=Start(of(start.states), of(start.past), of(start.ou), start.step,
                    None if start.bold is None else start.bold[..., sets]),
        batch=len(sets),
    )  # fmt: skip


def joined(problem: Problem, records: list[Record]) -> Record:
    """The records of all groups side by side."""
    if len(records) == 1:
        return records[0]

    def beside(parts: list[Any]) -> Any:
        return np.concatenate(parts, axis=-1)

    def named(mappings: list[Mapping[str, Array]]) -> dict[str, Array]:
        return {name: beside([m[name] for m in mappings]) for name in mappings[0]}

    ends = [record.end for record in records]
    has_bold = problem.bold is not None
    end = Start(
        named([e.states for e in ends]), named([e.past for e in ends]), named([e.ou for e in ends]), ends[0].step,
        beside([e.bold for e in ends]) if has_bold else None,
    )  # fmt: skip
    return replace(
        records[0],
        outputs=named([r.outputs for r in records]),
        bold=beside([r.bold for r in records]) if has_bold else None,
        failed=beside([r.failed for r in records]),
        clamped=beside([r.clamped for r in records]),
        end=end,
    )
