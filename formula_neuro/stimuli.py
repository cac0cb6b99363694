"""Inputs that vary in time: steps, ramps, waves and noise, summed by `+` and put one after the other by `&`.

    fn.simulate("fhn", duration="2 s", stimulus={"x_ext": fn.stimuli.Step(0.5, start=500, end=1000)})

A stimulus adds to the parameter's value. Times are ms of the run. `.at(...)` names the nodes that get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .dynamics.durations import milliseconds
from .errors import DataError
from .family import Array as Floats

__all__ = [
    "Zero", "Wiener", "OU", "Step", "Sinusoid", "Square", "LinearRamp", "Exponential", "Rectified", "Array",
    "Sum", "Appended", "Scaled", "Stimulus",
]  # fmt: skip

ROUNDING = 1e-6  # of a step: sums of decimal fractions such as 0.1 + 0.2 are off by less


@dataclass(frozen=True)
class Stimulus:
    """What every stimulus answers; it is 0 until `start` (after which it begins) and after `end`, in ms or as "2 s"."""

    def sample(self, t: Any, nodes: int | Sequence[str] = 1, rng: np.random.Generator | None = None) -> Floats:
        """Values (steps, 1), the same for all nodes, or (steps, nodes) at the equidistant times t, in ms.

        Raises DataError for a random stimulus without rng, and for what does not fit the times or nodes.

        >>> Step(2.0, start=0.1).sample([0.1, 0.2, 0.3])[:, 0]
        array([0., 2., 2.])
        """
        t = np.asarray(t, dtype=np.float64)
        if t.ndim != 1 or len(t) < 2 or not np.allclose(np.diff(t), t[1] - t[0], rtol=1e-6):
            raise DataError(f"times of the shape {t.shape} are given; equidistant ones, two or more, are expected")
        if self.random and rng is None:
            raise DataError("the stimulus is random; give rng=np.random.default_rng(seed)")
        return self._within(t, nodes, rng)

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


def _count(nodes: int | Sequence[str]) -> int:
    return nodes if isinstance(nodes, int) else len(nodes)


# ---- one course --------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class _Timed(Stimulus):
    """A course that begins at `start` and is 0 after `end`."""

    start: float | str = 0.0
    end: float | str | None = None

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            given = getattr(self, name)
            if given not in (None, 0, 0.0):
                object.__setattr__(self, name, milliseconds(given, name))
        if self.end is not None and float(self.end) <= float(self.start):
            raise DataError(f"the stimulus starts at {self.start} ms and ends at {self.end} ms, not later")

    def _within(self, t: Floats, nodes: int | Sequence[str], rng: Any) -> Floats:
        dt = t[1] - t[0]
        begun = t > float(self.start) + ROUNDING * dt
        on = begun if self.end is None else begun & (t <= float(self.end) + ROUNDING * dt)
        values = np.zeros((len(t), _count(nodes) if self._each else 1))
        drawn = self._course(t - float(self.start), float(t[-1]), values.shape[1], rng)
        values[on] = drawn[on]
        return values

    @property
    def _each(self) -> bool:
        """Whether every node has a course of its own."""
        return self.random

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        """Values (steps, nodes or 1) at the times since the start; `last` is the time at which the run ends."""
        raise NotImplementedError


@dataclass(frozen=True)
class Zero(_Timed):
    """Nothing: a pause between others."""

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        return np.zeros((len(t), 1))


@dataclass(frozen=True)
class Step(_Timed):
    """`size` from start to end."""

    size: float

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        return np.full((len(t), 1), float(self.size))


@dataclass(frozen=True)
class _Wave(_Timed):
    amplitude: float
    frequency: float  # Hz
    dc_bias: bool = False

    def _phase(self, t: Floats) -> Floats:
        return 2 * np.pi * t * (self.frequency / 1000.0)

    def _raised(self, wave: Floats) -> Floats:
        return (self.amplitude * wave + (self.amplitude if self.dc_bias else 0.0))[:, None]


@dataclass(frozen=True)
class Sinusoid(_Wave):
    """amplitude * sin(2 pi frequency t), frequency in Hz; dc_bias adds the amplitude, so that it is never below 0."""

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        return self._raised(np.sin(self._phase(t)))


@dataclass(frozen=True)
class Square(_Wave):
    """+amplitude and -amplitude in turn, frequency in Hz; dc_bias adds the amplitude."""

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        from scipy.signal import square

        return self._raised(square(self._phase(t)))


@dataclass(frozen=True)
class LinearRamp(_Timed):
    """A straight rise to `maximum` within `length` ms, then constant."""

    maximum: float
    length: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "length", milliseconds(self.length, "length"))

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        return np.where(t < self.length, self.maximum / self.length * t, self.maximum)[:, None]


@dataclass(frozen=True)
class Exponential(_Timed):
    """maximum (1 - e^(-kt/T)), a rise, or maximum e^(-kt/T), a decay; T: when the run, or its part, ends."""

    maximum: float
    k: float = 30.0
    kind: Literal["rise", "decay"] = "rise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("rise", "decay"):
            raise DataError(f"kind={self.kind!r}; 'rise' or 'decay' is expected")

    @property
    def stretches(self) -> bool:
        return True

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        decay = self.maximum * np.exp(-(self.k / last) * t)
        return (self.maximum - decay if self.kind == "rise" else decay)[:, None]


@dataclass(frozen=True)
class Wiener(_Timed):
    """Independent normal numbers of variance dt in each step and node."""

    @property
    def random(self) -> bool:
        return True

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        return np.sqrt(t[1] - t[0]) * rng.standard_normal((len(t), nodes))


@dataclass(frozen=True)
class OU(_Timed):
    """An Ornstein-Uhlenbeck process, dX = (mu - X)/tau dt + sigma dW, in each node; it starts at mu. tau in ms."""

    mu: float
    sigma: float
    tau: float

    @property
    def random(self) -> bool:
        return True

    def _course(self, t: Floats, last: float, nodes: int, rng: Any) -> Floats:
        from scipy.signal import lfilter

        dt = t[1] - t[0]
        a = 1 - dt / self.tau
        kicks = self.sigma * np.sqrt(dt) * rng.standard_normal((len(t), nodes))
        kicks[0] = 0.0  # the first sample is the start
        return self.mu + lfilter([1.0], [1.0, -a], kicks, axis=0)


@dataclass(frozen=True, eq=False)
class Array(Stimulus):
    """Any course: values (steps,) for all nodes or (steps, nodes), one row for each step of the run."""

    values: Any

    def __post_init__(self) -> None:
        found = np.array(self.values, dtype=np.float64)
        if found.ndim not in (1, 2) or not np.isfinite(found).all():
            raise DataError(f"values of the shape {found.shape}; finite (steps,) or (steps, nodes) is expected")
        found.setflags(write=False)
        object.__setattr__(self, "values", found)

    @property
    def stretches(self) -> bool:
        return True

    def _within(self, t: Floats, nodes: int | Sequence[str], rng: Any) -> Floats:
        values: Floats = self.values if self.values.ndim == 2 else self.values[:, None]
        if len(values) != len(t) or values.shape[1] not in (1, _count(nodes)):
            raise DataError(
                f"the stimulus has the shape {self.values.shape}; the run has {len(t)} steps and {_count(nodes)} nodes"
            )
        return values


# ---- several -------------------------------------------------------------------------------------
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
        on = np.zeros(_count(nodes))
        on[[_place(node, nodes) for node in self.nodes]] = 1.0
        return values * on


def _place(node: str | int, nodes: int | Sequence[str]) -> int:
    if isinstance(node, str):
        if isinstance(nodes, int) or node not in nodes:
            raise DataError(f"the stimulus is for the node {node!r}, which the run has not")
        return list(nodes).index(node)
    if not -_count(nodes) <= node < _count(nodes):
        raise DataError(f"the stimulus is for the node number {node}; there are {_count(nodes)}, from 0")
    return node


def Rectified(amplitude: float) -> Appended:
    """Down by the amplitude, a slow rise to 0, up, a slow decay to 0, nothing: it tells two stable states apart.

    >>> Rectified(1.0).sample(range(1, 601))[[0, 50, 340, 500], 0].round(2).tolist()
    [-1.0, -0.95, 1.0, 0.0]
    """
    rise = Exponential(amplitude, k=12.5, kind="rise") + Step(-amplitude)
    decay = Exponential(amplitude, k=7.5, kind="decay")
    return Appended((Step(-amplitude), rise, Step(amplitude), decay, Zero()), (0.5, 2.5, 0.5, 1.5, 1.0))
