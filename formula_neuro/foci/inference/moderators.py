"""How well the global moderators are known: a covariance by name, with degrees of freedom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import Unable
from ...family import Array

if TYPE_CHECKING:
    from ..fit import FociFit

SAME = 1e-8  # of the dispersion of the totals: rounding
WORDS = {
    "quasi": "Poisson's, times the dispersion of the totals",
    "fisher": "expected information",
    "observed": "observed information",
    "robust": "of the studies' scores (sandwich, CR1)",
    "jackknife": "of the studies' scores, leaving out each study to first order (CR3)",
}


OVER_STUDIES = ("robust", "jackknife")


@dataclass(frozen=True, eq=False)
class ModeratorPrecision:
    """The covariance (q, q) of the moderators, `word` of WORDS, and degrees of freedom of t (inf: normal)."""

    covariance: Array
    df: float
    word: str


def moderator_precision(fit: FociFit, covariance: str | None = None) -> ModeratorPrecision:
    """The covariance of the moderators that a word names, or the fit's default.

    covariance: "quasi" (t on analyses less columns), "robust" or "jackknife" (t on studies less columns), "fisher" or
    "observed" (normal). By default poisson and quasipoisson have "quasi", other families, whose variance is their own,
    "fisher", and all of them "jackknife" where studies have several analyses: it keeps a test's size with few studies,
    where "robust" is too small.
    """
    word = default(fit) if covariance is None else covariance
    if word not in WORDS:
        raise ValueError(f"vcov={word!r} is not known; there are {', '.join(WORDS)}")
    if word == "quasi" and fit.family.name not in ("poisson", "quasipoisson"):
        raise ValueError(
            f"vcov='quasi' scales Poisson's variance, and {fit.family} has one of its own; there are fisher, "
            "observed, robust, jackknife"
        )
    if word == "quasi":
        if fit.df_resid < 1 or not np.isfinite(fit.phi):
            raise Unable(
                f"{fit.nobs} analyses leave no degree of freedom for a dispersion beside the cells and "
                f"{len(fit.names)} moderators; take vcov='fisher'"
            )
        return ModeratorPrecision(fit.phi * fit.engine.moderator_covariance("fisher"), float(fit.df_resid), word)
    df = float(max(fit.n_studies - (fit.nobs - fit.df_resid), 1)) if word in OVER_STUDIES else np.inf
    if word == "jackknife":
        return ModeratorPrecision(ability(fit)(), df, word)
    return ModeratorPrecision(fit.engine.moderator_covariance(word), df, word)


def default(fit: FociFit) -> str:
    """The word of the covariance of moderators that is reported unless another is asked for."""
    if fit.n_studies < fit.nobs:
        return "robust" if getattr(fit.engine, "jackknife", None) is None else "jackknife"
    vary = not fit.phi < SAME  # totals that are all as fitted have no dispersion to scale by
    return "quasi" if fit.family.name in ("poisson", "quasipoisson") and vary else "fisher"


def ability(fit: FociFit) -> Callable[[], Array]:
    """The engine's jackknife; raises Unable where it has none."""
    found: Callable[[], Array] | None = getattr(fit.engine, "jackknife", None)
    if found is None:
        raise Unable(f"this {fit.family.name} fit cannot leave out studies one by one; take vcov='robust'")
    return found
