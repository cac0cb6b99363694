"""Courses of stimuli in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..dynamics.durations import milliseconds
from ..errors import DataError
from ..family import Array as Floats
from .stimulus import Appended, Stimulus, count

ROUNDING = 1e-6  # of a step: sums of decimal fractions such as 0.1 + 0.2 are off by less


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
        values = np.zeros((len(t), count(nodes) if self._each else 1))
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
        if len(values) != len(t) or values.shape[1] not in (1, count(nodes)):
            raise DataError(
                f"the stimulus has the shape {self.values.shape}; the run has {len(t)} steps and {count(nodes)} nodes"
            )
        return values


def Rectified(amplitude: float) -> Appended:
    """Down by the amplitude, a slow rise to 0, up, a slow decay to 0, nothing: it tells two stable states apart.

    >>> Rectified(1.0).sample(range(1, 601))[[0, 50, 340, 500], 0].round(2).tolist()
    [-1.0, -0.95, 1.0, 0.0]
    """
    rise = Exponential(amplitude, k=12.5, kind="rise") + Step(-amplitude)
    decay = Exponential(amplitude, k=7.5, kind="decay")
    return Appended((Step(-amplitude), rise, Step(amplitude), decay, Zero()), (0.5, 2.5, 0.5, 1.5, 1.0))
