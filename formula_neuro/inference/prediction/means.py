"""predict(): rows, used or new, seen through the model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from ...data.rows import checked_weights, extra
from ...data.table import as_table
from ...design import Design
from ...errors import FormulaError, Unable
from ...family import Array
from ...nearest import not_known
from ...result import Fit
from ...syntax.expression import names
from .. import zero_inflation as zeros
from ..estimable import estimable
from ..rows.robust import chosen
from ..told import told
from . import mixed_limits as mixed_prediction
from .conditioning import Conditioned, check_whole, conditioned, contribution
from .limits import Wish, check_able, through_link, uncertainty
from .mixture import of_mixture
from .term_contributions import contributions, contributions_with_errors

POPULATION = (
    "standard errors and limits are those of the fixed effects: they leave out the random effects, so they are of the "
    "population's mean (on the link's scale), not of a new group or response"
)
TYPES = ("response", "link", "terms", *zeros.TYPES)


def predict(
    fit: Fit,
    newdata: Any = None,
    *,
    type: str = "response",
    random: bool | str = True,
    new_levels: str = "error",
    se: bool = False,
    interval: str | None = None,
    conf_level: float = 0.95,
    df: str | None = None,
    vcov: Any = None,
    weights: Any = None,
) -> pd.Series | pd.DataFrame:
    """Predictions for the rows used, or for every row of new data (NaN where a covariate is missing).

    type: "response" (means), "link" (linear predictor, offset included), or "terms", a column for the contribution of
    each term of the fixed part to the linear predictor, about its mean over the rows used; their sum, with
    `attrs["constant"]` (and the offset), is the linear predictor.
    Of zero-inflated models "response" is (1 - p) mu, "conditional" mu, "zprob" p and "zlink" its logit, as glmmTMB's;
    standard errors of the first are of the population, with random=False.
    random: False leaves the random effects out; a formula as "~ (1 | mouse)" takes in the terms that it names alone.
    new_levels: "error", or "zero" to give a level that the fit has not seen, or a missing one, a random effect of zero
    (the population's value; its standard error then holds the variance of a new level).

    se, interval: a DataFrame with fitted and std_error, and with "confidence" (of the mean) or "prediction" (of a new
    response; gaussian) also conf_low and conf_high. Limits of a GLM are found on the link's scale, its standard errors
    of means by the delta method, as R's. Of mixed models those with random=False are of the fixed effects alone, others
    of fixed and random effects together; a new response also holds the variance of the terms that are left out.
    df, vcov: as in tidy(). weights: of new responses, a column's name or numbers; the fit's own for the rows used,
    1 for new data, as R's. `attrs["messages"]` says what else matters.

    A row that breaks what made a column aliased has no prediction: NaN, with a warning.
    Raises NewLevels, DataError, Unable.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4], "y": [1., 3, 2, 5]})
    >>> m.predict({"x": [5.]}, interval="prediction").round(2).values.tolist()
    [[5.5, 1.42, -2.4, 13.4]]
    """
    _check_words(type, new_levels)
    _check_use(interval, df, weights)
    wish = Wish(interval, conf_level, df, vcov)
    wanted = se or interval is not None or vcov is not None
    if type in ("zprob", "zlink") and not wanted:
        return _of_zeros(fit, newdata, type)
    shared = fit.inflation is not None and type == "response"  # the rest of p goes to zeros
    if wanted and (shared or type in ("zprob", "zlink")):
        return _of_mixture(fit, newdata, type, wish, random)
    type = "response" if type == "conditional" else type
    given = conditioned(fit, False if type == "terms" else random)
    if wanted:
        check_able(fit, wish, bool(given.places), type)
    design = _design(fit, newdata, given, interval)
    if type == "terms":
        return contributions_with_errors(fit, design, wish) if wanted else contributions(fit, design)
    eta = fit.eta if newdata is None and given.all else _linear_predictor(fit, design, given, new_levels)
    eta, messages = _only_estimable(fit, design, eta) if newdata is not None else (eta, ())
    if not wanted:
        values = fit.request.family.link.inverse(eta) if type == "response" else eta
        values = values * (1 - zeros.probability(fit, newdata).to_numpy()) if shared else values
        series = pd.Series(values, index=design.index, name="fitted" if type == "response" else "link")
        _note(series, messages)
        return series
    if interval == "prediction":
        check_whole(given)
        own, about = _new_weights(fit, newdata, weights, len(eta))
        if hasattr(fit.engine, "relative_weights"):  # a residual structure gives each row a spread of its own
            own = own * fit.engine.relative_weights(None if newdata is None else as_table(newdata))
        wish, messages = Wish(interval, conf_level, df, vcov, own), (*messages, *about)
    table = _table(fit, design, eta, type, wish, given)
    _note(table, messages)
    return told(table)


def _of_mixture(fit: Fit, newdata: Any, type: str, wish: Wish, random: bool | str) -> pd.DataFrame:
    """What comes with standard errors of both parts of a zero-inflated model."""
    if type == "response" and random is not False:
        raise Unable(
            "standard errors of (1 - p) mu are of the population: ask with random=False; type='conditional' has those "
            "of mu with random effects"
        )
    table = of_mixture(
        fit, _design(fit, newdata, conditioned(fit, False), None), zeros.columns(fit, newdata), type, wish
    )
    _note(table, (POPULATION,) if type == "response" else ())
    return told(table)


def _of_zeros(fit: Fit, newdata: Any, type: str) -> pd.Series:
    """The probability of extra zeros, or its logit."""
    p = zeros.probability(fit, newdata)
    return p if type == "zprob" else pd.Series(special.logit(p), index=p.index, name="zlink")


def _check_words(type: str, new_levels: str) -> None:
    if type not in TYPES:
        raise ValueError(not_known("type", type, TYPES, {"prob": "response", "mean": "response", "lp": "link"}))
    if new_levels not in ("error", "zero"):
        raise ValueError(f"new_levels={new_levels!r} is not known; there are 'error' and 'zero'")


def _check_use(interval: str | None, df: str | None, weights: Any) -> None:
    """Words that would do nothing are mistakes."""
    if df is not None and interval is None:
        raise ValueError("df= is of the limits; ask for interval='confidence' or 'prediction' with it")
    if weights is not None and interval != "prediction":
        raise ValueError("weights= are those of new responses; they go with interval='prediction'")


def _design(fit: Fit, newdata: Any, given: Conditioned, interval: str | None) -> Design:
    """The columns for new data: of random terms those that are taken in, or that spread a new response."""
    if newdata is None:
        return fit.request.design
    spread = interval == "prediction" and bool(fit.random)
    try:
        return fit.request.design.apply(newdata, given.places if given.places or spread else False)
    except FormulaError as error:
        if not _lacks_groups(fit, newdata):
            raise
        hint = "random=False leaves the random effects out and needs no groups"
        raise FormulaError(f"{error.message}; {hint}", error.text, error.position) from None


def _lacks_groups(fit: Fit, newdata: Any) -> bool:
    """Whether new data has all columns but those that group random terms."""
    formula, there = fit.request.design.formula, {str(column) for column in as_table(newdata).columns}
    groups = {name.text for bar in formula.bars for node in bar.group for name in names(node)}
    inside = [*formula.fixed.variables, *formula.offsets, *(v for bar in formula.bars for v in bar.part.variables)]
    others = {name.text for node in inside if node != formula.response for name in names(node)}
    return bool(groups - there) and others <= there | groups


def _linear_predictor(fit: Fit, design: Design, given: Conditioned, new_levels: str) -> Array:
    eta = design.matrix @ np.nan_to_num(fit.beta) + design.offset
    return eta + contribution(fit, design, given, new_levels) if given.places else eta


def _only_estimable(fit: Fit, design: Design, eta: Array) -> tuple[Array, tuple[str, ...]]:
    """NaN, with a note, for new rows in which an aliased column is not the combination that it was in training."""
    known = ~np.isnan(fit.beta)
    trained = fit.request.design.matrix[fit.request.weights > 0]
    fine = estimable(trained, known, design.matrix)
    lost = int((~fine).sum())
    if not lost:
        return eta, ()
    note = (
        f"{lost} of {len(eta)} rows have no prediction (NaN): in the rows of the fit {', '.join(fit.aliased)} "
        f"depended on other columns, and in {'this row it does' if lost == 1 else 'these rows they do'} not"
    )
    warnings.warn(note, stacklevel=4)  # of the line that called m.predict()
    return np.where(fine, eta, np.nan), (note,)


def _table(fit: Fit, design: Design, eta: Array, type: str, wish: Wish, given: Conditioned) -> pd.DataFrame:
    family = fit.request.family
    robust = chosen(fit, wish.vcov)
    if given.places:
        error, half, notes = mixed_prediction.uncertainty(fit, design, given, wish)
    else:
        added = mixed_prediction.left_out(fit, design, given) if wish.interval == "prediction" and fit.random else 0.0
        error, half = uncertainty(fit, design.matrix, wish, robust, added)
        notes = (POPULATION,) if fit.random and wish.interval != "prediction" else ()
    error[np.isnan(eta)] = np.nan
    low, high, fitted = eta - half, eta + half, eta
    if type == "response":
        fitted, error = family.link.inverse(eta), error * np.abs(family.link.derivative(eta))
        low, high = through_link(family, eta, low, high)
    table = pd.DataFrame({"fitted": fitted, "std_error": error}, index=design.index)
    if wish.interval is not None:
        table = table.assign(conf_low=low, conf_high=high)
    table.attrs.update(robust.attrs(wish.df) if robust is not None else {})
    _note(table, notes)
    return table


def _note(values: pd.Series | pd.DataFrame, messages: tuple[str, ...]) -> None:
    """Lay notes beside a table that was just made."""
    if messages:
        values.attrs["messages"] = (*values.attrs.get("messages", ()), *messages)


def _new_weights(fit: Fit, newdata: Any, weights: Any, n: int) -> tuple[Array, tuple[str, ...]]:
    """The weights (n,) of new responses, and a note where those of the fit do not say them."""
    if weights is not None:
        table = (_rows_used(fit) if newdata is None else as_table(newdata)).reset_index(drop=True)
        given = checked_weights(extra(weights, table.rename(columns=str), "weights", {}), np.arange(n))
        assert given is not None
        return given, ()
    if newdata is None:
        return fit.request.weights, ("the rows used are predicted as new responses would be, with the same weights",)
    if fit.request.design.weights is None:
        return np.ones(n), ()
    return np.ones(n), (
        "the fit has weights, and new responses are taken to have weight 1; weights= says others (a column or numbers)",
    )


def _rows_used(fit: Fit) -> pd.DataFrame:
    """The user's whole table on the rows of the fit, or the formula's columns where the design has no more."""
    design = fit.request.design
    return design.data if design.given is None else design.given.table.iloc[design.rows]
