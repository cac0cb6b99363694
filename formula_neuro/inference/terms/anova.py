"""anova(): the terms of one fit, or several fits of the same rows compared by a likelihood-ratio or an F test."""

from __future__ import annotations

import builtins
import itertools
from typing import Any, overload

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import DataError, Unable
from ...estimator import AGQ, BIAS_REDUCED, REML
from ...foci.fit import FociFit
from ...foci.inference.nested import nested_foci
from ...maps.fit import MapFit
from ...maps.inference.terms import MapAnova, anova_maps
from ...request import Request
from ...result import Fit
from ..ability import ability
from ..told import told
from ..variances import variance_tests
from .mixed_anova import mixed_table
from .term_tables import deviance_table, term_table
from .wald_anova import wald_anova


@overload
def anova(fit: MapFit, /, *, test: str | None = ..., type: str | None = ...) -> MapAnova: ...
@overload
def anova(*fits: FociFit, test: str | None = ...) -> pd.DataFrame: ...
@overload
def anova(
    *fits: Fit, test: str | None = ..., type: str | None = ..., df: str | None = ..., refit: bool | None = ...
) -> pd.DataFrame: ...
def anova(
    *fits: Fit | MapFit | FociFit,
    test: str | None = None,
    type: str | None = None,
    df: str | None = None,
    refit: bool | None = None,
) -> pd.DataFrame | MapAnova:
    """Test the terms of one fit, or compare nested fits of the same rows.

    test: "F", "Chisq" (likelihood ratio) or "Rao" (score); by default F where the dispersion is estimated, otherwise
    Chisq, as R >= 4.4. An F or a scaled chi-squared divides by the dispersion of the largest model.

    One fit of a linear or generalized linear model: R's sequential table (type="I"), or "II" (each term given all that
    do not contain it) or "III" (each given all others, in sum-to-zero contrasts whatever those of the fit), as
    car::Anova. Linear models: term, df, sum_sq, mean_sq, statistic, p_value, Residuals last; generalized ones: term,
    df, deviance, statistic, p_value, for type I with a row NULL and with df_resid and resid_deviance. Where a shape is
    estimated (nbinom2: anew in every model; MASS holds it) or the likelihood is penalised (Jeffreys' prior; mean_br
    with the logit link), `deviance` is of -2 (penalised) log-likelihood.

    One fit of a mixed model: type="III" unless asked otherwise, as lmerTest. Linear ones: F tests with the degrees of
    freedom that df= names as in tidy(), "satterthwaite" by default, or by "kenward-roger" (then F is scaled); columns
    term, df, df_resid, sum_sq, mean_sq, statistic, p_value, mean_sq being F sigma^2. test="Wald" (the default of
    generalized ones) is chi-squared without degrees of freedom, test="Chisq" or "LRT" refits by ML without the term.

    Several fits, the smaller first whatever the order given. Linear models: columns model, df_resid, rss, df, sum_sq,
    statistic, p_value; generalized ones with an estimated dispersion, or with test="Rao": model, df_resid,
    resid_deviance, df, deviance, statistic, p_value. All others: likelihood-ratio tests as lme4's; columns
    model, n_parameters, aic, bic, loglik, deviance, statistic, df, p_value. REML fits are refitted by ML
    first, because REML likelihoods of different fixed parts cannot be compared; where the fixed parts are the same they
    are compared as they are (refit=True refits all the same, as lme4 does). A variance cannot be negative: where the
    larger model has one more, the p value is of a mixture of chi-squareds. `attrs["messages"]`, printed
    with the table, says all this.

    A fit in every voxel: a MapAnova, whose .maps, .to_frame() and .term(name) hold each term's statistic, types as
    those of a table. test: "F" of linear models; "Chisq" (penalised where the estimator is), "Rao" or "Wald" (type
    III alone) of generalized ones, where bias-reduced estimators without a penalised likelihood have "Rao" by
    default; mixed ones have "Wald". Smaller models are fitted once a voxel.

    Fits of the same foci: likelihood-ratio tests, degrees of freedom by effective coefficients where maps are
    penalised; a dispersion more is tested by a mixture of chi-squareds, as it cannot be negative. One fit of foci:
    Wald's tests of its global terms.

    Estimating equations (GEE): Wald's tests, F or test="Chisq", of the terms or of what a smaller model lacks.

    Raises DataError when the fits differ in rows, response or weights, Unable for a test that the fits have not.

    >>> import formula_neuro as fn
    >>> d = fn.datasets.waterlick()
    >>> small = fn.fit("lick ~ (1|mouseID)", d, family="binomial")
    >>> a = fn.anova(small, fn.fit("lick ~ dff + (1|mouseID)", d, family="binomial"))
    >>> a.df.tolist(), bool(a.p_value[1] < .01)
    ([nan, 1.0], True)
    """
    if not fits:
        raise TypeError("anova takes one fit, or several to compare, got none")
    foci = [fit for fit in fits if isinstance(fit, FociFit)]
    if foci:
        if len(foci) < len(fits) or (type, df, refit) != (None, None, None):
            raise Unable("anova of foci compares fits of foci, and takes test= alone")
        return told(nested_foci(foci, test))
    maps = [fit for fit in fits if isinstance(fit, MapFit)]
    if maps:
        return _of_maps(maps, len(fits), test, type, (df, refit))
    strange = next((fit for fit in fits if not isinstance(fit, Fit)), None)
    if strange is not None:
        raise TypeError(f"anova is of fits, got {builtins.type(strange).__name__}")
    tables = tuple(fit for fit in fits if isinstance(fit, Fit))
    if len(tables) == 1 and tables[0].request.model in ("lmm", "glmm"):
        return told(mixed_table(tables[0], type, test, df))
    if df is not None:
        raise Unable(f"df={df!r} belongs to the anova of one linear mixed model; others know their degrees of freedom")
    if any(fit.request.model == "gee" for fit in tables):
        check_comparable(tables)
        return told(wald_anova(tables, test, type or "I"))
    if len(tables) == 1:
        return told(term_table(tables[0], type or "I", test))
    if type is not None:
        raise ValueError(f"type={type!r} is for the terms of one fit; several fits are compared as they are")
    return told(_comparison(tables, test, refit))


def _of_maps(fits: list[MapFit], n: int, test: str | None, type: str | None, others: tuple[Any, Any]) -> MapAnova:
    if n > 1:
        raise Unable("anova of maps is of one fit: its terms; what a smaller model lacks is tested by contrast()")
    if others != (None, None):
        raise Unable("anova of maps takes test= and type= alone")
    return anova_maps(fits[0], test, type)


def _comparison(fits: tuple[Fit, ...], test: str | None, refit: bool | None) -> pd.DataFrame:
    check_comparable(fits)
    messages = about_nesting(fits)
    models = {fit.request.model for fit in fits}
    estimated = any(fit.request.family.dispersed for fit in fits)
    if models == {"lm"} and test in (None, "F"):
        table = _f_tests(sorted(fits, key=lambda fit: -fit.df_resid))
    elif models <= {"lm", "glm"} and (estimated or test is not None):
        table = deviance_table(sorted(fits, key=lambda fit: -fit.df_resid), test)
    elif test not in (None, "Chisq", "LRT"):
        raise Unable(f"test={test!r} is for linear and generalized linear models; mixed ones are compared by 'LRT'")
    else:
        by_reml = not refit and variance_tests.comparable_by_reml(fits)
        if refit is False and not by_reml and any(isinstance(fit.request.estimator, REML) for fit in fits):
            raise DataError(
                "REML likelihoods of different fixed parts, or beside ML, cannot be compared; leave refit=False away"
            )
        compared = list(fits) if by_reml else [by_ml(fit, messages) for fit in fits]
        if by_reml:
            messages.append("the fixed parts are the same, so the fits are compared by their REML likelihoods")
        table = _likelihood_ratios(sorted(compared, key=lambda fit: fit.n_parameters), messages)
    table.attrs["messages"] = tuple(dict.fromkeys(messages))
    return table


def check_comparable(fits: tuple[Fit, ...]) -> None:
    first = fits[0].request
    for fit in fits[1:]:
        other = fit.request
        if len(first.design.rows) != len(other.design.rows) or (first.design.rows != other.design.rows).any():
            raise DataError(
                f"the fits use different rows ({len(first.design.rows)} and {len(other.design.rows)}): missing values "
                "in a column of one formula only? Fit both on the rows complete in all columns"
            )
        if not np.array_equal(first.y, other.y) or not np.array_equal(first.weights, other.weights):
            raise DataError("the fits have different responses or weights, so their likelihoods cannot be compared")
        if str(first.family) != str(other.family):
            raise DataError(f"the fits have different families ({first.family} and {other.family})")
        words = {_word(first), _word(other)} - ({"ml"} if "glm" in (first.model, other.model) else set())
        penalised = sorted(words & set(BIAS_REDUCED))
        if penalised:
            raise Unable(
                f"two fits by {penalised[0]} have different penalties, so their likelihoods cannot be compared: test "
                "the terms within the larger one, by anova(large), drop1(large) or contrast(large, ..., test='lr')"
            )
        if len(words) > 1 and words != {"reml", "ml"}:
            raise DataError(f"the fits have different estimators ({' and '.join(sorted(words))}); refit one of them")


def about_nesting(fits: tuple[Fit, ...]) -> list[str]:
    """A note where the fixed columns of a smaller model are no combinations of a larger one's, or offsets differ."""
    designs = [fit.request.design for fit in sorted(fits, key=lambda fit: fit.n_parameters)]
    found = []
    for small, large in itertools.pairwise(designs):
        names = f"{small.formula} and {large.formula}"
        if not np.array_equal(small.offset, large.offset):
            found.append(f"{names} have different offsets, so they are not nested: the test has no meaning")
            continue
        left = small.matrix - large.matrix @ np.linalg.lstsq(large.matrix, small.matrix, rcond=None)[0]
        sizes = np.linalg.norm(small.matrix, axis=0)
        if (np.linalg.norm(left, axis=0) > 1e-7 * sizes).any():  # R's tolerance of a rank
            found.append(f"{names} are not nested in their fixed parts: the test has no meaning")
    return found


def _word(request: Request) -> str:
    return str(request.estimator) if isinstance(request.estimator, AGQ) else request.estimator.word


def by_ml(fit: Fit, messages: list[str]) -> Fit:
    if not isinstance(fit.request.estimator, REML):
        return fit
    messages.append("REML fits were refitted by maximum likelihood for the comparison")
    refit = ability(fit, "refit", "comparing REML fits by likelihood")
    refitted: Fit = refit(fit.request.by_ml())
    return refitted


def _f_tests(fits: list[Fit]) -> pd.DataFrame:
    """R's anova.lm: sums of squares against the residual mean square of the largest model."""
    rss = np.array([fit.deviance for fit in fits])
    resid = np.array([fit.df_resid for fit in fits])
    df, sum_sq = -np.diff(resid, prepend=np.nan), -np.diff(rss, prepend=np.nan)
    df[df == 0] = np.nan  # the same number of columns: nothing to test
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = sum_sq / df / (rss[-1] / resid[-1] if resid[-1] > 0 else np.nan)
    p = stats.f.sf(statistic, df, resid[-1])
    values = [_names(fits), resid, rss, df, sum_sq, statistic, p]
    columns = ["model", "df_resid", "rss", "df", "sum_sq", "statistic", "p_value"]
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def _likelihood_ratios(fits: list[Fit], messages: list[str]) -> pd.DataFrame:
    loglik = np.array([fit.loglik for fit in fits])
    count = np.array([float(fit.n_parameters) for fit in fits])
    statistic, df = 2 * np.diff(loglik, prepend=np.nan), np.diff(count, prepend=np.nan)
    if (statistic[1:] < -1e-6).any():
        messages.append("a larger model has a lower likelihood: the models are not nested, or one did not converge")
    statistic = np.maximum(statistic, 0.0)
    df[df == 0] = np.nan
    p = np.full(len(fits), np.nan)
    for i, (small, large) in enumerate(itertools.pairwise(fits), start=1):
        if np.isnan(df[i]):
            continue
        made = variance_tests.step(small.request, large.request, int(df[i]))
        p[i] = variance_tests.p_value(statistic[i], made)
        messages += [text for text in [variance_tests.words(statistic[i], made)] if text is not None]
    table = pd.DataFrame(
        {
            "model": _names(fits),
            "n_parameters": count.astype(int),
            "aic": [fit.aic for fit in fits],
            "bic": [fit.bic for fit in fits],
            "loglik": loglik,
            "deviance": -2 * loglik,
            "statistic": statistic,
            "df": df,
            "p_value": p,
        }
    )
    return table


def _names(fits: list[Fit]) -> list[str]:
    return [str(fit.request.design.formula) for fit in fits]
