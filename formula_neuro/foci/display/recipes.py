"""The code that makes a meta-regression again: in Python, and in R the regression of its totals."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...estimator import Splines
from ..default_mask import analysed_brain

if TYPE_CHECKING:
    from ..fit import FociFit


MOST_ROWS = 20_000  # of a table to keep within a page: about a megabyte
MASK = "mask.nii.gz"


def kept_tables(fit: FociFit) -> dict[str, pd.DataFrame]:
    """The foci and analyses that fit() was given, which the code reads; none where a page cannot hold them."""
    given = fit.request.layout.source if fit.request.layout is not None else None
    if given is None or max(len(given.foci), len(given.studies)) > MOST_ROWS:
        return {}
    return {"foci.csv": given.foci, "studies.csv": given.studies}


def own_mask(fit: FociFit) -> bytes | None:
    """The mask as a file's bytes, where it is not the usual one."""
    brain, usual = fit.brain, analysed_brain(None)[0]
    if brain.grid.same(usual.grid) and np.array_equal(brain.voxels, usual.voxels):
        return None
    import nibabel as nib

    inside = np.zeros(brain.grid.size, np.uint8)
    inside[brain.voxels] = 1
    return gzip.compress(nib.Nifti1Image(inside.reshape(brain.grid.shape), brain.grid.affine).to_bytes(), mtime=0)


def python_code(fit: FociFit, data: str = "studyset.json", mask: bool = False) -> str:
    """The call of this package that makes the fit again, and what one asks of it; mask: whether it has its own."""
    request = fit.request
    read = '"foci.csv", studies="studies.csv"' if kept_tables(fit) else json.dumps(data)
    arguments = [json.dumps(str(request.design.formula), ensure_ascii=False), "foci"]
    arguments += [f'family="{fit.family.name}"'] if fit.family.name != "poisson" else []
    arguments += [f"estimator=fn.{request.estimator!r}"] if request.estimator != Splines() else []
    arguments += [f'mask="{MASK}"'] if mask else []
    first, *others = fit.cells
    lines = [
        "import formula_neuro as fn",
        f"foci = fn.read_foci({read})",
        f"c = fn.fit({', '.join(arguments)})",
        f'c.maps["intensity", "{first}"]',
        'fn.homogeneity(c).threshold("fdr", 0.05)',
    ]
    lines += [f'fn.contrast(c, "{first} - {others[0]}")'] if others else []
    lines += ["c.tidy(exponentiate=True)"] if fit.names else []
    return "\n".join([*lines, 'c.to_nifti("maps")'])


def r_code(fit: FociFit) -> str:
    """The same regression of totals in R: moderators and their standard errors."""
    words = {
        "poisson": ("", "glm", "family = quasipoisson"),
        "quasipoisson": ("", "glm", "family = quasipoisson"),
        "clustered_negative_binomial": (
            "library(glmmTMB)\n",
            "glmmTMB",
            "family = nbinom2, dispformula = ~ 0 + cell",
        ),
        "negative_binomial": ("", "glm", "family = poisson"),
    }
    library, function, how = words[fit.family.name]
    Z = " + ".join(["0 + cell", *(f"`{name}`" for name in fit.names)])
    return (
        "# how many: the totals, on which moderators depend alone where s(...) holds factors; R fits no maps\n"
        f"{library}m <- {function}(total ~ {Z}, {how}, offset = offset, data = analyses)"
    )
