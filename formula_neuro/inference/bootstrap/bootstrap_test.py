"""bootstrap_test(): the likelihood-ratio test of nested models by parametric bootstrap (Halekoh & Hojsgaard 2014)."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FitError, Unable
from ...family import Array
from ...foci.fit import FociFit
from ...foci.inference.nested import simulated_ratios
from ...maps.lacking import refuse_maps
from ...result import Fit
from .models import about, differ_in_variances, nested_by_ml
from .ratio import clear_of, corrected, extreme, ratio
from .refits import needed, refitter
from .replicates import drawn, entropy_of
from .running import Ready, Tile, run


@dataclass(frozen=True, eq=False)
class BootstrapTest:
    """A parametric bootstrap test: print it, or take `.p_value`, `.mc_error`, `.to_frame()`, `.glance()`.

    `draws` are the statistics of all replicates in the order of the stream, NaN where one failed; `seed` repeats
    them, and `resume=` continues them.
    """

    small: str
    large: str
    statistic: float  # 2 (log L_large - log L_small), by maximum likelihood
    df: float  # by how many parameters the models differ
    draws: Array
    reasons: tuple[str, ...]  # of each replicate, why it failed, or ""
    of_variances: bool  # whether the models differ in their random terms
    seed: int
    seconds: float
    messages: tuple[str, ...] = ()

    @property
    def used(self) -> Array:
        """The statistics of the replicates that did not fail."""
        return self.draws[~np.isnan(self.draws)]

    @property
    def n_used(self) -> int:
        return len(self.used)

    @property
    def n_failed(self) -> int:
        return len(self.draws) - self.n_used

    @property
    def failures(self) -> dict[str, int]:
        """Why replicates failed, and how often, the most frequent reason first."""
        return dict(Counter(reason for reason in self.reasons if reason).most_common())

    @property
    def n_extreme(self) -> int:
        """Replicates whose statistic is at least the observed one."""
        return int(extreme(self.used, self.statistic).sum())

    @property
    def p_value(self) -> float:
        """(1 + extreme replicates) / (1 + replicates used)."""
        return (1 + self.n_extreme) / (1 + self.n_used)

    @property
    def mc_error(self) -> float:
        """Standard error of the p value from the number of replicates: sqrt(p (1 - p) / n)."""
        return float(np.sqrt(self.p_value * (1 - self.p_value) / self.n_used))

    def to_frame(self) -> pd.DataFrame:
        """One row a test: test, statistic, df, df_resid, p_value.

        "bootstrap"; then what the replicates' mean (and variance) make of the likelihood ratio: "LRT" (chi-squared,
        uncorrected), "Bartlett" (T df / mean on chi-squared), "gamma" (of the same mean and variance), "F" (T / df on
        df and 2E/(E-1), E = mean / df; NaN where E <= 1 leaves it undefined). All replicates used count, whereas
        pbkrtest 0.5.2 leaves out those of 0. Where variances are tested the bootstrap stands alone: the others
        assume a chi-squared reference.
        """
        rows: list[tuple[str, float, float, float, float]] = [
            ("bootstrap", self.statistic, self.df, np.nan, self.p_value)
        ]
        if not self.of_variances:
            rows += corrected(self.statistic, self.df, self.used)
        return pd.DataFrame(rows, columns=["test", "statistic", "df", "df_resid", "p_value"])

    def glance(self) -> pd.DataFrame:
        """One row: statistic, df, p_value, mc_error, n_used, n_failed, n_extreme, seed, seconds."""
        names = ["statistic", "df", "p_value", "mc_error", "n_used", "n_failed", "n_extreme", "seed", "seconds"]
        return pd.DataFrame({name: [getattr(self, name)] for name in names})

    def __str__(self) -> str:
        from ...display.bootstrap_words import of_test

        return of_test(self)

    __repr__ = __str__


def bootstrap_test(
    small: Fit | FociFit,
    large: Fit | FociFit,
    n: int = 1000,
    seed: int | np.random.Generator | None = None,
    *,
    workers: Any = None,
    resume: BootstrapTest | None = None,
    stop_alpha: float | None = None,
    progress: bool | None = None,
) -> BootstrapTest:
    """Test nested models by the likelihood ratio's distribution under the smaller one: n responses are drawn from it,
    and both models fitted to each (pbkrtest's PBmodcomp).

    n: replicates. seed: the same seed gives the same numbers, whatever the workers.
    workers: a number of processes (in a script, under `if __name__ == "__main__":`), or an executor or dask client
    (anything with submit()); None: this process.
    resume: an earlier result of the same two models: its replicates are kept and the stream continued up to n.
    stop_alpha: stop at the first hundred after which the p value is clear of this level (its 99.9% interval by Clopper
    and Pearson lies on one side); the result says so.
    progress: a bar; None for one on a terminal, elsewhere a line if it is long; False is silent.

    Fits of the same foci are compared so too, with n, seed, workers and progress; penalties are chosen anew each time.

    REML fits are refitted by maximum likelihood, and a message says so. A replicate that cannot be fitted is counted
    in `n_failed` with its reason and stops nothing. Ctrl-C ends the run with what is done.

    Raises DataError where the models are not nested fits of the same response, Unable where one has no likelihood, and
    FitError where no replicate could be fitted.

    >>> import formula_neuro as fn
    >>> d = fn.datasets.waterlick()
    >>> large = fn.fit("lick ~ dff + (1|mouseID)", d, family="binomial")
    >>> test = fn.bootstrap_test(fn.fit("lick ~ (1|mouseID)", d, family="binomial"), large, n=19, seed=1)
    >>> test.n_used, bool(test.p_value <= 0.05)
    (19, True)
    """
    began = time.perf_counter()
    _check(n, stop_alpha)
    for fit in (small, large):
        refuse_maps(fit, "bootstrap_test", "fn.permutation_test(v, 'age') tests a coefficient in every voxel")
    if isinstance(small, FociFit) or isinstance(large, FociFit):
        if not (isinstance(small, FociFit) and isinstance(large, FociFit)) or resume is not None or stop_alpha:
            raise Unable("fits of foci are compared with one another, and take n=, seed=, workers= and progress= alone")
        return _of_foci(small, large, int(n), entropy_of(seed), workers, progress)
    small, large, messages = nested_by_ml(small, large)
    statistic = _observed(small, large)
    entropy = entropy_of(seed) if resume is None else resume.seed
    before = np.empty(0) if resume is None else _continued(resume, small, large, statistic, int(n), seed)
    enough = None if stop_alpha is None else partial(clear_of, stop_alpha, statistic, before)
    task = Ratios(small, large, entropy)
    done = run(task, len(before), int(n), workers=workers, progress=progress, enough=enough)
    draws = np.concatenate([before, done.rows.ravel()])
    reasons = (*(resume.reasons if resume is not None else ()), *done.reasons)
    if np.isnan(draws).all():
        first = Counter(reasons).most_common(1)[0][0]
        raise FitError(f"none of {len(draws)} replicates could be fitted; the reason most often: {first}")
    return BootstrapTest(
        small=str(small.request.design.formula),
        large=str(large.request.design.formula),
        statistic=statistic,
        df=large.n_parameters - small.n_parameters,
        draws=draws,
        reasons=reasons,
        of_variances=differ_in_variances(small, large),
        seed=entropy,
        seconds=time.perf_counter() - began + (resume.seconds if resume is not None else 0.0),
        messages=(*messages, *about(small, large), *_halted(done.halted, len(draws), int(n))),
    )


def _of_foci(
    small: FociFit, large: FociFit, n: int, entropy: int, workers: Any, progress: bool | None
) -> BootstrapTest:
    statistic, df, draws, reasons, notes, seconds = simulated_ratios(small, large, n, entropy, workers, progress)
    if np.isnan(draws).all():
        first = Counter(reasons).most_common(1)[0][0]
        raise FitError(f"none of {n} replicates could be fitted; the reason most often: {first}")
    first, second = (str(fit.request.design.formula) for fit in (small, large))
    of_variances = bool(small.alpha) != bool(large.alpha)
    return BootstrapTest(first, second, statistic, df, draws, reasons, of_variances, entropy, seconds, notes)


def _check(n: Any, stop_alpha: Any) -> None:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n is the number of replicates, 1 or more; got {n!r}")
    if stop_alpha is not None and not 0 < stop_alpha < 1:
        raise ValueError(f"stop_alpha is a level between 0 and 1, as 0.05; got {stop_alpha!r}")


def _observed(small: Fit, large: Fit) -> float:
    statistic = ratio(small.loglik, large.loglik)
    if np.isnan(statistic):
        raise FitError(
            f"the larger model's log-likelihood ({large.loglik:.6g}) is below the smaller's ({small.loglik:.6g}): one "
            "of the two has not reached its maximum; look at their messages"
        )
    return statistic


@dataclass(frozen=True, eq=False)
class Ratios:
    """The task: statistics of replicates drawn from `small`."""

    small: Fit
    large: Fit
    entropy: int
    fast: bool = True

    def ready(self) -> Ready:
        ways = [refitter(fit, self.small, fast=self.fast) for fit in (self.small, self.large)]

        def statistics(first: int, last: int) -> Tile:
            draws = drawn(self.small, self.entropy, first, last)
            found = [way.refit(draws.Y) for way in ways]
            T = np.array([ratio(a, b) for a, b in zip(found[0].loglik, found[1].loglik, strict=True)])
            reasons = [
                why or small or large or ("" if np.isfinite(t) else "the larger model ended below the smaller one")
                for why, small, large, t in zip(draws.reasons, found[0].reasons, found[1].reasons, T, strict=True)
            ]
            T[[bool(reason) for reason in reasons]] = np.nan
            return Tile(T[:, None], tuple(reasons))

        width = min(way.width for way in ways)
        return Ready(width, any(way.batched for way in ways), statistics, needed(self.small, width))


def _continued(resume: BootstrapTest, small: Fit, large: Fit, statistic: float, n: int, seed: Any) -> Array:
    """The statistics of an earlier result, which must be of the same models and stream."""
    names = str(small.request.design.formula), str(large.request.design.formula)
    if (resume.small, resume.large) != names or not np.isclose(resume.statistic, statistic, rtol=1e-6, atol=1e-6):
        raise ValueError(
            f"resume= is a test of {resume.small} against {resume.large} with statistic {resume.statistic:.6g}; this "
            f"one is of {names[0]} against {names[1]} with {statistic:.6g}"
        )
    if seed is not None and seed != resume.seed:
        raise ValueError(f"resume= continues the stream of seed {resume.seed}; leave seed out, got {seed!r}")
    if n < len(resume.draws):
        raise ValueError(f"resume= has {len(resume.draws)} replicates already; n={n} is the number wanted in all")
    return resume.draws


def _halted(why: str, done: int, asked: int) -> list[str]:
    if why == "interrupted":
        return [f"interrupted after {done} of {asked} replicates; bootstrap_test(..., resume=this) goes on"]
    return [f"stopped early, after {done} of {asked} replicates: {why}"] if why else []
