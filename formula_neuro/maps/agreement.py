"""The cross-check of a fit in every voxel: a sample of voxels refitted by a second backend, R's by default."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import registry
from ..agreement import crosscheck
from ..comparing.agreement import Agreement, Verdict
from ..errors import DataError, Unable
from ..family import Array
from ..result import Fit, RandomEffect
from ..running.bar import bar
from .fit import MapFit
from .lacking import cannot


@dataclass(frozen=True, eq=False)
class MapAgreement:
    """How far the numbers of sampled voxels and their refits lie apart; print it for the verdict.

    `checks` has the Agreement of every voxel sampled, `numbers` says which of the analysed voxels these are.
    """

    checks: tuple[Agreement, ...]
    numbers: NDArray[np.intp]
    voxels: int  # that could have been sampled
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """ "agrees" where every voxel agrees that R finished, "disagrees" where one does not, "unfinished" where R
        finished none."""
        found = {check.verdict for check in self.checks}
        if "disagrees" in found:
            return "disagrees"
        return "agrees" if "agrees" in found else "unfinished"

    @property
    def ok(self) -> bool | None:
        """True where every voxel agrees that R finished, False where one does not, None where R finished none."""
        return {"agrees": True, "disagrees": False, "unfinished": None}[self.verdict]

    def to_frame(self) -> pd.DataFrame:
        """One row a quantity, at the voxel where it differs most: as Agreement.to_frame(), with the voxel's number."""
        rows = [check.to_frame().assign(voxel=number) for check, number in zip(self.checks, self.numbers, strict=True)]
        rows = [row for row in rows if len(row)]
        if not rows:
            return pd.DataFrame(columns=["quantity", "item", "native", "reference", "difference", "tolerance"])
        every = pd.concat(rows, ignore_index=True)
        share = every["difference"].abs() / every["tolerance"]
        worst = share.fillna(np.inf).groupby(every["quantity"], sort=False).idxmax()
        return every.loc[worst].reset_index(drop=True)

    @property
    def by_voxel(self) -> pd.DataFrame:
        """One row a voxel: its number, the verdict, the largest share of a tolerance, and what was said."""
        rows = [
            [int(number), check.verdict, max((c.share for c in check.compared), default=np.nan), check.unfinished]
            for check, number in zip(self.checks, self.numbers, strict=True)
        ]
        return pd.DataFrame(rows, columns=["voxel", "verdict", "worst", "unfinished"])

    @property
    def sentence(self) -> str:
        """The verdicts in words: "voxel-glm beside brglm2 0.9.2 in 200 of 72,603 voxels: 200 agree"."""
        counts = self.by_voxel["verdict"].value_counts()
        first = self.checks[0]
        said = ", ".join(f"{counts[v]:,} {w}" for v, w in WORDS.items() if v in counts)
        return f"{first.native} beside {first.reference} in {len(self.checks):,} of {self.voxels:,} voxels: {said}"

    def __str__(self) -> str:
        lines = [self.sentence]
        shown = self.to_frame()
        if len(shown):
            columns = ["quantity", "item", "voxel", "native", "reference", "difference", "tolerance", "unit"]
            lines.append(shown[columns].to_string(index=False, float_format=lambda value: f"{value:.3g}"))
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__


WORDS = {"agrees": "agree", "disagrees": "DISAGREE", "unfinished": "that it did not finish"}


def crosscheck_maps(
    fit: MapFit, voxels: int | None = None, *, reference: str | None = None, seed: int = 1, progress: bool | None = None
) -> MapAgreement:
    """Refit a random sample of voxels (default: 200) and compare every number; see crosscheck().

    Voxels without an estimate, and those whose estimate is infinite, are not sampled: R has no number for them.
    """
    wanted = 200 if voxels is None else voxels
    if not isinstance(wanted, (int, np.integer)) or wanted < 1:
        raise ValueError(f"voxels= is how many voxels are refitted, 1 or more; got {voxels!r}")
    if fit.posterior:
        raise Unable(f"a cross-check refits voxels one by one, which {cannot(fit, 'crosscheck')}")
    able = np.flatnonzero(_comparable(fit))
    if not len(able):
        raise DataError("no voxel has a finite estimate, so that there is nothing to compare with R")
    chosen = np.sort(np.random.default_rng(seed).choice(able, min(wanted, len(able)), replace=False))
    checks = []
    with bar("cross-check", len(chosen), progress, compiles=True) as advance:  # R starts with the first
        for number in chosen:
            checks.append(crosscheck(as_fit(fit, int(number)), reference=reference))
            advance(1)
    left = fit.n_voxels - len(able)
    note = (f"{left:,} voxels without a finite estimate were not sampled.",) if left else ()
    return MapAgreement(tuple(checks), chosen, len(able), note)


def _comparable(fit: MapFit) -> NDArray[np.bool_]:
    """Which voxels have numbers that R can have too, (V,)."""
    return np.asarray(fit.fitted & ~fit.infinite)


def as_fit(fit: MapFit, number: int) -> Fit:
    """The numbers of one voxel in the form of a fit on its table, from which random effects are taken."""
    request = fit.request.at(number)
    table = registry.run(registry.installed().choose(request, language="python"), request)
    p = len(fit.names)
    beta = np.asarray(fit.values["coef"][number], dtype=float)
    rows, columns = np.tril_indices(p)
    covariance = np.empty((p, p))
    covariance[rows, columns] = covariance[columns, rows] = fit.values["covariance"][number]
    known: dict[str, Any] = {"beta": beta, "covariance": covariance, "backend": fit.backend}
    known |= {name: float(fit.values[name][number]) for name in ("loglik", "deviance", "sigma") if name in fit.values}
    if not table.random:
        known["eta"] = request.design.matrix @ np.nan_to_num(beta) + request.design.offset
    elif "theta" in fit.values:
        known["theta"] = np.asarray(fit.values["theta"][number])
        known["random"] = _with_covariances(table.random, known["theta"], known.get("sigma", 1.0))
    return replace(table, **known, converged=bool(fit.values["converged"][number]))


def _with_covariances(random: tuple[RandomEffect, ...], theta: Array, sigma: float) -> tuple[RandomEffect, ...]:
    """The random effects with the covariances that theta says, lme4's; a structure has another theta, and stays."""
    sizes = [len(effect.columns) * (len(effect.columns) + 1) // 2 for effect in random]
    if sum(sizes) != len(theta):
        return random
    found = []
    for effect, own in zip(random, np.split(theta, np.cumsum(sizes)[:-1]), strict=True):
        L = np.zeros_like(effect.covariance)
        columns, rows = np.triu_indices(len(L))
        L[rows, columns] = own  # column by column
        found.append(replace(effect, covariance=sigma**2 * L @ L.T))
    return tuple(found)
