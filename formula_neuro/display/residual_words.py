"""What a linear mixed model says of its residual structure, and the code that asks for it again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..estimator import REML, Estimator
from ..estimator.residual_structure import AR1, VarIdent
from ..syntax.nlme_random import random_in_nlme
from ..syntax.updating import text_of
from . import digits

if TYPE_CHECKING:
    from ..result import Fit


def residual_words(fit: Fit) -> str:
    """The standard deviations by level and the correlation in time; "" for plain residuals."""
    structures = getattr(fit.request.estimator, "residual", ())
    return "\n".join(_varident(fit, s) if isinstance(s, VarIdent) else _ar1(fit, s) for s in structures)


def _varident(fit: Fit, structure: VarIdent) -> str:
    ratios = {name[3:]: value for name, value in fit.residual.items() if name.startswith("sd ")}
    levels = [name.split(" / ")[0] for name in ratios]
    reference = next(iter(ratios)).split(" / ")[1]
    sds = [fit.sigma, *(fit.sigma * value for value in ratios.values())]
    shown = digits.named([reference, *levels], digits.aligned(sds, 4))
    return f"Residual standard deviations by {structure.group} (varIdent):\n{shown}"


def _ar1(fit: Fit, structure: AR1) -> str:
    within = f" within {structure.group}" if structure.group else ""
    return f"Residual correlation{within} (corAR1): phi = {fit.residual['phi']:.4g}"


def structures_in_python(estimator: Estimator) -> str:
    """The value of residual= as code; "" for plain residuals."""
    texts = []
    for structure in getattr(estimator, "residual", ()):
        if isinstance(structure, VarIdent):
            texts.append(f'fn.VarIdent("{structure.group}")')
        else:
            given = [f'{name}="{getattr(structure, name)}"' for name in ("time", "group") if getattr(structure, name)]
            texts.append(f"fn.AR1({', '.join(given)})")
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


def lme_code(fit: Fit, data: str) -> str:
    """The model in nlme, whose random= is left open where grouping factors are crossed."""
    request = fit.request
    formula = request.design.formula
    random = random_in_nlme(formula) or "..."
    arguments = [text_of(replace(formula, bars=())), "data = d", f"random = {random}", *_structures_in_r(fit)]
    if not isinstance(request.estimator, REML):
        arguments.append('method = "ML"')
    return f'd <- read.csv("{data}")\nm <- nlme::lme({", ".join(arguments)})\nsummary(m)'


def _structures_in_r(fit: Fit) -> list[str]:
    found = []
    for structure in getattr(fit.request.estimator, "residual", ()):
        if isinstance(structure, VarIdent):
            found.append(f"weights = nlme::varIdent(form = ~1 | {structure.group})")
        else:
            group = f" | {structure.group}" if structure.group else ""
            found.append(f"correlation = nlme::corAR1(form = ~{structure.time or 1}{group})")
    return found
