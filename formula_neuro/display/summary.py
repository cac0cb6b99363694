"""A fit in words: what R's summary() prints, in R's order, and a short form for the prompt."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from ..estimator import AGQ, BIAS_REDUCED, REML, Estimator, Jeffreys
from ..family import Family, NBinom2, Quasi
from ..inference.null_model import explained, null_deviance
from . import digits
from .fit_tables import coefficient_columns, correlations, random_table, ratio_table, zero_inflation_words
from .gee_words import gee_parts
from .grouping_words import grouping_notes
from .residual_words import residual_words, structures_in_python

if TYPE_CHECKING:
    from ..family import Array
    from ..maps.request import MapRequest
    from ..request import Request
    from ..result import Fit

VERBS = (
    "m.tidy()  m.summary()  m.predict()  m.plot()  m.report(path)  fn.anova(m)  fn.contrast(m, ...)  fn.crosscheck(m)"
)


# ---- the whole summary ---------------------------------------------------------------------------
def summary(fit: Fit) -> str:
    """What R's summary() prints for lm, glm, lmer or glmer; below it odds or rate ratios and all messages."""
    return "\n\n".join(part for part in [body(fit), ending(fit)] if part)


def body(fit: Fit) -> str:
    """The summary without what was found on the way."""
    parts = {"lm": _lm, "glm": _glm, "lmm": _mixed, "glmm": _mixed, "gee": _gee}[fit.request.model](fit)
    return "\n\n".join(part for part in [*parts, ratio_table(fit)] if part)


def _lm(fit: Fit) -> list[str]:
    weights = fit.request.weights
    raw = (fit.request.y - np.asarray(fit.fitted))[weights > 0] * np.sqrt(weights[weights > 0])
    weighted = "Weighted " if np.ptp(weights) else ""
    return [
        f"Call:\nlm({formula_text(fit)})",
        f"{weighted}Residuals:\n{_quantiles(raw)}",
        _coefficients(fit),
        _lm_foot(fit),
        _how(fit),
    ]


def _lm_foot(fit: Fit) -> str:
    df = f"{fit.df_resid:g}"
    lines = [f"Residual standard error: {fit.sigma:.4g} on {df} degrees of freedom"]
    found = explained(fit)
    if found.df:
        lines.append(f"Multiple R-squared:  {found.share:.4g},\tAdjusted R-squared:  {found.adjusted:.4g}")
        p = digits.p_values([found.p_value], 4)[0]
        lines.append(f"F-statistic: {found.F:.4g} on {found.df} and {df} DF,  p-value: {p}")
    return "\n".join(lines)


def _glm(fit: Fit) -> list[str]:
    family = fit.request.family
    return [
        f"Call:\n{_glm_call(fit)}",
        f"Deviance Residuals:\n{_quantiles(np.asarray(fit.residuals('deviance')))}",
        _coefficients(fit),
        f"(Dispersion parameter for {_family_words(family)} family taken to be {digits.aligned([fit.dispersion])[0]})",
        _glm_foot(fit),
        _how(fit),
        _theta(fit),
    ]


def _gee(fit: Fit) -> list[str]:
    return gee_parts(fit, _coefficients(fit))


def _glm_call(fit: Fit) -> str:
    family = fit.request.family
    if isinstance(family, NBinom2) and family.fixed:
        given = f"negative.binomial(theta = {family.theta:g}, link = {family.link.name})"
        return f"glm({formula_text(fit)}, family = {given})"
    if isinstance(family, NBinom2):
        return f"glm.nb({formula_text(fit)}, link = {family.link.name})"
    variance = f', variance = "{family.variance_of}"' if isinstance(family, Quasi) else ""
    return f"glm({formula_text(fit)}, family = {family.name}(link = {family.link.name}{variance}))"


def _family_words(family: Family) -> str:
    return f"Negative Binomial({family.theta:.5g})" if isinstance(family, NBinom2) else family.name


def _how(fit: Fit) -> str:
    """brglm2's line on the estimator, and R's on the iterations."""
    words = TYPES.get(fit.request.estimator.word)
    kind = f"Type of estimator: {words}" if words else ""
    if isinstance(fit.request.estimator, Jeffreys) and fit.request.estimator.power != 0.5:
        kind += f", power {fit.request.estimator.power:g}"
    steps = f"Number of Fisher Scoring iterations: {fit.iterations}" if fit.iterations else ""
    return "\n".join(line for line in (kind, steps) if line)


TYPES = {
    "mean_br": "AS_mean (mean bias-reducing adjusted score equations)",
    "median_br": "AS_median (median bias-reducing adjusted score equations)",
    "jeffreys": "MPL_Jeffreys (maximum penalized likelihood with Jeffreys'-prior penalty)",
}


def _theta(fit: Fit) -> str:
    """theta of a negative binomial with its standard error, and twice the log-likelihood, as MASS prints them."""
    family = fit.request.family
    if not isinstance(family, NBinom2):
        return ""
    if family.fixed:
        return f"              Theta:  {family.theta:g} (given)"
    places = max(0, 2 - math.floor(math.log10(family.theta_se))) if 0 < family.theta_se < math.inf else 3
    rows = [("Theta", f"{family.theta:.{places}f}"), ("Std. Err.", f"{family.theta_se:.{places}f}")]
    lines = [f"{name:>19}:  {word}" for name, word in rows]
    return "\n".join([*lines, "", f" 2 x log-likelihood:  {2 * fit.loglik:.3f}"])


def _glm_foot(fit: Fit) -> str:
    null, residual = digits.aligned([null_deviance(fit), fit.deviance], 5)
    rows = int((fit.request.weights > 0).sum()) - int(fit.request.design.formula.fixed.intercept)
    freedom = digits.padded([str(rows), f"{fit.df_resid:g}"])
    return (
        f"    Null deviance: {null}  on {freedom[0]}  degrees of freedom\n"
        f"Residual deviance: {residual}  on {freedom[1]}  degrees of freedom\n"
        f"AIC: {digits.aligned([fit.aic], 5)[0]}"
    )


def _mixed(fit: Fit) -> list[str]:
    residuals = np.asarray(fit.residuals("pearson")) / (fit.sigma or 1)
    return [
        _mixed_head(fit),
        _criteria(fit),
        f"Scaled residuals:\n{_quantiles(residuals)}",
        f"Random effects:\n{random_table(fit)}\n{_sizes(fit)}",
        _shape(fit),
        residual_words(fit),
        _coefficients(fit),
        zero_inflation_words(fit),
        correlations(fit),
    ]


def _mixed_head(fit: Fit) -> str:
    request = fit.request
    if request.model == "lmm":
        how = "REML" if isinstance(request.estimator, REML) else "maximum likelihood"
        tests = ". t-tests use Satterthwaite's method" if fit.tidy()["p_value"].notna().any() else ""
        lines = [f"Linear mixed model fit by {how}{tests}"]
    else:
        nodes = request.estimator.nodes if isinstance(request.estimator, AGQ) else 1
        how = f"Adaptive Gauss-Hermite Quadrature, nAGQ = {nodes}" if nodes > 1 else "Laplace Approximation"
        weights = getattr(request.estimator, "weights", None)
        how += f", {weights} weights" if weights else ""
        prior = getattr(request.estimator, "prior", None)
        what = f"maximum a posteriori, prior of the coefficients {prior}" if prior else "maximum likelihood"
        lines = [f"Generalized linear mixed model fit by {what} ({how})"]
        zeros = getattr(request.estimator, "zero_inflation", None)
        inflated = f", zero inflation {zeros}" if zeros else ""
        lines.append(f" Family: {request.family.name}  ( {request.family.link.name} ){inflated}")
    return "\n".join([*lines, f"Formula: {request.design.formula}", f"Backend: {fit.backend}"])


def _shape(fit: Fit) -> str:
    """The shape of a mixed model's family with its standard error."""
    shape = fit.family.shape
    if shape is None:
        return ""
    name, value, error = shape
    return f"Dispersion parameter {name} of the {fit.family.name} family: {value:.4g} (standard error {error:.3g})"


def _criteria(fit: Fit) -> str:
    if isinstance(fit.request.estimator, REML):
        return f"REML criterion at convergence: {fit.criterion:.1f}"
    values = [fit.aic, fit.bic, fit.loglik, -2 * fit.loglik, fit.nobs - fit.n_parameters]
    words = digits.aligned([round(v, 1) for v in values])
    return digits.named("AIC BIC logLik deviance df.resid".split(), [*words[:4], f"{values[4]:g}"])


# ---- pieces ---------------------------------------------------------------------------------------
def formula_text(fit: Fit) -> str:
    return f"formula = {fit.request.design.formula}"


def _quantiles(residuals: Array) -> str:
    values = np.quantile(residuals, [0, 0.25, 0.5, 0.75, 1])
    largest = float(np.abs(values).max())
    # As R: five digits of the largest, so that a median near zero does not widen the row.
    places = max(0, round(5 - math.log10(largest))) if largest > 0 else 0
    words = digits.aligned(np.round(values, places), 4)
    return digits.named("Min 1Q Median 3Q Max".split(), words)


def _coefficients(fit: Fit) -> str:
    if not fit.names:
        return "No Coefficients"
    title = "Fixed effects:" if fit.request.model in ("lmm", "glmm") else "Coefficients:"
    if fit.aliased:
        title += f" ({len(fit.aliased)} not defined because of singularities)"
    table, starred = _table(fit)
    legend = f"\n---\n{digits.LEGEND}" if starred else ""
    return f"{title}\n{table}{legend}"


def _table(fit: Fit) -> tuple[str, bool]:
    """R's coefficient table as text, and whether it has stars."""
    table = fit.tidy()
    heads, body = coefficient_columns(fit, table)
    starred = heads[-1] == "" and any("*" in mark or "." in mark for mark in body[-1])
    return digits.columns(heads, body, list(table["term"])), starred


def _sizes(fit: Fit) -> str:
    levels = {effect.group: len(effect.levels) for effect in fit.random}
    return f"Number of obs: {fit.nobs}, groups:  {'; '.join(f'{name}, {n}' for name, n in levels.items())}"


# ---- the end, and the short form -----------------------------------------------------------------
def ending(fit: Fit) -> str:
    """Convergence, how the groups lie to one another, and everything that was found on the way."""
    # Where the maximum is at infinity, the table and a message say so.
    lines = [] if fit.converged or fit.infinite else ["NOT CONVERGED: do not use these numbers as they are"]
    lines += [_wrapped(f"note: {text}") for text in grouping_notes(fit.request.design.random)]
    return "\n".join([*lines, *(_wrapped(f"message: {text}") for text in fit.messages)])


def _wrapped(text: str, width: int = 100) -> str:
    return textwrap.fill(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def model_words(request: Request | MapRequest) -> str:
    """The model in words: "binomial(logit) generalized linear mixed model by maximum likelihood (Laplace)"."""
    how = {
        "ml": "quasi-likelihood" if request.family.name.startswith("quasi") else "maximum likelihood",
        "reml": "REML",
        "laplace": f"maximum {'a posteriori' if getattr(request.estimator, 'prior', None) else 'likelihood'} (Laplace)",
        "agq": f"maximum likelihood ({request.estimator})",
        "mean_br": "mean bias reduction",
        "median_br": "median bias reduction",
        "spatial": f"its posterior under a spatial prior{_spatial(request.estimator)}",
        "jeffreys": f"likelihood penalised by Jeffreys' prior{_power(request.estimator)}",
    }.get(request.estimator.word, request.estimator.word)
    zeros = "" if request.inflation is None else "zero-inflated "
    words = {
        "lm": f"linear model by {how if request.estimator.word in BIAS_REDUCED else 'least squares'}",
        "glm": f"{request.family} generalized linear model by {how}",
        "lmm": f"linear mixed model by {how}{_residuals(request)}",
        "glmm": f"{zeros}{request.family} generalized linear mixed model by {how}",
        "gee": f"{request.family} model by generalized estimating equations ({getattr(request.estimator, 'corr', '')})",
    }
    return words[request.model]


def _residuals(request: Request | MapRequest) -> str:
    structures = structures_in_python(request.estimator)
    return f", residuals by {structures.replace('fn.', '')}" if structures else ""


def _spatial(estimator: Estimator) -> str:
    return {"laplace": " (normal approximation)", "gibbs": " (sampled)"}.get(getattr(estimator, "method", ""), "")


def _power(estimator: Estimator) -> str:
    power = estimator.power if isinstance(estimator, Jeffreys) else 0.5
    return "" if power == 0.5 else f" (power {power:g})"


def short(fit: Fit) -> str:
    """The print of a fit: the model, its coefficients, and the verbs that work on it."""
    levels = {effect.group: len(effect.levels) for effect in fit.random}
    size = ", ".join([f"{fit.nobs} rows", *(f"{n} levels of {group}" for group, n in levels.items())])
    lines = [f"{fit.request.design.formula}", f"{model_words(fit.request)}; {size}; {fit.backend}", ""]
    lines.append(_table(fit)[0] if fit.names else "No Coefficients")
    if fit.inflation is not None:
        lines += ["", zero_inflation_words(fit)]
    if fit.random:
        lines += ["", random_table(fit)]
    if not fit.converged or fit.messages:
        lines += [
            "",
            *([] if fit.converged or fit.infinite else ["NOT CONVERGED"]),
            *(_wrapped(f"message: {text}") for text in fit.messages),
        ]
    return "\n".join([*lines, "", VERBS])
