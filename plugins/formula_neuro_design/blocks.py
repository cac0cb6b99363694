"""Candidate designs and the amplitudes of each block -> the family that the solver takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .candidates import Candidates
from .family import Family
from .measures import gauss_markov, phi_by_bias, phi_by_squared_bias

Snr: TypeAlias = float | Mapping[str, float]
Phi: TypeAlias = float | str
CHOICES = {"A": phi_by_squared_bias, "B": phi_by_bias}


@dataclass(frozen=True, eq=False)
class Blocks:
    """The family, and of each design its Gauss-Markov variance g (m,) and amplitudes b (m, k).

    `signal` (n, m) are the contrast's columns; `table` has block, shift and phi.
    """

    family: Family
    g: Array
    b: Array
    signal: Array
    table: pd.DataFrame


def blocks(designs: Candidates, contrast: str, snr: Snr | list[Snr], phi: Phi | list[Phi], k: float | None) -> Blocks:
    """All designs of all blocks, each design with weight 1.

    A block whose shifted variable has the amplitude 0 is one design, since its shifts are all the same.
    Raises DataError.
    """
    amplitudes = [_amplitudes(one, designs) for one in (snr if isinstance(snr, list) else [snr])]
    if not amplitudes:
        raise DataError("snr is an empty list; one entry for each block of designs is expected")
    per_block = phi if isinstance(phi, list) else [phi] * len(amplitudes)
    if len(per_block) != len(amplitudes):
        raise DataError(f"phi has {len(per_block)} entries and snr {len(amplitudes)}; give one for each block")
    at = designs.place(contrast, "contrast")
    weights = np.eye(len(designs.names))[at]
    g = gauss_markov(designs.X, weights)
    g_first = gauss_markov(designs.first[None], weights)
    _check_estimable(np.concatenate([g, g_first]), designs)
    parts: list[Any] = []
    for i, (b, choice) in enumerate(zip(amplitudes, per_block, strict=True)):
        still = designs.shifted is not None and b[designs.names.index(designs.shifted)] == 0
        X, own, shifts = (designs.first[None], g_first, (0,)) if still else (designs.X, g, designs.shifts)
        l = np.full(len(X), b[at])
        parts.append(
            (
                X @ b,
                l,
                _phi(choice, k, l, own),
                own,
                np.tile(b, (len(X), 1)),
                X[:, :, at],
                shifts,
                np.full(len(X), i + 1),
            )
        )
    v, l, phis, variance, b, signal, shift, number = (np.concatenate(part) for part in zip(*parts, strict=True))
    table = pd.DataFrame({"block": number, "shift": shift, "phi": phis})
    return Blocks(Family(v.T, l, phis, np.ones(len(l))), variance, b, signal.T, table)


def _amplitudes(snr: Snr, designs: Candidates) -> Array:
    """The amplitude of every variable in units of the noise's standard deviation, (k,)."""
    if isinstance(snr, Mapping):
        for name in snr:
            designs.place(name, "snr")
        absent = [name for name in designs.names if name not in snr]
        if absent:
            raise DataError(f"snr says nothing of {', '.join(absent)}; give 0 for what has no amplitude")
        values = [snr[name] for name in designs.names]
    else:
        values = [snr] * len(designs.names)
    try:
        found = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        raise DataError(
            f"snr is {snr!r}; a number, a number for each variable, or a list of these is expected"
        ) from None
    if not np.isfinite(found).all():
        raise DataError(f"snr is {snr!r}; its numbers are missing or infinite")
    return found


def _check_estimable(g: Array, designs: Candidates) -> None:
    """g of each shift, then of shift 0."""
    bad = np.flatnonzero(np.isnan(g))
    if len(bad):
        which = f" at shift {(*designs.shifts, 0)[bad[0]]}" if designs.shifted else ""
        raise DataError(
            f"the columns {', '.join(designs.names)}{which} are collinear or 0, so the truth has no contrast"
        )


def _phi(choice: Phi, k: float | None, l: Array, g: Array) -> Array:
    if isinstance(choice, str):
        if choice not in CHOICES:
            raise DataError(f'phi is {choice!r}; a number, "A" or "B" is expected')
        return CHOICES[choice](l, g) if k is None else CHOICES[choice](l, g, k)
    if k is not None:
        raise DataError('k belongs to phi="A" or "B"; leave it out beside a number')
    if isinstance(choice, bool) or not isinstance(choice, (int, float, np.number)):
        raise DataError(f'phi is {choice!r}; a number, "A" or "B" is expected')
    return np.full(len(l), float(choice))
