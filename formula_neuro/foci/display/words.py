"""A meta-regression of foci in words, as text and for notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from ...display import digits
from ..inference.moderators import moderator_precision
from .tables import cells, moderators

if TYPE_CHECKING:
    from ..fit import FociFit

VERBS = (
    'c.maps["intensity", cell]  c.tidy()  c.terms  c.plot()  c.report(path)  c.to_nifti(folder)  fn.homogeneity(c)  '
    "fn.contrast(c, 'a - b')  fn.permutation_test(c, 'a - b')  fn.crosscheck(c)"
)
FAMILIES = {
    "poisson": "Poisson",
    "quasipoisson": "Quasi-Poisson",
    "negative_binomial": "Negative binomial (totals of voxels)",
    "clustered_negative_binomial": "Clustered negative binomial",
}
THIN = 10.0  # foci for each effective coefficient of a map
SE_OF = {
    "quasi": "quasi-Poisson standard errors",
    "robust": "standard errors with studies as clusters",
    "jackknife": "standard errors by leaving out studies",
    "fisher": "standard errors of the model",
    "observed": "standard errors of the model's observed information",
}


def summary(fit: FociFit) -> str:
    """What was fitted, where foci are, what changes their number, overdispersion, convergence, and messages."""
    return "\n\n".join(part for part in (body(fit), ending(fit), VERBS) if part)


def body(fit: FociFit) -> str:
    """The summary without what was found on the way."""
    how_many = [how_many_words(fit)] if fit.names else []
    return "\n\n".join(["\n".join(opening(fit)), where_words(fit), *how_many, "\n".join(closing(fit))])


def ending(fit: FociFit) -> str:
    """What was found on the way."""
    return "\n".join(dict.fromkeys((*fit.messages, *warnings(fit))))


def model(fit: FociFit) -> str:
    """ "Poisson meta-regression of foci"."""
    return f"{FAMILIES[fit.family.name]} meta-regression of foci"


def opening(fit: FociFit) -> list[str]:
    """The formula, the model, the data and the mask."""
    request, grid = fit.request, fit.brain.grid
    size = grid.describe().split(" voxels of ")[1]
    P = np.asarray(fit.engine.b).shape[1]
    penalty = f", second differences penalised ({fit.penalty:.3g})" if fit.penalty else ", no penalty"
    foci = int(request.totals.sum())
    return [
        str(request.design.formula),
        f"{model(fit)}; {fit.backend} in {fit.seconds:.1f} s",
        f"{foci:,} foci, {fit.nobs:,} analyses, {fit.n_studies:,} studies; {len(fit.brain.voxels):,} voxels of {size}",
        f"{P} cubic splines a map, knots {spacing_words(fit)} apart{penalty}",
    ]


def spacing_words(fit: FociFit) -> str:
    """ "20 mm (10 voxels)"."""
    from ...estimator import Splines

    how = fit.request.estimator
    assert isinstance(how, Splines)
    x, y, z = (float(size) for size in np.linalg.norm(fit.brain.grid.affine[:3, :3], axis=0))
    steps = how.steps((x, y, z))
    mm = [step * size for step, size in zip(steps, (x, y, z), strict=True)]
    if len(set(np.round(mm, 6))) == 1 and len(set(np.round(steps, 6))) == 1:
        return f"{mm[0]:g} mm ({steps[0]:g} voxels)"
    return f"{' x '.join(f'{m:g}' for m in mm)} mm ({' x '.join(f'{s:g}' for s in steps)} voxels)"


def where_columns(fit: FociFit) -> tuple[list[str], list[list[str]], list[str]]:
    """Heads, columns and names of the table of cells."""
    table = cells(fit)
    columns = {
        "analyses": [f"{n:,}" for n in table["analyses"]],
        "studies": [f"{n:,}" for n in table["studies"]],
        "foci": [f"{n:,}" for n in table["foci"]],
        "per analysis": [f"{n:.1f}" for n in table["foci_per_analysis"]],
        "coefficients": ["" if np.isnan(n) else f"{n:.1f}" for n in table["edf"]],
        "highest": [f"{n:.1f} ×" for n in table["highest"]],
        "at (mm)": [f"({x:.0f}, {y:.0f}, {z:.0f})" for x, y, z in table[["x", "y", "z"]].to_numpy()],
    }
    return list(columns), list(columns.values()), list(table["cell"])


def where_words(fit: FociFit) -> str:
    """Where foci are: a row a cell."""
    heads, body, names = where_columns(fit)
    title = "Where foci are: a map of intensity a cell (highest: times the mean over the mask; coefficients: effective)"
    lines = [title, digits.columns(heads, body, names)]
    from ..maps import effects

    others = effects(fit)
    if others:
        lines.append(f'Maps of coefficients of the log intensity, maps["effect", ...]: {", ".join(others)}')
    return "\n".join(lines)


def moderator_columns(fit: FociFit) -> tuple[list[str], list[list[str]]]:
    """Heads and columns of the table of moderators, with ratios."""
    table = moderators(fit)
    letter = "z" if np.isinf(table["df"]).all() else "t"
    heads = ["Estimate", "Std. Error", f"{letter} value", f"Pr(>|{letter}|)", "Ratio", "2.5 %", "97.5 %"]
    columns = digits.estimates([list(table["estimate"]), list(table["std_error"])])
    columns += [digits.statistics(list(table["statistic"])), digits.p_values(list(table["p_value"]))]
    ratios = np.exp(table[["estimate", "conf_low", "conf_high"]].to_numpy())
    return heads, columns + [[f"{value:.3g}" for value in column] for column in ratios.T]


def how_many_title(fit: FociFit) -> str:
    """What the table of moderators answers, and by which standard errors."""
    precision = moderator_precision(fit)
    df = f", t with {precision.df:g} degrees of freedom" if np.isfinite(precision.df) else ""
    said = f"{SE_OF[precision.word]}{df}"
    return f"How many foci: global moderators, log ratios of the number of foci in the whole brain ({said})"


def how_many_words(fit: FociFit) -> str:
    """What changes the number of foci: a row a moderator."""
    return "\n".join([how_many_title(fit), digits.columns(*moderator_columns(fit), list(fit.names))])


def closing(fit: FociFit) -> list[str]:
    """Dispersion, likelihood and convergence."""
    return [line for line in (dispersion(fit), likelihood(fit), convergence(fit)) if line]


def dispersion(fit: FociFit) -> str:
    """How much totals vary beyond Poisson's."""
    if fit.alpha:
        shown = ", ".join(f"{cell} {alpha:.3g}{_of_poisson(alpha)}" for cell, alpha in fit.alpha.items())
        of = "totals of single voxels beyond the map" if fit.family.name == "negative_binomial" else "random levels"
        return f"Variance of the {of} (alpha; 0: Poisson): {shown}"
    if not np.isfinite(fit.phi):
        return ""
    return f"Dispersion of the totals (phi; Poisson: 1): {fit.phi:.3g}"


def _of_poisson(alpha: float) -> str:
    return " (Poisson)" if alpha == 0 else ""


def likelihood(fit: FociFit) -> str:
    """The log-likelihood, AIC and BIC; nothing of a quasi family."""
    if not np.isfinite(fit.loglik):
        return ""
    return (
        f"Log-likelihood {fit.loglik:,.2f} with {fit.n_parameters:.1f} parameters, AIC {fit.aic:,.1f}, "
        f"BIC {fit.bic:,.1f} (by studies)"
    )


def convergence(fit: FociFit) -> str:
    """Whether all searches ended at an optimum, and how far from it."""
    lost = [one.part for one in fit.convergence if not one.converged]
    if lost:
        return f"NOT converged: {', '.join(lost)}; their numbers are only where the search stopped."
    if not fit.convergence:
        return ""
    steps = max(one.steps for one in fit.convergence)
    decrement = max(one.decrement for one in fit.convergence)
    return f"Converged, in at most {steps} Newton steps; largest decrement {decrement:.1g}."


def warnings(fit: FociFit) -> tuple[str, ...]:
    """Where tests of maps are not to be trusted, beside what the fit's messages say."""
    notes = []
    table = cells(fit)
    foci = zip(table["cell"], table["foci_per_edf"].to_numpy(dtype=float), strict=True)
    thin = [(cell, each) for cell, each in foci if each < THIN]
    if thin:
        shown = ", ".join(f"{cell} {each:.1f}" for cell, each in thin)
        notes.append(
            f"fewer than {THIN:g} foci for each effective coefficient of a map ({shown}): tests of maps that rest on "
            "normal approximations are rough there; fn.permutation_test is not"
        )
    return tuple(notes)


def short_html(fit: FociFit) -> str:
    """The formula, the model and the tables as HTML for a notebook."""
    first, *rest = opening(fit)
    parts = [f"<div><b>{html.escape(first)}</b><br>{'<br>'.join(html.escape(line) for line in rest)}</div>"]
    heads, columns, names = where_columns(fit)
    parts.append(_table("Where foci are", heads, columns, names))
    if fit.names:
        heads, columns = moderator_columns(fit)
        parts.append(_table(how_many_title(fit), heads, columns, list(fit.names)))
    parts += [f"<small>{html.escape(line)}</small>" for line in closing(fit)]
    return "<br>".join(parts)


def _table(title: str, heads: list[str], columns: list[list[str]], names: list[str]) -> str:
    top = "".join(f"<th>{html.escape(head)}</th>" for head in ["", *heads])
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{html.escape(word.strip())}</td>' for word in words)}</tr>"
        for name, *words in zip(names, *columns, strict=True)
    )
    return (
        f'<div>{html.escape(title)}</div><table style="white-space: nowrap"><thead><tr>{top}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
