"""contrast(): linear hypotheses about the coefficients, one by one and jointly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, overload

import numpy as np

from ..errors import DataError, Unable
from ..family import Array
from ..foci.fit import FociFit
from ..foci.inference.contrast import Contrasts, FociContrast, contrast_foci
from ..maps.fit import MapFit
from ..maps.inference.contrast import MapContrast, contrast_maps
from ..result import Fit
from .coefficients import check_level, wald
from .hypothesis import as_rows, check_consistent
from .infinite import about_infinite
from .intervals.likelihood_tests import check_test, jointly, retested
from .precision import precision, with_df
from .rows.robust import Robust, chosen
from .sides import TWO, as_alternative, as_side
from .tested import Contrast

UNASKED = (None, 0.95, None, "two.sided", "intensity", None)  # of contrast(): what maps have no use for


@overload
def contrast(
    fit: Fit,
    hypothesis: Any,
    *,
    df: str | None = ...,
    conf_level: float = ...,
    test: str | None = ...,
    vcov: Any = ...,
    alternative: str = ...,
) -> Contrast: ...
@overload
def contrast(fit: MapFit, hypothesis: Any, *, test: str | None = ...) -> MapContrast: ...
@overload
def contrast(
    fit: FociFit,
    hypothesis: Any,
    *,
    conf_level: float = ...,
    test: str | None = ...,
    vcov: str | None = ...,
    what: str = ...,
    reference: str | None = ...,
) -> FociContrast | Contrast | Contrasts: ...
def contrast(
    fit: Fit | MapFit | FociFit,
    hypothesis: Any,
    *,
    df: str | None = None,
    conf_level: float = 0.95,
    test: str | None = None,
    vcov: Any = None,
    alternative: str = "two.sided",
    what: str = "intensity",
    reference: str | None = None,
) -> Contrast | MapContrast | FociContrast | Contrasts:
    """Test one or several linear hypotheses about the coefficients; of maps, in every voxel, where test= is all.

    hypothesis: "treatment2 - treatment3 = 0", a list of such texts (also tested jointly), a mapping from
    coefficient to weight, a vector (p,) or a matrix (q, p). df, test, vcov: as in tidy(); "lr" and "score" fit again
    with the combinations held at their values, row by row and all together.
    alternative: "two.sided", "greater" or "less" than the value, of each row's Wald test and interval; the joint test
    has no sides.

    Of foci: hypotheses about cells of s(...), about maps of numbers in s(...), or about global moderators, by the names
    of levels; numbers count the cells. A mapping from names to hypotheses answers several tests by name, as do the
    families "pairwise", "reference" (all cells with `reference`, by default the first), "consecutive" and "zero" (each
    effect and moderator by itself). Maps answer z, p and logp = -log10 p in every voxel.
    what: "intensity" (level and place) or "shape" (where, not how many).
    vcov: "robust" (scores summed over studies), "fisher" or "observed"; of moderators "quasi" too.
    test: "wald", or "score" of comparisons of cells and of effects of numbers: the null model fitted once, and Welch's
    statistic of what each study adds to its map. It is the default unless vcov= is named, because Wald's test is
    too small a p where few studies reach a voxel (of 300 studies with clumped foci, .08 at .05; the score test .05).
    Raises FormulaError, ValueError, and DataError where an aliased coefficient is named.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4], "y": [1., 3, 2, 5]})
    >>> fn.contrast(m, "2*x").table.estimate.round(3).tolist()
    [2.2]
    """
    if isinstance(fit, MapFit):
        if (df, conf_level, vcov, as_alternative(alternative), what, reference) != UNASKED:
            raise Unable("contrasts of maps take test= alone; sides are those of .threshold(alternative=...)")
        return contrast_maps(fit, hypothesis, test or "wald")
    if isinstance(fit, FociFit):
        if (df, as_alternative(alternative)) != (None, "two.sided"):
            raise Unable("contrasts of foci take vcov= and test=; sides are those of .threshold(alternative=...)")
        return contrast_foci(
            fit, hypothesis, what=what, covariance=vcov, test=test, reference=reference, conf_level=conf_level
        )
    if (what, reference) != ("intensity", None):
        raise Unable("what= and reference= are of foci")
    test = test or "wald"
    check_level(conf_level)
    check_test(test)
    side = _side(alternative, test)
    L, value, labels = as_rows(hypothesis, fit.names)
    if not L.size:
        raise ValueError("there is no hypothesis to test: the fit has no coefficients, or no row was given")
    known = ~np.isnan(fit.beta)
    touched = [
        name for name, gone, used in zip(fit.names, ~known, np.any(L, axis=0).tolist(), strict=True) if gone and used
    ]
    if touched:
        raise DataError(f"{', '.join(touched)} is aliased (a combination of earlier columns), so it cannot be tested")
    estimate = L @ np.nan_to_num(fit.beta)
    check_consistent(L, value)
    robust = chosen(fit, vcov, test)
    said = about_infinite(fit, L)
    if robust is not None:
        return replace(_robustly(fit, robust, (L, value, labels), df, conf_level, side), messages=said)
    own = precision(fit, df)
    freedom = own.freedom(L)
    table = wald(labels, estimate, np.sqrt(np.diag(own.of(L))), freedom, conf_level, value, side)
    if test != "wald":
        table = retested(fit, table, L, value, conf_level, test)
        return Contrast(L, value, table, jointly(fit, L, value, float(freedom[0]), test))
    return Contrast(L, value, table, own.jointly(L, estimate - value).to_frame(), said)


def _side(alternative: str, test: str) -> int:
    side = as_side(alternative)
    if side != TWO and test != "wald":
        raise ValueError(f"alternative={alternative!r} is of Wald tests; test={test!r} has no sides")
    return side


def _robustly(
    fit: Fit, robust: Robust, rows: tuple[Array, Array, list[str]], df: str | None, conf_level: float, side: int
) -> Contrast:
    """By a robust covariance; a coefficient that is not asked about may lack a variance."""
    L, value, labels = rows
    estimate = L @ np.nan_to_num(fit.beta)
    used = ~np.isnan(fit.beta) & L.any(axis=0)
    V = L[:, used] @ robust.matrix[np.ix_(used, used)] @ L[:, used].T
    freedom = robust.freedom(fit, len(L), df)
    with np.errstate(invalid="ignore"):  # with several ways of clustering a variance can come out negative
        table = wald(labels, estimate, np.sqrt(np.diag(V)), freedom, conf_level, value, side)
    table.attrs.update(robust.attrs(df))
    rank = int(np.linalg.matrix_rank(L))
    return Contrast(L, value, table, with_df(V, estimate - value, float(freedom[0]), rank).to_frame())
