"""Estimated marginal means: a model's means on a balanced grid of its predictors, and contrasts among them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...design import Design
from ...family import Array
from ...foci.given import refuse_foci
from ...maps.lacking import refuse_maps
from ...nearest import not_known
from ...result import Fit
from ...syntax.expression import label
from ...syntax.expression import names as columns_in
from ..coefficients import check_level
from ..estimable import estimable
from ..infinite import about_infinite
from ..precision import Precision, precision
from ..sides import TWO, as_side, limits
from .adjust import METHODS, TWO_SIDED, Statistics, adjusted, critical
from .contrast_weights import Family, family
from .estimates import Estimates
from .reference_grid import WEIGHTS, Axis, Grid, reference_grid
from .scale import scale
from .words import about_contrasts, about_means, not_estimable


@dataclass(frozen=True, eq=False)
class Emmeans:
    """`means`, one row a setting, and `contrasts` among them (None unless asked for), with what else matters.

    means: the predictors' settings, then estimate, std_error, df, conf_low, conf_high. contrasts: contrast, the
    settings of `by`, then the same, statistic and p_value. `matrix` @ coef, and the mean offset, are the means on the
    link's scale.
    """

    means: pd.DataFrame
    contrasts: pd.DataFrame | None
    matrix: Array  # (means, p)
    messages: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """The contrasts where there are any, else the means."""
        return self.means if self.contrasts is None else self.contrasts

    def __repr__(self) -> str:
        tables = [self.means] if self.contrasts is None else [self.means, self.contrasts]
        return "\n\n".join([*(table.to_string(index=False) for table in tables), "\n".join(self.messages)])


def emmeans(
    fit: Fit,
    specs: str | Sequence[str],
    contrast: Any = None,
    *,
    adjust: str | None = None,
    type: str = "link",
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: str = "equal",
    df: str | None = None,
    conf_level: float = 0.95,
    bias_adjust: str | bool = False,
    sigma: float | None = None,
    alternative: str = "two.sided",
) -> Emmeans:
    """Marginal means of the predictors in `specs`, as R's emmeans, averaged over all others.

    specs: a name, a list of names, or "a:b"; "a | b" is specs="a", by="b". Numbers stand at their mean over the rows
    used (at both values where they have two), or where `at` puts them: {"age": [30, 60]}.
    weights: of the levels averaged over: "equal"; "proportional" to their rows; "outer", the product of each factor's
    shares; "cells", each mean's own rows; "flat", equal but for cells without rows.
    contrast: within each setting of `by`: "pairwise", "revpairwise", "trt.vs.ctrl" (the first), "trt.vs.ctrl(low)",
    "trt.vs.ctrlk" (the last), "consec", "eff", "poly", a mapping from labels to weights, or a matrix, one row a
    contrast. adjust: "tukey", "dunnettx", "sidak", "bonferroni", "holm", "hochberg", "fdr", "by", "scheffe", "mvt" (the
    exact multivariate t), "none"; the contrast's usual one otherwise. Limits of contrasts are adjusted likewise.
    type: "link", or "response": means through the inverse link, and for log and logit links contrasts as ratios.
    df: as in tidy(); "kenward-roger" adjusts standard errors too. An offset is at its mean. Random effects are 0: on
    the response's scale that is a typical group, not the mean over groups. bias_adjust="exact" averages means over
    effects N(0, sigma^2), True by a Taylor series as emmeans does (poor beyond a sigma of 1); sigma is otherwise the
    fit's total sd of random effects. A mean that the data cannot determine is NaN.
    alternative: of tests and limits, "two.sided", "greater" or "less"; for one side tukey, dunnettx and scheffe
    become sidak, as in R.

    Raises DataError, ValueError, Unable.

    >>> import formula_neuro as fn
    >>> table = {"y": [1.0, 2, 4, 6, 9, 8], "g": list("aabbcc")}
    >>> fn.emmeans(fn.fit("y ~ g", table), "g", "pairwise").contrasts.estimate.round(3).tolist()
    [-3.5, -7.0, -3.5]
    """
    refuse_foci(
        fit, "emmeans", "c.predict(table) has the foci expected of any analyses, fn.contrast(c, ...) their ratios"
    )
    refuse_maps(fit, "emmeans", "fn.contrast(v, ...) has any combination of coefficients in every voxel")
    check_level(conf_level)
    _check_words(adjust, type, weights)
    if bias_adjust and type != "response":
        raise ValueError("bias_adjust= is of means on the response's scale; add type='response'")
    shown_on, tail = scale(fit, bias_adjust, sigma), as_side(alternative)
    wanted, groups = _names(specs, by)
    grid = reference_grid(fit.request.design, at)
    axes = _axes(grid, (*wanted, *groups), fit.request.design)
    settings, L = grid.averaged([axis.name for axis in axes], weights)
    L = np.where(estimable(fit.request.design.matrix, ~np.isnan(fit.beta), L)[:, None], L, np.nan)
    own, found = precision(fit, df), _Means(axes, len(wanted), tuple(settings), L, grid.offset)
    means = Estimates.of(own, L, np.full(len(L), grid.offset))
    columns = means.columns(conf_level, tail)
    named = [{axis.name: axis.values[i] for axis, i in zip(axes, s, strict=True)} for s in settings]
    table = pd.DataFrame(named).assign(**(columns if type == "link" else shown_on.columns(columns)))
    words = list(about_infinite(fit, L, "means and contrasts")) + about_means(fit, grid, axes, df, type, conf_level)
    words += not_estimable(fit, [_label(axes, s) for s in settings], means.value.tolist(), "means")
    if contrast is None:
        return Emmeans(table, None, L, tuple(words))
    contrasts, said = _families(own, found, _Asked(contrast, adjust, type, conf_level, _ratios(fit, type), tail))
    return Emmeans(table, contrasts, L, tuple(dict.fromkeys([*words, *said])))


@dataclass(frozen=True, eq=False)
class _Means:
    """The rows of all means: settings of the first `wanted` axes within those of the others, `by`."""

    axes: tuple[Axis, ...]
    wanted: int
    settings: tuple[tuple[int, ...], ...]
    L: Array  # (means, p)
    offset: float


@dataclass(frozen=True)
class _Asked:
    """How contrasts are wanted."""

    contrast: Any
    adjust: str | None
    type: str
    conf_level: float
    ratios: bool
    side: int


# ---- contrasts -----------------------------------------------------------------------------------
def _families(own: Precision, means: _Means, asked: _Asked) -> tuple[pd.DataFrame, list[str]]:
    """The contrasts within each setting of `by`, each a family of its own, and what is said of them."""
    axes, n = means.axes, means.wanted
    parts, words = [], list[str]()
    for group in itertools.product(*(range(len(axis.values)) for axis in reversed(axes[n:]))):
        rows = [i for i, s in enumerate(means.settings) if s[n:] == group[::-1]]
        labels = [_label(axes[:n], means.settings[i][:n]) for i in rows]
        chosen = family(asked.contrast, labels, ratio=asked.ratios)
        setting = {axis.name: axis.values[i] for axis, i in zip(axes[n:], group[::-1], strict=True)}
        part, said = _contrasts(own, chosen, means.L[rows], means.offset, asked)
        parts.append(pd.DataFrame({"contrast": chosen.labels, **setting}).assign(**part))
        words += said
    return pd.concat(parts, ignore_index=True), words


def _contrasts(
    own: Precision, chosen: Family, L: Array, offset: float, asked: _Asked
) -> tuple[dict[str, Array], list[str]]:
    """The columns of one family of contrasts, and what is said of it."""
    e = Estimates.of(own, _combined(chosen.weights, L), chosen.weights.sum(axis=1) * offset)
    with np.errstate(divide="ignore", invalid="ignore"):
        tests = Statistics(e.value / e.se, e.df, e.covariance, len(L) if chosen.pairs else 0, asked.side)
    method = _method(asked.adjust, chosen, asked.side)
    half = critical(tests, method, asked.conf_level) * e.se
    value, se, (low, high) = e.value, e.se, limits(e.value, half, asked.side)
    if asked.ratios:
        value, se, low, high = np.exp(value), np.exp(value) * se, np.exp(low), np.exp(high)
    columns = {
        "estimate": value, "std_error": se, "df": e.df, "conf_low": low, "conf_high": high,
        "statistic": tests.t, "p_value": adjusted(tests, method),
    }  # fmt: skip
    known = np.isfinite(tests.t)
    rank = int(np.linalg.matrix_rank(e.covariance[np.ix_(known, known)])) if known.any() else 0
    wanted = asked.adjust if asked.side == TWO else asked.adjust or chosen.usual
    said = about_contrasts(own.fit, chosen, wanted, method, asked.type, rank, asked.side)
    return columns, said + not_estimable(own.fit, chosen.labels, e.value.tolist(), "contrasts")


def _method(adjust: str | None, chosen: Family, side: int) -> str:
    method = adjust or chosen.usual
    if side != TWO and method in TWO_SIDED:
        return "sidak"
    return "sidak" if method == "tukey" and not chosen.pairs else method  # tukey's range is of all pairs


def _combined(weights: Array, L: Array) -> Array:
    """weights @ L, where a row that is not estimable spoils only what it takes part in."""
    gone = np.asarray(np.isnan(L).any(axis=1))
    rows = weights @ np.where(gone[:, None], 0.0, L)
    return np.where(np.any(weights[:, gone] != 0, axis=1, keepdims=True), np.nan, rows)


def _ratios(fit: Fit, type: str) -> bool:
    return type == "response" and fit.request.family.link.name in ("log", "logit")


# ---- words ---------------------------------------------------------------------------------------
def _check_words(adjust: str | None, type: str, weights: str) -> None:
    if weights not in WEIGHTS:
        raise ValueError(not_known("weights", weights, WEIGHTS))
    if type not in ("link", "response"):
        raise ValueError(not_known("type", type, ("link", "response"), {"lp": "link", "prob": "response"}))
    if adjust is not None and adjust not in METHODS:
        raise ValueError(not_known("adjust", adjust, METHODS, {"bonf": "bonferroni", "dunnett": "dunnettx"}))


def _names(specs: str | Sequence[str], by: str | Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if isinstance(specs, str):
        contrast, _, after = specs.rpartition("~")
        if contrast.strip():
            raise ValueError(f"specs={specs!r}: write specs={after.strip()!r}, contrast={contrast.strip()!r}")
        left, _, right = after.partition("|")
        wanted, groups = _split(left), _split(right)
    else:
        wanted, groups = tuple(specs), ()
    groups = (*groups, *(_split(by) if isinstance(by, str) else tuple(by or ())))
    if not wanted:
        raise ValueError(f"specs={specs!r} names no predictor")
    return tuple(name for name in wanted if name not in groups), groups


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("`") for part in re.split(r"[:*+]", text) if part.strip())


def _axes(grid: Grid, names: tuple[str, ...], design: Design) -> tuple[Axis, ...]:
    known = {axis.name: axis for axis in grid.axes}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        calls = {label(v).replace(" ", ""): v for v in design.formula.fixed.variables}
        call = calls.get(unknown.replace(" ", ""))
        made_of = [column.text for column in columns_in(call)] if call is not None else []
        hint = f"; it is made of the column {made_of[0]}: write {made_of[0]!r}" if made_of else ""
        if not hint and unknown in {label(v) for bar in design.formula.bars for v in bar.group}:
            hint = f"; the levels of {unknown}, which groups a random term, are in m.ranef()"
        if not hint and all(word in known for word in unknown.split()):
            hint = f"; several are joined by '*', as {'*'.join(unknown.split())!r}, or stand in a list"
        raise ValueError(f"{unknown} is no predictor of the fixed part; there are {', '.join(known)}{hint}")
    return tuple(known[name] for name in names)


def _label(axes: Sequence[Axis], setting: Sequence[int]) -> str:
    """Levels one after another, those that are numbers with their factor's name: "b dose2"."""
    parts = [axis.name * axis.numeric + axis.labels[i] for axis, i in zip(axes, setting, strict=True)]
    return " ".join(parts)
