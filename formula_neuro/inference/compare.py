"""compare(): several fits side by side in one table, whichever backend and estimator made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..estimator import BIAS_REDUCED
from ..family import NBinom2
from ..foci.fit import FociFit
from ..foci.inference import compared as of_foci
from ..foci.inference.moderators import moderator_precision
from ..maps.lacking import refuse_maps
from ..nearest import not_known
from ..request import Request
from ..result import Fit
from ..syntax.expression import label
from .coefficients import COLUMNS, check_level
from .told import told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("std_error", "conf_int", "statistic", "p_value", "none")
FITTED = ("nobs", "sigma", "dispersion", "theta", "phi", "loglik", "aic", "bic", "qic", "r_squared", "adj_r_squared")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several fits in one table: print it, or `to_frame()`, `to_markdown()`, `to_latex()`, `plot()`."""

    names: tuple[str, ...]
    fits: tuple[Fit | FociFit, ...]
    frame: pd.DataFrame
    notes: tuple[str, ...]
    shown: str
    stars: bool
    exponentiate: bool
    conf_level: float

    def to_frame(self) -> pd.DataFrame:
        """One row a number of a fit: fit, part, term, estimate, std_error, statistic, df, p_value, conf_low,
        conf_high, separated.

        part is "coefficients", "random effects" (standard deviations) or "fit" (nobs, loglik, aic, ...). An infinite
        coefficient has the estimate inf or -inf (NaN where nothing determines it) and its sign in `separated`.
        """
        return told(self.frame.copy())

    @property
    def texts(self) -> pd.DataFrame:
        """The table as texts: a row a coefficient, then random effects and the fits as a whole; a column a fit.

        A DataFrame: texts.to_html("table.html") opens in Word, texts.to_excel("table.xlsx") in a spreadsheet.
        """
        from ..display.compared_words import table

        return table(self)

    def to_markdown(self) -> str:
        """The table in Markdown, notes below."""
        from ..display.compared_words import markdown

        return markdown(self)

    def to_latex(self) -> str:
        """The table in LaTeX, by pandas (which needs jinja2), notes as comments below."""
        from ..display.compared_words import latex

        return latex(self)

    def plot(self) -> Figure:
        """The coefficients of all fits beside one another with their intervals; infinite ones are arrows."""
        from ..display.forest import compared

        return compared(self)

    def __str__(self) -> str:
        from ..display.compared_words import text

        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ..display.compared_words import html

        return html(self)


def compare(
    *fits: Fit | FociFit,
    names: Sequence[str] | None = None,
    stars: bool = False,
    statistic: str | None = None,
    exponentiate: bool = False,
    vcov: Any = None,
    conf_level: float = 0.95,
) -> Comparison:
    """Fits side by side: coefficients with their standard errors, random effects' sds, and the fits as a whole.

    names: a heading for each fit; else what tells them apart (estimator, family, backend), or (1), (2), ...
    stars: R's marks of significance. statistic: what stands in brackets: "std_error" (the default), "conf_int" (the
    default with exponentiate), "statistic", "p_value" or "none".
    exponentiate: odds or rate ratios. vcov: as tidy's, for all fits, or a list with one for each fit.
    Fits of foci are compared with one another: their moderators (vcov: a covariance of tidy()) and each as a whole.
    Where the fits differ in rows or response, a note says so. Coefficients that separation makes infinite under
    maximum likelihood are shown as such, not as the number where the iterations stopped.

    >>> import formula_neuro as fn
    >>> d = fn.datasets.waterlick()
    >>> small = fn.fit("lick ~ dff", d, family="binomial")
    >>> table = fn.compare(small, fn.fit("lick ~ dff + (1|mouseID)", d, family="binomial"), names=["glm", "glmm"])
    >>> print(table.texts.iloc[:4])
                                          glm             glmm
    (Intercept)                -0.638 (0.130)   -0.601 (0.232)
    dff                       0.0654 (0.0185)  0.0624 (0.0199)
    sd (Intercept) | mouseID                             0.530
    observations                          512              512
    """
    for fit in fits:
        refuse_maps(fit, "compare", "v.glance() and v.tidy() are tables of each, v.maps[...] the images to compare")
    _check(fits, names, statistic)
    check_level(conf_level)
    covariances = list(vcov) if isinstance(vcov, (list, tuple)) else [vcov] * len(fits)
    if len(covariances) != len(fits):
        raise ValueError(f"vcov has {len(covariances)} entries for {len(fits)} fits; give one for each, or one for all")
    heads = tuple(map(str, names)) if names is not None else _names(fits, covariances)
    tables, foci = _told_apart(fits)

    def whole(fit: Fit | FociFit, how: Any) -> list[pd.DataFrame]:
        if isinstance(fit, FociFit):
            return of_foci.parts(fit, how, conf_level, exponentiate)
        coefficients = _coefficients(fit, _infinite(fit, tables), how, conf_level, exponentiate)
        return [coefficients, _zeros(fit, conf_level, exponentiate), _random(fit), _whole(fit)]

    parts = [
        part.assign(fit=head)
        for fit, head, how in zip(fits, heads, covariances, strict=True)
        for part in whole(fit, how)
    ]
    frame = pd.concat([p for p in parts if len(p)], ignore_index=True)
    frame = frame.reindex(columns=["fit", "part", *COLUMNS, "separated"])
    shown = statistic or ("conf_int" if exponentiate else "std_error")
    words = [moderator_precision(fit, how).word for fit, how in zip(foci, covariances, strict=False)]
    notes = of_foci.notes(foci, words) if foci else _notes(tables, covariances)
    return Comparison(heads, fits, frame, notes, shown, stars, exponentiate, conf_level)


def _told_apart(fits: tuple[Fit | FociFit, ...]) -> tuple[tuple[Fit, ...], tuple[FociFit, ...]]:
    """The fits of tables, and those of foci: all are of one kind."""
    tables = tuple(fit for fit in fits if isinstance(fit, Fit))
    foci = tuple(fit for fit in fits if isinstance(fit, FociFit))
    if tables and foci:
        raise TypeError("fits of foci are compared with one another, not with fits of a table")
    return tables, foci


# ---- checks and names ----------------------------------------------------------------------------
def _check(fits: tuple[Any, ...], names: Sequence[str] | None, statistic: str | None) -> None:
    if not fits:
        raise TypeError("compare takes one or more fits, got none")
    strange = next((fit for fit in fits if not isinstance(fit, (Fit, FociFit))), None)
    if strange is not None:
        how = {dict: "; write compare(*fits.values(), names=list(fits))"}.get(type(strange), "; write compare(*fits)")
        hint = how if isinstance(strange, (list, tuple, dict)) else ""
        raise TypeError(f"compare takes fits, one after the other; got {type(strange).__name__}{hint}")
    if statistic is not None and statistic not in SHOWN:
        raise ValueError(not_known("statistic", statistic, SHOWN))
    if isinstance(names, str) or (names is not None and len(names) != len(fits)):
        raise ValueError(f"names is a list with one heading for each of the {len(fits)} fits; got {names!r}")
    if names is not None and len(set(map(str, names))) < len(names):
        raise ValueError(f"names must differ from one another, got {list(names)}")


def _names(fits: tuple[Fit | FociFit, ...], covariances: list[Any]) -> tuple[str, ...]:
    """What tells the fits apart in one word, else (1), (2), ..."""
    candidates = [
        [_estimator(fit) for fit in fits],
        [str(fit.request.family) for fit in fits],
        [fit.backend for fit in fits],
        [_covariance(how) or "model-based" for how in covariances],
    ]
    for words in candidates:
        if len(set(words)) == len(words) > 1 and len({str(fit.request.design.formula) for fit in fits}) == 1:
            return tuple(words)
    return tuple(f"({i})" for i in range(1, len(fits) + 1))


def _estimator(fit: Fit | FociFit) -> str:
    """ "ml", "jeffreys(0.3)": the word, with its number where that is not the default."""
    how = fit.request.estimator
    chosen = any(getattr(how, name, None) for name in ("prior", "weights", "zero_inflation"))
    if fit.request.model == "gee" or fit.request.residuals or chosen:
        return repr(how)
    numbers = [f"{value:g}" for value in vars(how).values() if isinstance(value, (int, float))]
    return how.word if how == type(how)() else f"{how.word}({', '.join(numbers)})"


def _covariance(how: Any) -> str:
    if how is None:
        return ""
    return f"cluster {', '.join(map(str, how.values()))}" if isinstance(how, Mapping) else str(how)


# ---- the long table ------------------------------------------------------------------------------
def _infinite(fit: Fit, fits: tuple[Fit, ...]) -> Mapping[str, float]:
    """The infinite coefficients; where the backend did not look for them, those found by a fit of the same model."""
    if fit.separation or fit.request.estimator.word in BIAS_REDUCED:
        return fit.infinite
    same = (other for other in fits if other.separated and _same_model(fit.request, other.request))
    return next((other.separated for other in same), fit.infinite)


def _same_model(a: Request, b: Request) -> bool:
    arrays = [(a.design.matrix, b.design.matrix), (a.y, b.y), (a.weights, b.weights)]
    return a.model == b.model and str(a.family) == str(b.family) and all(np.array_equal(x, y) for x, y in arrays)


def _coefficients(
    fit: Fit, signs: Mapping[str, float], vcov: Any, conf_level: float, exponentiate: bool
) -> pd.DataFrame:
    table = fit.tidy(vcov=vcov, conf_level=conf_level, exponentiate=exponentiate)[COLUMNS]
    table = table.assign(part="coefficients", separated=[signs.get(term, np.nan) for term in table["term"]])
    lost = table["separated"].notna()
    table.loc[lost, COLUMNS[2:]] = np.nan
    limits = np.where(table["separated"] == 0, np.nan, table["separated"] * np.inf)
    table.loc[lost, "estimate"] = np.exp(limits[lost]) if exponentiate else limits[lost]
    return table


def _zeros(fit: Fit, conf_level: float, exponentiate: bool) -> pd.DataFrame:
    """The coefficients of zero inflation, named so; no rows without."""
    if fit.inflation is None:
        return pd.DataFrame()
    table = fit.zero_inflation(conf_level=conf_level, exponentiate=exponentiate)
    return table.assign(part="zero inflation", term="zero inflation: " + table["term"])


def _random(fit: Fit) -> pd.DataFrame:
    rows = [
        {"term": f"sd {name} | {effect.group}", "estimate": float(np.sqrt(effect.covariance[k, k]))}
        for effect in fit.random
        for k, name in enumerate(effect.columns)
    ]
    return pd.DataFrame(rows).assign(part="random effects")


def _whole(fit: Fit) -> pd.DataFrame:
    """The numbers of glance() that are comparable: sigma of linear models, dispersion or theta of other families."""
    family = fit.request.family
    row = fit.glance().iloc[0].to_dict() | {"dispersion": fit.dispersion}
    row |= {"theta": family.theta} if isinstance(family, NBinom2) else {}
    row |= {"phi": family.shape[1]} if family.shape and family.shape[0] == "phi" else {}
    unwanted = {"dispersion"} if family.name == "gaussian" else {"sigma"}
    unwanted |= set() if family.dispersed else {"dispersion", "sigma"}
    unwanted |= {"loglik", "aic", "bic"} if fit.request.model == "gee" else set()
    pairs = [(name, float(row[name])) for name in FITTED if name in row and name not in unwanted]
    return pd.DataFrame([{"term": name, "estimate": value} for name, value in pairs]).assign(part="fit")


# ---- notes ---------------------------------------------------------------------------------------
def _notes(fits: tuple[Fit, ...], covariances: list[Any]) -> tuple[str, ...]:
    """What keeps the columns from being comparable, and what the numbers rest on."""
    found = [*_differences(fits), *_likelihoods(fits)]
    words = list(dict.fromkeys(w for how in covariances if (w := _covariance(how))))
    found += [f"standard errors: {', '.join(words)}"] if words else []
    found += [
        f"{fit.request.design.formula} did not converge" for fit in fits if not fit.converged and not fit.infinite
    ]
    if any(fit.infinite for fit in fits):
        found.append("separated: the maximum-likelihood estimate is infinite; the likelihood is its limit's")
    return tuple(dict.fromkeys(found))


def _differences(fits: tuple[Fit, ...]) -> list[str]:
    requests = [fit.request for fit in fits]
    first, apart = requests[0], "so log-likelihoods, AIC and BIC cannot be compared"
    responses = list(dict.fromkeys(label(r.design.formula.response) for r in requests if r.design.formula.response))
    if len(responses) > 1:
        return [f"the responses differ ({', '.join(responses)}), {apart}"]
    if any(not np.array_equal(r.design.rows, first.design.rows) for r in requests):
        counts = [len(r.design.rows) for r in requests]
        sizes = ", ".join(map(str, counts)) if len(set(counts)) > 1 else f"{counts[0]} each, not the same ones"
        return [f"the fits use different rows ({sizes}), {apart}"]
    if any(not np.array_equal(r.y, first.y) for r in requests):
        return [f"the responses have different values, {apart}"]
    if any(not np.array_equal(r.weights, first.weights) for r in requests):
        return [f"the weights differ, {apart}"]
    return []


def _likelihoods(fits: tuple[Fit, ...]) -> list[str]:
    words = {fit.request.estimator.word for fit in fits}
    if "reml" in words and ("ml" in words or len({fit.names for fit in fits}) > 1):
        return ["REML likelihoods cannot be compared between different fixed parts, nor with maximum likelihood"]
    if words & set(BIAS_REDUCED) and len(words) > 1:
        return ["bias-reduced estimates do not maximise the likelihood: theirs is below that of ml by construction"]
    return []
