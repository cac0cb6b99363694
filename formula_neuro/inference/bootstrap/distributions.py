"""Bootstrap distributions of a fit's parameters, and the intervals that they give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FitError, Unable
from ...family import Array
from ...result import Fit
from ..ability import ability
from . import parameters
from .interval_kinds import INTERVALS, limits
from .refits import NOT_CONVERGED, Refits, collected, needed, refitter
from .replicates import drawn, entropy_of, stream
from .resampling import Clusters, clusters_to_draw, of_clusters, pool, redrawn
from .running import Ready, Tile, run

RESAMPLING = ("parametric", "residuals", "cases")
EFFECTS = ("new", "fitted")
MOST_DELETED = 200  # refits of a jackknife: of more clusters than these, some are left out together
ALIASED = "a coefficient could not be estimated from the clusters drawn"


@dataclass(frozen=True)
class Bootstrap:
    """How fn.confint makes bootstrap intervals: `method=fn.Bootstrap(n=500, interval="bca", seed=1)`.

    resample: "parametric" simulates from the fit; "residuals" draws residuals and conditional modes again, made as
    large as the variances say (linear models; Carpenter, Goldstein & Rasbash 2003); "cases" draws whole clusters again,
    which trusts nothing but their independence and wants many of them.
    effects: of the parametric bootstrap, "new" random effects each time, or the "fitted" ones (lme4's use.u = TRUE).
    cluster: of cases, the column whose levels are drawn; by default the outermost grouping factor, or single rows.
    interval: "percentile"; "basic", reflected at the estimate; "normal", with the bootstrap's bias and standard error;
    "bca", percentiles corrected for bias and skewness (Efron 1987), which refits without each cluster as well.
    seed: the same seed gives the same numbers whatever the workers, a number of processes or an executor (anything
    with submit()). progress: a bar; None for one on a terminal, elsewhere a line if it is long.

    >>> Bootstrap(n=200, interval="bca").resample
    'parametric'
    """

    n: int = 1000
    interval: str = "percentile"
    resample: str = "parametric"
    effects: str = "new"
    cluster: str | None = None
    seed: int | np.random.Generator | None = None
    workers: Any = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.n, (int, np.integer)) or isinstance(self.n, bool) or self.n < 2:
            raise ValueError(f"Bootstrap: n is the number of replicates, 2 or more; got {self.n!r}")
        for name, known in (("interval", INTERVALS), ("resample", RESAMPLING), ("effects", EFFECTS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"Bootstrap: {name}={getattr(self, name)!r} is not known; there are {', '.join(known)}"
                )
        if self.effects == "fitted" and self.resample != "parametric":
            raise ValueError("Bootstrap: effects='fitted' belongs to resample='parametric'")
        if self.cluster is not None and self.resample != "cases":
            raise ValueError("Bootstrap: cluster= belongs to resample='cases'")


@dataclass(frozen=True, eq=False)
class Bootstrapped:
    """The replicates of a fit's parameters: draws (n, P), NaN in rows that failed for one of the `reasons`."""

    fit: Fit
    how: Bootstrap
    names: tuple[str, ...]
    estimate: Array  # (P,)
    draws: Array
    reasons: tuple[str, ...]
    seed: int
    halted: str = ""

    def to_frame(self) -> pd.DataFrame:
        """One row a replicate, one column a parameter."""
        return pd.DataFrame(self.draws, columns=list(self.names))

    def confint(self, conf_level: float = 0.95) -> pd.DataFrame:
        """term, estimate, conf_low, conf_high, method; `attrs["messages"]` counts the replicates."""
        skew = _acceleration(self.fit, self.how) if self.how.interval == "bca" else np.zeros(len(self.names))
        used = self.draws[[not reason for reason in self.reasons]]
        ends = np.array(
            [
                limits(self.how.interval, used[:, j], float(self.estimate[j]), float(skew[j]), conf_level)
                for j in range(len(self.names))
            ]
        )
        table = pd.DataFrame({"term": list(self.names), "estimate": self.estimate})
        table["conf_low"], table["conf_high"] = ends[:, 0], ends[:, 1]
        table["method"] = f"bootstrap {self.how.interval}"
        table.attrs["messages"] = self.messages
        return table

    @property
    def messages(self) -> tuple[str, ...]:
        """How many replicates there are, of what kind, and what became of the others."""
        failed = Counter(reason for reason in self.reasons if reason)
        made, used = len(self.reasons), len(self.reasons) - sum(failed.values())
        said = [f"{used} of {made} replicates used ({self.how.resample}, seed {self.seed})"]
        said += [f"failed: {count} x {reason}" for reason, count in failed.most_common(3)]
        if self.halted:
            said.append(f"{self.halted} after {made} of {self.how.n} replicates")
        return tuple(said)


def bootstrap(fit: Fit, how: Bootstrap) -> Bootstrapped:
    """Replicates of all parameters of a fit: coefficients, standard deviations, correlations, sigma.

    Raises Unable where the fit cannot be resampled so, FitError where no replicate could be fitted.
    """
    ability(fit, "refit", "a bootstrap")
    if how.resample == "parametric" and (not fit.request.family.likelihood or fit.request.model == "gee"):
        raise Unable(
            f"a parametric bootstrap simulates from a distribution, and {_named(fit)} has none; take "
            "Bootstrap(resample='cases')"
        )
    entropy = entropy_of(how.seed)
    task = Estimates(fit, replace(how, workers=None, seed=None), entropy)  # which can be pickled
    done = run(task, 0, int(how.n), workers=how.workers, progress=how.progress)
    if all(done.reasons):
        first = Counter(done.reasons).most_common(1)[0][0]
        raise FitError(f"none of {len(done.reasons)} replicates could be fitted; the reason most often: {first}")
    return Bootstrapped(
        fit, how, parameters.names(fit), parameters.values(fit), done.rows, done.reasons, entropy, done.halted
    )


def intervals(fit: Fit, parm: str | Sequence[str] | None, how: Bootstrap, conf_level: float) -> pd.DataFrame:
    """fn.confint(method="bootstrap"): of all parameters, or of those that `parm` names."""
    known = parameters.names(fit)
    words = list(known) if parm is None else [parm] if isinstance(parm, str) else list(parm)
    zeros = [name for name in known if name.startswith(parameters.ZEROS) and name not in fit.names]
    beside = [name for name in known if name not in (*fit.names, *zeros)]
    kinds = {"beta_": list(fit.names), "theta_": beside, parameters.ZEROS: zeros}  # lme4's words, and glmmTMB's "zi"
    asked = [name for word in words for name in kinds.get(word, [word])]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a parameter; there are {'; '.join(known)}")
    table = bootstrap(fit, how).confint(conf_level)
    picked = table.set_index("term").loc[asked].reset_index()
    picked.attrs["messages"] = table.attrs["messages"]
    return picked


def _named(fit: Fit) -> str:
    return "a GEE" if fit.request.model == "gee" else fit.request.family.name


# ---- the task ------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Estimates:
    """The task: parameters of a fit's replicates."""

    fit: Fit
    how: Bootstrap
    entropy: int
    fast: bool = True

    def ready(self) -> Ready:
        if self.how.resample == "cases":
            clusters = clusters_to_draw(self.fit, self.how.cluster)
            return Ready(10, False, lambda first, last: self._cases(clusters, first, last), needed(self.fit, 10))
        way = refitter(self.fit, self.fit, fast=self.fast)
        source = pool(self.fit) if self.how.resample == "residuals" else None

        def rows(first: int, last: int) -> Tile:
            if source is not None:
                Y = np.column_stack([redrawn(self.fit, source, stream(self.entropy, i)) for i in range(first, last)])
                return _tile(self.fit, way.refit(Y), ("",) * (last - first))
            draws = drawn(self.fit, self.entropy, first, last, self.how.effects == "new")
            return _tile(self.fit, way.refit(draws.Y), draws.reasons)

        return Ready(way.width, way.batched, rows, needed(self.fit, way.width))

    def _cases(self, clusters: Clusters, first: int, last: int) -> Tile:
        count = len(clusters.members)
        found = [
            _refitted(self.fit, clusters, stream(self.entropy, i).integers(count, size=count))
            for i in range(first, last)
        ]
        return _tile(self.fit, collected(self.fit, found), ("",) * (last - first))


def _refitted(fit: Fit, clusters: Clusters, drawn: Any) -> Fit | str:
    try:
        found: Fit = fit.engine.refit(of_clusters(fit.request, clusters, drawn))
    except Exception as error:  # one replicate never stops the others, whatever happened to it
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ALIASED if (np.isnan(found.beta) & ~np.isnan(fit.beta)).any() and not found.infinite else found


def _tile(fit: Fit, refits: Refits, reasons: tuple[str, ...]) -> Tile:
    """The parameters of refits, failed ones as NaN."""
    others = np.empty((len(refits.loglik), 0)) if refits.others is None else refits.others
    rows = parameters.in_order(fit, refits.beta, refits.spread, refits.sigma, others)
    why = tuple(a or b for a, b in zip(reasons, refits.reasons, strict=True))
    rows[[bool(reason) for reason in why]] = np.nan
    return Tile(rows, why)


# ---- acceleration --------------------------------------------------------------------------------
def _acceleration(fit: Fit, how: Bootstrap) -> Array:
    """BCa's acceleration (P,) of each parameter, from the estimates without each cluster (or row, or some of them).

    a = sum L^3 / (6 (sum L^2)^(3/2)), L the mean of the estimates less the one without the cluster (Efron 1987).
    """
    clusters = clusters_to_draw(fit, how.cluster)
    parts = np.array_split(np.arange(len(clusters.members)), min(len(clusters.members), MOST_DELETED))
    kept = [np.setdiff1d(np.arange(len(clusters.members)), part) for part in parts]
    found = [_refitted(fit, clusters, those) for those in kept]
    lost = sum(isinstance(one, str) or not one.converged for one in found)
    if lost == len(found):
        raise FitError(
            f"BCa refits the model without each of {len(found)} parts of {clusters.name}, and none could be fitted "
            f"({found[0] if isinstance(found[0], str) else NOT_CONVERGED}); take interval='percentile'"
        )
    rows = _tile(fit, collected(fit, found), ("",) * len(found)).rows
    L = np.nanmean(rows, axis=0) - rows
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.nansum(L**3, axis=0) / (6 * np.nansum(L**2, axis=0) ** 1.5)
    return np.where(np.isfinite(a), a, 0.0)
