"""fn.compare's table as texts: for the prompt, for Markdown, for notebooks."""

from __future__ import annotations

import html as escaping
import math
from typing import TYPE_CHECKING

import pandas as pd

from . import digits
from .summary import model_words

if TYPE_CHECKING:
    from ..inference.compare import Comparison

WORDS = {
    "nobs": "observations",
    "loglik": "log-likelihood",
    "aic": "AIC",
    "bic": "BIC",
    "qic": "QIC",
    "r_squared": "R²",
    "adj_r_squared": "adjusted R²",
}
LEGEND = "*** p < 0.001, ** p < 0.01, * p < 0.05"
PARTS = ("coefficients", "zero inflation", "random effects", "fit")
IN_BRACKETS = {
    "std_error": "standard errors",
    "conf_int": "{level:g} % intervals",
    "statistic": "test statistics",
    "p_value": "p values",
    "none": "",
}


def table(comparison: Comparison) -> pd.DataFrame:
    """Terms by fits, every cell a text."""
    frame = comparison.frame
    columns: dict[str, list[str]] = {name: [] for name in comparison.names}
    labels = []
    for part, term in _rows(comparison):
        row = frame[(frame["part"] == part) & (frame["term"] == term)].set_index("fit")
        labels.append(WORDS.get(term, term) if part == "fit" else term)
        cells = _row(comparison, part, term, row)
        for name in comparison.names:
            columns[name].append(cells.get(name, ""))
    return pd.DataFrame(columns, index=pd.Index(labels))


def text(comparison: Comparison) -> str:
    """Which fits they are, the table, and the notes."""
    shown = table(comparison)
    body = digits.columns(
        comparison.names, [_in_line(list(shown[name])) for name in comparison.names], list(shown.index)
    )
    lines = body.splitlines()
    rule = "-" * max(map(len, lines))
    first = 1 + sum(part == "coefficients" for part, _ in _rows(comparison))
    return "\n".join(
        [*_legend(comparison), "", lines[0], rule, *lines[1:first], rule, *lines[first:], "", *_foot(comparison)]
    )


def markdown(comparison: Comparison) -> str:
    """A pipe table, and the notes as lines below it."""
    shown = table(comparison)
    rows = [["", *shown.columns], ["---", *["---:"] * len(shown.columns)]]
    rows += [[label, *row] for label, row in zip(shown.index, shown.values, strict=True)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"{line}  " for line in _foot(comparison))]).rstrip()


def latex(comparison: Comparison) -> str:
    """pandas' table, its parts set apart, and the notes as comments; a bare | prints as a dash in LaTeX's old fonts."""
    shown = table(comparison)
    lines = str(shown.to_latex(escape=True, column_format="l" + "r" * len(shown.columns))).rstrip().splitlines()
    parts = [part for part, _ in _rows(comparison)]
    first = lines.index(r"\midrule") + 1
    for i in reversed(range(1, len(parts))):
        if parts[i] != parts[i - 1]:
            lines.insert(first + i, r"\midrule")
    body = "\n".join(lines).replace(" | ", r" $\mid$ ")
    return "\n".join([body, *(f"% {line}" for line in [*_legend(comparison), *_foot(comparison)])])


def html(comparison: Comparison) -> str:
    """A plain table that takes the look of the page it stands on."""
    shown, before = table(comparison), "coefficients"
    cell_style = 'style="text-align: right; padding: 0.15em 0.8em; white-space: nowrap"'
    head = "".join(f"<th {cell_style}>{escaping.escape(str(name))}</th>" for name in ["", *shown.columns])
    body = []
    for label, (part, _), row in zip(shown.index, _rows(comparison), shown.values, strict=True):
        line = ' style="border-top: 1px solid"' if part != before else ""
        cells = "".join(f"<td {cell_style}>{escaping.escape(cell)}</td>" for cell in row)
        body.append(f'<tr{line}><th style="text-align: left">{escaping.escape(label)}</th>{cells}</tr>')
        before = part
    notes = "<br>".join(escaping.escape(line) for line in [*_legend(comparison), *_foot(comparison)])
    return (
        f'<table style="border-collapse: collapse">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table><p><small>{notes}</small></p>"
    )


# ---- cells ---------------------------------------------------------------------------------------
def _rows(comparison: Comparison) -> list[tuple[str, str]]:
    """Part and term of each row of the table: terms in the order in which the fits bring them."""
    pairs = dict.fromkeys(zip(comparison.frame["part"], comparison.frame["term"], strict=True))
    return sorted(pairs, key=lambda pair: PARTS.index(pair[0]))


def _row(comparison: Comparison, part: str, term: str, row: pd.DataFrame) -> dict[str, str]:
    """The cells of one term, with decimals in common."""
    if part == "fit":
        return _whole(term, {str(name): float(v) for name, v in row["estimate"].items()})
    places = max(_places(values) for _, values in row.iterrows())
    return {
        str(name): _cell(comparison, part, values, min(places, max(_places(values), 0) + 2))
        for name, values in row.iterrows()
    }


def _whole(term: str, values: dict[str, float]) -> dict[str, str]:
    if term in ("nobs", "analyses", "studies", "foci", "maps"):
        return {name: f"{value:.0f}" for name, value in values.items()}
    if term in ("sigma", "dispersion", "theta") or term.startswith("alpha "):
        return {name: f"{value:.4g}" for name, value in values.items()}
    return {name: _number(value, 3 if term in ("r_squared", "adj_r_squared") else 1) for name, value in values.items()}


def _cell(comparison: Comparison, part: str, values: pd.Series, places: int) -> str:
    estimate, separated = float(values["estimate"]), float(values["separated"])
    if not math.isnan(separated):
        return _separated(separated, comparison.exponentiate)
    if math.isnan(estimate):
        return "aliased"
    word = _number(estimate, places)
    if part not in ("coefficients", "zero inflation"):
        return word
    # R's dot for p < .1 would read as a decimal point here.
    marks = digits.stars([float(values["p_value"])])[0].strip(".") if comparison.stars else ""
    return f"{word}{marks} {_bracket(comparison.shown, values, places)}".strip()


def _separated(sign: float, exponentiate: bool) -> str:
    if sign == 0:
        return "undetermined (separated)"
    return ("0" if exponentiate and sign < 0 else f"{'+' if sign > 0 else '-'}inf") + " (separated)"


def _bracket(shown: str, values: pd.Series, places: int) -> str:
    if shown == "none":
        return ""
    if shown == "conf_int":
        return f"[{_number(values['conf_low'], places)}, {_number(values['conf_high'], places)}]"
    if shown == "p_value":
        return f"({digits.p_value(values['p_value'])})" if not math.isnan(values["p_value"]) else "(p = NA)"
    return f"({values[shown]:.2f})" if shown == "statistic" else f"({_number(values['std_error'], places)})"


def _places(values: pd.Series) -> int:
    """Decimals that show three digits of the standard error, or of the estimate where there is none."""
    sizes = [abs(float(values[name])) for name in ("std_error", "estimate")]
    size = next((v for v in sizes if 0 < v < math.inf), 1.0)
    return 2 - math.floor(math.log10(size))


def _number(value: float, places: int) -> str:
    """Fixed decimals where they are few, else four digits."""
    if math.isnan(value):
        return "NA"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    places = max(places, 0) if abs(value) < 1e4 else 0
    word = f"{value:.3g}" if places > 6 or abs(value) >= 1e6 else f"{value:.{places}f}"
    return word.removeprefix("-") if float(word) == 0 else word


def _in_line(cells: list[str]) -> list[str]:
    """The cells of a column, their brackets below one another; what has none ends where the numbers end."""
    split = [_split(cell) for cell in cells]
    after = max((len(tail) for _, tail in split), default=0)
    before = max((len(head) for head, _ in split), default=0)
    return [f"{head:>{before}}{' ' * bool(after)}{tail:<{after}}" if head else "" for head, tail in split]


def _split(cell: str) -> tuple[str, str]:
    at = min((i for i in (cell.find(" ("), cell.find(" [")) if i > 0), default=len(cell))
    return cell[:at], cell[at + 1 :]


# ---- words ---------------------------------------------------------------------------------------
def _legend(comparison: Comparison) -> list[str]:
    from ..foci.display.words import model as foci_words
    from ..foci.fit import FociFit

    formulas = {str(fit.request.design.formula) for fit in comparison.fits}
    lines = [next(iter(formulas))] if len(formulas) == 1 else []
    for name, fit in zip(comparison.names, comparison.fits, strict=True):
        own = "" if lines and len(formulas) == 1 else f"{fit.request.design.formula}; "
        model = foci_words(fit) if isinstance(fit, FociFit) else model_words(fit.request)
        lines.append(f"{name}: {own}{model}; {fit.backend}")
    return lines


def _foot(comparison: Comparison) -> list[str]:
    scale = "exponentiated; " if comparison.exponentiate else ""
    brackets = IN_BRACKETS[comparison.shown].format(level=100 * comparison.conf_level)
    first = f"{scale}in brackets: {brackets}" if brackets else scale.removesuffix("; ")
    return [line for line in (first, LEGEND if comparison.stars else "", *comparison.notes) if line]
