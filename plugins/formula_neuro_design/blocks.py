"""Candidate designs and the amplitudes of each block -> the family that the solver takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.scalars import is_number

from .candidates import Candidates
from .family import Family
from .least_variance import least_variances
from .measures import phi_by_bias, phi_by_squared_bias
from .moments import moment_columns

Snr: TypeAlias = float | Mapping[str, float]
Phi: TypeAlias = float | str
Weights: TypeAlias = float | Sequence[float] | Array
CHOICES = {"A": phi_by_squared_bias, "B": phi_by_bias}


@dataclass(frozen=True, eq=False)
class Asked:
    """What a user says of the blocks: one entry for all, or a list with one for each.

    nuisance: standard deviations of amplitudes of either sign, by variable, about 0.
    """

    snr: Snr | list[Snr] = 1.0
    phi: Phi | list[Phi] = 0.5
    k: float | None = None
    weights: Weights | list[Weights] = 1.0
    nuisance: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Blocks:
    """The family, and of each design its Gauss-Markov variance g, (m,) or (s, m), and amplitudes b (m, k).

    `known` is the family with amplitudes of either sign at 0, their mean. `signal` (n, m) are the columns of the
    (first) contrast; `table` has block, what differs, phi and weight.
    """

    family: Family
    known: Family
    g: Array
    b: Array
    signal: Array
    table: pd.DataFrame


def blocks(designs: Sequence[Candidates], contrast: Array, asked: Asked) -> Blocks:
    """All designs of all blocks. designs: of each block, or one for all; contrast (s, k) over their columns.

    A block in which nothing that moves has an amplitude is one design where the candidates are alike then.
    Raises DataError.
    """
    snrs = asked.snr if isinstance(asked.snr, list) else [asked.snr]
    if not snrs:
        raise DataError("snr is an empty list; one entry for each block of designs is expected")
    count = _count({"snr": snrs, "hrf": list(designs)}, {"phi": asked.phi, "weights": asked.weights})
    variances = {id(own): least_variances(own, contrast) for own in designs}
    parts = []
    for i in range(count):
        own, phi = (_entry(value, i) for value in (list(designs), asked.phi))
        weight: Any = _entry(asked.weights, i) if count > 1 else asked.weights
        b = _amplitudes(_entry(asked.snr, i), own, asked.nuisance)
        one = _One(b, _spread(own, asked.nuisance), asked.nuisance is not None, phi, asked.k, weight)
        parts.append(_block(own, variances[id(own)], contrast, one))
    return _joined(parts, len(contrast))


def _count(makes: dict[str, list[Any]], follows: dict[str, Any]) -> int:
    """The number of blocks; lists that follow have as many entries. Raises DataError."""
    count = max(map(len, makes.values()))
    longest = next(name for name, value in makes.items() if len(value) == count)
    for name, value in {**makes, **follows}.items():
        alone = name == "weights" and count == 1  # then a list has a weight for each design
        if isinstance(value, list) and len(value) not in (count, 1 if name in makes else count) and not alone:
            raise DataError(f"{name} has {len(value)} entries and {longest} {count}; give one for each block")
    return count


def _entry(value: Any, i: int) -> Any:
    """What is said of block i."""
    return value if not isinstance(value, list) else value[0] if len(value) == 1 else value[i]


# ---- a block -------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _One:
    """What is said of one block: mean amplitudes b (k,), their standard deviations, and whether any were given."""

    b: Array
    spread: Array
    random: bool
    phi: Phi
    k: float | None
    weights: Weights


@dataclass(frozen=True, eq=False)
class _Block:
    """As Blocks, of one block: v (m, n, r), l (s, m, r), g and phi (s, m), w (m,), signal (m, n)."""

    v: Array
    l: Array
    g: Array
    phi: Array
    w: Array
    b: Array
    mean: Array  # (n, m): with amplitudes of either sign at 0
    truth: Array  # (s, m)
    signal: Array
    table: pd.DataFrame


def _block(own: Candidates, variances: tuple[Array, Array], contrast: Array, one: _One) -> _Block:
    b = one.b
    S = np.outer(b, b) + np.diag(one.spread**2)
    still = own.alike and own.moved and not any(S[i, i] for i in map(own.names.index, own.moved))
    X, g = (own.first[None], variances[1]) if still else (own.X, variances[0])
    table = own.still if still else own.table
    roots, l = b[:, None], (contrast @ b)[:, None]
    if S.any() and one.random:
        roots, l = moment_columns(np.eye(len(b)), S, contrast)
    m, truth = len(X), np.repeat((contrast @ b)[:, None], len(X), axis=1)
    phi = np.stack([_phi(one.phi, one.k, l_row, g_row) for l_row, g_row in zip(truth, g, strict=True)])
    w = _weights(one.weights, m)
    return _Block(
        v=X @ roots,
        l=np.repeat(l[:, None], m, axis=1),
        g=g,
        phi=phi,
        w=w,
        b=np.tile(b, (m, 1)),
        mean=(X @ b).T,
        truth=truth,
        signal=X @ contrast[0],
        table=table.assign(phi=phi[0], weight=w),
    )


def _joined(parts: list[_Block], s: int) -> Blocks:
    columns = [part.v.shape[2] for part in parts for _ in range(len(part.v))]
    v = np.concatenate([part.v.transpose(0, 2, 1).reshape(-1, part.v.shape[1]) for part in parts]).T
    l = np.concatenate([part.l.reshape(s, -1) for part in parts], axis=1)
    g, phi = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("g", "phi"))
    w, b, signal = (np.concatenate([getattr(part, name) for part in parts]) for name in ("w", "b", "signal"))
    of = None if set(columns) == {1} else np.repeat(np.arange(len(columns)), columns)
    tables = [part.table.assign(block=i) for i, part in enumerate(parts, 1)]
    table = pd.concat(tables, ignore_index=True)
    names = [str(name) for name in table.columns if name not in ("block", "phi", "weight")]
    table = table[["block", *names, "phi", "weight"]]
    one = s == 1
    family = Family(v, l[0] if one else l, phi[0] if one else phi, w, of)
    if of is None:
        known = family
    else:
        mean, truth = (np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in ("mean", "truth"))
        known = Family(mean, truth[0] if one else truth, family.phi, w)
    return Blocks(family, known, g[0] if one else g, b, signal.T, table)


# ---- what is said of it --------------------------------------------------------------------------
def _amplitudes(snr: Snr, designs: Candidates, nuisance: Mapping[str, float] | None) -> Array:
    """The amplitude of every variable in units of the noise's standard deviation, (k,); 0 of a nuisance's."""
    apart = set(nuisance or ())
    if isinstance(snr, Mapping):
        for name in snr:
            designs.place(name, "snr")
        twice = [name for name in snr if name in apart]
        if twice:
            raise DataError(f"{twice[0]} stands in snr and in nuisance; a nuisance has the amplitude 0 on average")
        absent = [name for name in designs.names if name not in snr and name not in apart]
        if absent:
            raise DataError(f"snr says nothing of {', '.join(absent)}; give 0 for what has no amplitude")
        values = [snr.get(name, 0.0) for name in designs.names]
    else:
        values = [0.0 if name in apart else snr for name in designs.names]
    if not all(map(is_number, values)):
        raise DataError(f"snr is {snr!r}; a number, a number for each variable, or a list of these is expected")
    return np.array(values, dtype=float)


def _spread(designs: Candidates, nuisance: Mapping[str, float] | None) -> Array:
    """The standard deviation (k,) of every variable's amplitude, in units of the noise's."""
    found = np.zeros(len(designs.names))
    for name, sd in (nuisance or {}).items():
        at = designs.place(name, "nuisance")
        if not is_number(sd) or sd < 0:
            raise DataError(f"nuisance of {name} is {sd!r}; the standard deviation of its amplitude is expected")
        found[at] = float(sd)
    return found


def _weights(given: Weights, m: int) -> Array:
    try:
        found = np.asarray(given, dtype=float)
        return np.array(np.broadcast_to(found, (m,)))
    except (TypeError, ValueError):
        raise DataError(f"weights are {given!r}; a number, or one for each of the block's {m} designs") from None


def _phi(choice: Phi, k: float | None, l: Array, g: Array) -> Array:
    if isinstance(choice, str):
        if choice not in CHOICES:
            raise DataError(f'phi is {choice!r}; a number, "A" or "B" is expected')
        return CHOICES[choice](l, g) if k is None else CHOICES[choice](l, g, k)
    if k is not None:
        raise DataError('k belongs to phi="A" or "B"; leave it out beside a number')
    if not is_number(choice):
        raise DataError(f'phi is {choice!r}; a number, "A" or "B" is expected')
    return np.full(len(l), float(choice))
