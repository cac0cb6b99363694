"""What a user hands to optimize_design -> candidate designs, noise and settings, checked before work starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.data.table import as_table, plain
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.hrf import HRF, DoubleGamma, HalfCosine, Shapes, as_hrf
from formula_neuro.scalars import is_number, is_whole

from .candidates import Candidates, candidates, listed
from .choosing import Search
from .contrasts import contrasts
from .event_designs import event_run, of_events
from .events import Run
from .noise import Noise, ar1, covariance

USUAL = 0.3  # the correlation of neighbouring scans under noise="ar1"
USUAL_PHI = 0.5
RULES = ("auto", "paper")


@dataclass(frozen=True, eq=False)
class Data:
    """What the formula is of: a table with a row a scan, or events and the run."""

    data: Any
    tr: float | None = None
    volumes: int | None = None
    slice_time: float = 0.0
    hrf: Any = None
    confounds: Any = None

    def designs(self, formula: str, contrast: Any, named: Sequence[str]) -> tuple[list[Candidates], Array, list[str]]:
        """Candidates for each entry of hrf, the contrasts (s, k) over their names, and the contrasts' labels.

        named: types of events, beside the contrast's, in question too. Raises FormulaError, DataError.
        """
        if not of_events(formula):
            return self._of_scans(formula, contrast)
        if self.tr is None or self.volumes is None:
            raise DataError("hrf(...) needs the run's times: give tr= in seconds and volumes=, as tr=2.0, volumes=200")
        found = event_run(formula, self.data, Run(self.tr, self.volumes, self.slice_time), self.confounds)
        types = list(found.events)
        W, labels = contrasts(contrast, types)
        unknown = [name for name in named if name not in types]
        if unknown:
            raise DataError(f"{unknown[0]!r} is no type of event; there are {', '.join(types)}")
        own = [i for i, name in enumerate(types) if W[:, i].any() or name in named]
        return [found.designs([types[i] for i in own], hrf) for hrf in _families(self.hrf)], W[:, own], labels

    @property
    def table(self) -> pd.DataFrame | None:
        """The data as one table; None where they are several."""
        several = isinstance(self.data, (list, tuple)) and self.data and all(map(_is_table, self.data))
        return None if several else as_table(self.data)

    def _of_scans(self, formula: str, contrast: Any) -> tuple[list[Candidates], Array, list[str]]:
        for name in ("tr", "volumes", "hrf", "confounds"):
            if getattr(self, name) is not None:
                raise DataError(f"{name} belongs to events, as in '~ hrf(trial_type) + cosine(128)'; leave it out")
        if self.slice_time:
            raise DataError("slice_time belongs to events, as in '~ hrf(trial_type) + cosine(128)'; leave it out")
        if self.table is None:
            found = listed(formula, [plain(as_table(one)) for one in self.data])
        else:
            found = candidates(formula, plain(self.table))
        return [found], *contrasts(contrast, found.names)


def _is_table(given: Any) -> bool:
    return isinstance(given, (pd.DataFrame, str, os.PathLike)) or (
        isinstance(given, Mapping) and all(np.ndim(column) == 1 for column in given.values())
    )


def _families(given: Any) -> list[HRF]:
    """Families of responses, one for each block, or one for all."""
    if (
        isinstance(given, list)
        and given
        and all(isinstance(one, (str, HalfCosine, DoubleGamma, Shapes)) for one in given)
    ):
        return [as_hrf(one) for one in given]
    return [as_hrf("half-cosine" if given is None else given)]


def as_noise(given: Any, n: int) -> Noise | None:
    """The noise's covariance, None where it is white. Raises DataError."""
    if isinstance(given, str):
        if given not in ("white", "ar1"):
            raise DataError(f'noise is {given!r}; "white", "ar1", a correlation or a covariance is expected')
        return None if given == "white" else ar1(n, USUAL)
    if is_number(given):
        return ar1(n, float(given)) if given else None
    try:
        V = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        V = np.zeros(0)
    if V.ndim != 2:
        raise DataError(f'noise is {given!r}; "white", "ar1", a correlation or a covariance is expected')
    return covariance(V, n)


def whitened(designs: Candidates, noise: Noise | None) -> Candidates:
    """The candidates as they are where the noise is white."""
    if noise is None:
        return designs
    m, n, k = designs.X.shape
    X = noise.whiten(designs.X.transpose(1, 0, 2).reshape(n, m * k)).reshape(n, m, k).transpose(1, 0, 2)
    nuisance = designs.nuisance.copy()
    if nuisance.shape[1]:
        nuisance[:] = noise.whiten(nuisance.to_numpy(dtype=float))
    return replace(designs, X=X, first=noise.whiten(designs.first), nuisance=nuisance)


def names_in(snr: Any) -> list[str]:
    """The variables that snr speaks of."""
    entries = snr if isinstance(snr, list) else [snr]
    return list(dict.fromkeys(str(name) for one in entries if isinstance(one, Mapping) for name in one))


def fixed_names(fix: Any) -> tuple[str, ...]:
    """The variables that stay, from a name or several. Raises DataError."""
    if isinstance(fix, str):
        return (fix,)
    if not isinstance(fix, (list, tuple)) or not all(isinstance(name, str) for name in fix):
        raise DataError(f"fix is {fix!r}; a variable or a list of variables is expected")
    return tuple(fix)


def check_kinds(k: Any, max_bias: Any, nuisance: Any, free_contrast: Any) -> None:
    """Raise DataError for what is of another kind than is expected."""
    if not isinstance(free_contrast, bool):
        raise DataError(f"free_contrast is {free_contrast!r}; True or False is expected")
    for name, value in (("k", k), ("max_bias", max_bias)):
        if value is not None and not is_number(value):
            raise DataError(f"{name} is {value!r}; a number above 0 is expected")
    if nuisance is not None and not isinstance(nuisance, Mapping):
        raise DataError(f"nuisance is {nuisance!r}; standard deviations of amplitudes by name, as {{'drift': 0.5}}")


def check(search: Search, columns: Any, weights: Any, phi: Any, k: Any) -> None:
    """Raise DataError for settings that exclude one another or are none."""
    if not is_whole(search.starts, least=1):
        raise DataError(f"starts is {search.starts!r}; a whole number from 1 is expected")
    if search.method not in ("exact", "paper"):
        raise DataError(f'method is {search.method!r}; "exact" or "paper" is expected')
    if search.method == "paper" and search.starts != 1:
        raise DataError('the paper\'s search has one start of its own; starts belongs to method="exact"')
    if isinstance(columns, str) and columns not in RULES:
        raise DataError(f'columns is {columns!r}; a whole number, "auto" or "paper" is expected')
    if not isinstance(columns, str) and not is_whole(columns, least=1):
        raise DataError(f"columns is {columns!r}; a whole number from 1 is expected")
    if not is_whole(search.seed):
        raise DataError(f"seed is {search.seed!r}; a whole number from 0 is expected")
    if isinstance(weights, str) and weights != "minimax":
        raise DataError(f'weights is {weights!r}; numbers or "minimax" are expected')
    others = [name for name, asked in (("max_bias", search.max_bias is not None), ('weights="minimax"', search.minimax),
                                       ('method="paper"', search.method == "paper")) if asked]  # fmt: skip
    if len(others) > 1:
        raise DataError(f"{others[0]} and {others[1]} are different criteria; give one of them")
    if others and search.starts != 1:
        raise DataError(f"{others[0]} has its own starts; leave starts out")
    if search.max_bias is not None and (k is not None or isinstance(phi, (str, list)) or phi != USUAL_PHI):
        given = f"k is {k!r}" if k is not None else f"phi is {phi!r}"
        raise DataError(f"max_bias takes the least variance within the limit, whatever phi, and {given}; leave it out")
