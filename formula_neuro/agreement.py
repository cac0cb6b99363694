"""crosscheck(): the same model by a second backend, R's by default, and a verdict on every number."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import registry
from .comparison import Compared, compare
from .errors import FitError, NoBackend, RFailed, RMissing, Unable
from .request import Request
from .result import Fit


@dataclass(frozen=True)
class Agreement:
    """How far a fit and its refit by another backend lie apart; print it for the verdict.

    `native` and `reference` name what was compared, `seconds` are the two fits' times.
    """

    native: str
    reference: str
    compared: tuple[Compared, ...]
    seconds: tuple[float, float]
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> tuple[Compared, ...]:
        """Of every quantity the number with the largest share of its tolerance."""
        quantities = dict.fromkeys(c.quantity for c in self.compared)
        return tuple(max((c for c in self.compared if c.quantity == q), key=lambda c: c.share) for q in quantities)

    @property
    def ok(self) -> bool:
        """Whether every number agrees within its tolerance."""
        return all(c.agrees for c in self.compared)

    @property
    def table(self) -> pd.DataFrame:
        """One row a quantity, where it differs most: quantity, item, native, reference, difference, tolerance,
        agrees, unit, reason."""
        return _frame(self.worst)

    @property
    def details(self) -> pd.DataFrame:
        """As `table`, with one row for every number compared."""
        return _frame(self.compared)

    def __str__(self) -> str:
        right = sum(c.agrees for c in self.worst)
        verb = "agrees" if self.ok else "DISAGREES"
        lines = [f"{self.native} {verb} with {self.reference}: {right} of {len(self.worst)} quantities", *_grid(self)]
        lines += [f"{c.quantity}: more than {c.tolerance.allowed:g} apart ({c.tolerance.unit})" for c in self._off]
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    @property
    def _off(self) -> list[Compared]:
        return [c for c in self.worst if not c.agrees]


def crosscheck(fit: Fit, *, reference: str | None = None) -> Agreement:
    """Refit the same model in R, or by the backend named, and compare every number of the two.

    Compared are coefficients, standard errors, sigma, variances of random effects, log-likelihood, fitted
    values and, where both have them, Satterthwaite's degrees of freedom; each tolerance has its reason in
    the table. A log-likelihood above R's by more than rounding means that R stopped short of the optimum:
    that is said, and agrees up to R's own tolerance. Where a mixed model or a GLM disagrees, R is asked to go on from
    both answers, and the better of what it then finds is the reference. Raises RMissing, with the command that
    installs it, where R or one of its packages is missing; NoBackend where no R backend can fit the model;
    Unable where R would fit another model, as with rows of weight 0 whose means lie outside the family's range.

    >>> import formula_neuro as fn
    >>> check = fn.crosscheck(fn.fit("dff ~ lick", fn.datasets.waterlick()))  # doctest: +SKIP
    >>> check.ok  # doctest: +SKIP
    True
    """
    backend = _reference(fit, reference)
    if backend.language == "R":
        _check_comparable(fit)
    other = registry.run(backend, fit.request)
    version = getattr(other.engine, "version", "")
    named = f"{backend.name} {version}" if version and backend.name not in version else version or backend.name
    compared, notes = compare(fit, other)
    if not all(c.agrees for c in compared) and (better := _closely(fit, other)) is not None:
        first = max(compared, key=lambda c: c.share)
        compared, notes = compare(fit, better)
        notes = (_second_look(fit, other, first), *notes)
    return Agreement(fit.backend, named, compared, (fit.seconds, other.seconds), notes)


def _closely(fit: Fit, other: Fit) -> Fit | None:
    """The reference's better answer when it goes on from our estimates and from its own; None where it cannot."""
    go_on = getattr(other.engine, "closely", None)
    if go_on is None:
        return None
    found = []
    for start in (fit, other):
        with contextlib.suppress(RFailed, FitError):  # where it started from may be no place to go on from
            found.append(go_on(start))
    return max(found, key=lambda f: -f.deviance if np.isnan(f.loglik) else f.loglik, default=None)


def _second_look(fit: Fit, other: Fit, first: Compared) -> str:
    what, gap = f"{first.quantity} {first.item}".strip(), fit.loglik - other.loglik
    where = f", at a log-likelihood {'lower' if gap > 0 else 'higher'} by {abs(gap):.1e}" if abs(gap) > 1e-7 else ""
    how = "in steps of each parameter's own size and with exact inner iterations"
    return (
        f"The default settings of {other.backend} gave other numbers ({what}: "
        f"{first.reference:.7g}){where}. Compared is the better of what it finds when it goes on from here and from "
        f"there, {how if fit.random else 'started again a dozen times where it ended'}."
    )


def _check_comparable(fit: Fit) -> None:
    """Raise Unable where R's model is another one: its rows of weight 0 restrict what the other rows may take."""
    request = fit.request
    outside = int((~request.family.inside(fit.eta[request.weights == 0])).sum())
    if outside:
        raise Unable(
            f"R keeps the means of rows of weight 0 in the range of {request.family} as well, and {outside} of them "
            "lie outside here, so that R's fit is of another model; fit without these rows (subset=) and check that fit"
        )


def _reference(fit: Fit, name: str | None) -> registry.Backend:
    known = registry.installed()
    if name is not None:
        if name == fit.backend:
            raise ValueError(f"the fit was made by {name} itself; name another backend as reference")
        return known.choose(fit.request, name)
    if any(b.name == fit.backend and b.language == "R" for b in known.backends):
        raise ValueError(
            f"the fit was made in R (by {fit.backend}), so that R cannot check it; "
            "name a native backend, as in reference='native-lmm'"
        )
    try:
        return known.choose(fit.request, language="R")
    except NoBackend as refused:
        raise _missing(fit.request, known) or refused from None


def _missing(request: Request, known: registry.Registry) -> RMissing | None:
    """The error of a machine without R: some R backend would fit the model, were it ready."""
    for backend in known.backends:
        reason = backend.unready() if backend.language == "R" else None
        if reason is not None and backend.refuses(request) == reason:
            return RMissing(f"the cross-check refits in R: {backend.name} {reason}")
    return None


# ---- words ---------------------------------------------------------------------------------------
def _grid(agreement: Agreement) -> list[str]:
    lines = [f"  {'':25}{'here':>13}{'there':>13}{'apart':>9}{'allowed':>9}   largest at"]
    for c in agreement.worst:
        numbers = f"{c.native:13.7g}{c.reference:13.7g}{abs(c.difference):9.1e}{c.tolerance.allowed:9.0e}"
        lines.append(f"  {c.quantity:25}{numbers}   {c.item}{'' if c.agrees else '  <- too far apart'}".rstrip())
    return lines


def _frame(compared: tuple[Compared, ...]) -> pd.DataFrame:
    columns = "quantity item native reference difference tolerance agrees unit reason".split()
    rows = [
        (c.quantity, c.item, c.native, c.reference, c.difference, t.allowed, c.agrees, t.unit, t.reason)
        for c in compared
        for t in [c.tolerance]
    ]
    return pd.DataFrame(rows, columns=columns)
