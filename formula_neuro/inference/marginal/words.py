"""What is said beside marginal means and their contrasts, in the words of R's emmeans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...result import Fit
from ...syntax.expression import names
from ..sides import WORDS
from .adjust import STEPWISE
from .contrast_weights import Family
from .reference_grid import Axis, Grid


def about_means(fit: Fit, grid: Grid, axes: Sequence[Axis], df: str | None, type: str, level: float) -> list[str]:
    """What means are of: what they average over, degrees of freedom, level and scale."""
    over, link = averaged(grid, axes), fit.request.family.link.name
    words = []
    if mixed_in(fit, over, axes):
        words.append("NOTE: Results may be misleading due to involvement in interactions")
    if over:
        words.append(f"Results are averaged over the levels of: {', '.join(over)}")
    if fit.request.model == "lmm" and df != "none":
        words.append(f"Degrees-of-freedom method: {df or getattr(fit.engine, 'default_df', 'satterthwaite')}")
    if link != "identity" and type == "link":
        words.append(f"Results are given on the {link} (not the response) scale.")
    if fit.inflation is not None:
        words.append("Results are of the conditional mean, without the zeros of zero inflation.")
    words.append(f"Confidence level used: {level:g}")
    if link != "identity" and type == "response":
        words.append(f"Intervals are back-transformed from the {link} scale")
    return words


def about_contrasts(
    fit: Fit, chosen: Family, asked: str | None, method: str, type: str, rank: int, side: int
) -> list[str]:
    """What contrasts are of: their scale, and how they are adjusted and for how many."""
    link, words, count = fit.request.family.link.name, [], len(chosen.labels)
    if asked is not None and asked != method:
        why = (
            "not appropriate for one-sided inferences"
            if side
            else "only appropriate for one set of pairwise comparisons"
        )
        words.append(f'Note: adjust = "{asked}" was changed to "{method}" because "{asked}" is {why}')
    if method != "none" and count > 1:
        limits = "bonferroni" if method in STEPWISE else method
        for what, way, many in (("Conf-level", limits, "estimates"), ("P value", method, "tests")):
            words.append(f"{what} adjustment: {way} method {_size(way, chosen, many, rank)}")
    words += [WORDS[side]] if side else []
    if type == "response" and link in ("log", "logit"):
        words.append(f"Tests are performed on the {'log odds ratio' if link == 'logit' else 'log'} scale")
        words.append("Intervals are back-transformed from that scale")
    elif link != "identity" and type == "response":
        words.append(f"Contrasts are on the {link} scale.")
    return words


def _size(method: str, chosen: Family, many: str, rank: int) -> str:
    if method == "tukey":
        return f"for comparing a family of {chosen.weights.shape[1]} estimates"
    return f"with rank {rank}" if method == "scheffe" else f"for {len(chosen.labels)} {many}"


def not_estimable(fit: Fit, labels: Sequence[str], values: Sequence[float], what: str) -> list[str]:
    gone = [label for label, value in zip(labels, values, strict=True) if np.isnan(value)]
    if not gone:
        return []
    why = f" ({', '.join(fit.aliased)} has no coefficient)" if fit.aliased else ""
    return [f"Not estimable, so NaN, of the {what}: {', '.join(gone)}{why}"]


def averaged(grid: Grid, axes: Sequence[Axis]) -> list[str]:
    """The axes of several values that the means average over."""
    return [axis.name for axis in grid.axes if len(axis.values) > 1 and axis not in axes]


def mixed_in(fit: Fit, over: Sequence[str], axes: Sequence[Axis]) -> bool:
    """Whether some term crosses a predictor that is averaged over with one that is kept."""
    part = fit.request.design.formula.fixed
    kept = {axis.name for axis in axes}
    for term in part.terms:
        used = {name.text for i in term for name in names(part.variables[i])}
        if used & set(over) and used & kept:
            return True
    return False
