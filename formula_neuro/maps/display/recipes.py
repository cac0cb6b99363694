"""The code that makes a fit in every voxel again: in Python, and in R voxel by voxel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ...display.kept_data import source
from ...display.recipes import python_arguments, r_call, r_reader
from ...estimator import BIAS_REDUCED

if TYPE_CHECKING:
    from ..fit import MapFit


def python_code(fit: MapFit, data: str = "participants.tsv", mask: str = "mask.nii.gz") -> str:
    """The call of this package that makes the fit again, and what one asks of it."""
    formula, *others = python_arguments(fit.request)
    seed = fit.request.running.seed
    others += [f"seed={seed}"] if seed != 1 else []
    path = json.dumps(source(fit.request) or data, ensure_ascii=False)
    arguments = ", ".join([formula, path, f'mask="{mask}"', *others])
    last = [name for name in fit.names if name != "(Intercept)"][-1:] or [fit.names[0]]
    return "\n".join(
        [
            "import formula_neuro as fn",
            f"v = fn.fit({arguments})",
            f'v.maps["z", "{last[0]}"]',
            f'fn.contrast(v, {{"{last[0]}": 1}}).threshold("fdr", 0.05).to_frame()',
            'v.to_nifti("maps")',
            f'fn.excursions(v, "{last[0]}").clusters()' if fit.posterior else "fn.crosscheck(v, voxels=200)",
        ]
    )


def r_code(fit: MapFit, data: str = "participants.tsv", mask: str = "mask.nii.gz") -> str:
    """The same model in R, one voxel after the other."""
    request = fit.request
    name = request.images.response
    library = "library(brglm2)\n" if request.estimator.word in BIAS_REDUCED else ""
    prior = ["# no R package fits this model to a brain; here is the one without a prior"] if fit.posterior else []
    return "\n".join(
        [
            *prior,
            f"{library}d <- {r_reader(source(request) or data)}",
            f'inside <- which(RNifti::readNifti("{mask}") > 0)',
            f"images <- sapply(d${name}, function(file) RNifti::readNifti(file)[inside])  # voxels x images",
            "one <- function(values) {",
            f"  d${name} <- values",
            f"  coef(summary({r_call(request)}))",
            "}",
            "found <- apply(images, 1, one, simplify = FALSE)",
        ]
    )
