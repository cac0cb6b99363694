"""Families of haemodynamic responses as small values: which shapes fn.optimize_design holds plausible, in seconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from numbers import Real
from typing import Any, TypeAlias

from .errors import DataError
from .scalars import is_number, is_whole

Range: TypeAlias = tuple[float, float]
Shape: TypeAlias = Callable[[Any], Any] | Sequence[float]


@dataclass(frozen=True)
class HalfCosine:
    """Responses of four half-cosine pieces, drawn uniformly from ranges: FLOBS' shapes. All peak at 1.

    Nothing for h1 seconds, a rise to 1 over h2, a fall to -f over h3, a return to 0 over h4. The ranges are those of
    the 2010 manuscript on optimal design matrices. n: shapes, drawn with `seed`. step: of the grid, in seconds.
    Raises DataError. Source: Woolrich, Behrens & Smith (2004), NeuroImage 21:1748-1761.

    >>> HalfCosine(n=50, h1=(0, 2)).h1
    (0, 2)
    """

    n: int = 200
    seed: int = 1
    h1: Range = (1, 3)
    h2: Range = (3, 7)
    h3: Range = (3, 7)
    h4: Range = (3, 9)
    f: Range = (0, 0.5)
    step: float = 0.1

    def __post_init__(self) -> None:
        _check_count(self.n, "HalfCosine")
        _check_step(self.step, "HalfCosine")
        if not is_whole(self.seed):
            raise DataError(f"HalfCosine: seed is {self.seed!r}; a whole number from 0 is expected")
        for name in ("h1", "h2", "h3", "h4", "f"):
            _check_range(getattr(self, name), f"HalfCosine: {name}")
        if self.h1[0] < 0 or min(self.h2[0], self.h3[0], self.h4[0]) <= 0:
            raise DataError("HalfCosine: h1 is at least 0 and h2, h3, h4 above 0; they are durations in seconds")
        if self.f[0] < 0 or self.f[1] >= 1:
            raise DataError(f"HalfCosine: f is {self.f}; the undershoot's depth lies in [0, 1), the peak being 1")


@dataclass(frozen=True)
class DoubleGamma:
    """The canonical double-gamma response with ranges of latency and dispersion. All peak at 1.

    latency: seconds by which the response is later than the canonical one (earlier below 0). dispersion: the rise's and
    fall's width, 1 the canonical one; at a fixed delay. Each is a number, or a range of which n evenly spaced values
    are taken; of two ranges, all pairs. delay, undershoot (seconds) and ratio default to SPM's response, which peaks
    at 5 s. step: of the grid, in seconds. Raises DataError. Source: Friston et al. (1998), NeuroImage 7:30-40.

    >>> DoubleGamma(latency=(-2, 4)).latency
    (-2, 4)
    """

    latency: float | Range = (-2, 4)
    dispersion: float | Range = 1.0
    n: int = 25
    delay: float = 6.0
    undershoot: float = 16.0
    undershoot_dispersion: float = 1.0
    ratio: float = 1 / 6
    step: float = 0.1

    def __post_init__(self) -> None:
        _check_count(self.n, "DoubleGamma")
        _check_step(self.step, "DoubleGamma")
        for name in ("latency", "dispersion"):
            value = getattr(self, name)
            _check_range((value, value) if isinstance(value, Real) else value, f"DoubleGamma: {name}")
        for name in ("delay", "undershoot", "undershoot_dispersion"):
            if not is_number(getattr(self, name)) or getattr(self, name) <= 0:
                raise DataError(f"DoubleGamma: {name} is {getattr(self, name)!r}; a number above 0 is expected")
        lowest = self.dispersion[0] if isinstance(self.dispersion, (tuple, list)) else self.dispersion
        if lowest <= 0:
            raise DataError(f"DoubleGamma: dispersion is {self.dispersion}; numbers above 0 are expected")
        if not is_number(self.ratio) or not 0 <= self.ratio < 1:
            raise DataError(f"DoubleGamma: ratio is {self.ratio!r}; the undershoot's share lies in [0, 1)")


@dataclass(frozen=True, eq=False)
class Shapes:
    """Responses of one's own, taken as they are.

    shapes: functions of the time after an event in seconds (arrays in, arrays out), or arrays sampled every `step`
    seconds from the event on; as a list, or by name. length: seconds of a function that are used. Raises DataError.

    >>> import numpy as np
    >>> list(Shapes({"fast": lambda t: t * np.exp(-t), "slow": lambda t: t * np.exp(-t / 3)}).named)
    ['fast', 'slow']
    """

    shapes: Sequence[Shape] | Mapping[str, Shape]
    step: float = 0.1
    length: float = 32.0

    def __post_init__(self) -> None:
        _check_step(self.step, "Shapes")
        if not is_number(self.length) or self.length <= self.step:
            raise DataError(f"Shapes: length is {self.length!r}; seconds, more than one step, are expected")
        shapes: Any = self.shapes
        if not isinstance(shapes, (Mapping, Sequence)) or isinstance(shapes, str) or not len(shapes):
            raise DataError(f"Shapes: a list or dict of functions or arrays is expected, got {shapes!r}")

    @property
    def named(self) -> dict[str, Shape]:
        """The shapes by name; those of a list are named 1, 2, ..."""
        if isinstance(self.shapes, Mapping):
            return {str(name): shape for name, shape in self.shapes.items()}
        return {str(i): shape for i, shape in enumerate(self.shapes, 1)}


HRF: TypeAlias = HalfCosine | DoubleGamma | Shapes


def as_hrf(given: Any) -> HRF:
    """A word, or functions or arrays, one or in a list or dict, as a value. Raises DataError.

    >>> as_hrf("double-gamma(latency=-1:3, n=9)").latency
    (-1.0, 3.0)
    """
    if isinstance(given, (HalfCosine, DoubleGamma, Shapes)):
        return given
    if isinstance(given, str):
        return _word(given)
    if isinstance(given, (Sequence, Mapping)) and len(given):
        return Shapes(given)
    if hasattr(given, "shape") or (callable(given) and not isinstance(given, type)):
        return Shapes([given])
    raise DataError(f"hrf is {given!r}; {EXPECTED}")


def _word(text: str) -> HRF:
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", text)
    base = WORDS.get(match[1].lower()) if match else None
    if match is None or base is None:
        raise DataError(f"hrf is {text!r}; {EXPECTED}")
    fields = [part.partition("=") for part in (match[2] or "").split(",") if part.strip()]
    values = {name.strip(): _values(value) for name, _, value in fields}
    known = [one.name for one in dataclass_fields(base)]
    odd = [name for name, value in values.items() if name not in known or value is None]
    if odd:
        raise DataError(f"hrf is {text!r}: {odd[0]} is none of {', '.join(known)}, or no number or range as -2:4")
    return replace(base, **values)  # type: ignore[arg-type]


def _values(text: str) -> float | int | Range | None:
    """A number, or a range low:high; None for anything else."""
    try:
        found = [int(part) if part.strip().isdecimal() else float(part) for part in text.split(":")]
    except ValueError:
        return None
    return found[0] if len(found) == 1 else (float(found[0]), float(found[1])) if len(found) == 2 else None


def _check_count(n: object, where: str) -> None:
    if not is_whole(n, least=1):
        raise DataError(f"{where}: n is {n!r}; a whole number of shapes is expected")


def _check_step(step: object, where: str) -> None:
    if not is_number(step) or not 0 < float(step) <= 1:  # type: ignore[arg-type]
        raise DataError(f"{where}: step is {step!r}; the grid's step in seconds, up to 1, is expected")


def _check_range(value: object, where: str) -> None:
    pair = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or not all(map(is_number, pair)) or pair[0] > pair[1]:
        raise DataError(f"{where} is {value!r}; a range (low, high) in seconds is expected")


SPM = DoubleGamma(latency=0.0)
GLOVER = DoubleGamma(0.0, 0.9, undershoot=12.0, undershoot_dispersion=0.9, ratio=0.48)
WORDS: dict[str, HRF] = {"half-cosine": HalfCosine(), "double-gamma": DoubleGamma(), "spm": SPM, "glover": GLOVER}
EXPECTED = f"{', '.join(map(repr, WORDS))}, fn.HalfCosine(...), fn.DoubleGamma(...) or fn.Shapes([...]) is expected"
