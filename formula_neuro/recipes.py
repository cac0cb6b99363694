"""The code that makes a fit again: in Python, and in R."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from .estimator import AGQ, REML

if TYPE_CHECKING:
    from .result import Fit


def python_code(fit: Fit, data: str = "data.csv") -> str:
    """The call of this package that makes the fit again.

    >>> import formula_neuro as fn
    >>> print(python_code(fn.fit("dff ~ lick", fn.datasets.waterlick())))
    import formula_neuro as fn
    m = fn.fit("dff ~ lick", "data.csv")
    """
    request = fit.request
    arguments = [json.dumps(str(request.design.formula), ensure_ascii=False), f'"{data}"']
    if request.model in ("glm", "glmm"):
        arguments.append(f'family="{request.family}"')
    if isinstance(request.estimator, AGQ):
        arguments.append(f"estimator=fn.AGQ({request.estimator.nodes})")
    elif request.model == "lmm" and not isinstance(request.estimator, REML):
        arguments.append('estimator="ml"')
    arguments += [f"{name}=..." for name in _extras(fit)]
    if request.design.contrasts:
        arguments.append(f"contrasts={json.dumps(dict(request.design.contrasts))}")
    return f"import formula_neuro as fn\nm = fn.fit({', '.join(arguments)})"


def r_code(fit: Fit, data: str = "data.csv") -> str:
    """The same model in R.

    >>> import formula_neuro as fn
    >>> print(r_code(fn.fit("dff ~ lick", fn.datasets.waterlick())))
    d <- read.csv("data.csv")
    m <- lm(dff ~ lick, data = d)
    summary(m)
    """
    request = fit.request
    function = {"lm": "lm", "glm": "glm", "lmm": "lmerTest::lmer", "glmm": "lme4::glmer"}[request.model]
    arguments = [str(request.design.formula), "data = d"]
    if request.model in ("glm", "glmm"):
        arguments.append(f'family = {request.family.name}(link = "{request.family.link.name}")')
    if request.model == "lmm" and not isinstance(request.estimator, REML):
        arguments.append("REML = FALSE")
    if isinstance(request.estimator, AGQ):
        arguments.append(f"nAGQ = {request.estimator.nodes}")
    arguments += [f"{name} = ..." for name in _extras(fit)]
    if request.design.contrasts:
        given = ", ".join(f'{name} = "{kind}"' for name, kind in request.design.contrasts)
        arguments.append(f"contrasts = list({given})")
    return f'd <- read.csv("{data}")\nm <- {function}({", ".join(arguments)})\nsummary(m)'


def _extras(fit: Fit) -> list[str]:
    """Arguments that were given as values, which no code can show."""
    design = fit.request.design
    given = {"weights": design.weights is not None, "offset": design.extra_offset is not None}
    return [name for name, there in given.items() if there and np.size(getattr(design, name))]
