"""The code that makes a fit again: in Python, and in R."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..estimator import AGQ, BIAS_REDUCED, GEE, REML, Jeffreys, Laplace
from ..family import NBinom2, Quasi
from ..syntax.expression import quoted
from ..values import Contrast
from .residual_words import lme_code, structures_in_python

if TYPE_CHECKING:
    from ..result import Fit

GEEGLM = {"gee": "geepack::geeglm"}
BRGLM2 = {"mean_br": "AS_mean", "median_br": "AS_median", "jeffreys": "MPL_Jeffreys"}


def python_code(fit: Fit, data: str = "data.csv") -> str:
    """The call of this package that makes the fit again.

    >>> import formula_neuro as fn
    >>> print(python_code(fn.fit("dff ~ lick", fn.datasets.waterlick())))
    import formula_neuro as fn
    m = fn.fit("dff ~ lick", "data.csv")
    """
    request = fit.request
    arguments = [json.dumps(str(request.design.formula), ensure_ascii=False), f'"{data}"']
    if request.model in ("glm", "glmm", "gee"):
        arguments.append(f'family="{request.family}"')
    if isinstance(request.estimator, GEE):
        how = request.estimator
        given = [f'{f.name}="{getattr(how, f.name)}"' for f in fields(how) if getattr(how, f.name) != f.default]
        arguments.append(f"estimator=fn.GEE({', '.join(given)})")
    if isinstance(request.estimator, (AGQ, Laplace)) and request.estimator != Laplace():
        shown = repr(request.estimator).replace("prior=", "prior=fn.").replace("nodes=", "")
        arguments.append(f"estimator=fn.{shown}")
    elif request.estimator.word in BIAS_REDUCED:
        power = f"({number:g})" if (number := _power(fit)) else ""
        arguments.append(f'estimator="{request.estimator.word}{power}"')
    elif residual := structures_in_python(fit):
        arguments.append(f"estimator=fn.{type(request.estimator).__name__}(residual={residual})")
    elif request.model == "lmm" and not isinstance(request.estimator, REML):
        arguments.append('estimator="ml"')
    if not fit.backend.startswith("native-"):
        arguments.append(f'backend="{fit.backend}"')
    arguments += [f"{name}={json.dumps(text) if text else '...'}" for name, text in _extras(fit)]
    if request.design.contrasts:
        contrasts = {name: _in_python(asked) for name, asked in request.design.contrasts}
        arguments.append(f"contrasts={json.dumps(contrasts, ensure_ascii=False)}")
    return f"import formula_neuro as fn\nm = fn.fit({', '.join(arguments)})"


def r_code(fit: Fit, data: str = "data.csv") -> str:
    """The same model in R.

    >>> import formula_neuro as fn
    >>> print(r_code(fn.fit("dff ~ lick", fn.datasets.waterlick())))
    d <- read.csv("data.csv")
    m <- lm(dff ~ lick, data = d)
    summary(m)
    """
    if structures_in_python(fit):
        return lme_code(fit, data)
    request = fit.request
    arguments = [str(request.design.formula), "data = d", *_r_family(fit), *_r_estimator(fit)]
    arguments += [f"{name} = {text or '...'}" for name, text in _extras(fit)]
    if request.design.contrasts:
        given = ", ".join(f"{quoted(name)} = {_in_r(asked)}" for name, asked in request.design.contrasts)
        arguments.append(f"contrasts = list({given})")
    library = "library(brglm2)\n" if request.estimator.word in BIAS_REDUCED else ""
    return (
        f'{library}d <- read.csv("{data}")\n{_sorted(fit)}m <- {_r_function(fit)}({", ".join(arguments)})\nsummary(m)'
    )


def _sorted(fit: Fit) -> str:
    """geeglm takes neighbouring rows of one id for a cluster, and would split what is not sorted."""
    how = fit.request.estimator
    if not isinstance(how, GEE):
        return ""
    return f"d <- d[order({', '.join(f'd${name}' for name in how.columns)}), ]\n"


def _r_function(fit: Fit) -> str:
    if fit.request.model == "glmm" and getattr(fit.request.estimator, "prior", None):
        return "blme::bglmer"
    if fit.request.like_glmmtmb and fit.request.family.name != "inverse.gaussian":  # which glmmTMB has not
        return "glmmTMB::glmmTMB"
    if isinstance(fit.request.family, NBinom2) and not fit.request.family.fixed:
        return "MASS::glm.nb"
    if fit.request.estimator.word in BIAS_REDUCED:
        return "glm"  # lm() knows no other method
    return {"lm": "lm", "glm": "glm", "lmm": "lmerTest::lmer", "glmm": "lme4::glmer", **GEEGLM}[fit.request.model]


def _r_family(fit: Fit) -> list[str]:
    family = fit.request.family
    if fit.request.model not in ("glm", "glmm", "gee"):
        return []
    if family.shape is not None and fit.request.like_glmmtmb:
        name = "beta_family" if family.name == "beta" else family.name
        return [f'family = glmmTMB::{name}(link = "{family.link.name}")']
    if isinstance(family, NBinom2):
        given = f'family = MASS::negative.binomial(theta = {family.theta:.10g}, link = "{family.link.name}")'
        return [given] if family.fixed else [f"link = {family.link.name}"]
    variance = f', variance = "{family.variance_of}"' if isinstance(family, Quasi) else ""
    return [f'family = {family.name}(link = "{family.link.name}"{variance})']


def _r_estimator(fit: Fit) -> list[str]:
    how = fit.request.estimator
    if fit.request.model == "lmm" and not isinstance(how, REML):
        return ["REML = FALSE"]
    if isinstance(how, GEE):
        waves = [f"waves = {how.order}"] if how.order else []
        return [f"id = {how.cluster}", f'corstr = "{how.corr}"', *waves]  # of rows sorted by cluster
    prior, zeros = getattr(how, "prior", None), getattr(how, "zero_inflation", None)
    if zeros:
        return [f"ziformula = {zeros}"]
    weak = [f"fixef.prior = normal(sd = c({prior.intercept:g}, {prior.sd:g}))"] if prior else []
    if isinstance(how, AGQ):
        return [f"nAGQ = {how.nodes}", *weak]
    if weak:
        return weak
    if how.word not in BRGLM2:
        return []
    power = [f"a = {number:g}"] if (number := _power(fit)) else []
    return ["method = brglmFit", f'type = "{BRGLM2[how.word]}"', *power]


def _power(fit: Fit) -> float | None:
    """The power of Jeffreys' prior where it is not the usual 1/2."""
    how = fit.request.estimator
    return how.power if isinstance(how, Jeffreys) and how.power != 0.5 else None


def _in_python(asked: Contrast) -> Any:
    """A contrast as contrasts= takes it."""
    if asked.matrix is None:
        return asked.kind
    rows = [[int(v) if v.is_integer() else v for v in row] for row in asked.matrix]
    if asked.columns is None or len(set(asked.columns)) < len(asked.columns):
        return rows
    return {name: [row[j] for row in rows] for j, name in enumerate(asked.columns)}


def _in_r(asked: Contrast) -> str:
    if asked.matrix is None:
        return f'"{asked.kind}"'
    columns = [f"c({', '.join(f'{row[j]:.15g}' for row in asked.matrix)})" for j in range(len(asked.matrix[0]))]
    names = [f"{quoted(name)} = " if name else "" for name in asked.columns or [""] * len(columns)]
    return f"cbind({', '.join(map(''.join, zip(names, columns, strict=True)))})"


def _extras(fit: Fit) -> list[tuple[str, str]]:
    """The other arguments with their text, "" for values that no code can show."""
    design, given = fit.request.design, fit.request.design.given
    there = {"weights": design.weights, "offset": design.extra_offset}
    found = {name: "" for name, values in there.items() if values is not None and np.size(values)}
    if given is None:
        return list(found.items())
    found |= {"subset": ""} if given.subset is not None else {}
    texts = {name: getattr(given, name) for name in found}
    return [(name, text if isinstance(text, str) else "") for name, text in texts.items()]
