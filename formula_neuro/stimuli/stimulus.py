"""What every stimulus answers, and how stimuli are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..family import Array as Floats


@dataclass(frozen=True)
class Stimulus:
    """What every stimulus answers; it is 0 until `start` (after which it begins) and after `end`, in ms or as "2 s"."""

    def sample(self, t: Any, nodes: int | Sequence[str] = 1, rng: np.random.Generator | None = None) -> Floats:
        """Values (steps, 1), the same for all nodes, or (steps, nodes) at the equidistant times t, in ms.

        Raises DataError for a random stimulus without rng, and for what does not fit the times or nodes.

        >>> from formula_neuro.stimuli import Step
        >>> Step(2.0, start=0.1).sample([0.1, 0.2, 0.3])[:, 0]
        array([0., 2., 2.])
        """
        t = np.asarray(t, dtype=np.float64)
        if t.ndim != 1 or len(t) < 2 or not np.allclose(np.diff(t), t[1] - t[0], rtol=1e-6):
            raise DataError(f"times of the shape {t.shape} are given; equidistant ones, two or more, are expected")
        if self.random and rng is None:
            raise DataError("the stimulus is random; give rng=np.random.default_rng(seed)")
        values = self._within(t, nodes, rng)
        if not np.isfinite(values).all():
            raise DataError(f"{self!r} has infinite or missing values; look for a length of 0, or a tau below dt / 2")
        return values

    @property
    def random(self) -> bool:
        """Whether it draws random numbers."""
        return any(part.random for part in self._parts)

    @property
    def stretches(self) -> bool:
        """Whether its course depends on how long the run is."""
        return any(part.stretches for part in self._parts)

    @property
    def _parts(self) -> tuple[Stimulus, ...]:
        return ()

    def _within(self, t: Floats, nodes: int | Sequence[str], rng: Any) -> Floats:
        raise NotImplementedError

    def at(self, *nodes: str | int) -> Scaled:
        """The same for these nodes alone, by name or number; 0 for the others."""
        return Scaled(self, 1.0, nodes)

    def __add__(self, other: Stimulus) -> Sum:
        return Sum((*_flat(self, Sum), *_flat(_stimulus(other, "+"), Sum)))

    def __mul__(self, factor: float) -> Scaled:
        return Scaled(self, float(factor))

    __rmul__ = __mul__

    def __and__(self, other: Stimulus) -> Appended:
        other = _stimulus(other, "&")
        both = [part if isinstance(part, Appended) else Appended((part,), (1.0,)) for part in (self, other)]
        return Appended(both[0].parts + both[1].parts, both[0].lengths + both[1].lengths)


def _stimulus(other: Any, sign: str) -> Stimulus:
    if not isinstance(other, Stimulus):
        raise DataError(f"a {type(other).__name__} stands right of {sign!r}; a stimulus is expected")
    return other


def _flat(stimulus: Stimulus, kind: type[Sum]) -> tuple[Stimulus, ...]:
    return stimulus.parts if isinstance(stimulus, kind) else (stimulus,)


def count(nodes: int | Sequence[str]) -> int:
    """How many nodes there are."""
    return nodes if isinstance(nodes, int) else len(nodes)


# ---- put together ----------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Sum(Stimulus):
    """The sum of its parts: a + b."""

    parts: tuple[Stimulus, ...]

    @property
    def _parts(self) -> tuple[Stimulus, ...]:
        return self.parts

    def _within(self, t: Floats, nodes: int | Sequence[str], rng: Any) -> Floats:
        return sum((part._within(t, nodes, rng) for part in self.parts[1:]), self.parts[0]._within(t, nodes, rng))


@dataclass(frozen=True, eq=False)
class Appended(Stimulus):
    """One part after the other, a & b: each takes its share of the run, by relative lengths, in a time of its own."""

    parts: tuple[Stimulus, ...]
    lengths: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.lengths) or not self.parts or min(self.lengths) <= 0:
            raise DataError(
                f"{len(self.parts)} parts and lengths {self.lengths}; one length above 0 a part is expected"
            )

    @property
    def _parts(self) -> tuple[Stimulus, ...]:
        return self.parts

    @property
    def stretches(self) -> bool:
        return True

    def _within(self, t: Floats, nodes: int | Sequence[str], rng: Any) -> Floats:
        dt = t[1] - t[0]
        ends = np.rint(np.cumsum(self.lengths) / sum(self.lengths) * len(t)).astype(int)
        counts = np.diff([0, *ends])
        if counts.min() < 2:
            raise DataError(f"a run of {len(t)} steps is too short for {len(self.parts)} stimuli one after the other")
        pieces = [
            part._within(dt * np.arange(1, n + 1), nodes, rng) for part, n in zip(self.parts, counts, strict=True)
        ]
        width = max(piece.shape[1] for piece in pieces)
        return np.concatenate([np.broadcast_to(piece, (len(piece), width)) for piece in pieces])


@dataclass(frozen=True, eq=False)
class Scaled(Stimulus):
    """A stimulus times a factor, for some nodes (none named: for all): 2 * a, a.at("V1_L")."""

    stimulus: Stimulus
    factor: float
    nodes: tuple[str | int, ...] = ()

    @property
    def _parts(self) -> tuple[Stimulus, ...]:
        return (self.stimulus,)

    def _within(self, t: Floats, nodes: int | Sequence[str], rng: Any) -> Floats:
        values = self.factor * self.stimulus._within(t, nodes, rng)
        if not self.nodes:
            return values
        on = np.zeros(count(nodes))
        on[[_place(node, nodes) for node in self.nodes]] = 1.0
        return values * on


def _place(node: str | int, nodes: int | Sequence[str]) -> int:
    if isinstance(node, str):
        if isinstance(nodes, int) or node not in nodes:
            raise DataError(f"the stimulus is for the node {node!r}, which the run has not")
        return list(nodes).index(node)
    if not -count(nodes) <= node < count(nodes):
        raise DataError(f"the stimulus is for the node number {node}; there are {count(nodes)}, from 0")
    return node
