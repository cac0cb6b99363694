"""One HTML page about one fit, complete in itself: no script, no font, no picture is fetched from anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import __version__
from ..estimator import BIAS_REDUCED
from ..family import NBinom2
from ..inference.null_model import explained, null_deviance
from . import digits
from .fit_tables import coefficient_columns, plural, random_columns, ratio_name, ratios
from .grouping_words import grouping_notes
from .kept_data import data_words, kept_table
from .page import UNCHECKED, by_rows, check_html, csv_address, figure_part, minus, render, took
from .plot import draw_one, pictures, png
from .recipes import python_arguments, python_code, r_code
from .sentences import sentences
from .separation_words import separation_words
from .summary import model_words, summary

if TYPE_CHECKING:
    from ..comparing.agreement import Agreement
    from ..result import Fit

MOST_ROWS_TO_SAVE = 20_000  # about a megabyte in the page


def report(fit: Fit, path: str | os.PathLike[str], *, crosscheck: Agreement | None = None) -> str:
    """Write one self-contained HTML page on a fit; returns the path written.

    `crosscheck`, the answer of fn.crosscheck(fit), adds R's verdict. Raises an OSError before any work is
    done where the path cannot be written, and ImportError where jinja2 or matplotlib is missing.

    >>> import formula_neuro as fn, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = fn.fit("dff ~ lick", fn.datasets.waterlick()).report(f"{folder}/fit.html")
    ...     "data:image/png" in pathlib.Path(path).read_text("utf-8")
    True
    """
    target = Path(path)
    check_html(target)
    target.write_text(html(fit, crosscheck), encoding="utf-8")
    return str(target)


def html(fit: Fit, crosscheck: Agreement | None = None) -> str:
    """The page as text."""
    return render("report.html.j2", _page(fit, crosscheck))


def _page(fit: Fit, crosscheck: Agreement | None) -> dict[str, Any]:
    """Everything that the template shows, as texts."""
    design = fit.request.design
    return {
        "formula": str(design.formula),
        "model": model_words(fit.request),
        "note": str(design.data.attrs.get("note", "")),
        "facts": _facts(fit),
        "data": _data(fit),
        "separation": separation_words(fit),
        "converged": fit.converged,
        "messages": [text for text in fit.messages if not text.startswith("separation:")],
        "sentences": sentences(fit),
        "coefficients": coefficient_table(fit),
        "ratio": ratio_name(fit),
        "ratios": plural(ratio_name(fit)).lower(),
        "random": _random(fit),
        "groups": grouping_notes(design.random),
        "criteria": _criteria(fit),
        "figures": [figure_part(p.title, p.caption, png(draw_one(p))) for p in pictures(fit)],
        "check": check_part(crosscheck),
        "unchecked": UNCHECKED.format(verb="crosscheck(m)", elsewhere=_elsewhere(fit), page="m.report"),
        "python": python_code(fit),
        "r": r_code(fit),
        "summary": summary(fit),
        "files": _files(fit),
        "held": _held(fit),
    }


# ---- pieces of the page --------------------------------------------------------------------------
def _data(fit: Fit) -> list[str]:
    """What was fitted to what, in sentences."""
    request, design = fit.request, fit.request.design
    given = design.given
    total = len(given.table) if given is not None else len(design.rows) + sum(n for _, n in design.dropped)
    lost = "; ".join(f"{count} for missing {name}" for name, count in design.dropped)
    left = f" of {total}" if total != len(design.rows) else ""
    text = [f"{len(design.rows)}{left} rows used{f' ({lost})' if lost else ''}{_weighted(fit)}."]
    if request.estimator.word in BIAS_REDUCED:
        text.append(WHY[request.estimator.word])
    return text


def _weighted(fit: Fit) -> str:
    weights = fit.request.weights
    if fit.request.family.name.endswith("binomial") and np.ptp(weights):
        return f", {weights.sum():g} trials in all"
    empty = int((weights == 0).sum())
    return f", weighted{f' ({empty} with weight 0)' if empty else ''}" if np.ptp(weights) else ""


WHY = {
    "mean_br": "Mean bias reduction (Firth 1993) takes away the leading term of the bias that maximum likelihood has "
    "in small samples, and keeps estimates finite under separation; it depends on the parametrisation "
    "(what is unbiased as log odds is not as odds).",
    "median_br": "Median bias reduction (Kenne Pagui, Salvan and Sartori 2017) makes an estimate too high as often as "
    "too low, on any scale of the coefficient, and keeps estimates finite under separation.",
    "jeffreys": "The likelihood is multiplied by a power of Jeffreys' prior (Kosmidis and Firth 2021), which keeps "
    "estimates finite under separation and shrinks them towards equal chances.",
}


def _facts(fit: Fit) -> list[tuple[str, str]]:
    dropped = sum(count for _, count in fit.request.design.dropped)
    facts = [("data", data_words(fit.request)), ("rows", f"{fit.nobs:,}{' (some dropped)' if dropped else ''}")]
    facts += [(group, f"{n:,} levels") for group, n in {e.group: len(e.levels) for e in fit.random}.items()]
    facts += [("family", str(fit.request.family)), ("backend", fit.backend)]
    if not np.isnan(fit.seconds):
        facts.append(("time", took(fit.seconds)))
    return [*facts, ("converged", "yes" if fit.converged else "NO"), ("formula_neuro", __version__)]


def coefficient_table(fit: Fit) -> dict[str, Any]:
    """Heads and rows of the coefficients, with limits, and with ratios where the link gives them."""
    table = fit.tidy()
    heads, body = coefficient_columns(fit, table)
    if heads[-1] == "":
        heads, body = heads[:-1], body[:-1]
    if fit.infinite:
        body = [["–" if word.strip() == "NA" else _infinity(word) for word in column] for column in body]
    known_limits = ~table["term"].isin(list(fit.infinite))
    limits = digits.estimates([list(table[name].where(known_limits)) for name in ("conf_low", "conf_high")], 3)
    heads, body = [*heads, "95 % CI"], [*body, _intervals(*limits)]
    if ratio_name(fit):
        known = ratios(fit).set_index("term").reindex(table["term"])
        parts = digits.estimates([list(known[name]) for name in ("estimate", "conf_low", "conf_high")])
        heads += [ratio_name(fit), "95 % CI"]
        body += [["–" if "NA" in w else _infinity(w) for w in parts[0]], _intervals(*parts[1:])]
    return by_rows(["term", *heads], [list(table["term"]), *body])


def _infinity(word: str) -> str:
    return {"Inf": "+∞", "-Inf": "−∞"}.get(word.strip(), word)


def _intervals(low: list[str], high: list[str]) -> list[str]:
    return ["–" if "NA" in a + b else f"{a.strip()} to {b.strip()}" for a, b in zip(low, high, strict=True)]


def _random(fit: Fit) -> dict[str, Any] | None:
    if not fit.random:
        return None
    heads, body = random_columns(fit)
    return by_rows(heads, body)


def _criteria(fit: Fit) -> list[tuple[str, str]]:
    pairs = [("log-likelihood", fit.loglik), ("AIC", fit.aic), ("BIC", fit.bic), ("deviance", fit.deviance)]
    if fit.request.model == "lmm":
        reml = fit.request.estimator.word == "reml"
        pairs[-1] = ("REML criterion" if reml else "−2 log-likelihood", fit.criterion)
    rows = [(name, minus(f"{value:z.2f}")) for name, value in pairs]
    rows = [(name, "none" if word == "nan" else word) for name, word in rows]
    if fit.request.model == "glm":
        rows.append(("null deviance", minus(f"{null_deviance(fit):.2f}")))
        rows.append(("dispersion", f"{fit.dispersion:.4g}" if fit.request.family.dispersed else "1 (known)"))
        rows.append(("residual df", f"{fit.df_resid:g}"))
    elif fit.request.model == "gee":
        known = fit.engine.about(fit) if hasattr(fit.engine, "about") else {}
        rows = [("dispersion", f"{fit.dispersion:.4g}"), *((k, minus(f"{v:.4g}")) for k, v in fit.residual.items())]
        rows += [(_named(name), v if isinstance(v, str) else minus(f"{v:.6g}")) for name, v in known.items()]
    elif fit.request.family.dispersed:
        rows.append(("residual sd", f"{fit.sigma:.4g}"))
    if isinstance(fit.request.family, NBinom2):
        rows.append(("theta", f"{fit.request.family.theta:.4g}"))
    if fit.request.model == "lm" and (found := explained(fit)).df:
        rows += [("R²", f"{found.share:.4f}"), ("adjusted R²", minus(f"{found.adjusted:.4f}"))]
    return rows


def _named(name: str) -> str:
    return {"qic": "QIC", "qicu": "QICu"}.get(name, name.replace("_", " "))


def _elsewhere(fit: Fit) -> str:
    return "in R" if fit.backend.startswith("native-") else "natively"


def check_part(crosscheck: Agreement | None) -> dict[str, Any] | None:
    """The verdict as the templates show it."""
    if crosscheck is None:
        return None
    rows = [
        {
            "cells": [
                row.quantity,
                minus(f"{row.native:.7g}"),
                minus(f"{row.reference:.7g}"),
                f"{abs(row.difference):.1e}",
                f"{row.tolerance.allowed:.0e}",
            ],
            "item": row.item,
            "agrees": row.agrees,
            "reason": f"{row.tolerance.unit}; {row.tolerance.reason}",
        }
        for row in crosscheck.worst
    ]
    return {
        "class": {"agrees": "yes", "disagrees": "no", "unfinished": "open"}[crosscheck.verdict],
        "sentence": crosscheck.sentence,
        "reference": crosscheck.reference,
        "rows": rows,
        "notes": list(crosscheck.notes),
    }


def _kept(fit: Fit) -> pd.DataFrame | None:
    """The data that the page holds, which its code reads; None where they have a file, or are too long for a page."""
    data = kept_table(fit.request, " ".join(python_arguments(fit.request)))
    return data if data is not None and len(data) <= MOST_ROWS_TO_SAVE else None


def _held(fit: Fit) -> str:
    """What the page holds of the data: who is handed the page is handed it."""
    data = _kept(fit)
    if data is not None:
        names = ", ".join(map(str, data.columns))
        return f"Within this page data.csv holds all {len(data):,} rows of the columns that the fit reads ({names})."
    return "Within this page rows.csv holds the response of all rows used." if fit.nobs <= MOST_ROWS_TO_SAVE else ""


def _files(fit: Fit) -> list[tuple[str, str]]:
    """Names and data: addresses of the tables, as csv."""
    data = _kept(fit)
    tables = {} if data is None else {"data.csv": data}
    tables["coefficients.csv"] = fit.tidy()
    if fit.random:
        tables |= {"variances.csv": fit.varcorr(), "random_effects.csv": fit.ranef()}
    if fit.nobs <= MOST_ROWS_TO_SAVE:
        tables["rows.csv"] = pd.DataFrame(
            {"observed": fit.request.y, "fitted": fit.fitted, "residual": fit.residuals()}
        )
    return [(name, csv_address(table, "row" if name == "rows.csv" else "")) for name, table in tables.items()]
