"""The code that makes a meta-regression again: in Python, and in R the regression of its totals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ...estimator import Splines

if TYPE_CHECKING:
    from ..fit import FociFit


def python_code(fit: FociFit, data: str = "studyset.json") -> str:
    """The call of this package that makes the fit again, and what one asks of it."""
    request = fit.request
    arguments = [json.dumps(str(request.design.formula), ensure_ascii=False), "foci"]
    arguments += [f'family="{fit.family.name}"'] if fit.family.name != "poisson" else []
    arguments += [f"estimator=fn.{request.estimator!r}"] if request.estimator != Splines() else []
    first, *others = fit.cells
    lines = [
        "import formula_neuro as fn",
        f'foci = fn.read_foci("{data}")',
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
