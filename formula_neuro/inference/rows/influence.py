"""influence(): what each row does to an LM or GLM, in R's conventions (influence.measures and friends).

Formulas: Belsley, Kuh & Welsch (1980), Cook & Weisberg (1982); of GLMs, Pregibon (1981) and Williams (1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...family import Array
from ...result import Fit
from ..told import told
from .deletion import deleted
from .working import Working, working

KNOWN_DISPERSION = ("binomial", "poisson")  # R divides the other families' studentized residuals by sigma


@dataclass(frozen=True, eq=False)
class Rows:
    """Leverage, residuals and leave-one-out sigma of the m rows of positive weight."""

    hat: Array
    pearson: Array
    weighted: Array  # what R calls weighted residuals: sqrt(w) (y - mu) of an LM, deviance residuals of a GLM
    sigma: Array  # without the row
    overall: float  # sigma of the fit
    known: bool  # a family without dispersion, whose studentized residuals are not divided by sigma


def influence(fit: Fit, exact: bool = False) -> pd.DataFrame:
    """What leaving out each row would change, one row a row used; of linear and generalized linear models.

    Columns: hat (leverage); sigma (the residual standard deviation without the row); std_residual and
    studentized_residual (rstandard, rstudent); cooks_distance; dffits; covratio; then, for each coefficient,
    dfbeta_<name> (all rows less without the row) and dfbetas_<name> (in standard errors without the row).

    Of an LM they are exact. Of a GLM they are one step from the estimates, with deviance residuals, as R's; `exact`
    refits it without each row instead (n fits) for dfbeta, dfbetas, sigma, cooks_distance, dffits and covratio, and
    `attrs["messages"]` names the rows without which it did not converge. A row of leverage 1, which alone determines a
    coefficient, is NaN where leaving it out has no answer (R puts 0 for its dfbeta), and so are rows of weight 0.
    Under a link that falls (inverse, 1/mu^2) dfbeta and dfbetas have the sign of the change, R's the opposite.
    Raises Unable for mixed models.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4, 9], "y": [1., 3, 2, 5, 1]})
    >>> m.influence()[["hat", "cooks_distance", "dfbeta_x"]].round(3).iloc[4].tolist()
    [0.897, 9.807, -1.193]
    """
    base = working(fit, "influence() is")
    rows = measured(fit, base)
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = rows.hat == 1
        dfbeta = base.coefficients(base.Q * (base.sign * rows.weighted / np.where(alone, 1.0, 1 - rows.hat))[:, None])
        dfbeta[alone] = np.nan
        root = base.coefficients(np.eye(base.Q.shape[1]))
        unit = np.sqrt((root**2).sum(axis=0))  # standard errors at sigma = 1
        found = {
            "hat": rows.hat,
            "sigma": rows.sigma,
            "std_residual": standardized(rows),
            "studentized_residual": studentized(rows),
            "cooks_distance": cooks_distance(rows, base.Q.shape[1]),
            "dffits": _finite(rows.weighted * np.sqrt(rows.hat) / (rows.sigma * (1 - rows.hat))),
            "covratio": covratio(rows, base.Q.shape[1]),
            **_by_coefficient("dfbeta", fit, base, dfbeta),
            **_by_coefficient("dfbetas", fit, base, dfbeta / (rows.sigma[:, None] * unit)),
        }
    table = pd.DataFrame({name: base.on_rows(v) for name, v in found.items()}, index=fit.request.design.index)
    if exact and fit.request.model == "glm":
        changed, messages = deleted(fit, base)
        table = table.assign(**changed)
        table.attrs["messages"] = messages
    return told(table)


def measured(fit: Fit, base: Working) -> Rows:
    """The parts of which all measures are made; sigma_(i)^2 = (sum e^2 - e_i^2 / (1 - h_i)) / (m - k - 1)."""
    family, hat, m, k = fit.request.family, base.hat, *base.Q.shape
    weighted = base.pearson if fit.request.model == "lm" else _deviance_residuals(fit, base)
    weighted = np.where(hat == 1, 0.0, weighted)  # exactly, where rounding left something
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(hat == 1, 0.0, weighted**2 / (1 - hat))
        sigma = np.sqrt(np.maximum((weighted**2).sum() - own, 0.0) / (m - k - 1)) if m > k + 1 else np.full(m, np.nan)
    known = fit.request.model == "glm" and family.name in KNOWN_DISPERSION
    return Rows(hat, np.where(hat == 1, 0.0, base.pearson), weighted, sigma, fit.sigma, known)


def _deviance_residuals(fit: Fit, base: Working) -> Array:
    request = fit.request
    y, mu, w = request.y[base.used], request.family.link.inverse(fit.eta[base.used]), request.weights[base.used]
    return np.asarray(np.sign(y - mu) * np.sqrt(np.maximum(request.family.deviance(y, mu, w), 0.0)))


def standardized(rows: Rows, pearson: bool = False) -> Array:
    """R's rstandard: residuals over sigma sqrt(1 - h); deviance residuals of a GLM, or Pearson's."""
    e = rows.pearson if pearson else rows.weighted
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(e / (rows.overall * np.sqrt(1 - rows.hat)))


def studentized(rows: Rows) -> Array:
    """R's rstudent, Williams' (1987) sign(d) sqrt(d^2 + h p^2 / (1 - h)): of an LM, where d = p, d / sqrt(1 - h).

    Divided by sigma without the row, but for binomial and poisson.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.sign(rows.weighted) * np.sqrt(rows.weighted**2 + rows.hat * rows.pearson**2 / (1 - rows.hat))
        return _finite(r if rows.known else r / rows.sigma)


def cooks_distance(rows: Rows, k: int) -> Array:
    """(p / (1 - h))^2 h / (dispersion k), p the Pearson residuals."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite((rows.pearson / (1 - rows.hat)) ** 2 * rows.hat / (rows.overall**2 * k))


def covratio(rows: Rows, k: int) -> Array:
    """det of the covariance without the row over det of that with it: 1 / ((1 - h) ((m - k - 1 + t^2) / (m - k))^k)."""
    m = len(rows.hat)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = rows.weighted / (rows.sigma * np.sqrt(1 - rows.hat))
        return _finite(1 / ((1 - rows.hat) * ((m - k - 1 + t**2) / (m - k)) ** k))


def _finite(values: Array) -> Array:
    return np.where(np.isinf(values), np.nan, values)


def _by_coefficient(what: str, fit: Fit, base: Working, values: Array) -> dict[str, Array]:
    full = np.full((len(values), len(base.kept)), np.nan)
    full[:, base.kept] = values
    return {f"{what}_{name}": full[:, j] for j, name in enumerate(fit.names)}
