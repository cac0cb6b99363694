"""The tables of a fit as texts in columns: coefficients, random effects, correlations, ratios."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from . import digits

if TYPE_CHECKING:
    import pandas as pd

    from ..columns.matrices import RandomTerm
    from ..foci.fit import FociFit
    from ..result import Fit, RandomEffect


def coefficient_columns(fit: Fit, table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Heads and columns of R's coefficient table: with the df for an LMM, and no p where none is known.

    Infinite estimates are Inf or -Inf with no standard error, and marked in the last column.
    """
    letter = "z" if np.isinf(table["df"]).all() else "t"
    tested = bool(table["p_value"].notna().any())
    table = _with_infinite(fit, table)
    shown = {"estimate": "Estimate", "std_error": "Std. Error"}
    if fit.request.model == "lmm" and letter == "t" and tested:
        shown["df"] = "df"
    heads = [*shown.values(), f"{letter} value"]
    body = digits.estimates([list(table[name]) for name in shown])
    body.append(digits.statistics(list(table["statistic"])))
    if not tested:
        return heads, body
    heads, body = [*heads, f"Pr(>|{letter}|)"], [*body, digits.p_values(list(table["p_value"]))]
    marks = digits.stars(list(table["p_value"]))
    marks = ["separated" if name in fit.infinite else mark for name, mark in zip(table["term"], marks, strict=True)]
    if any(marks):
        wide = max(3, *map(len, marks))
        heads, body = [*heads, ""], [*body, [mark.ljust(wide) for mark in marks]]
    return heads, body


def _with_infinite(fit: Fit, table: pd.DataFrame) -> pd.DataFrame:
    """The table of tidy() with what separation makes infinite as inf and -inf (NaN: undetermined), the rest unknown."""
    signs = table["term"].map(dict(fit.infinite)).astype(float)
    lost = signs.notna()
    table = table.copy()
    numbers = [name for name in table.columns if name not in ("term", "df")]
    table.loc[lost, numbers] = np.nan
    table.loc[lost & (signs != 0), "estimate"] = signs * np.inf
    return table


def random_columns(fit: Fit) -> tuple[list[str], list[list[str]]]:
    """Heads and columns of groups, names, variances, standard deviations and correlations, the residual last."""
    groups, names, variances, correlated = list[str](), list[str](), list[float](), list[list[str]]()
    for term, effect, group in zip(fit.request.design.random, fit.random, _labels(fit.random), strict=True):
        found = _of_structure(term, effect) if term.structure != "us" else _of_all(effect)
        for k, (name, variance, row) in enumerate(found):
            groups.append(group if k == 0 else "")
            names.append(name)
            variances.append(variance)
            correlated.append(row)
    if fit.request.family.dispersed:
        groups, names = [*groups, "Residual"], [*names, ""]
        variances, correlated = [*variances, fit.sigma**2], [*correlated, []]
    body = [groups, names, digits.aligned(variances, 4), digits.aligned(np.sqrt(variances), 4)]
    wide = max(map(len, correlated))
    body += [[row[j] if j < len(row) else "" for row in correlated] for j in range(wide)]
    heads = ["Groups", "Name", "Variance", "Std.Dev.", *["Corr"][:wide], *[""] * (wide - 1)]
    return heads, body


def _of_all(effect: RandomEffect) -> list[tuple[str, float, list[str]]]:
    """Name, variance and correlations with those before of every column."""
    S = effect.covariance
    sds = np.sqrt(np.diag(S))
    return [
        (name, float(sds[k] ** 2), [_correlation(S[k, j], sds[k] * sds[j]) for j in range(k)])
        for k, name in enumerate(effect.columns)
    ]


def _of_structure(term: RandomTerm, effect: RandomEffect) -> list[tuple[str, float, list[str]]]:
    """The same with the one variance or correlation of a structure said once, as glmmTMB does."""
    S, columns = effect.covariance, effect.columns
    rows: list[tuple[str, float, list[str]]] = [(name, float(S[k, k]), []) for k, name in enumerate(columns)]
    if term.hom and len(columns) > 1:
        rows = [(f"{columns[0]} to {columns[-1]}", float(S[0, 0]), [])]
    if term.structure in ("cs", "ar1") and len(columns) > 1:
        rho = _correlation(float(S[1, 0]), float(np.sqrt(S[0, 0] * S[1, 1])))
        rows[0] = (*rows[0][:2], [f"{rho} ({term.structure})"])
    return rows


def random_table(fit: Fit) -> str:
    """The random effects as lme4's summary prints them."""
    heads, body = random_columns(fit)
    return "\n".join(f" {line}" for line in digits.columns(heads, body, left=len(heads)).splitlines())


def _correlation(covariance: float, product: float) -> str:
    return f"{covariance / product:.2f}" if product > 0 else "NaN"


def _labels(effects: tuple[RandomEffect, ...]) -> list[str]:
    """Groups' names, a repeated one numbered as lme4 does: Subject, Subject.1."""
    groups = [effect.group for effect in effects]
    return [g if groups[:i].count(g) == 0 else f"{g}.{groups[:i].count(g)}" for i, g in enumerate(groups)]


def correlations(fit: Fit, most: int = 12) -> str:
    """Correlations of the fixed effects; nothing for one coefficient or more than `most`."""
    kept = [i for i, b in enumerate(fit.beta) if not np.isnan(b)]
    if not 1 < len(kept) <= most:
        return ""
    covariance = fit.covariance[np.ix_(kept, kept)]
    scale = np.sqrt(np.diag(covariance))
    matrix, names = covariance / np.outer(scale, scale), [fit.names[i] for i in kept]
    body = [[f"{matrix[i, j]:.3f}" if j < i else "" for i in range(1, len(kept))] for j in range(len(kept) - 1)]
    heads = short_names(names[:-1])
    return "Correlation of Fixed Effects:\n" + digits.columns(heads, body, names[1:])


def short_names(names: list[str]) -> list[str]:
    """Names of at most six characters, which keep the ends apart where the beginnings are the same.

    >>> short_names(["(Intercept)", "period2", "period3"])
    ['(Intr)', 'perod2', 'perod3']
    """
    cut = ["(Intr)" if name == "(Intercept)" else name[:6] for name in names]
    if len(set(cut)) == len(cut):
        return cut
    return [
        short if len(name) <= 6 or short == "(Intr)" else name[:3] + name[-3:]
        for name, short in zip(names, cut, strict=True)
    ]


# ---- zero inflation ------------------------------------------------------------------------------
def zero_inflation_words(fit: Fit) -> str:
    """The coefficients of the zero-inflation model as a table; "" without one."""
    if fit.inflation is None:
        return ""
    table = fit.zero_inflation()
    heads, body = coefficient_columns(replace(fit, separated={}), table)  # whose names are those of the other part
    return "Zero-inflation model (logit):\n" + digits.columns(heads, body, list(table["term"]))


# ---- ratios --------------------------------------------------------------------------------------
def ratio_name(fit: Fit | FociFit) -> str:
    """What exp(coefficient) is called: "Odds ratio" for a logit, "Rate ratio" for counts; "" otherwise."""
    family = fit.request.family
    if family.link.name == "logit":
        return "Odds ratio"
    if family.link.name == "log":
        counts = family.name in ("poisson", "quasipoisson", "nbinom2")
        return "Rate ratio" if counts else "Risk ratio" if family.name == "binomial" else "Ratio of means"
    return ""


def plural(ratio: str) -> str:
    """ "Odds ratios", "Ratios of means"."""
    return ratio.replace("Ratio of", "Ratios of") if ratio.startswith("Ratio of") else f"{ratio}s"


def ratios(fit: Fit, conf_level: float = 0.95) -> pd.DataFrame:
    """Rows of tidy(exponentiate=True) but the intercept, which is no ratio; empty for other links."""
    table = fit.tidy(exponentiate=bool(ratio_name(fit)), conf_level=conf_level)
    kept = (table["term"] != "(Intercept)") & bool(ratio_name(fit)) & table["estimate"].notna()
    table = _with_infinite(fit, table)
    table["estimate"] = table["estimate"].where(table["estimate"] != -np.inf, 0.0)
    return table[kept].reset_index(drop=True)


def ratio_table(fit: Fit) -> str:
    """The ratios with their limits as text; "" for other links."""
    table = ratios(fit)
    if table.empty:
        return ""
    body = digits.estimates([list(table[name]) for name in ("estimate", "conf_low", "conf_high")])
    title = f"{plural(ratio_name(fit))}, with 95 % confidence limits (Wald):"
    return f"{title}\n{digits.columns(['Ratio', '2.5 %', '97.5 %'], body, list(table['term']))}"
