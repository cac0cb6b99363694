"""anova() of estimating equations, which have no likelihood: terms and nested models by Wald's test."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.linalg import null_space

from ...design import TermColumns
from ...errors import DataError, Unable
from ...family import Array
from ...nearest import not_known
from ...request import Request
from ...result import Fit
from ..ability import ability
from ..contrast import contrast
from ..intervals.restrict import hold
from . import term_tests as tt
from .sum_contrasts import in_sums
from .term_tables import TYPES

COLUMNS = ["df", "df_resid", "statistic", "p_value"]


def wald_anova(fits: Sequence[Fit], test: str | None = None, type: str = "I") -> pd.DataFrame:
    """The terms of one fit (term, df, df_resid, statistic, p_value), or nested fits, the smaller first (model, ...).

    test: "F" (the default: Wald's chi-squared over its df, on df and df_resid) or "Chisq". type "I" adds terms in turn,
    as geepack's anova; "II" tests each given all that do not contain it, "III" given all others, in sum-to-zero
    contrasts. Nested fits: the larger one's columns that the smaller lacks are tested in the larger.
    """
    if test not in (None, "F", "Chisq"):
        raise Unable(f"test={test!r} needs a likelihood, and GEE has none; there are Wald's 'F' and 'Chisq'")
    if type not in TYPES:
        raise ValueError(not_known("type", type, TYPES, {"1": "I", "2": "II", "3": "III"}))
    if len(fits) > 1:
        return _nested(sorted(fits, key=lambda fit: fit.n_parameters), test)
    (fit,) = fits
    tt.refuse_aliased(fit, "Wald's anova")
    terms = tt.terms_of(fit)
    if type == "III":
        pairs = [(fit, L) for L in _in_sums(fit)]
    elif type == "I":
        pairs = [_alone(fit, term, terms[k + 1 :]) for k, term in enumerate(terms)]
    else:
        above = [[other for other in terms if tt.contains(other, term)] for term in terms]
        pairs = [_alone(fit, term, larger) for term, larger in zip(terms, above, strict=True)]
    rows = [[term.name, *_tested(one, L, test)] for term, (one, L) in zip(terms, pairs, strict=True)]
    return pd.DataFrame(rows, columns=["term", *COLUMNS])


def _alone(fit: Fit, term: TermColumns, gone: Sequence[TermColumns]) -> tuple[Fit, Array]:
    """The fit without some terms, and the rows that say that a term is 0 in it."""
    held = dict.fromkeys(tt.columns_of(gone), 0.0)
    refit = ability(fit, "refit", "an anova by Wald's test")
    one: Fit = refit(hold(fit.request, held)) if held else fit
    (place,) = [t for t in one.request.design.terms if t.name == term.name]
    return one, np.eye(len(one.names))[place.start : place.stop]


def _in_sums(fit: Fit) -> list[Array]:
    """For each term the rows L (q, p) that give its coefficients in sum-to-zero contrasts."""
    sums: Request = replace(fit.request, design=in_sums(fit.request.design))
    M: Array = np.asarray(np.linalg.lstsq(sums.design.matrix, fit.request.design.matrix, rcond=None)[0], dtype=float)
    return [M[term.start : term.stop] for term in sums.design.terms if term.variables]


def _tested(fit: Fit, L: Array, test: str | None) -> list[float]:
    joint = contrast(fit, L, df="none" if test == "Chisq" else None).joint.iloc[0]
    return [float(joint.get(name, np.inf)) for name in COLUMNS]


def _nested(fits: list[Fit], test: str | None) -> pd.DataFrame:
    rows = [[str(fits[0].request.design.formula), fits[0].n_parameters, *[np.nan] * 4]]
    for small, large in itertools.pairwise(fits):
        name = str(large.request.design.formula)
        rows.append([name, large.n_parameters, *_tested(large, _lacking(small, large), test)])
    return pd.DataFrame(rows, columns=["model", "n_parameters", *COLUMNS])


def _lacking(small: Fit, large: Fit) -> Array:
    """Rows L (q, p) for which L b = 0 where the larger model's X b lies in the smaller's columns."""
    kept = ~np.isnan(large.beta)
    X, smaller = large.request.design.matrix[:, kept], small.request.design.matrix[:, ~np.isnan(small.beta)]
    scale = np.linalg.norm(X, axis=0)
    A = np.linalg.lstsq(X / scale, smaller, rcond=None)[0]
    sizes = np.linalg.norm(smaller, axis=0)
    if (np.linalg.norm(smaller - X / scale @ A, axis=0) > 1e-7 * sizes).any() or A.shape[0] <= A.shape[1]:
        raise DataError(
            f"{small.request.design.formula} and {large.request.design.formula} are not nested, so that no hypothesis "
            "leads from one to the other; glance() has the QIC of each"
        )
    L = np.zeros((A.shape[0] - A.shape[1], len(kept)))
    L[:, kept] = null_space(A.T).T * scale
    return L
