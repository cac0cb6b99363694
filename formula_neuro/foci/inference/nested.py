"""Nested meta-regressions of the same foci: likelihood ratios, and their distribution by simulation.

A dispersion of 0 lies on the border of its range: where the larger model adds G of them, the statistic is a mixture of
chi-squared on d, ..., d + G with the probabilities of a binomial (Self and Liang 1987).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import DataError, FitError, Unable
from ...family import Array
from ...inference.precision import with_df
from ...running.bar import bar
from ...running.pieces import finished
from ..fit import FociFit
from .moderators import WORDS, moderator_precision

FEW = 10  # foci for each effective coefficient, below which likelihood ratios of maps are not chi-squared
LARGE = 1.5  # dispersion of the totals, from which Poisson's likelihood ratios are too large


def nested_foci(fits: list[FociFit], test: str | None = None) -> pd.DataFrame:
    """Likelihood-ratio tests of fits of the same foci, the smaller first; of one fit Wald's tests of its moderators."""
    if len(fits) == 1:
        return terms_table(fits[0], test)
    if test not in (None, "Chisq", "LRT"):
        raise Unable(f"test={test!r}: meta-regressions of foci are compared by likelihood ratios, test='LRT'")
    check_same_foci(fits)
    ordered = sorted(fits, key=_size)
    gains = [gain(small, large) for small, large in pairwise(ordered)]
    loglik = np.array([fit.loglik for fit in ordered])
    table = pd.DataFrame(
        {
            "model": [str(fit.request.design.formula) for fit in ordered],
            "n_parameters": [fit.n_parameters for fit in ordered],
            "aic": [fit.aic for fit in ordered],
            "bic": [fit.bic for fit in ordered],
            "loglik": loglik,
            "deviance": -2 * loglik,
            "statistic": [np.nan, *(one.statistic for one in gains)],
            "df": [np.nan, *(one.df + one.border for one in gains)],
            "p_value": [np.nan, *(one.p_value for one in gains)],
        }
    )
    table.attrs["messages"] = tuple(dict.fromkeys(message for one in gains for message in one.messages))
    return table


@dataclass(frozen=True)
class Gain:
    """What a larger model adds: twice the rise of log-likelihood, its parameters, and `border` dispersions from 0."""

    statistic: float
    df: float
    border: int
    messages: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """Of the mixture of chi-squared; 0 degrees of freedom are a point at 0."""
        if not self.df > 0 and not self.border:
            return float("nan")
        k = np.arange(self.border + 1)
        tails = [stats.chi2.sf(self.statistic, self.df + j) if self.df + j > 0 else 0.0 for j in k]
        share = stats.binom.pmf(k, self.border, 0.5)
        return float(share @ tails) if self.statistic > 0 else 1.0


def gain(small: FociFit, large: FociFit) -> Gain:
    """The likelihood ratio of two fits, and what there is to say of it."""
    border = _dispersions(large) if not _dispersions(small) else 0
    counted = sum(value > 0 for value in large.alpha.values()) - sum(value > 0 for value in small.alpha.values())
    df = large.n_parameters - small.n_parameters - counted
    df += 0 if border else _dispersions(large) - _dispersions(small)
    statistic = 2 * (large.loglik - small.loglik)
    messages = [*_about_nesting(small, large), *_about_maps(small, large), *_about_totals(small, large, border)]
    return Gain(statistic, df, border, tuple(messages))


def _dispersions(fit: FociFit) -> int:
    return len(fit.alpha)


def _size(fit: FociFit) -> tuple[float, int]:
    return fit.n_parameters - sum(value > 0 for value in fit.alpha.values()), _dispersions(fit)


def check_same_foci(fits: list[FociFit]) -> None:
    """Raise DataError unless the fits are of the same analyses, foci and voxels, Unable where one has no likelihood."""
    first = fits[0]
    for fit in fits[1:]:
        if fit.nobs != first.nobs or fit.request.foci.key != first.request.foci.key:
            raise DataError(
                f"the fits use different analyses or foci ({first.nobs:,} and {fit.nobs:,} analyses): missing values "
                "in a column of one formula only? Fit both on the analyses complete in all columns"
            )
        if not np.array_equal(fit.brain.voxels, first.brain.voxels):
            raise DataError("the fits use different masks, so their likelihoods cannot be compared")
    lacking = next((fit for fit in fits if not np.isfinite(fit.loglik)), None)
    if lacking is not None:
        raise Unable(
            f"{lacking.family} has no likelihood; moderators are tested by fn.contrast, or fit "
            "family='clustered_negative_binomial'"
        )


def _about_nesting(small: FociFit, large: FociFit) -> list[str]:
    names = f"{small.request.design.formula} and {large.request.design.formula}"
    notes = []
    inner = np.column_stack([large.request.L, large.request.design.matrix])
    outside = not _spans(large.request.L, small.request.L) or not _spans(inner, small.request.design.matrix)
    if outside or not np.array_equal(small.request.design.offset, large.request.design.offset):
        notes.append(f"{names} are not nested: the test has no meaning")
    families = (small.family.name, large.family.name)
    if families[0] != families[1] and families != ("poisson", "clustered_negative_binomial"):
        notes.append(f"{families[0]} and {families[1]} are not nested: compare their AIC")
    P = {fit.engine.b.shape[1] for fit in (small, large)}
    if len(P) > 1:
        notes.append("the splines differ (spacing or basis), so that the models are not nested")
    return notes


def _spans(columns: Array, others: Array) -> bool:
    """Whether other columns are combinations of these."""
    if not others.size:
        return True
    left = others - columns @ np.linalg.lstsq(columns, others, rcond=None)[0]
    return bool((np.linalg.norm(left, axis=0) <= 1e-7 * np.linalg.norm(others, axis=0)).all())


def _about_maps(small: FociFit, large: FociFit) -> list[str]:
    if large.request.L.shape == small.request.L.shape and _spans(small.request.L, large.request.L):
        return []
    notes = []
    if large.penalty or small.penalty:
        notes.append(
            "maps are penalised: degrees of freedom are differences of effective coefficients, and the test is rough"
        )
    if large.penalty > small.penalty and large.loglik < small.loglik:
        notes.append(
            "the larger model has the smaller likelihood, as its maps are smoothed more: fit both with the same "
            f"number, such as fn.Splines(smooth={small.penalty:.3g})"
        )
    counts = np.bincount(large.request.group, large.request.totals)
    edf = [large.edf.get(cell, float("nan")) for cell in large.cells]
    least = float(np.nanmin(counts / np.asarray(edf))) if np.isfinite(edf).any() else float("nan")
    if least < FEW:
        notes.append(
            f"a cell has {least:.2g} foci for each effective coefficient (fewer than {FEW}): likelihood ratios of maps "
            "are not chi-squared then; fn.permutation_test(c, 'a - b') or fn.bootstrap_test(small, large) are safer"
        )
    return notes


def _about_totals(small: FociFit, large: FociFit, border: int) -> list[str]:
    if large.alpha or border or not large.phi > LARGE:
        return []
    return [
        f"totals vary {large.phi:.3g} times as much as Poisson's, so that its likelihood ratios are too large for what "
        "changes their number; fit family='clustered_negative_binomial', or test moderators by fn.contrast"
    ]


def terms_table(fit: FociFit, test: str | None) -> pd.DataFrame:
    """Wald's test of each global term, all its columns together: term, df, statistic (F or chi-squared), p_value."""
    if test not in (None, "Wald", "F"):
        raise Unable(f"test={test!r}: the terms of one meta-regression have Wald's test; compare two fits by 'LRT'")
    if not fit.names:
        raise Unable("the formula has no global moderator; maps are compared by fn.contrast(c, 'a - b')")
    own, rows = moderator_precision(fit), []
    for term in fit.request.design.terms:
        columns = slice(term.start, term.stop)
        if term.stop > term.start:
            V, e = own.covariance[columns, columns], fit.engine.gamma[columns]
            found = with_df(V, e, own.df, term.stop - term.start).to_frame().drop(columns="test")
            rows.append(found.assign(term=term.name))
    table = pd.concat(rows, ignore_index=True)
    table = table[["term", *(name for name in table.columns if name != "term")]]
    table.attrs["messages"] = (f"how many foci in the whole brain; covariance: {own.word}, {WORDS[own.word]}",)
    return table


# ---- by simulation -------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Simulated:
    """Likelihood ratios of foci drawn from the smaller fit; replicate i has a stream of its own."""

    small: FociFit
    large: FociFit
    seed: int

    def __call__(self, i: int) -> tuple[float, str]:
        """The statistic, NaN with a reason where a replicate cannot be fitted."""
        drawn = self.small.engine.simulate(np.random.default_rng([self.seed, i]))
        try:
            small = self.small.engine.refit(drawn)
            larger = replace(self.large.request, located=drawn.located)
            large = self.large.engine.refit(larger)
        except (FitError, DataError) as error:
            return float("nan"), str(error)
        return 2 * (large.loglik - small.loglik), ""


def simulated_ratios(
    small: FociFit, large: FociFit, n: int, seed: int, workers: Any = None, progress: bool | None = None
) -> tuple[float, float, Array, tuple[str, ...], tuple[str, ...], float]:
    """The data's statistic, its degrees of freedom, n draws with reasons for failures, messages and seconds."""
    began = time.perf_counter()
    check_same_foci([small, large])
    small, large = sorted((small, large), key=_size)
    own = gain(small, large)
    draws, reasons = np.empty(n), [""] * n
    with bar("replicates", n, progress, workers) as advance:
        for number, (statistic, reason) in finished(Simulated(small, large, seed), list(range(n)), workers):
            draws[number], reasons[number] = statistic, reason
            advance(1)
    notes = _about_nesting(small, large)
    return own.statistic, own.df + own.border, draws, tuple(reasons), tuple(notes), time.perf_counter() - began
