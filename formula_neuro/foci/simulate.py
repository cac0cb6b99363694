"""simulate_foci(): foci of studies whose intensity, numbers and covariates' effects are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..family import Array
from ..images.brain import Brain
from ..scalars import is_whole
from .drawing import Clumps, Numbers, Where, drawn
from .effects import effect_table, log_means
from .ids import KEY, as_text
from .masking import brain_of
from .table import Foci
from .truth import ALL, FWHM_TO_SD, Truth, blurred, centres, ellipsoid, scatter

PEAKS, TABLE, STUDY = 1, 2, 0  # streams of random numbers


def simulate_foci(
    n: int | None = None,
    *,
    table: Any = None,
    groups: str | list[str] | None = None,
    peaks: Any = 10,
    fwhm: float = 10.0,
    share: float = 1.0,
    noise: float = 0,
    counts: str = "fixed",
    mean: float | None = None,
    dispersion: float = 1.0,
    effects: Mapping[str, Any] | None = None,
    analyses: int | tuple[int, int] = 1,
    clump: int = 1,
    clump_sd: float = 6.0,
    sample_size: tuple[int, int] = (20, 40),
    mask: Any = None,
    seed: int = 1,
) -> Foci:
    """Foci of n studies (100 if nothing says how many), as data for fit(); `.truth` holds what they follow.

    Every focus lies about one of the peaks by a Gaussian inside the mask, or anywhere in it (noise).

    table: covariates, a row a study, whose number is n; a column study names them; sample_size is added where it
        is missing.
    groups: columns of the table whose levels, joined by ":", have peaks of their own.
    peaks: how many are drawn from the mask, or places (K, 3) in mm; or a dict of either, one a group.
    fwhm: of the Gaussian, mm.
    share: of the analyses that report a peak. noise: foci an analysis without a peak.
    counts: "fixed": each analysis reports every peak once (those of its share) and `noise` foci; "poisson" or
        "negative_binomial": the number is random, with mean share * peaks (or `mean`) + noise times the effects.
    dispersion: variance of the factor of mean 1 that multiplies a study's means (negative_binomial).
    effects: on the log mean number, of a number's slope or of levels: {"age": .02, "subtype": {"type2": .3}}.
    analyses: of a study: a number, or the least and most.
    clump, clump_sd: foci come in clumps of so many, Gaussian of so many mm.
    sample_size: uniform from the first to below the second.
    mask: a path, an image or a Brain; by default an ellipsoid inside MNI's brain, in voxels of 4 mm.
    seed: every study has a stream of its own, so that the first 100 of 250 are those of 100.

    Raises DataError and ValueError, which say what was expected.

    >>> import formula_neuro as fn
    >>> foci = fn.simulate_foci(40, counts="poisson", effects={"age": 0.02}, table={"age": range(40)})
    >>> len(foci), foci.truth.effects.to_dict("records")
    (40, [{'term': 'age', 'estimate': 0.02}])
    """
    if not is_whole(seed):
        raise ValueError(f"seed is a whole number of 0 or more; got {seed!r}")
    studies = _studies(n, table, sample_size, seed)
    brain = ellipsoid() if mask is None else brain_of(mask)
    numbers = Numbers(counts, share, noise, mean, dispersion)
    clumps = Clumps(clump, clump_sd)
    cells = _cells(studies, groups)
    found = _peaks(peaks, cells, brain, seed)
    change = log_means(effects or {}, studies)
    if counts == "fixed" and effects:
        raise ValueError("counts='fixed' gives every analysis the same foci; effects need counts='poisson' or another")
    many = _several(analyses, len(studies), seed)
    where = {cell: _where(places, fwhm, numbers, brain) for cell, places in found.items()}
    foci = [
        drawn(np.random.default_rng([seed, STUDY, i]), where[cells[i]], numbers, clumps, change[i], many[i])
        for i in range(len(studies))
    ]
    level = {cell: numbers.total(len(places)) for cell, places in found.items()}
    intensity = {cell: level[cell] * _shape(where[cell], clumps, brain) for cell in found}
    variance = dispersion if counts == "negative_binomial" else 0.0
    truth = Truth(brain, found, intensity, effect_table(effects or {}), variance)
    message = f"simulated: {len(studies)} studies, {counts} numbers of foci, seed {seed}"
    return _joined(studies, foci, many, message, truth)


def _studies(n: int | None, table: Any, sample_size: tuple[int, int], seed: int) -> pd.DataFrame:
    """A row a study: study, the table's columns, sample_size."""
    if n is not None and not is_whole(n, least=1):
        raise ValueError(f"n is a number of studies, 1 or more; got {n!r}")
    given = pd.DataFrame(index=range(n or 100)) if table is None else pd.DataFrame(table).reset_index(drop=True)
    if n is not None and n != len(given):
        raise ValueError(f"n={n}, but the table has {len(given)} rows, one a study; leave out n")
    n = len(given)
    names = given["study"].map(as_text) if "study" in given else [f"study-{i + 1:0{len(str(n))}d}" for i in range(n)]
    out = given.drop(columns="study", errors="ignore")
    out.insert(0, "study", names)
    if out["study"].duplicated().any():
        twice = out["study"][out["study"].duplicated()].iloc[0]
        raise DataError(f"the table names study {twice!r} twice; it has a row a study (analyses= gives it several)")
    if "sample_size" not in out:
        low, high = sample_size
        if not 0 < low < high:
            raise ValueError(
                f"sample_size={sample_size!r}: the least and the first too large are expected, as (20, 40)"
            )
        out["sample_size"] = [int(np.random.default_rng([seed, TABLE, i]).integers(low, high)) for i in range(n)]
    return out


def _cells(studies: pd.DataFrame, groups: str | list[str] | None) -> list[str]:
    """The cell of every study: its levels joined by ":"."""
    names = [groups] if isinstance(groups, str) else list(groups or [])
    missing = [name for name in names if name not in studies.columns]
    if missing:
        raise DataError(f"groups: {missing[0]!r} is no column of the table (there are {', '.join(studies.columns)})")
    if not names:
        return [ALL] * len(studies)
    return [":".join(map(as_text, levels)) for levels in studies[names].itertuples(index=False)]


def _peaks(peaks: Any, cells: list[str], brain: Brain, seed: int) -> dict[str, Array]:
    """Places (K, 3) mm for each cell."""
    known = list(dict.fromkeys(cells))
    if isinstance(peaks, Mapping) and set(peaks) != set(known):
        raise DataError(f"peaks names {', '.join(map(str, peaks))}; the groups are {', '.join(known)}")
    at = centres(brain)
    out = {}
    for i, cell in enumerate(sorted(known)):
        asked = peaks[cell] if isinstance(peaks, Mapping) else peaks
        if isinstance(asked, (int, np.integer)):
            if not 1 <= asked <= len(at):
                raise ValueError(f"peaks={asked!r}: a number from 1 to {len(at)}, the voxels of the mask, is expected")
            rng = np.random.default_rng([seed, PEAKS, i])
            out[cell] = at[np.sort(rng.choice(len(at), int(asked), replace=False))]
        else:
            out[cell] = np.asarray(asked, dtype=np.float64)
            if out[cell].ndim != 2 or out[cell].shape[1] != 3 or not np.isfinite(out[cell]).all():
                raise ValueError(f"peaks: a number, or places (K, 3) in mm are expected; got shape {out[cell].shape}")
    return {cell: out[cell] for cell in known}


def _where(peaks: Array, fwhm: float, numbers: Numbers, brain: Brain) -> Where:
    """Shares of the voxels about each peak, the least (below 1e-9 of the largest) left out."""
    if not fwhm > 0:
        raise ValueError(f"fwhm={fwhm!r}: it is above 0 mm")
    at = centres(brain)
    voxels, cumulated = [], []
    for peak in peaks:
        share = scatter(peak, fwhm * FWHM_TO_SD, at)
        near = np.flatnonzero(share > 1e-9 * share.max())
        voxels.append(near)
        cumulated.append(np.cumsum(share[near]))
    total = numbers.total(len(peaks))
    return Where(brain, tuple(voxels), tuple(cumulated), numbers.noise / total if total else 0.0)


def _shape(where: Where, clumps: Clumps, brain: Brain) -> Array:
    """The density (V,) of a focus, whose sum is 1."""
    V = len(brain.voxels)
    density = np.full(V, where.noise / V)
    for voxels, cumulated in zip(where.voxels, where.cumulated, strict=True):
        share = np.diff(cumulated, prepend=0.0) / cumulated[-1]
        density[voxels] += (1 - where.noise) * share / len(where.voxels)
    return density if clumps.size == 1 else blurred(density, clumps.sd, brain)


def _several(analyses: int | tuple[int, int], n: int, seed: int) -> list[int]:
    """How many analyses each study has."""
    low, high = (analyses, analyses) if isinstance(analyses, (int, np.integer)) else analyses
    if not 1 <= low <= high:
        raise ValueError(f"analyses={analyses!r}: a number of 1 or more is expected, or the least and the most")
    if low == high:
        return [int(low)] * n
    return [int(np.random.default_rng([seed, TABLE, i, 1]).integers(low, high + 1)) for i in range(n)]


def _joined(studies: pd.DataFrame, foci: list[list[Array]], many: list[int], message: str, truth: Truth) -> Foci:
    rows: NDArray[np.intp] = np.repeat(np.arange(len(studies)), many)
    table = studies.iloc[rows].reset_index(drop=True)
    table.insert(1, "analysis", [str(k + 1) for count in many for k in range(count)])
    points = [one for several in foci for one in several]
    J: NDArray[np.intp] = np.repeat(np.arange(len(table)), [len(one) for one in points])
    places = np.concatenate(points) if points else np.zeros((0, 3))
    out = table[KEY].iloc[J].reset_index(drop=True)
    return Foci(out.assign(x=places[:, 0], y=places[:, 1], z=places[:, 2]), table, (message,), truth)
