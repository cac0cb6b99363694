"""Pictures that question a fit: residuals, quantiles, calibration, influence and random effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..family import Array, Binomial
from .bins import binned, wilson
from .forest import unit
from .plot import BLUE, GREY, INK, VERMILION, Picture, cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..result import Fit, RandomEffect

MOST_NAMED_LEVELS = 40
MOST_DOTS = 5_000  # more are a blot, and slow to draw


# ---- residuals -----------------------------------------------------------------------------------
def residuals(fit: Fit, which: str | None = None) -> list[Picture]:
    """Residuals along the fit and their quantiles; calibration, for a binomial; influence, where rows stand alone.

    Without `which`, a binomial mixed model's quantiles are left out: its calibration says more.
    """
    shares = isinstance(fit.request.family, Binomial)
    alone = fit.request.model in ("lm", "glm")
    wanted: dict[str, Callable[[Fit], Picture | None]] = {"residuals": _binned_residuals if shares else _residuals}
    wanted |= {"calibration": _calibration} if shares else {}
    wanted |= {"qq": _quantiles} if alone or not shares or which == "qq" else {}
    wanted |= {"influence": _influence} if alone and fit.names else {}
    found = [draw(fit) for kind, draw in wanted.items() if which in (None, kind)]
    return [picture for picture in found if picture is not None]


def scaled(fit: Fit) -> Array:
    """Pearson residuals over sigma (n,), of the rows that have weight."""
    kept = fit.request.weights > 0
    values: Array = np.asarray(fit.residuals("pearson"))[kept] / _unit_sd(fit)
    return values


def _unit_sd(fit: Fit) -> float:
    """sigma, or 1 where a perfect or saturated fit has none."""
    return fit.sigma if fit.sigma > 0 else 1.0


def _residuals(fit: Fit) -> Picture:
    kept = fit.request.weights > 0
    x, r = fit.eta[kept], scaled(fit)
    dots = thinned(np.abs(r))

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=GREY, lw=1)
        axes.plot(x[dots], r[dots], "o", ms=3.2, mfc="none", mec=BLUE, alpha=_alpha(len(dots)))
        if len(np.unique(x)) > 12:
            b = binned(x, r, np.ones_like(x), min(12, len(x) // 8) or 1)
            axes.plot(b.x, b.mean, "-", color=VERMILION, lw=2, label="mean in bins")
            axes.margins(y=0.15)  # room for the legend
            axes.legend(loc="best")
        if np.abs(r).max(initial=0.0) < 1e-6:  # rounding alone: a picture of it would mislead
            axes.set_ylim(-1, 1)
        axes.set_xlabel("fitted value" if fit.request.family.link.name == "identity" else "linear predictor")
        axes.set_ylabel("scaled residual (in sd)")

    outside = int((np.abs(r) > 3).sum())
    leaning = "a cloud that leans upwards is no fault where groups are small, as their effects are drawn to zero; "
    return Picture(
        "Residuals along the fit",
        "Each circle is one row. A level, evenly wide cloud is what the model assumes; "
        f"{leaning if fit.random else ''}a bent line means a shape "
        f"that the formula misses, a fan means unequal variance. {_count(outside, 'residual')} beyond 3 sd."
        f"{drawn(dots, len(r))}",
        draw,
        kind="residuals",
    )


def _quantiles(fit: Fit) -> Picture:
    kept = fit.request.weights > 0
    kind, values, words = _normal_residuals(fit)
    r = np.sort(values[kept & np.isfinite(values)])
    n = len(r)
    order = np.arange(1, n + 1)
    z = special.ndtri((order - 0.375) / (n + 0.25))
    # Pointwise 95 % limits of an ordered normal sample: the i-th uniform of n is Beta(i, n + 1 - i).
    low, high = (special.ndtri(special.betaincinv(order, n + 1 - order, q)) for q in (0.025, 0.975))
    dots = thinned(np.abs(z))

    def draw(axes: Axes) -> None:
        axes.fill_between(z, low, high, color=GREY, alpha=0.25, lw=0, label="95 % of normal samples")
        axes.plot(z, z, color=GREY, lw=1)
        axes.plot(z[dots], r[dots], "o", ms=3.2, mfc="none", mec=BLUE, alpha=_alpha(len(dots)))
        axes.set_xlabel("normal quantile")
        axes.set_ylabel(kind)
        axes.legend(loc="upper left")

    return Picture("Normal quantiles", f"{words}{drawn(dots, n)}", draw, kind="qq")


def _normal_residuals(fit: Fit) -> tuple[str, Array, str]:
    """Residuals that are near normal under the model: their name, their values (n,), and how to read them."""
    family, within = fit.request.family, "Points within the grey band are what "
    if fit.request.model in ("lm", "lmm"):
        values = np.asarray(fit.residuals("pearson")) / _unit_sd(fit)
        return (
            "scaled residual (in sd)",
            values,
            f"Sorted residuals. {within}normal errors give.",
        )
    if family.likelihood:
        values = np.asarray(fit.residuals("quantile"))
        words = (
            "Sorted quantile residuals (Dunn and Smyth 1996): where each response lies in its own fitted distribution, "
            f"as a normal score; a discrete response is placed at random within its step. {within}the model gives."
        )
        return "quantile residual", values, words
    values = np.asarray(fit.residuals("deviance")) / _unit_sd(fit)
    words = "Sorted deviance residuals over the square root of the dispersion; near normal only where means are large."
    return "scaled deviance residual", values, words


def _influence(fit: Fit) -> Picture | None:
    """Leverage against Cook's distance; None where every row decides its own fitted value."""
    from ..inference.rows.influence import cooks_distance, measured
    from ..inference.rows.working import working

    base = working(fit, "the picture of influence is")
    rows = measured(fit, base)
    hat, cook = rows.hat, cooks_distance(rows, base.Q.shape[1])
    if fit.df_resid <= 0 or not np.isfinite(cook).any():
        return None
    labels = fit.request.design.index[np.flatnonzero(base.used)]
    rank, n = base.Q.shape[1], len(hat)
    top = [int(i) for i in np.argsort(-np.nan_to_num(cook, nan=-1.0))[:3] if cook[i] > 4 / n]
    dots = thinned(np.nan_to_num(cook))
    turn = hat.min() + 0.75 * (max(hat.max(), 2 * rank / n) - hat.min())  # labels right of it stand left of their dots

    def draw(axes: Axes) -> None:
        axes.axhline(4 / n, color=GREY, lw=1, ls=":", label="4 / n")
        axes.axvline(2 * rank / n, color=GREY, lw=1, ls="--", label="twice the mean leverage")
        axes.plot(hat[dots], cook[dots], "o", ms=3.6, mfc="none", mec=BLUE, alpha=_alpha(len(dots)))
        axes.plot(hat[top], cook[top], "o", ms=4.5, color=VERMILION)
        for i in top:
            side, away = ("right", -6) if hat[i] > turn else ("left", 6)
            place: Any = {"xytext": (away, 0), "textcoords": "offset points", "ha": side, "va": "center"}
            axes.annotate(f"row {labels[i]}", (hat[i], cook[i]), fontsize=8.5, **place)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel("leverage (hat)")
        axes.set_ylabel("Cook's distance")
        axes.margins(y=0.12)
        axes.legend(loc="best")

    largest = f" Largest: {', '.join(f'row {labels[i]} ({cook[i]:.2g})' for i in top)}." if top else ""
    lone = int((rows.hat == 1).sum())
    lone_words = f" {_count(lone, 'row')} at leverage 1: each alone decides a coefficient." if lone else ""
    return Picture(
        "Influence",
        "Leverage is how unusual a row's predictors are; Cook's distance is how far all coefficients together would "
        f"move without it (above 1 is large; the lines are rules of thumb for a second look).{largest}{lone_words}"
        f"{drawn(dots, n)}",
        draw,
        kind="influence",
    )


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
        kind="residuals",
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
        kind="calibration",
    )


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
        axes.set_yticks(y if named else [], [cut(name) for name in names] if named else [])
        axes.set_ylabel(effect.group if named else f"{len(names)} levels of {effect.group}")
        axes.set_xlabel(f"deviation in {effect.columns[k]} ({unit(fit)})")
        axes.set_ylim(-0.8, len(names) - 0.2 + 0.09 * len(names))
        axes.legend(loc="upper left")

    return Picture(
        f"{effect.columns[k]} by {effect.group}",
        f"How far each level of {effect.group} lies from the population, with 95 % intervals, drawn towards zero by as "
        f"much as its rows are few. The standard deviation between levels is {sd:.3g}.",
        draw,
        float(np.clip(1.6 + 0.2 * len(names), 2.6, 6.5)) if named else 4.5,
        "random",
    )


# ---- small helps ---------------------------------------------------------------------------------
def thinned(size: Array, most: int = MOST_DOTS) -> NDArray[np.intp]:
    """The places to draw: all of (n,), or the tenth of `most` with the largest size and a random choice of the rest.

    >>> thinned(np.array([0.0, 5.0, 1.0])).tolist(), len(thinned(np.arange(9000.0)))
    ([0, 1, 2], 5000)
    """
    if len(size) <= most:
        return np.arange(len(size))
    order = np.argsort(-size, kind="stable")
    rest = np.random.default_rng(0).choice(order[most // 10 :], most - most // 10, replace=False)
    return np.sort(np.concatenate([order[: most // 10], rest]))


def drawn(dots: NDArray[np.intp], n: int) -> str:
    """A caption's last words where not every row is drawn."""
    return f" Drawn are {len(dots)} of {n} rows, the extreme ones among them." if len(dots) < n else ""


def _alpha(n: int) -> float:
    return float(np.clip(60 / np.sqrt(max(n, 1)) / 5, 0.15, 0.9))


def _count(n: int, noun: str) -> str:
    return f"{'No' if n == 0 else n} {noun}{'' if n == 1 else 's'} {'lies' if n == 1 else 'lie'}"
