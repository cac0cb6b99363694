"""Robust covariances of the coefficients: against unequal variances (HC0 to HC3) and against clusters.

The sandwich is A^-1 B A^-1 with A = X'WX and B the sum of s s' over rows or clusters, s their scores X'W r; a
dispersion cancels (White 1980; MacKinnon & White 1985; Liang & Zeger 1986; Zeileis, Koll & Graham 2020).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...errors import FitError, Unable
from ...family import Array
from ...result import Fit
from .clusters import Clusters, clusters_of
from .working import FULL, Working, working

TYPES = ("HC0", "HC1", "HC2", "HC3")
FEW = 40  # clusters: tests at .05 by HC1 reject .21 of true nulls with 6 unequal ones, .09 with 30 (benchmarks)
POWER = {"HC0": 0.0, "HC1": 0.0, "HC2": 0.5, "HC3": 1.0}  # scores are divided by (1 - hat) to this


@dataclass(frozen=True, eq=False)
class Robust:
    """A covariance (p, p) in place of a fit's own: what it is called, and the fewest clusters of any way (or None)."""

    matrix: Array
    label: str
    clusters: int | None = None
    messages: tuple[str, ...] = ()

    def attrs(self, df: str | None = None) -> dict[str, Any]:
        """What a table made with it carries: "vcov", its name, and "messages" where there are any, also of df=."""
        told = self.messages
        if self.clusters is not None and self.clusters < FEW and df != "clusters" and "HC3" in self.label:
            told = (*told, f"{self.clusters} clusters are few: tests keep their level with df='clusters' beside HC3")
        return {"vcov": self.label, **({"messages": told} if told else {})}

    def freedom(self, fit: Fit, q: int, word: str | None = None) -> Array:
        """Degrees of freedom (q,) of tests, by default those of lmtest::coeftest.

        None: the residual ones of a linear model, inf (z) of all others. "residual", "none", or "clusters", the number
        of clusters less 1 (of the way that has fewest), which keeps the level better where clusters are few.
        """
        if word == "clusters" and self.clusters is None:
            raise ValueError("df='clusters' goes with vcov={'cluster': ...}")
        if word not in (None, "residual", "none", "clusters"):
            raise Unable(
                f"df={word!r} belongs to a fit's own covariance; with vcov= there are residual, none, clusters"
            )
        if word == "clusters" and self.clusters is not None:
            return np.full(q, float(self.clusters - 1))
        residual = word == "residual" or (word is None and fit.request.model == "lm")
        return np.full(q, fit.df_resid if residual else np.inf)


def chosen(fit: Fit, vcov: Any, test: str = "wald") -> Robust | None:
    """The covariance that vcov= asks for, None for the fit's own; other tests than Wald's use none, so they refuse."""
    if vcov is None:
        return None
    if test != "wald":
        raise ValueError(f"test={test!r} rests on the likelihood, not on a covariance; leave vcov= or test= out")
    return robust_covariance(fit, vcov)


def robust_covariance(fit: Fit, vcov: Any) -> Robust:
    """The covariance of the coefficients (p, p) that `vcov` asks for, NaN where a coefficient is NaN or infinite.

    vcov: "HC0", "HC1", "HC2" or "HC3", as sandwich::vcovHC of R; {"cluster": "mouseID"} or {"cluster": ["mouseID",
    "day"]}, as sandwich::vcovCL, with its types: HC0 to HC3 under "type" (default HC1 of linear models, HC0 of others),
    HC0 and HC1 times G/(G - 1); or a covariance of your own, a DataFrame or array (p, p). Clusters may be any column of
    the data, or labels, one a row. HC2 and HC3 of clusters use their whole blocks of leverage (Bell & McCaffrey 2002);
    HC3 of a linear model is the sum of squares of what leaving out a cluster changes, and with df="clusters" the only
    one that keeps the level of tests where clusters are few. sandwich 3.0 differs for HC2 and HC3 where weights differ
    within clusters, and counts rows of weight 0, which take no part here.

    Raises Unable for mixed models, DataError for clusters, FitError where HC2 or HC3 divide by 0.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4, 5], "y": [1., 3, 2, 5, 9], "g": list("aabbc")})
    >>> robust_covariance(m, "HC3").matrix.diagonal().round(3).tolist()
    [3.99, 0.606]
    >>> robust_covariance(m, {"cluster": "g"}).label
    'HC1 by the 3 clusters of g'
    """
    if isinstance(vcov, str):
        return _without_infinite(fit, _by_rows(fit, _type(vcov)))
    if isinstance(vcov, Mapping):
        return _without_infinite(fit, _by_clusters(fit, vcov))
    return Robust(_given(fit, vcov), "as given")


def _type(word: Any) -> str:
    found = str(word).upper()
    if found not in TYPES:
        raise ValueError(
            f"vcov={word!r} is not known; there are {', '.join(TYPES)}, {{'cluster': 'a column'}}, or a matrix"
        )
    return found


def _by_rows(fit: Fit, kind: str) -> Robust:
    base = working(fit, f"vcov={kind!r} is a covariance")
    hat, power = base.hat, POWER[kind]
    m, k = base.Q.shape
    if power and (hat >= FULL).any():
        where = ", ".join(str(label) for label in fit.request.design.index[base.used][hat >= FULL][:3])
        raise FitError(
            f"vcov={kind!r}: {int((hat >= FULL).sum())} of {m} rows have a leverage of 1 (first: {where}), so their "
            "residuals are 0 whatever the response and say nothing of its variance; HC0 and HC1 are defined"
        )
    scores = base.Q * (base.e / (1 - hat) ** power if power else base.e)[:, None]
    factor = _ratio(m, m - k) if kind == "HC1" else 1.0
    return Robust(base.covariance(factor * scores.T @ scores), kind)


def _without_infinite(fit: Fit, robust: Robust) -> Robust:
    """NaN for coefficients that separation makes infinite: with their residuals the sandwich shrinks to nothing."""
    gone = [name in fit.infinite for name in fit.names]
    if not any(gone):
        return robust
    matrix = np.where(np.logical_or.outer(gone, gone), np.nan, robust.matrix)
    note = (
        f"{', '.join(fit.infinite)}: infinite by separation, so there is no robust standard error; "
        "estimator='mean_br' keeps the estimates finite"
    )
    return replace(robust, matrix=matrix, messages=(*robust.messages, note))


def _ratio(a: int, b: int) -> float:
    return a / b if b > 0 else float("nan")


def _given(fit: Fit, vcov: Any) -> Array:
    names, p = list(fit.names), len(fit.names)
    if isinstance(vcov, pd.DataFrame):
        missing = [name for name in names if name not in vcov.index or name not in vcov.columns]
        if missing:
            raise ValueError(f"vcov= has no row and column for {', '.join(missing)}; it is indexed by coefficients")
        vcov = vcov.loc[names, names]
    try:
        matrix = np.array(vcov, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (p, p):
        raise ValueError(
            f"vcov= is a word ({', '.join(TYPES)}), {{'cluster': 'a column'}} or a covariance ({p}, {p}) of "
            f"{', '.join(names)}; got {type(vcov).__name__} of shape {np.shape(vcov)}"
        )
    if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=0, equal_nan=True):
        raise ValueError("vcov= is not symmetric, so it is no covariance")
    known = ~np.isnan(fit.beta)
    matrix[~known], matrix[:, ~known] = np.nan, np.nan
    return matrix


# ---- clusters ------------------------------------------------------------------------------------
def _by_clusters(fit: Fit, asked: Mapping[str, Any]) -> Robust:
    """Several ways by inclusion and exclusion: a + b - a:b (Cameron, Gelbach & Miller 2011)."""
    strange = [str(key) for key in asked if key not in ("cluster", "type")]
    if strange or "cluster" not in asked:
        raise ValueError(
            f"vcov={{...}} takes 'cluster' and 'type', as {{'cluster': 'mouseID', 'type': 'HC1'}}; got {dict(asked)!r}"
        )
    base = working(fit, "a covariance by clusters is one")
    default = "HC1" if fit.request.model == "lm" else "HC0"
    kind = _type(default if asked.get("type") is None else asked["type"])
    ways = clusters_of(fit, asked["cluster"], base.used)
    m, k = base.Q.shape
    meat = np.zeros((k, k))
    for size in range(1, len(ways) + 1):
        for some in itertools.combinations(ways, size):
            group = some[0]
            for other in some[1:]:
                group = group.crossed(other)
            S = _scores(base, group, POWER[kind])
            few = group.count / (group.count - 1) if not POWER[kind] else 1.0
            meat += (-1) ** (size + 1) * few * (S.T @ S)
    matrix = base.covariance(meat * (_ratio(m - 1, m - k) if kind == "HC1" else 1.0))
    fewest = min(way.count for way in ways)
    shown = " and ".join(f"the {way.count} clusters of {way.name}" for way in ways)
    return Robust(matrix, f"{kind} by {shown}", fewest, _notes(fit, matrix, fewest, k, kind))


def _scores(base: Working, group: Clusters, power: float) -> Array:
    """Each cluster's score on Q's axes (G, k): Q_g' (I - Q_g Q_g')^-power e_g, e the Pearson residuals."""
    e = base.e
    if not power:
        S = np.zeros((group.count, base.Q.shape[1]))
        np.add.at(S, group.codes, base.Q * e[:, None])
        return S
    order = np.argsort(group.codes, kind="stable")
    ends = np.cumsum(np.bincount(group.codes, minlength=group.count))[:-1]
    rows = np.split(order, ends)
    return np.array([_block(base.Q[g], e[g], power, group.name) for g in rows])


def _block(Q: Array, e: Array, power: float, name: str) -> Array:
    """By Q_g = U d V', (I - Q_g Q_g')^-power Q_g = U d (1 - d^2)^-power V': no matrix of the cluster's size squared."""
    U, d, Vt = np.linalg.svd(Q, full_matrices=False)
    if (d**2 > 1 - 1e-10).any():  # sqrt(1 - d^2) would have no digits left
        raise FitError(
            f"{name}: a coefficient is determined by one cluster alone, so HC2 and HC3 divide by 0; "
            "{'cluster': ..., 'type': 'HC1'} is defined"
        )
    return np.asarray(Vt.T @ (d * (1 - d**2) ** -power * (U.T @ e)))


def _notes(fit: Fit, matrix: Array, clusters: int, k: int, kind: str) -> tuple[str, ...]:
    found = []
    if clusters <= k:
        found.append(
            f"{clusters} clusters for {k} coefficients: the covariance has rank {clusters - 1} at most, so tests of "
            "many coefficients together are not defined, and single ones are too optimistic"
        )
    elif clusters < FEW and kind != "HC3":
        found.append(
            f"{clusters} clusters are few: {kind} is too small then and tests find too much; 'type': 'HC3' with "
            "df='clusters' keeps their level"
        )
    with np.errstate(invalid="ignore"):
        bad = [name for name, v in zip(fit.names, np.diag(matrix), strict=True) if v < 0]
    if bad:
        found.append(f"the variance of {', '.join(bad)} came out negative, as it can with several ways of clustering")
    return tuple(found)
