"""refit() of foci: the same meta-regression with something changed; the foci are not read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import registry
from ..asking import Asked
from ..errors import Unable
from ..formula import parse
from ..syntax.updating import updated
from .asking import OUTSIDE, foci_of, foci_request
from .fit import FociFit

if TYPE_CHECKING:
    from ..maps.refitting import Changes


def refit_foci(fit: FociFit, changes: Changes) -> FociFit:
    """Fit again with the changes, on all foci that were given unless other data are; in the same brain."""
    old, given = fit.request, fit.request.design.given
    if given is None or old.layout is None:
        raise Unable("this fit does not keep the foci that it was made from, so it cannot be made again: call fit()")
    if changes.weights not in (..., None):
        raise Unable("foci take no weights=; how much an analysis could report goes into exposure(n) of the formula")
    foci = old.layout.source if changes.data is None else foci_of(changes.data)
    was = parse(old.design.formula.text, [str(name) for name in foci.studies.columns if name not in OUTSIDE])
    asked = Asked(
        old.design.formula.text if changes.formula is None else updated(was, changes.formula),
        foci,
        family=old.family if changes.family is None else changes.family,
        estimator=old.estimator if changes.estimator is None else changes.estimator,
        offset=given.offset if changes.offset is ... else changes.offset,
        subset=given.subset if changes.subset is ... else changes.subset,
        contrasts=old.layout.contrasts if changes.contrasts is ... else changes.contrasts,
        na_action=changes.na_action or given.na_action,
        mask=old.brain,
        running=old.running,
    )
    request = foci_request(asked)
    if changes.backend in (None, fit.backend) and np.array_equal(request.brain.voxels, old.brain.voxels):
        return fit.engine.refit(request)
    return registry.run(registry.installed().choose(request, changes.backend), request)
