"""Pictures that question a fit: residuals, quantiles or calibration, coefficients and random effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from .bins import binned, wilson
from .family import Array
from .fit_tables import ratio_name, ratios
from .plot import BLUE, GREY, INK, VERMILION, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import Fit, RandomEffect

MOST_COEFFICIENTS = 30
MOST_NAMED_LEVELS = 40
EXTREMES = (1e-9, 1e9)  # ratios beyond are drawn here: a separated model's have no end


# ---- residuals -----------------------------------------------------------------------------------
def residuals(fit: Fit) -> list[Picture]:
    """Two pictures: residuals along the fit, and their distribution (calibration, for a binomial)."""
    if fit.request.family.name == "binomial":
        return [_binned_residuals(fit), _calibration(fit)]
    return [_residuals(fit), _quantiles(fit)]


def scaled(fit: Fit) -> Array:
    """Pearson residuals over sigma (n,), of the rows that have weight."""
    kept = fit.request.weights > 0
    values: Array = np.asarray(fit.residuals("pearson"))[kept] / (fit.sigma or 1.0)
    return values


def _residuals(fit: Fit) -> Picture:
    kept = fit.request.weights > 0
    x, r = fit.eta[kept], scaled(fit)

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=GREY, lw=1)
        axes.plot(x, r, "o", ms=3.2, mfc="none", mec=BLUE, alpha=_alpha(len(x)))
        if len(np.unique(x)) > 12:
            b = binned(x, r, np.ones_like(x), min(12, len(x) // 8) or 1)
            axes.plot(b.x, b.mean, "-", color=VERMILION, lw=2, label="mean in bins")
            axes.legend(loc="best")
        axes.set_xlabel("fitted value" if fit.request.family.link.name == "identity" else "linear predictor")
        axes.set_ylabel("scaled residual (in sd)")

    outside = int((np.abs(r) > 3).sum())
    return Picture(
        "Residuals along the fit",
        "Each circle is one row. A level, evenly wide cloud is what the model assumes; a bent red line means a shape "
        f"that the formula misses, a fan means unequal variance. {_count(outside, 'residual')} beyond 3 sd.",
        draw,
    )


def _quantiles(fit: Fit) -> Picture:
    gaussian = fit.request.model in ("lm", "lmm")
    kept = fit.request.weights > 0
    r = np.sort(scaled(fit) if gaussian else np.asarray(fit.residuals("deviance"))[kept] / (fit.sigma or 1.0))
    n = len(r)
    order = np.arange(1, n + 1)
    z = special.ndtri((order - 0.375) / (n + 0.25))
    # Pointwise 95 % limits of an ordered normal sample: the i-th uniform of n is Beta(i, n + 1 - i).
    low, high = (special.ndtri(special.betaincinv(order, n + 1 - order, q)) for q in (0.025, 0.975))

    def draw(axes: Axes) -> None:
        axes.fill_between(z, low, high, color=GREY, alpha=0.25, lw=0, label="95 % of normal samples")
        axes.plot(z, z, color=GREY, lw=1)
        axes.plot(z, r, "o", ms=3.2, mfc="none", mec=BLUE, alpha=_alpha(n))
        axes.set_xlabel("normal quantile")
        axes.set_ylabel("scaled residual (in sd)" if gaussian else "deviance residual")
        axes.legend(loc="upper left")

    words = (
        "Sorted residuals against those of a normal sample. Points within the grey band are what normal errors give."
        if gaussian
        else "Sorted deviance residuals; for counts they are near normal only when means are large."
    )
    return Picture("Normal quantiles", words, draw)


def _binned_residuals(fit: Fit) -> Picture:
    weights, mu = fit.request.weights, np.asarray(fit.fitted)
    bins = int(np.clip(np.sqrt((weights > 0).sum()), 4, 25))
    b = binned(mu, fit.request.y - mu, weights, bins)
    variance = binned(mu, mu * (1 - mu), weights, bins).mean
    limit = 1.96 * np.sqrt(variance / b.weight)
    outside = int((np.abs(b.mean) > limit).sum())

    def draw(axes: Axes) -> None:
        axes.fill_between(b.x, -limit, limit, color=GREY, alpha=0.25, lw=0, label="95 % if the model is right")
        axes.axhline(0, color=GREY, lw=1)
        axes.plot(b.x, b.mean, "o", ms=5, color=BLUE)
        axes.set_xlabel("fitted probability")
        axes.set_ylabel("observed - fitted, mean in bin")
        axes.legend(loc="upper left")
        axes.margins(y=0.18)

    return Picture(
        "Residuals in bins",
        "Single residuals of a 0/1 response say little, so rows are averaged in bins of equal size along the fitted "
        f"probability. About one bin in twenty may lie outside the band; here {outside} of {len(b.x)}.",
        draw,
    )


def _calibration(fit: Fit) -> Picture:
    weights, mu = fit.request.weights, np.asarray(fit.fitted)
    b = binned(mu, fit.request.y, weights, 10)
    low, high = wilson(b.mean, b.weight)
    edge = (min(b.x.min(), low.min()) - 0.03, max(b.x.max(), high.max()) + 0.03)

    def draw(axes: Axes) -> None:
        axes.plot(edge, edge, color=GREY, lw=1, label="perfect calibration")
        axes.errorbar(
            b.x, b.mean, [b.mean - low, high - b.mean], fmt="o", color=BLUE, ms=5, lw=1.3, label="tenths of the rows"
        )
        axes.set(xlim=(max(edge[0], -0.03), min(edge[1], 1.03)), ylim=(max(edge[0], -0.03), min(edge[1], 1.03)))
        axes.set_xlabel("fitted probability")
        axes.set_ylabel("observed share")
        axes.legend(loc="upper left")

    return Picture(
        "Calibration",
        "Observed share of successes (with 95 % limits) against the fitted probability, in tenths of the rows. "
        "Points on the line: a fitted 40 % happens 40 % of the time. The fit has seen these rows: new ones do worse.",
        draw,
    )


# ---- coefficients --------------------------------------------------------------------------------
def coefficients(fit: Fit) -> Picture:
    """Estimates with 95 % intervals; odds, rate or mean ratios on a log axis where the link gives them."""
    ratio, table = ratio_name(fit), ratios(fit)
    if table.empty:
        ratio, table = "", fit.tidy()
        slopes = table[table["term"] != "(Intercept)"]
        table = (slopes if len(slopes) else table).dropna(subset=["estimate"])
    hidden = max(0, len(table) - MOST_COEFFICIENTS)
    table = table.head(MOST_COEFFICIENTS)
    terms, y = list(table["term"]), np.arange(len(table))[::-1]
    numbers = (table[name].to_numpy() for name in ("estimate", "conf_low", "conf_high"))
    estimate, low, high = (np.clip(v, *EXTREMES) if ratio else v for v in numbers)

    def draw(axes: Axes) -> None:
        axes.axvline(1 if ratio else 0, color=GREY, lw=1)
        axes.errorbar(estimate, y, xerr=[estimate - low, high - estimate], fmt="o", color=BLUE, ms=5.5, lw=1.8)
        axes.set_yticks(y, [_cut(term) for term in terms])
        axes.set_ylim(-0.7, len(terms) - 0.3)
        axes.set_xlabel(f"{ratio.lower()} (log axis)" if ratio else f"coefficient ({_unit(fit)})")
        if ratio:
            _log_axis(axes, float(np.nanmin([*low, 1.0])), float(np.nanmax([*high, 1.0])))
        for place, value in zip(y, estimate, strict=True):
            axes.annotate(_number(value), (value, place), (0, 6), textcoords="offset points", ha="center", fontsize=8.5)

    what = f"{ratio}s" if ratio else "Coefficients"
    units = " Units differ between rows." if len(terms) > 1 else ""
    more = f" {hidden} more are in the table." if hidden else ""
    null = "1 (no change)" if ratio else "0"
    return Picture(
        what,
        f"{what} for one unit of each predictor, with 95 % Wald intervals; one that crosses {null} is compatible with "
        f"no effect.{units}{more}",
        draw,
        max(2.4, 1.3 + 0.36 * len(terms)),
    )


def _log_axis(axes: Axes, low: float, high: float) -> None:
    """A log axis with a few plain numbers, near each other or decades apart."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    low, high = low / (high / low) ** 0.06, high * (high / low) ** 0.06
    axes.set_xlim(low, high)
    if high / low > 1000:
        return
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round ratios between low and high, evenly spread on a log axis.

    >>> log_ticks(0.3, 4)
    [0.5, 1.0, 2.0, 4.0]
    >>> log_ticks(0.98, 1.13)
    [0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12]
    """
    if high / low > 2.5:
        doubles = [float(f"{2.0**k:.4g}") for k in range(-12, 13)]
        inside = [v for v in doubles if low <= v <= high]
        return inside[:: -(-len(inside) // most)]
    step = (high - low) / (most + 1)
    power = 10.0 ** np.floor(np.log10(step))
    unit = float(next(m for m in (1, 2, 2.5, 5, 10) if m * power >= step) * power)
    first = int(np.ceil(low / unit - 1e-9))
    return [float(f"{i * unit:.6g}") for i in range(first, int(np.floor(high / unit + 1e-9)) + 1)]


def _unit(fit: Fit) -> str:
    link = fit.request.family.link.name
    return "on the response's scale" if link == "identity" else f"on the {link} scale"


# ---- random effects ------------------------------------------------------------------------------
def random_effects(fit: Fit) -> list[Picture]:
    """A caterpillar a random column: each level's deviation from the population, sorted, with its interval."""
    return [_caterpillar(fit, effect, k) for effect in fit.random for k in range(len(effect.columns))]


def _caterpillar(fit: Fit, effect: RandomEffect, k: int) -> Picture:
    order = np.argsort(effect.modes[:, k], kind="stable")
    modes = effect.modes[order, k]
    sds = np.sqrt(np.maximum(effect.mode_covariance[order, k, k], 0.0))
    names = [effect.levels[i] for i in order]
    sd, y = float(np.sqrt(effect.covariance[k, k])), np.arange(len(names))
    named = len(names) <= MOST_NAMED_LEVELS

    def draw(axes: Axes) -> None:
        axes.axvspan(-sd, sd, color=GREY, alpha=0.18, lw=0, label=f"± 1 sd between levels ({sd:.3g})")
        axes.axvline(0, color=GREY, lw=1)
        axes.errorbar(modes, y, xerr=1.96 * sds, fmt="o", ms=4.5 if named else 2.5, color=INK, ecolor=BLUE, lw=1.3)
        axes.set_yticks(y if named else [], [_cut(name) for name in names] if named else [])
        axes.set_ylabel(effect.group if named else f"{len(names)} levels of {effect.group}")
        axes.set_xlabel(f"deviation in {effect.columns[k]} ({_unit(fit)})")
        axes.set_ylim(-0.8, len(names) - 0.2 + 0.09 * len(names))
        axes.legend(loc="upper left")

    return Picture(
        f"{effect.columns[k]} by {effect.group}",
        f"How far each level of {effect.group} lies from the population, with 95 % intervals, drawn towards zero by as "
        f"much as its rows are few. The standard deviation between levels is {sd:.3g}.",
        draw,
        float(np.clip(1.6 + 0.2 * len(names), 2.6, 6.5)) if named else 4.5,
    )


# ---- small helps ---------------------------------------------------------------------------------
def _cut(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".").replace("-", "−")  # the minus sign of the axes


def _alpha(n: int) -> float:
    return float(np.clip(60 / np.sqrt(max(n, 1)) / 5, 0.15, 0.9))


def _count(n: int, noun: str) -> str:
    return f"{'No' if n == 0 else n} {noun}{'' if n == 1 else 's'} {'lies' if n == 1 else 'lie'}"
