"""refit(): the same model with something changed, as R's update()."""

from __future__ import annotations

from typing import Any

from . import registry
from .design import model_matrix
from .errors import Unable
from .estimator import DEFAULTS, Estimator, as_estimator
from .family import Family, as_family
from .fitting import as_request
from .request import Request
from .result import Fit
from .syntax.updating import updated


def refit(
    fit: Fit,
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
) -> Fit:
    """Fit the model again with what is named here changed; everything else is as it was given to fit().

    formula: a new one, or a change of the old one in which `.` stands for what was there: ". ~ . - x + log(z)",
    "log(.) ~ .", "~ . - (1 | g)". data: another table; the same one otherwise.
    family, estimator, backend, na_action: None keeps them. An estimator that was the old model's default gives way to
    the new model's, and a backend that cannot fit the new model to the best one in the same language that can.
    weights, offset, subset, contrasts: `...` keeps them, None takes them away.

    Raises what fit() raises, and Unable for a fit that does not keep what it was made from.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x + z", {"y": [1., 3, 2, 5, 4], "x": [1., 2, 3, 4, 5], "z": [0., 1, 0, 1, 1]})
    >>> fn.refit(m, ". ~ . - z").request.design.formula.text
    'y ~ x'
    """
    old, given = fit.request, fit.request.design.given
    if given is None:
        raise Unable("this fit does not keep the data that it was made from, so it cannot be made again: call fit()")
    text = old.design.formula.text if formula is None else updated(old.design.formula, formula)
    default = old.model in DEFAULTS and old.estimator == DEFAULTS[old.model]()
    kept = None if default else old.estimator
    how = kept if estimator is None else as_estimator(estimator)
    design = model_matrix(
        text,
        given.table if data is None else data,
        weights=given.weights if weights is ... else weights,
        offset=given.offset if offset is ... else offset,
        subset=given.subset if subset is ... else subset,
        contrasts=given.contrasts if contrasts is ... else contrasts,
        na_action=na_action or given.na_action,
        beside=how.columns if how else (),
    )
    request = as_request(design, old.family if family is None else as_family(family), how)
    return registry.run(_backend(fit, request, backend), request)


def _backend(fit: Fit, request: Request, name: str | None) -> registry.Backend:
    """The backend named, or the fit's own, or the best one in its language."""
    known = registry.installed()
    if name is not None:
        return known.choose(request, name)
    own = next((backend for backend in known.backends if backend.name == fit.backend), None)
    if own is None or own.refuses(request) is None:
        return known.choose(request, own.name if own else None)
    return known.choose(request, language=own.language)
