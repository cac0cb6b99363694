"""Estimated marginal means: a model's means on a balanced grid of its predictors, and contrasts among them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..design import Design
from ..errors import Unable
from ..family import Array
from ..result import Fit
from ..syntax.expression import label
from ..syntax.expression import names as columns_in
from .adjust import METHODS, Statistics, adjusted, critical
from .coefficients import check_level
from .contrast_weights import Family, family
from .estimable import estimable
from .freedom import degrees_of_freedom
from .reference_grid import Axis, Grid, reference_grid


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
        return "\n\n".join([*(table.to_string(index=False) for table in tables), *self.messages])


def emmeans(
    fit: Fit,
    specs: str | Sequence[str],
    contrast: str | Mapping[str, Sequence[float]] | None = None,
    *,
    adjust: str | None = None,
    type: str = "link",
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    df: str | None = None,
    conf_level: float = 0.95,
) -> Emmeans:
    """Marginal means of the predictors in `specs`, as R's emmeans: factors left out are averaged with equal weights.

    specs: a name, a list of names, or "a:b"; "a | b" is specs="a", by="b". Numbers stand at their mean over the rows
    used (at both values where they have two), or where `at` puts them: {"age": [30, 60]}.
    contrast: within each setting of `by`: "pairwise", "revpairwise", "trt.vs.ctrl" (the first), "trt.vs.ctrlk" (the
    last), "consec", "eff", "poly", or a mapping from labels to weights. adjust: "tukey", "dunnettx", "sidak",
    "bonferroni", "holm", "hochberg", "fdr", "by", "scheffe", "mvt", "none"; the contrast's usual one otherwise. Limits
    of contrasts are adjusted likewise.
    type: "link", or "response": means through the inverse link, and for log and logit links contrasts as ratios.
    df: as in tidy(), without "kenward-roger", which changes standard errors too. Random effects are 0, an offset is at
    its mean. A mean that the data cannot determine is NaN. Raises DataError, ValueError, Unable.

    >>> import formula_neuro as fn
    >>> table = {"y": [1.0, 2, 4, 6, 9, 8], "g": list("aabbcc")}
    >>> fn.emmeans(fn.fit("y ~ g", table), "g", "pairwise").contrasts.estimate.round(3).tolist()
    [-3.5, -7.0, -3.5]
    """
    check_level(conf_level)
    _check_words(adjust, type)
    if df == "kenward-roger":
        raise Unable(
            "df='kenward-roger' is not offered for marginal means: its standard errors differ too; take another"
        )
    wanted, groups = _names(specs, by)
    grid = reference_grid(fit.request.design, at)
    axes = _axes(grid, (*wanted, *groups), fit.request.design)
    settings, L = grid.averaged([axis.name for axis in axes])
    known = ~np.isnan(fit.beta)
    L = np.where(estimable(fit.request.design.matrix, known, L)[:, None], L, np.nan)
    shown = [{axis.name: axis.values[i] for axis, i in zip(axes, s, strict=True)} for s in settings]
    means = _Estimates.of(fit, L, np.full(len(L), grid.offset), df)
    table = pd.DataFrame(shown).assign(**_mean_columns(fit, means, type, conf_level))
    words = _averaged(grid, axes)
    if contrast is None:
        return Emmeans(table, None, L, words)
    parts = []
    n = len(wanted)
    for group in itertools.product(*(range(len(axis.values)) for axis in reversed(axes[n:]))):
        rows = [i for i, s in enumerate(settings) if s[n:] == group[::-1]]
        labels = [_label(axes[:n], settings[i][:n]) for i in rows]
        chosen = family(contrast, labels, ratio=_ratios(fit, type))
        named = {axis.name: axis.values[i] for axis, i in zip(axes[n:], group[::-1], strict=True)}
        part = _contrasts(fit, chosen, L[rows], grid.offset, adjust, type, df, conf_level)
        parts.append(pd.DataFrame({"contrast": chosen.labels, **named}).assign(**part))
    if type == "response" and not _ratios(fit, type) and fit.request.family.link.name != "identity":
        words = (*words, f"Contrasts are on the {fit.request.family.link.name} scale.")
    method, count = _method(adjust, chosen), len(chosen.labels)
    if method != "none" and count > 1:
        each = f" within each {' and '.join(groups)}" if groups else ""
        words = (*words, f"P values and limits of the {count} contrasts{each} are adjusted ({method}).")
    return Emmeans(table, pd.concat(parts, ignore_index=True), L, words)


# ---- estimates -----------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Estimates:
    """L b + offset with its covariance and degrees of freedom; NaN where it is not estimable."""

    value: Array  # (q,)
    covariance: Array  # (q, q)
    df: Array  # (q,)

    @classmethod
    def of(cls, fit: Fit, L: Array, offset: Array, df: str | None) -> _Estimates:
        known = ~np.isnan(fit.beta)
        given = ~np.isnan(L).any(axis=1)
        value, V, freedom = np.full(len(L), np.nan), np.full((len(L), len(L)), np.nan), np.full(len(L), np.nan)
        rows = np.where(known, L[given], 0.0)
        value[given] = rows @ np.nan_to_num(fit.beta) + offset[given]
        V[np.ix_(given, given)] = rows[:, known] @ fit.covariance[np.ix_(known, known)] @ rows[:, known].T
        freedom[given] = degrees_of_freedom(fit, rows, df)
        return cls(value, V, freedom)

    @property
    def se(self) -> Array:
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def _mean_columns(fit: Fit, e: _Estimates, type: str, conf_level: float) -> dict[str, Array]:
    half = critical(Statistics(e.value, e.df, e.covariance), "none", conf_level) * e.se
    columns = {
        "estimate": e.value,
        "std_error": e.se,
        "df": e.df,
        "conf_low": e.value - half,
        "conf_high": e.value + half,
    }
    if type == "link":
        return columns
    link = fit.request.family.link
    limits = np.sort([link.inverse(columns["conf_low"]), link.inverse(columns["conf_high"])], axis=0)
    through = {"estimate": link.inverse(e.value), "std_error": np.abs(link.derivative(e.value)) * e.se}
    return columns | through | {"conf_low": limits[0], "conf_high": limits[1]}


def _contrasts(
    fit: Fit, chosen: Family, L: Array, offset: float, adjust: str | None, type: str, df: str | None, conf_level: float
) -> dict[str, Array]:
    e = _Estimates.of(fit, _combined(chosen.weights, L), chosen.weights.sum(axis=1) * offset, df)
    with np.errstate(divide="ignore", invalid="ignore"):
        tests = Statistics(e.value / e.se, e.df, e.covariance, len(L) if chosen.pairs else 0)
    method = _method(adjust, chosen)
    half = critical(tests, method, conf_level) * e.se
    value, se, low, high = e.value, e.se, e.value - half, e.value + half
    if _ratios(fit, type):
        value, se, low, high = np.exp(value), np.exp(value) * se, np.exp(low), np.exp(high)
    return {
        "estimate": value, "std_error": se, "df": e.df, "conf_low": low, "conf_high": high,
        "statistic": tests.t, "p_value": adjusted(tests, method),
    }  # fmt: skip


def _method(adjust: str | None, chosen: Family) -> str:
    method = adjust or chosen.usual
    return "sidak" if method == "tukey" and not chosen.pairs else method  # tukey's range is of all pairs


def _combined(weights: Array, L: Array) -> Array:
    """weights @ L, where a row that is not estimable spoils only what it takes part in."""
    gone = np.asarray(np.isnan(L).any(axis=1))
    rows = weights @ np.where(gone[:, None], 0.0, L)
    return np.where(np.any(weights[:, gone] != 0, axis=1, keepdims=True), np.nan, rows)


def _ratios(fit: Fit, type: str) -> bool:
    return type == "response" and fit.request.family.link.name in ("log", "logit")


# ---- words ---------------------------------------------------------------------------------------
def _check_words(adjust: str | None, type: str) -> None:
    if type not in ("link", "response"):
        raise ValueError(f"type={type!r} is not known; there are link and response")
    if adjust is not None and adjust not in METHODS:
        raise ValueError(f"adjust={adjust!r} is not known; there are {', '.join(METHODS)}")


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
        raise ValueError(f"{unknown} is no predictor of the fixed part; there are {', '.join(known)}{hint}")
    return tuple(known[name] for name in names)


def _label(axes: Sequence[Axis], setting: Sequence[int]) -> str:
    """Levels one after another, those that are numbers with their factor's name: "b dose2"."""
    parts = [axis.name * axis.numeric + axis.labels[i] for axis, i in zip(axes, setting, strict=True)]
    return " ".join(parts)


def _averaged(grid: Grid, axes: Sequence[Axis]) -> tuple[str, ...]:
    over = [axis.name for axis in grid.axes if len(axis.values) > 1 and axis not in axes]
    return (f"Averaged over the levels of {', '.join(over)}.",) if over else ()
