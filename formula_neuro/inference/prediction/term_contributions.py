"""What each term of the fixed part adds to the linear predictor: predict(type="terms") and partial residuals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...design import Design
from ...family import Array
from ...result import Fit
from ..rows.robust import chosen
from .limits import Wish, uncertainty


def contributions(fit: Fit, design: Design | None = None) -> pd.DataFrame:
    """A column a term, (rows, terms), as R's predict(type="terms"); `attrs["constant"]` is what they leave out.

    With an intercept each term is taken about its mean over the rows of the fit. Columns without a coefficient add 0.

    >>> import formula_neuro as fn
    >>> t = contributions(fn.fit("y ~ x", {"x": [1., 2, 3, 4], "y": [1., 3, 2, 5]}))
    >>> t.x.round(2).tolist(), round(t.attrs["constant"], 2)
    ([-1.65, -0.55, 0.55, 1.65], 2.75)
    """
    design = design or fit.request.design
    beta, X, means = np.nan_to_num(fit.beta), design.matrix, _means(fit)
    table = pd.DataFrame(
        {name: (X[:, columns] - means[columns]) @ beta[columns] for name, columns in _slices(design)},
        index=design.index,
    )
    table.attrs["constant"] = float(means @ beta)
    return table


def contributions_with_errors(fit: Fit, design: Design, wish: Wish) -> pd.DataFrame:
    """The same with std_error (and limits): columns are pairs, ("fitted", term), ("std_error", term), ..."""
    plain, means, robust = contributions(fit, design), _means(fit), chosen(fit, wish.vcov)
    parts: dict[str, dict[str, Array]] = {"fitted": {}, "std_error": {}, "conf_low": {}, "conf_high": {}}
    for name, columns in _slices(design):
        alone = np.zeros_like(design.matrix)
        alone[:, columns] = design.matrix[:, columns] - means[columns]
        error, half = uncertainty(fit, alone, wish, robust)
        fitted = plain[name].to_numpy()
        for word, values in zip(parts, (fitted, error, fitted - half, fitted + half), strict=True):
            parts[word][name] = values
    words = list(parts) if wish.interval is not None else ["fitted", "std_error"]
    table = pd.concat({word: pd.DataFrame(parts[word], index=design.index) for word in words}, axis=1)
    table.attrs["constant"] = plain.attrs["constant"]
    table.attrs.update(robust.attrs(wish.df) if robust is not None else {})
    return table


def _slices(design: Design) -> list[tuple[str, slice]]:
    return [(term.name, slice(term.start, term.stop)) for term in design.terms if term.variables]


def _means(fit: Fit) -> Array:
    """Means of the columns (p,) over the rows of the fit, or 0 without an intercept, as R centres terms."""
    design = fit.request.design
    centred = design.formula.fixed.intercept
    return np.asarray(design.matrix.mean(axis=0)) if centred else np.zeros(design.matrix.shape[1])
