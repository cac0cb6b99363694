"""refit() of maps: the same model in every voxel with something changed; the images are not read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import registry
from ..asking import Asked
from ..errors import Unable
from ..estimator import DEFAULTS, Estimator
from ..family import Family
from ..formula import parse
from ..syntax.updating import updated
from .asking import map_request
from .fit import MapFit


@dataclass(frozen=True, eq=False)
class Changes:
    """What refit() was asked to change; `...` keeps what was given, None of the first five as well."""

    formula: str | None = None
    data: Any = None
    family: str | Family | None = None
    estimator: str | Estimator | None = None
    backend: str | None = None
    weights: Any = ...
    offset: Any = ...
    subset: Any = ...
    contrasts: Any = ...
    na_action: str | None = None


def refit_maps(fit: MapFit, changes: Changes) -> MapFit:
    """Fit again with the changes, on all images that were read unless other data are given."""
    old, given = fit.request, fit.request.design.given
    if given is None or old.source is None:
        raise Unable("this fit does not keep the images that it was made from, so it cannot be made again: call fit()")
    was = parse(old.design.formula.text, [str(c) for c in old.source.table.columns])
    default = old.model in DEFAULTS and old.estimator == DEFAULTS[old.model]()
    kept = None if default else old.estimator
    asked = Asked(
        old.design.formula.text if changes.formula is None else updated(was, changes.formula),
        old.source if changes.data is None else changes.data,
        family=old.family if changes.family is None else changes.family,
        estimator=kept if changes.estimator is None else changes.estimator,
        weights=given.weights if changes.weights is ... else changes.weights,
        offset=given.offset if changes.offset is ... else changes.offset,
        subset=given.subset if changes.subset is ... else changes.subset,
        contrasts=given.contrasts if changes.contrasts is ... else changes.contrasts,
        na_action=changes.na_action or given.na_action,
        running=old.running,
    )
    request = map_request(asked)
    return registry.run(registry.installed().choose(request, changes.backend), request)
