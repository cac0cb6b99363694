"""all_fit(): the same model searched by other optimizers and from other starts, as lme4's allFit()."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, FitError, Unable
from ..refitting import refit
from ..result import Fit
from .search import OPTIMIZERS, Search
from .simpler import simpler

SAME = 1e-5  # of the criterion, a deviance: ten times what may be left of it where a search counts as converged
NEAR = 0.01  # standard errors, which no reader would see


@dataclass(frozen=True, eq=False)
class AllFit:
    """A fit beside what other searches find: print it, or `to_frame()`; `best` is the lowest that converged.

    `agree`: whether all that converged end at one criterion and the same coefficients.
    """

    searches: tuple[str, ...]  # "as fitted", "newton from zero", "powell"
    fits: tuple[Fit | None, ...]  # None where a search failed
    frame: pd.DataFrame
    agree: bool
    words: str

    def to_frame(self) -> pd.DataFrame:
        """One row a search: optimizer, start, criterion, above (the lowest), max_gradient, decrement (the gain in the
        criterion that one more Newton step predicts), converged, iterations, seconds, a column a coefficient, a column
        "sd ... | group" a random effect, and message where it failed."""
        return self.frame.copy()

    @property
    def best(self) -> Fit:
        """The fit of the lowest criterion, of those that converged if any did."""
        found = [fit for fit in self.fits if fit is not None]
        return min(found, key=lambda fit: (not fit.converged, fit.criterion))

    def __repr__(self) -> str:
        shown = self.frame.drop(columns=["message"] if (self.frame["message"] == "").all() else [])
        return f"{shown.to_string(index=False, float_format=lambda v: f'{v:.6g}')}\n\n{self.words}"


def all_fit(fit: Fit, optimizers: str | Sequence[str] = OPTIMIZERS, *, iterations: int | None = None) -> AllFit:
    """Search a mixed model's maximum again by several optimizers and from several starts, and say whether all agree.

    optimizers: of "newton" (from "identity", "zero" and "large" beside its usual start), "lbfgs", "nelder-mead" and
    "powell"; each has at most `iterations`. Where a search ends is judged by the exact derivatives there, whatever the
    optimizer says of itself. Raises Unable for a model without random effects, which has no such search.

    >>> import formula_neuro as fn
    >>> m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick())
    >>> found = fn.all_fit(m)
    >>> found.agree, list(found.to_frame()["optimizer"].unique())
    (True, ['as fitted', 'newton', 'lbfgs', 'nelder-mead', 'powell'])
    >>> fn.compare(m, fn.refit(m, ". ~ . - lick")).texts.shape  # a simpler model beside it
    (8, 2)
    """
    optimizers = (optimizers,) if isinstance(optimizers, str) else optimizers
    if not isinstance(optimizers, Sequence) or not optimizers:
        raise ValueError(f"optimizers= are words of {', '.join(OPTIMIZERS)}, at least one; got {optimizers!r}")
    if not hasattr(fit.engine, "flatness"):
        raise Unable(
            f"all_fit() repeats a native mixed model's search, and {fit.backend} has none for {fit.request.model}: "
            "it takes fits with random terms, of backend='native-lmm' or 'native-glmm'"
        )
    tried = [Search(word, iterations, start) for word in optimizers for start in _starts(word)]
    found = [_tried(fit, search) for search in tried]
    names = ("as fitted", *(search.words.partition(",")[0] for search in tried))
    rows = [_row(fit, "as fitted", "", "")]
    for search, (other, failure) in zip(tried, found, strict=True):
        rows.append(_row(other, search.optimizer, str(search.start or "usual"), failure))
    fits = (fit, *(other for other, _ in found))
    frame = pd.DataFrame(rows).reset_index(drop=True)
    lowest = frame["criterion"].min()
    frame.insert(3, "above", frame["criterion"] - lowest)
    frame["message"] = frame.pop("message").fillna("")
    agree, words = _judged(fit, names, fits, frame)
    return AllFit(names, fits, frame, agree, words)


def _starts(optimizer: str) -> tuple[str | None, ...]:
    return (None, "identity", "zero", "large") if Search(optimizer).optimizer == "newton" else (None,)


def _tried(fit: Fit, search: Search) -> tuple[Fit | None, str]:
    """The fit that a search finds, or why it found none."""
    try:
        how: dict[str, Any] = {"iterations": search.iterations, "start": search.start}
        return refit(fit, optimizer=search.optimizer, backend=fit.backend, **how), ""
    except (FitError, DataError) as failure:
        return None, str(failure)


def _row(fit: Fit | None, optimizer: str, start: str, failure: str) -> dict[str, Any]:
    row: dict[str, Any] = {"optimizer": optimizer, "start": start, "criterion": np.nan, "message": failure}
    if fit is None:
        return row | {"converged": False}
    gradient, decrement = fit.engine.flatness(fit)
    row |= {"criterion": fit.criterion, "max_gradient": gradient, "decrement": decrement, "converged": fit.converged}
    row |= {"iterations": fit.iterations, "seconds": fit.seconds} | dict(zip(fit.names, fit.beta.tolist(), strict=True))
    sds = [(e, k, name) for e in fit.random for k, name in enumerate(e.columns)]
    return row | {f"sd {name} | {e.group}": float(np.sqrt(e.covariance[k, k])) for e, k, name in sds}


# ---- the verdict ---------------------------------------------------------------------------------
def _judged(fit: Fit, names: Sequence[str], fits: Sequence[Fit | None], frame: pd.DataFrame) -> tuple[bool, str]:
    ended = [(name, other) for name, other in zip(names, fits, strict=True) if other is not None and other.converged]
    lost = [
        f"{name} ({'failed' if other is None else f'{above:.2g} above the lowest'})"
        for name, other, above in zip(names, fits, frame["above"], strict=True)
        if other is None or not other.converged
    ]
    if not ended:
        return False, f"None of {len(names)} searches converged{_infinite(fit)}.{_advice(fit)}"
    low, high = min(f.criterion for _, f in ended), max(f.criterion for _, f in ended)
    best = next((name, f) for name, f in ended if f.criterion == low)
    apart = max(_apart(f, best[1]) for _, f in ended)
    within = f"criterion within {high - low:.1g}, coefficients within {apart:.1g} standard errors"
    agree = high - low <= SAME and apart <= NEAR
    rest = f" Not converged: {', '.join(lost)}." if lost else ""
    if agree:
        count = f"All {len(ended)} searches" if not lost else f"The {len(ended)} of {len(names)} that converged"
        return True, f"{count} agree ({within}): the estimate does not depend on the optimizer.{rest}"
    better = fit.criterion - low
    take = f" {best[0]} is {better:.3g} lower than the fit given: take .best." if better > SAME else ""
    return False, f"The searches end in different places ({within}): several maxima.{take}{rest}{_advice(fit)}"


def _apart(one: Fit, best: Fit) -> float:
    """The largest difference of a coefficient in the best fit's standard errors; 0 where there are none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.abs(one.beta - best.beta) / best.se.to_numpy()
    return float(np.max(steps, where=np.isfinite(steps), initial=0.0))


def _infinite(fit: Fit) -> str:
    return f": {', '.join(fit.infinite)} go to infinity (separation), which no optimizer mends" if fit.infinite else ""


def _advice(fit: Fit) -> str:
    change = "" if fit.infinite else simpler(fit.request.design.random)
    return f" A simpler model: fn.refit(m, {change!r})." if change else ""
