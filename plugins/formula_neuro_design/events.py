"""A table of events as BIDS has it -> onsets, durations and sizes by type, in seconds, checked against the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.scalars import is_number, is_whole

LONG_TR = 30.0  # seconds: no scan takes longer, and repetition times in ms are all above


@dataclass(frozen=True)
class Run:
    """A scan's times: `volumes` volumes every `tr` seconds, each acquired `slice_time` of tr after its start.

    Raises DataError.
    """

    tr: float
    volumes: int
    slice_time: float = 0.0

    def __post_init__(self) -> None:
        if not is_number(self.tr) or self.tr <= 0:
            raise DataError(f"tr is {self.tr!r}; the seconds from volume to volume are expected, as tr=2.0")
        if self.tr > LONG_TR:
            raise DataError(f"tr is {self.tr:g} s; seconds are expected: is it in milliseconds?")
        if not is_whole(self.volumes, least=2):
            raise DataError(f"volumes is {self.volumes!r}; the number of the run's volumes is expected, as volumes=200")
        if not is_number(self.slice_time) or not 0 <= self.slice_time < 1:
            raise DataError(
                f"slice_time is {self.slice_time!r}; the reference slice's share of tr, in [0, 1), is expected"
            )

    @property
    def length(self) -> float:
        """Seconds."""
        return float(self.tr * self.volumes)

    @property
    def times(self) -> Array:
        """(n,) seconds from the start of the run."""
        return np.asarray(self.tr * (np.arange(self.volumes) + self.slice_time))


@dataclass(frozen=True, eq=False)
class Events:
    """onset, duration (seconds) and size (1, or the modulation) of each event, all (E,)."""

    onset: Array
    duration: Array
    size: Array


def read_events(table: pd.DataFrame, column: str, run: Run) -> dict[str, Events]:
    """The events of each type in `column`, types in the order of their names.

    A column `modulation` has the events' sizes. Raises DataError: what is missing, negative or outside the run.
    """
    for name in ("onset", "duration"):
        if name not in table.columns:
            raise DataError(f"events have the columns {', '.join(table.columns)}; {name}, in seconds, is expected too")
    onset, duration = _seconds(table, "onset"), _seconds(table, "duration")
    size = _seconds(table, "modulation", "") if "modulation" in table.columns else np.ones(len(table))
    types = table[column]
    absent = types.isna() | (types.astype(str) == "n/a")  # as BIDS writes what is missing
    if absent.any():
        raise DataError(f"{column} is missing in row {_first(absent)} of the events; drop that row or name it")
    if (duration < 0).any():
        raise DataError(f"duration is {duration[duration < 0][0]:g} s in row {_first(duration < 0)} of the events")
    _check_inside(onset, run)
    names = [_text(value) for value in types]
    found = {}
    for name in sorted(set(names)):
        own = np.array([one == name for one in names])
        found[name] = Events(onset[own], duration[own], size[own])
        if not found[name].size.any():
            raise DataError(f"all events of {name} have the modulation 0, so nothing is expected of them")
    return found


def notes(events: Mapping[str, Events], run: Run, response: float) -> tuple[str, ...]:
    """What a careful user would want to be told of the events' times; `response` is the longest one's end, seconds."""
    onset = np.concatenate([own.onset for own in events.values()])
    end = onset + np.concatenate([own.duration for own in events.values()])
    told = []
    early, late = int((onset < 0).sum()), int((end > run.length).sum())
    if early:
        told.append(f"{early} of {len(onset)} events start before the first volume; their later response is used")
    if late:
        told.append(f"{late} of {len(onset)} events last beyond the run of {run.length:g} s, which cuts them off")
    twice = sum(len(own.onset) - len(np.unique(own.onset)) for own in events.values())
    if twice:
        told.append(
            f"{twice} of {len(onset)} events start when another of their type does, and their responses add up; a "
            "table holds the events of one run"
        )
    cut = int(((end <= run.length) & (end + response > run.length)).sum())
    if 2 * cut > len(onset):
        told.append(f"the run ends before the response to {cut} of {len(onset)} events can be over")
    if run.tr >= 1.5 and end.max() < run.volumes and (onset == np.round(onset)).all():
        told.append(
            f"all onsets are whole numbers and all events are over by {end.max():g} s of {run.length:g} s; onsets and "
            "durations are seconds, not volumes"
        )
    return tuple(told)


# ---- checks --------------------------------------------------------------------------------------
def _seconds(table: pd.DataFrame, name: str, unit: str = ", in seconds,") -> Array:
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float)
    odd = ~np.isfinite(values)
    if odd.any():
        seen = table[name].to_numpy()[odd][0]
        raise DataError(f"{name} is {seen} in row {_first(odd)} of the events; a number{unit} is expected")
    return values


def _check_inside(onset: Array, run: Run) -> None:
    outside = onset >= run.length
    if outside.any():
        raise DataError(
            f"{int(outside.sum())} of {len(onset)} events start after the run's end, {run.length:g} s ({run.volumes} "
            f"volumes of {run.tr:g} s); the first at {onset[outside][0]:g} s in row {_first(outside)}: compare tr and "
            "volumes with the image, and whether onsets are in seconds"
        )


def _first(odd: Any) -> int:
    return int(np.flatnonzero(odd)[0]) + 1


def _text(value: object) -> str:
    """A type as text: 1.0, as a column of whole numbers with gaps is read, is 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
