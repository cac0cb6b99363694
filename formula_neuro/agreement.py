"""crosscheck(): the same model by a second backend, R's by default, and a verdict on every number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import registry
from .errors import NoBackend, RMissing
from .family import Array
from .request import Request
from .result import Fit, RandomEffect
from .tolerances import TOLERANCES, Tolerance


@dataclass(frozen=True)
class Compared:
    """One number of both fits; `difference` is measured in the tolerance's unit."""

    quantity: str
    item: str  # the coefficient, group or row; empty for a number of the whole fit
    native: float
    reference: float
    difference: float
    tolerance: Tolerance

    @property
    def agrees(self) -> bool:
        lower = self.tolerance.worse or self.tolerance.allowed
        return -lower <= self.difference <= self.tolerance.allowed

    @property
    def share(self) -> float:
        """The difference as a share of what is allowed; NaN, where one of the two has no number, is the worst."""
        limit = self.tolerance.worse if self.difference < 0 and self.tolerance.worse else self.tolerance.allowed
        return float(np.nan_to_num(abs(self.difference) / limit, nan=np.inf))


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
    that is said, and agrees up to R's own tolerance. Raises RMissing, with the command that installs it,
    where R or one of its packages is missing; NoBackend where no R backend can fit the model.

    >>> import formula_neuro as fn
    >>> check = fn.crosscheck(fn.fit("dff ~ lick", fn.datasets.waterlick()))  # doctest: +SKIP
    >>> check.ok  # doctest: +SKIP
    True
    """
    backend = _reference(fit, reference)
    other = registry.run(backend, fit.request)
    version = getattr(other.engine, "version", "")
    named = f"{backend.name} {version}" if version and backend.name not in version else version or backend.name
    compared, notes = compare(fit, other)
    return Agreement(fit.backend, named, compared, (fit.seconds, other.seconds), notes)


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


# ---- comparing -----------------------------------------------------------------------------------
def compare(fit: Fit, other: Fit) -> tuple[tuple[Compared, ...], tuple[str, ...]]:
    """Every number of both fits of one request, and what is to be said about them."""
    rules = TOLERANCES[fit.request.model]
    steps: list[tuple[str, Callable[[Fit, Fit], Iterator[tuple[str, float, float, float]]]]] = [
        ("coefficients", _coefficients),
        ("standard errors", _standard_errors),
        ("sigma", _sigma),
        ("random-effect sds", _sds),
        ("random-effect covariances", _covariances),
        ("log-likelihood", _loglik),
        ("fitted values", _fitted),
        ("degrees of freedom", _degrees),
    ]
    compared = tuple(Compared(q, *c, rules[q]) for q, step in steps if q in rules for c in step(fit, other))
    return compared, _notes(fit, other)


def _coefficients(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    for name, a, b, se in zip(fit.names, fit.beta, other.beta, other.se, strict=True):
        if not (np.isnan(a) and np.isnan(b)):  # aliased in both
            yield name, float(a), float(b), _apart(a, b, max(abs(b), se))


def _standard_errors(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    if _perfect(other):
        return
    for name, a, b in zip(fit.names, fit.se, other.se, strict=True):
        if not (np.isnan(a) and np.isnan(b)):
            yield name, float(a), float(b), _apart(a, b, abs(b))


def _sigma(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    if fit.request.family.dispersed:
        yield "", fit.sigma, other.sigma, _apart(fit.sigma, other.sigma, _spread(other))


def _perfect(fit: Fit) -> bool:
    """Whether the residuals are rounding, and all that is made of them too."""
    return bool(fit.request.family.dispersed and fit.sigma <= 1e-10 * np.abs(fit.fitted).max())


def _spread(fit: Fit) -> float:
    """The residual sd; of a perfect fit the largest fitted value instead."""
    return float(np.abs(fit.fitted).max() if _perfect(fit) else fit.sigma)


def _sds(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    for ours, theirs, unit in _pairs(fit, other):
        for k, column in enumerate(ours.columns):
            a, b = (float(np.sqrt(max(r.covariance[k, k], 0.0))) for r in (ours, theirs))
            yield f"{column} | {ours.group}", a, b, _apart(a, b, unit[k])


def _covariances(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    for ours, theirs, unit in _pairs(fit, other):
        for k, column in enumerate(ours.columns):
            for j in range(k):
                a, b = float(ours.covariance[k, j]), float(theirs.covariance[k, j])
                yield f"{ours.columns[j]}, {column} | {ours.group}", a, b, _apart(a, b, unit[k] * unit[j])


def _pairs(fit: Fit, other: Fit) -> Iterator[tuple[RandomEffect, RandomEffect, Array]]:
    """Each random term of both, with a unit for each of its sds: no finer than a residual sd's share."""
    for term, ours, theirs in zip(fit.request.design.random, fit.random, other.random, strict=True):
        size = np.sqrt((term.basis**2).mean(axis=0))
        sd = np.sqrt(np.maximum(np.diag(theirs.covariance), 0))
        yield ours, theirs, np.maximum(sd, other.sigma / np.maximum(size, 1e-300))


def _loglik(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    """The one signed difference: above 0, ours is the better."""
    scale = max(abs(other.loglik), 1.0) if fit.request.model == "lm" else 1.0
    if not _perfect(other):
        yield "", fit.loglik, other.loglik, (fit.loglik - other.loglik) / scale


def _fitted(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    a, b = fit.fitted.to_numpy(), other.fitted.to_numpy()
    if fit.request.model == "lm":
        unit = np.full(len(b), np.abs(b).max())
    else:
        unit = np.sqrt(np.maximum(fit.request.family.variance(b), 0)) * _spread(other)
    for row, x, y, s in zip(fit.fitted.index, a, b, unit, strict=True):
        yield f"row {row}", float(x), float(y), _apart(x, y, s)


def _degrees(fit: Fit, other: Fit) -> Iterator[tuple[str, float, float, float]]:
    if not (hasattr(fit.engine, "df") and hasattr(other.engine, "df")) or _singular(other):
        return
    rows = np.eye(len(fit.names))[~np.isnan(fit.beta)]
    pair = [np.asarray(f.engine.df(f, rows, "satterthwaite"), dtype=float) for f in (fit, other)]
    kept = [name for name, b in zip(fit.names, fit.beta, strict=True) if not np.isnan(b)]
    for name, a, b in zip(kept, *pair, strict=True):
        yield name, float(a), float(b), _apart(a, b, abs(b))


def _apart(a: float, b: float, unit: float) -> float:
    return 0.0 if a == b else float(abs(a - b) / unit) if unit > 0 else float("inf")


def _singular(fit: Fit) -> bool:
    """Whether some random effect has (nearly) no variance in some direction, on lme4's scale of 1e-4."""
    values = [np.linalg.eigvalsh(r.covariance) for r in fit.random]
    return any(v.min() <= 1e-8 * max(v.max(), fit.sigma**2) for v in values)


# ---- words ---------------------------------------------------------------------------------------
def _notes(fit: Fit, other: Fit) -> tuple[str, ...]:
    notes = []
    gain = fit.loglik - other.loglik
    if fit.random and 1e-7 < gain < np.inf:
        notes.append(
            f"The log-likelihood found here is higher by {gain:.1e}: the iterations of the reference stopped earlier."
        )
    if _perfect(other):
        notes.append("The fit is perfect: its standard errors and log-likelihood are rounding and are not compared.")
    if fit.request.model == "lmm" and _singular(other) and hasattr(fit.engine, "df") and hasattr(other.engine, "df"):
        notes.append("Degrees of freedom are not compared: the fit is singular, where numerical derivatives mislead.")
    notes += [
        f"{name} did not converge." for name, f in ((fit.backend, fit), (other.backend, other)) if not f.converged
    ]
    seen = [m for m in other.messages if m not in fit.messages]
    return (*notes, *(f"{other.backend} says: {m}" for m in seen))


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
