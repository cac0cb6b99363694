"""Events -> the response to them at the volumes' times, for any response given on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .events import Events, Run
from .shapes import Kernels

EDGE = 1e-9  # of a grid step: an event at a volume's own time counts whichever way its rounding fell


@dataclass(frozen=True, eq=False)
class Evoked:
    """What the usual analyses of a run need: its times, the events of each type in question, the responses."""

    run: Run
    events: tuple[Events, ...]
    kernels: Kernels

    def regressors(self, h: Array) -> list[Array]:
        """The responses (n, .) to each type by the shapes h (L, .) on the kernels' grid."""
        return [convolution(own, self.run.times, self.kernels) @ h for own in self.events]


def convolution(events: Events, times: Array, kernels: Kernels) -> Array:
    """C (n, L), whose product with responses h (L, m) on the kernels' grid has the n volumes' values.

    times (n,) in seconds. An event adds size times the integral of h over its duration; one of duration 0 adds size
    times h, nearly as one of a second does. Exact for responses that are straight between the grid's points, wherever
    onsets and times lie.
    """
    L = len(kernels.h)
    since = (times[:, None] - events.onset - kernels.start) / kernels.step  # (n, E), in grid steps
    brief = events.duration == 0
    points, whole = np.zeros((len(times), L)), np.zeros((len(times), L))
    _at(points, since[:, brief], events.size[brief])
    lasting, size = since[:, ~brief], events.size[~brief] * kernels.step
    _up_to(points, whole, lasting, size)
    _up_to(points, whole, lasting - events.duration[~brief] / kernels.step, -size)
    trapezoid = np.tril(np.ones((L, L)))  # row i: the weights of the integral from the first point to point i
    trapezoid[:, 0] = 0.5
    trapezoid[np.arange(L), np.arange(L)] = 0.5
    trapezoid[0] = 0
    return np.asarray(points + whole @ trapezoid)


def _at(points: Array, x: Array, size: Array) -> None:
    """Add the weights of h(x), straight lines between points; x (n, E) outside the grid has none."""
    inside = (x > -EDGE) & (x < points.shape[1] - 1 + EDGE)
    rows, weight, i, u = _places(points, x, np.where(inside, size, 0.0))
    np.add.at(points, (rows, i), weight * (1 - u))
    np.add.at(points, (rows, i + 1), weight * u)


def _up_to(points: Array, whole: Array, x: Array, size: Array) -> None:
    """Add the weights of the integral of h up to x: those of the whole part, and of the piece after it."""
    rows, weight, i, u = _places(points, x, np.broadcast_to(size, x.shape))
    np.add.at(whole, (rows, i), weight)
    np.add.at(points, (rows, i), weight * (u - u**2 / 2))
    np.add.at(points, (rows, i + 1), weight * u**2 / 2)


def _places(points: Array, x: Array, weight: Array) -> tuple[NDArray[np.intp], Array, NDArray[np.intp], Array]:
    """Row, weight, grid point before x and part of the step after it, x held within the grid."""
    n, L = points.shape
    x = np.clip(x, 0, L - 1)
    i = np.minimum(x.astype(np.intp), L - 2)
    return np.broadcast_to(np.arange(n)[:, None], x.shape), weight, i, x - i
