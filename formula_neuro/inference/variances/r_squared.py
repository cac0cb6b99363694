"""r2() and icc(): how much of the variance is explained, and how much lies between groups.

Nakagawa & Schielzeth (2013), Johnson (2014) for random slopes, Nakagawa et al. (2017) for other families.
With f the variance of X b over the rows, r that of the random effects, e that of the residuals, on the link's scale:

    marginal R2 = f / (f + r + e),  conditional R2 = (f + r) / (f + r + e),  ICC = r / (r + e)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...data.table import as_table
from ...errors import DataError, Unable
from ...family import Array
from ...foci.given import refuse_foci
from ...maps.lacking import refuse_maps
from ...result import Fit
from ..zero_inflation import refuse


@dataclass(frozen=True)
class Shares:
    """The parts of a mixed model's variance on the link's scale; r of every random term."""

    fixed: float
    random: tuple[tuple[str, float], ...]
    residual: float

    @property
    def between(self) -> float:
        return sum(value for _, value in self.random)

    @property
    def total(self) -> float:
        return self.fixed + self.between + self.residual


def r2(fit: Fit) -> pd.DataFrame:
    """Nakagawa's R-squared of a mixed model, one row: marginal, conditional, and the variances they are made of.

    Columns: marginal (of the fixed effects alone), conditional (of fixed and random effects), var_fixed, var_random,
    var_residual, all on the link's scale. Of a linear model: r_squared, adj_r_squared. Raises Unable for families for
    which no residual variance on the link's scale has been published.

    >>> import formula_neuro as fn
    >>> m = fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial")
    >>> fn.r2(m)[["marginal", "conditional"]].round(2).iloc[0].tolist()
    [0.03, 0.1]
    """
    refuse_foci(fit, "r2", "c.dispersion() says how much totals vary beyond the model")
    refuse_maps(fit, "r2", "v.at((x, y, z)) is the fit of one voxel")
    if fit.request.model == "lm":
        return fit.glance()[["r_squared", "adj_r_squared"]]
    parts = shares(fit)
    row = {
        "marginal": parts.fixed / parts.total,
        "conditional": (parts.fixed + parts.between) / parts.total,
        "var_fixed": parts.fixed,
        "var_random": parts.between,
        "var_residual": parts.residual,
    }
    return pd.DataFrame([row])


def shares(fit: Fit) -> Shares:
    """The variance of the fixed part, of every random term, and of the residuals, on the link's scale."""
    if not fit.random:
        raise Unable(f"this is of mixed models, and this {fit.request.model} has no random effects; see glance()")
    used = fit.request.weights > 0
    fixed = fit.request.design.matrix[used] @ np.nan_to_num(fit.beta)
    random = []
    for term, effect in zip(fit.request.design.random, fit.random, strict=True):
        Z = term.basis[used]
        random.append((term.group, float(np.einsum("nk,kl,nl->n", Z, effect.covariance, Z).mean())))
    between = sum(value for _, value in random)
    return Shares(float(np.var(fixed, ddof=1)), tuple(random), residual_variance(fit, between))


def residual_variance(fit: Fit, between: float) -> float:
    """e on the link's scale: sigma^2; pi^2/3, 1, pi^2/6 of binary responses; log(1 + Var/mean^2) under a log link.

    The mean of a log link is that of the population, exp(mean of X b + offset + between/2) (Nakagawa et al. 2017).
    """
    refuse(fit, "R2 and ICC are", "fit it without zero_inflation= to see them")
    family, request = fit.request.family, fit.request
    link = family.link.name
    if family.name == "gaussian" and link == "identity":
        used = request.weights > 0  # a residual structure's variances are averaged
        return float(fit.sigma**2 * (request.weights[used] / fit.residual_weights[used]).mean())
    if family.name == "binomial" and link in BINARY:
        return BINARY[link]
    if link == "log" and (family.name in LOGARITHMIC):
        used = request.weights > 0
        eta = (request.design.matrix @ np.nan_to_num(fit.beta) + request.design.offset)[used]
        mean = np.exp(eta.mean() + between / 2)
        variance = fit.sigma**2 * float(family.variance(np.atleast_1d(mean))[0])
        return float(np.log1p(variance / mean**2))
    raise Unable(
        f"R2 and ICC of {family} are not defined here: the residual variance on the scale of the link is known for "
        "gaussian, for binomial with logit, probit or cloglog, and for poisson, nbinom2 and Gamma with log"
    )


BINARY = {"logit": np.pi**2 / 3, "probit": 1.0, "cloglog": np.pi**2 / 6}
LOGARITHMIC = ("poisson", "Gamma", "nbinom1", "nbinom2")


# ---- intraclass correlation ----------------------------------------------------------------------
def icc(fit: Any, response: str | None = None, groups: str | None = None, by: str | None = None) -> pd.DataFrame:
    """The share of variance that lies between groups: of a mixed model, or of a table before any model.

    icc(fit): one row a random term and one for all ("total"), with group, icc (adjusted: of what the fixed effects
    leave, r / (r + e)) and icc_unadjusted (r / (f + r + e)).
    icc(table, "res", "midx", by="treatment"): by one-way analysis of variance within each condition; columns of `by`'s
    name, groups, n, icc, design_effect (how much wider the variance of a mean is than n independent values would
    make it) and effective_n (n / design_effect). Rows with a missing value are left out. A negative estimate, when
    groups differ less than by chance, stays negative.

    >>> import formula_neuro as fn, pandas as pd
    >>> d = pd.DataFrame({"y": [1., 2, 5, 6, 9, 10], "mouse": [1, 1, 2, 2, 3, 3]})
    >>> fn.icc(d, "y", "mouse")[["icc", "design_effect", "effective_n"]].round(3).iloc[0].tolist()
    [0.969, 1.969, 3.047]
    """
    refuse_maps(fit, "icc", 'v.maps["icc_<group>"] is the map of each random term')
    if isinstance(fit, Fit):
        if response is not None or groups is not None or by is not None:
            raise TypeError("icc(fit) takes nothing else; icc(table, response, groups, by=...) is of a table")
        return _of_fit(fit)
    if response is None or groups is None:
        raise TypeError("icc() of a table needs the response and the groups: icc(table, 'res', 'midx', by='treatment')")
    return _of_table(as_table(fit), response, groups, by)


def _of_fit(fit: Fit) -> pd.DataFrame:
    parts = shares(fit)
    rows = [*parts.random, *([("total", parts.between)] if len(parts.random) > 1 else [])]
    rest = parts.between + parts.residual
    return pd.DataFrame([{"group": g, "icc": r / rest, "icc_unadjusted": r / parts.total} for g, r in rows])


def _of_table(table: pd.DataFrame, response: str, groups: str, by: str | None) -> pd.DataFrame:
    wanted = [response, groups, *([by] if by is not None else [])]
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise DataError(f"{missing[0]} is not a column of the table (there are {', '.join(map(str, table.columns))})")
    if not pd.api.types.is_numeric_dtype(table[response]):
        raise DataError(f"{response} is not a column of numbers, so it has no variance between groups")
    complete = table[wanted].dropna()
    if by is None:
        return pd.DataFrame([one_way(complete[response].to_numpy(float), complete[groups].to_numpy())])
    rows = []
    for level, part in complete.groupby(by, observed=True, sort=True):
        rows.append({by: level, **one_way(part[response].to_numpy(float), part[groups].to_numpy())})
    return pd.DataFrame(rows)


def one_way(y: Array, groups: Any) -> dict[str, float]:
    """ICC (MSB - MSW) / (MSB + (n0 - 1) MSW) with n0 = (N - sum n_g^2 / N) / (G - 1) (Donner 1986), and what it does.

    Design effect 1 + (M - 1) ICC with M the mean size; effective n N / design effect.
    """
    codes, levels = pd.factorize(groups)
    sizes = np.bincount(codes, minlength=len(levels)).astype(float)
    N, G = float(len(y)), len(levels)
    if G < 2 or N <= G:
        return {"groups": G, "n": int(N), "icc": np.nan, "design_effect": np.nan, "effective_n": np.nan}
    means = np.bincount(codes, weights=y) / sizes
    MSB = float(sizes @ (means - y.mean()) ** 2) / (G - 1)
    MSW = float(((y - means[codes]) ** 2).sum()) / (N - G)
    n0 = (N - (sizes**2).sum() / N) / (G - 1)
    rho = (MSB - MSW) / (MSB + (n0 - 1) * MSW)
    effect = 1 + rho * (N / G - 1)
    return {"groups": G, "n": int(N), "icc": rho, "design_effect": effect, "effective_n": N / effect}
