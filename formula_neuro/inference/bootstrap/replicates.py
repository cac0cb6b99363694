"""The responses of a bootstrap: replicate i has a random stream of its own, so that no order of work matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import FitError
from ...family import Array
from ...result import Fit
from ..prediction.simulation import draw_response, fixed_part


def entropy_of(seed: Any) -> int:
    """The whole number behind a seed: itself, the next one of a Generator, or a fresh one of the system's for None.

    >>> entropy_of(1)
    1
    """
    if seed is None:
        return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0:
        return int(seed)
    raise ValueError(f"seed is a whole number of 0 or more, or a numpy Generator; got {seed!r}")


def stream(entropy: int, replicate: int) -> np.random.Generator:
    """The random numbers of one replicate: child `replicate` of numpy's SeedSequence."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=(replicate,))))


@dataclass(frozen=True, eq=False)
class Draws:
    """Responses (n, B); `reasons` (B) say why one could not be drawn (its column is the observed response)."""

    Y: Array
    reasons: tuple[str, ...]


def drawn(fit: Fit, entropy: int, first: int, last: int, new_effects: bool = True) -> Draws:
    """Responses of replicates first..last-1 from a fitted model; rows of weight 0 get their means' place, y itself."""
    request = fit.request
    fixed, used = fixed_part(fit), request.weights > 0
    Y, reasons = np.empty((len(request.y), last - first), order="F"), []
    for j in range(last - first):
        try:
            y = draw_response(fit, stream(entropy, first + j), fixed, new_effects)
        except (FitError, ValueError) as error:  # numpy's generators refuse parameters by ValueError
            reasons.append(f"{type(error).__name__}: {error}")
            Y[:, j] = request.y
            continue
        Y[:, j] = np.where(used, y, request.y)  # a gaussian without weight has no finite draw
        reasons.append("")
    return Draws(Y, tuple(reasons))
