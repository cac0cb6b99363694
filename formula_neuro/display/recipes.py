"""The code that makes a fit again: in Python, and in R."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..data.values import Contrast
from ..estimator import AGQ, BIAS_REDUCED, GEE, REML, Jeffreys, Laplace, Spatial
from ..family import NBinom2, Quasi
from ..syntax.expression import quoted
from .kept_data import arrays, kept_table, levels, source
from .residual_words import lme_code, structures_in_python

if TYPE_CHECKING:
    from ..maps.request import MapRequest
    from ..request import Request
    from ..result import Fit

    AnyRequest: TypeAlias = Request | MapRequest

GEEGLM = {"gee": "geepack::geeglm"}
BRGLM2 = {"mean_br": "AS_mean", "median_br": "AS_median", "jeffreys": "MPL_Jeffreys"}


def python_code(fit: Fit, data: str = "data.csv") -> str:
    """The call of this package that makes the fit again.

    >>> import formula_neuro as fn
    >>> print(python_code(fn.fit("dff ~ lick", fn.datasets.waterlick())))
    import formula_neuro as fn
    m = fn.fit("dff ~ lick", "data.csv")
    """
    formula, *arguments = python_arguments(fit.request)
    if not fit.backend.startswith("native-"):
        arguments.append(f'backend="{fit.backend}"')
    path = json.dumps(source(fit.request) or data, ensure_ascii=False)
    table = kept_table(fit.request, " ".join(arguments))
    factors = {} if table is None else levels(fit.request, table)
    lines = ["import formula_neuro as fn"]
    if factors:
        texts = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: str" for name in factors)
        lines = ["import pandas as pd", *lines, f"data = pd.read_csv({path}, dtype={{{texts}}})"]
        for name, own in factors.items():
            column = f"data[{json.dumps(name, ensure_ascii=False)}]"
            lines.append(f"{column} = pd.Categorical({column}, {json.dumps(own, ensure_ascii=False)})")
    lines.append(f"m = fn.fit({', '.join([formula, 'data' if factors else path, *arguments])})")
    return "\n".join(lines)


def python_arguments(request: AnyRequest) -> list[str]:
    """The arguments of fn.fit besides the data and the backend: the formula first, the others by name."""
    arguments = [json.dumps(str(request.design.formula), ensure_ascii=False)]
    if request.model in ("glm", "glmm", "gee"):
        arguments.append(f'family="{request.family}"')
    if how := _python_estimator(request):
        arguments.append(f"estimator={how}")
    arguments += [f"{name}={json.dumps(text) if text else '...'}" for name, text in _extras(request)]
    if request.design.contrasts:
        contrasts = {name: _in_python(asked) for name, asked in request.design.contrasts}
        arguments.append(f"contrasts={json.dumps(contrasts, ensure_ascii=False)}")
    return arguments


def _python_estimator(request: AnyRequest) -> str:
    """The estimator as one writes it, "" for a model's own."""
    how = request.estimator
    if isinstance(how, GEE):
        given = [f'{f.name}="{getattr(how, f.name)}"' for f in fields(how) if getattr(how, f.name) != f.default]
        return f"fn.GEE({', '.join(given)})"
    if isinstance(how, (AGQ, Laplace)) and how != Laplace():
        return "fn." + repr(how).replace("prior=", "prior=fn.").replace("nodes=", "")
    if isinstance(how, Spatial):
        return '"spatial"' if how == Spatial() else f"fn.{how!r}"
    if how.word in BIAS_REDUCED:
        power = f"({number:g})" if (number := _power(request)) else ""
        return f'"{how.word}{power}"'
    if residual := structures_in_python(how):
        return f"fn.{type(how).__name__}(residual={residual})"
    return '"ml"' if request.model == "lmm" and not isinstance(how, REML) else ""


def r_code(fit: Fit, data: str = "data.csv") -> str:
    """The same model in R.

    >>> import formula_neuro as fn
    >>> print(r_code(fn.fit("dff ~ lick", fn.datasets.waterlick())))
    d <- read.csv("data.csv")
    m <- lm(dff ~ lick, data = d)
    summary(m)
    """
    request = fit.request
    data = source(request) or data
    if structures_in_python(request.estimator):
        return lme_code(fit, data)
    library = "library(brglm2)\n" if request.estimator.word in BIAS_REDUCED else ""
    return f"{library}d <- {r_reader(data)}\n{_factors(request)}{_sorted(request)}m <- {r_call(request)}\nsummary(m)"


def r_reader(data: str) -> str:
    """R's call that reads a table, by the ending of its file."""
    path = json.dumps(data, ensure_ascii=False)
    readers = {".tsv": "read.delim({})", ".txt": "read.table({}, header = TRUE)", ".parquet": "arrow::read_parquet({})"}
    return readers.get(os.path.splitext(data)[1].lower(), "read.csv({})").format(path)


def _factors(request: Request) -> str:
    """The factors whose levels R would not find, or not in their order."""
    table = kept_table(request, "")
    found = {} if table is None else levels(request, table)
    return "".join(
        f"d${quoted(name)} <- factor(d${quoted(name)}, levels = c({', '.join(json.dumps(x) for x in own)}))\n"
        for name, own in found.items()
    )


def r_call(request: AnyRequest) -> str:
    """R's call that fits the model to a data frame d, such as lm(y ~ x, data = d)."""
    arguments = [str(request.design.formula), "data = d", *_r_family(request), *_r_estimator(request)]
    arguments += [f"{name} = {text or '...'}" for name, text in _extras(request)]
    if request.design.contrasts:
        given = ", ".join(f"{quoted(name)} = {_in_r(asked)}" for name, asked in request.design.contrasts)
        arguments.append(f"contrasts = list({given})")
    return f"{_r_function(request)}({', '.join(arguments)})"


def _sorted(request: AnyRequest) -> str:
    """geeglm takes neighbouring rows of one id for a cluster, and would split what is not sorted."""
    how = request.estimator
    if not isinstance(how, GEE):
        return ""
    return f"d <- d[order({', '.join(f'd${name}' for name in how.columns)}), ]\n"


def _r_function(request: AnyRequest) -> str:
    if request.model == "glmm" and getattr(request.estimator, "prior", None):
        return "blme::bglmer"
    if request.like_glmmtmb and request.family.name != "inverse.gaussian":  # which glmmTMB has not
        return "glmmTMB::glmmTMB"
    if isinstance(request.family, NBinom2) and not request.family.fixed:
        return "MASS::glm.nb"
    if request.estimator.word in BIAS_REDUCED:
        return "glm"  # lm() knows no other method
    return {"lm": "lm", "glm": "glm", "lmm": "lmerTest::lmer", "glmm": "lme4::glmer", **GEEGLM}[request.model]


def _r_family(request: AnyRequest) -> list[str]:
    family = request.family
    if request.model not in ("glm", "glmm", "gee"):
        return []
    if family.shape is not None and request.like_glmmtmb:
        name = "beta_family" if family.name == "beta" else family.name
        return [f'family = glmmTMB::{name}(link = "{family.link.name}")']
    if isinstance(family, NBinom2):
        given = f'family = MASS::negative.binomial(theta = {family.theta:.10g}, link = "{family.link.name}")'
        return [given] if family.fixed else [f"link = {family.link.name}"]
    variance = f', variance = "{family.variance_of}"' if isinstance(family, Quasi) else ""
    return [f'family = {family.name}(link = "{family.link.name}"{variance})']


def _r_estimator(request: AnyRequest) -> list[str]:
    how = request.estimator
    if request.model == "lmm" and not isinstance(how, REML):
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
    power = [f"a = {number:g}"] if (number := _power(request)) else []
    return ["method = brglmFit", f'type = "{BRGLM2[how.word]}"', *power]


def _power(request: AnyRequest) -> float | None:
    """The power of Jeffreys' prior where it is not the usual 1/2."""
    how = request.estimator
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


def _extras(request: AnyRequest) -> list[tuple[str, str]]:
    """The other arguments with their text, "" for values that no code can show."""
    design, given = request.design, request.design.given
    there = {"weights": design.weights, "offset": design.extra_offset}
    found = {name: "" for name, values in there.items() if values is not None and np.size(values)}
    if given is None:
        return list(found.items())
    found |= {"subset": ""} if given.subset is not None else {}
    texts = {name: getattr(given, name) for name in found} | {name: name for name in arrays(request)}
    return [(name, text if isinstance(text, str) else "") for name, text in texts.items()]
