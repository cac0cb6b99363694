"""homogeneity(): where a cell has more foci than chance, the foci of an even brain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import Unable
from ..engine import KINDS
from .contrast import Contrasts, FociContrast
from .hypotheses import Hypothesis, spatial_names
from .wald import combined, single

if TYPE_CHECKING:
    from ..fit import FociFit

TESTS = ("shape", "intensity")


def homogeneity(
    fit: FociFit, cells: str | Sequence[str] | None = None, *, test: str = "shape", vcov: str = "robust"
) -> Contrasts:
    """Where each cell of s(...) has more foci than chance, in every voxel: a test by cell, one-sided.

    "estimate" is the log ratio of the intensity to that of an even brain, z its Wald statistic, p and logp = -log10 p
    of its upper tail.

    cells: names of cells, all by default.
    test: "shape" divides the intensity by its own sum: moderators and the spread of totals cannot shift it;
        "intensity" compares with the foci observed per voxel and analysis, as NiMARE does: it moves with what the
        moderators call 0.
    vcov: "robust" sums scores over studies, whose foci clump; "fisher" or "observed" trust the model.

    >>> import formula_neuro as fn
    >>> import nibabel as nib
    >>> import numpy as np
    >>> mask = nib.Nifti1Image(np.ones((12, 14, 12), dtype=np.uint8), np.diag([10.0, 10.0, 10.0, 1.0]))
    >>> foci = fn.simulate_foci(30, peaks=[(30, 60, 40)], noise=5, fwhm=30, mask=mask, seed=1)
    >>> c = fn.fit("foci ~ s(1)", foci, mask=mask, estimator=fn.Splines("60 mm"))
    >>> found = fn.homogeneity(c)["(Intercept)"]
    >>> found.threshold("fdr", 0.05).to_frame().shape[0]
    1
    """
    if not hasattr(fit, "cells"):
        raise Unable(f"homogeneity() is of a fit, c = fn.fit('foci ~ s(group)', foci), not of {type(fit).__name__}")
    if test not in TESTS:
        raise ValueError(f"test={test!r} is not known; there are {', '.join(TESTS)}")
    if vcov not in KINDS:
        raise ValueError(f"vcov={vcov!r} is not known; maps have {', '.join(KINDS)}")
    asked = fit.cells if cells is None else (cells,) if isinstance(cells, str) else tuple(cells)
    return Contrasts({name: of_cell(fit, name, test, vcov) for name in asked})


def of_cell(fit: FociFit, cell: str, test: str = "shape", covariance: str = "robust") -> FociContrast:
    """The test of one cell. Raises ValueError for what is none."""
    if cell not in fit.cells:
        raise ValueError(f"{cell!r} is no cell of s(...); there are {', '.join(fit.cells)}")
    names = spatial_names(fit)
    matrix = (np.asarray(names) == cell).astype(np.float64)[None]
    chance = -np.log(len(fit.brain.voxels)) if test == "shape" else _even(fit, cell)
    asked = Hypothesis(cell, names, matrix, np.array([chance]), (f"{cell} - chance",), True)
    estimate, variance = combined(fit, asked, test, covariance)
    values = single(estimate[:, 0] - chance, variance[:, 0, 0], 0.0, sided=True)
    return FociContrast(
        fit, cell, matrix, asked.value, values, asked.labels, "wald", (), names, test, covariance, "greater"
    )


def _even(fit: FociFit, cell: str) -> float:
    """The log of the foci of a cell's analyses per voxel and analysis."""
    mine = fit.request.group == fit.cells.index(cell)
    return float(np.log(fit.request.totals[mine].sum() / (mine.sum() * len(fit.brain.voxels))))
