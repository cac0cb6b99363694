"""refit(): the same model with something changed, as R's update()."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import registry
from .asking import Asked, table_request
from .errors import Unable
from .estimator import DEFAULTS, Estimator
from .family import Family
from .request import Request
from .result import Fit
from .searches.search import STARTS, USUAL, Point, Search
from .syntax.updating import updated


def refit(
    fit: Any,
    formula: str | None = None,
    data: Any = None,
    *,
    family: str | Family | None = None,
    estimator: str | Estimator | None = None,
    backend: str | None = None,
    weights: Any = ...,
    offset: Any = ...,
    subset: Any = ...,
    contrasts: Any = ...,
    na_action: str | None = None,
    optimizer: str | None = None,
    iterations: int | None = None,
    start: Any = None,
) -> Any:
    """Fit the model again with what is named here changed; everything else is as it was given to fit().

    Of maps and foci too: fn.refit(v, estimator="ml") reads no image again.

    formula: a new one, or a change of the old one in which `.` stands for what was there: ". ~ . - x + log(z)",
    "log(.) ~ .", "~ . - (1 | g)". data: another table; the same one otherwise.
    family, estimator, backend, na_action: None keeps them. An estimator that was the old model's default gives way to
    the new model's, and a backend that cannot fit the new model to the best one in the same language that can.
    weights, offset, subset, contrasts: `...` keeps them, None takes them away.
    optimizer, iterations, start: of mixed models, another search for the maximum than the backend's own: "newton",
    "lbfgs", "nelder-mead" or "powell", with at most so many iterations, from "moments" (linear models), "identity",
    "zero", "large", from lme4's theta, or from where a fit ended: fn.refit(m, start=m, iterations=1000) goes on. Left
    out, they are the backend's own. all_fit() tries several at once.

    Raises what fit() raises, and Unable for a fit that does not keep what it was made from.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x + z", {"y": [1., 3, 2, 5, 4], "x": [1., 2, 3, 4, 5], "z": [0., 1, 0, 1, 1]})
    >>> fn.refit(m, ". ~ . - z").request.design.formula.text
    'y ~ x'
    >>> fn.compare(m, fn.refit(m, ". ~ . - z")).names
    ('(1)', '(2)')
    """
    if not isinstance(fit, Fit):
        if (optimizer, iterations, start) != (None, None, None):
            raise Unable(
                "a model in every voxel, or of foci, is searched in one way: optimizer=, iterations= and start= are of "
                "tables"
            )
        from .foci.fit import FociFit
        from .foci.refitting import refit_foci
        from .maps.refitting import Changes, refit_maps

        changes = Changes(formula, data, family, estimator, backend, weights, offset, subset, contrasts, na_action)
        return refit_foci(fit, changes) if isinstance(fit, FociFit) else refit_maps(fit, changes)
    old, given = fit.request, fit.request.design.given
    if given is None:
        raise Unable("this fit does not keep the data that it was made from, so it cannot be made again: call fit()")
    text = old.design.formula.text if formula is None else updated(old.design.formula, formula)
    default = old.model in DEFAULTS and old.estimator == DEFAULTS[old.model]()
    kept = None if default else old.estimator
    how = kept if estimator is None else estimator
    asked = Asked(
        text,
        given.table if data is None else data,
        family=old.family if family is None else family,
        estimator=how,
        weights=given.weights if weights is ... else weights,
        offset=given.offset if offset is ... else offset,
        subset=given.subset if subset is ... else subset,
        contrasts=given.contrasts if contrasts is ... else contrasts,
        na_action=na_action or given.na_action,
    )
    request = replace(table_request(asked), search=as_search(optimizer, iterations, start))
    return searched(request, _backend(fit, request, backend))


def searched(request: Request, backend: registry.Backend) -> Fit:
    """The fit, which says how it was searched; what is fitted again from it later is searched as usual."""
    found = registry.run(backend, request)
    if request.search == USUAL:
        return found
    said = (*found.messages, f"searched by {request.search.words}")
    return replace(found, request=replace(found.request, search=USUAL), messages=said)


def _backend(fit: Fit, request: Request, name: str | None) -> registry.Backend:
    """The backend named, or the fit's own, or the best one in its language."""
    known = registry.installed()
    if name is not None:
        return known.choose(request, name)
    own = next((backend for backend in known.backends if backend.name == fit.backend), None)
    if own is None or own.refuses(request) is None:
        return known.choose(request, own.name if own else None)
    return known.choose(request, language=own.language)


# ---- the search ----------------------------------------------------------------------------------
def as_search(optimizer: str | None, iterations: int | None, start: Any) -> Search:
    """The search that refit()'s arguments name; `start` may be a fit, whose theta and coefficients are taken."""
    if isinstance(start, Fit):
        start = _point(start)
    elif not isinstance(start, str | None):
        start = Point(_numbers(start))
    return Search(optimizer or "newton", iterations, start)


def _numbers(start: Any) -> tuple[float, ...]:
    """One-dimensional numbers of any kind; ValueError for anything else."""
    try:
        found = np.asarray(start, dtype=float)
    except (TypeError, ValueError):
        found = np.zeros(())
    if found.ndim != 1:
        raise ValueError(f"start= is one of {', '.join(STARTS)}, another fit, or numbers as m.theta; got {start!r}")
    return tuple(found.tolist())


def _point(fit: Fit) -> Point:
    family = fit.request.family
    shape = fit.dispersion if family.shape is None else float(family.shape[1])
    return Point(tuple(fit.theta.tolist()), tuple(fit.beta.tolist()), shape)
