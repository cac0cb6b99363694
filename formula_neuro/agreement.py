"""crosscheck(): the same model by a second backend, R's by default, and a verdict on every number."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, overload

import numpy as np

from . import registry
from .comparing.agreement import Agreement
from .comparing.numbers import Compared, compare
from .comparing.unfinished import by_adjusted_score, standing, unfinished
from .errors import FitError, NoBackend, RFailed, RMissing, Unable
from .request import Request
from .result import Fit

if TYPE_CHECKING:
    from .foci.fit import FociFit
    from .maps.agreement import MapAgreement
    from .maps.fit import MapFit


@overload
def crosscheck(fit: Fit, *, reference: str | None = ...) -> Agreement: ...
@overload
def crosscheck(
    fit: MapFit, *, reference: str | None = ..., voxels: int | None = ..., seed: int = ...
) -> MapAgreement: ...
@overload
def crosscheck(fit: FociFit, *, reference: str | None = ...) -> Agreement: ...
def crosscheck(
    fit: Fit | MapFit | FociFit, *, reference: str | None = None, voxels: int | None = None, seed: int = 1
) -> Agreement | MapAgreement:
    """Refit the same model in R, or by the backend named, and compare every number of the two.

    Compared are coefficients, standard errors, sigma, variances of random effects, log-likelihood, fitted
    values and, where both have them, Satterthwaite's degrees of freedom; each tolerance has its reason in
    the table. A log-likelihood above R's by more than rounding means that R stopped short of the optimum:
    that is said, and agrees up to R's own tolerance. Where a mixed model or a GLM disagrees, R is asked to go on from
    both answers, and the better of what it then finds is the reference. Where R did not converge, stopped with an
    error or found no numbers of the model (a negative dispersion), the verdict is "unfinished" and `.ok` is None,
    unless all agrees or R's likelihood is the higher one.
    Of maps a random sample of `voxels` (default 200) is refitted one by one; see maps.agreement. Of foci the totals of
    analyses are refitted, and the maps where their basis is small enough; see foci.agreement.

    Raises RMissing, with the command that installs it, where R or one of its packages is missing; NoBackend where
    no R backend can fit the model; Unable where R would fit another model, as with rows of weight 0 whose means lie
    outside the family's range.

    >>> import formula_neuro as fn
    >>> check = fn.crosscheck(fn.fit("dff ~ lick", fn.datasets.waterlick()))  # doctest: +SKIP
    >>> check.ok  # doctest: +SKIP
    True
    """
    from .foci.fit import FociFit

    if isinstance(fit, FociFit):
        from .foci.agreement import crosscheck_foci

        return crosscheck_foci(fit, reference)
    if not isinstance(fit, Fit):
        from .maps.agreement import crosscheck_maps

        return crosscheck_maps(fit, voxels, reference=reference, seed=seed)
    backend = _reference(fit, reference)
    if backend.language == "R":
        _check_comparable(fit)
    try:
        other = registry.run(backend, fit.request)
    except RFailed as error:
        return _stopped(fit, backend.name, str(error))
    compared, notes = compare(fit, other)
    better = None
    if not all(c.agrees for c in compared) and (better := _closely(fit, other)) is not None:
        first = max(compared, key=lambda c: c.share)
        compared, notes = compare(fit, better)
        notes = (_second_look(fit, other, first), *notes)
    return _judged(fit, better or other, compared, notes, (fit.seconds, other.seconds))


def _judged(
    fit: Fit, other: Fit, compared: tuple[Compared, ...], notes: tuple[str, ...], seconds: tuple[float, float]
) -> Agreement:
    """The verdict on two fits; where the reference did not finish, with how good both answers are."""
    version = getattr(other.engine, "version", "")
    named = f"{other.backend} {version}" if version and other.backend not in version else version or other.backend
    why = unfinished(fit, other)
    said = f"{other.backend} did not converge."  # among the reasons
    if not all(c.agrees for c in compared) and why:
        notes = (f"{other.backend} did not finish: {why}.", *standing(fit, other), *(n for n in notes if n != said))
    elif not all(c.agrees for c in compared):
        notes = (*by_adjusted_score(fit, other), *notes)
    return Agreement(fit.backend, named, compared, seconds, notes, why)


def _stopped(fit: Fit, name: str, error: str) -> Agreement:
    """The verdict where the reference stopped with an error."""
    height = () if np.isnan(fit.loglik) else (f"Log-likelihood: {fit.loglik:.7g} here, none there.",)
    notes = (f"{name} stopped with an error: {error}", *height)
    return Agreement(fit.backend, name, (), (fit.seconds, float("nan")), notes, "it stopped with an error")


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
    only = "glmmTMB" if fit.request.like_glmmtmb else None  # lme4 maximises something else there
    try:
        return known.choose(fit.request, only, language="R")
    except NoBackend as refused:
        raise _missing(fit.request, known) or refused from None


def _missing(request: Request, known: registry.Registry) -> RMissing | None:
    """The error of a machine without R: some R backend would fit the model, were it ready."""
    for backend in known.backends:
        reason = backend.unready() if backend.language == "R" else None
        if reason is not None and backend.refuses(request) == reason:
            return RMissing(f"the cross-check refits in R: {backend.name} {reason}")
    return None
