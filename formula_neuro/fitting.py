"""fit(): formula + data -> Design -> Request -> the backend that is chosen -> Fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from . import registry
from .data.table import as_table
from .data.values import LOGICAL
from .design import Design, model_matrix
from .errors import DataError, FormulaError
from .estimator import BIAS_REDUCED, GEE, Estimator, as_estimator
from .family import Array, Binomial, Family, FociFamily, as_family, as_foci_family
from .foci.given import is_foci, names_foci
from .inflation import inflation_design
from .maps.asking import Asked, is_images, map_request, names_images
from .maps.request import Running
from .request import Request
from .result import Fit
from .syntax.expression import label

if TYPE_CHECKING:
    from .foci.fit import FociFit
    from .foci.table import Foci
    from .maps.fit import MapFit


@overload
def fit(
    formula: str,
    data: Foci,
    *,
    family: str | FociFamily | Family | None = ...,
    estimator: str | Estimator | None = ...,
    backend: str | None = ...,
    weights: None = None,
    offset: Any = ...,
    subset: Any = ...,
    contrasts: Mapping[str, Any] | None = ...,
    na_action: str = ...,
    mask: Any = ...,
    device: str = ...,
    workers: Any = ...,
    seed: int = ...,
    progress: bool | None = ...,
) -> FociFit: ...
@overload
def fit(
    formula: str,
    data: Any,
    *,
    family: str | Family | None = ...,
    estimator: str | Estimator | None = ...,
    backend: str | None = ...,
    weights: Any = ...,
    offset: Any = ...,
    subset: Any = ...,
    contrasts: Mapping[str, Any] | None = ...,
    na_action: str = ...,
    mask: None = None,
    device: str = ...,
    workers: Any = ...,
    seed: int = ...,
    progress: bool | None = ...,
) -> Fit: ...
@overload
def fit(
    formula: str,
    data: Any,
    *,
    family: str | Family | None = ...,
    estimator: str | Estimator | None = ...,
    backend: str | None = ...,
    weights: Any = ...,
    offset: Any = ...,
    subset: Any = ...,
    contrasts: Mapping[str, Any] | None = ...,
    na_action: str = ...,
    mask: Any,
    device: str = ...,
    workers: Any = ...,
    seed: int = ...,
    progress: bool | None = ...,
) -> MapFit: ...
def fit(
    formula: str,
    data: Any,
    *,
    family: str | FociFamily | Family | None = None,
    estimator: str | Estimator | None = None,
    backend: str | None = None,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "omit",
    mask: Any = None,
    device: str = "cpu",
    workers: Any = None,
    seed: int = 1,
    progress: bool | None = None,
) -> Fit | MapFit | FociFit:
    """Fit the model that an R formula describes and return the complete result.

    Where the response names a column of images (paths of NIfTI files), or the data are what `fn.read_images` gave, the
    model is fitted in every voxel and the result is a MapFit: maps instead of numbers. Where the data are foci, as
    `fn.read_foci` reads them, the terms in s(...) have a map of their own and the result is a FociFit.

    formula: R's syntax with lme4's bars, "lick ~ dff + (1|mouseID)"; random effects with a covariance structure are
        diag(0 + f|g), cs(0 + f|g) and ar1(0 + time|g), with hom = TRUE for one variance, FALSE for one a column.
    data: a DataFrame (or what pandas takes), or the path of a csv, tsv, txt or parquet file; images; foci, or of a
        formula "foci ~ s(...)" the path of a file that `fn.read_foci` reads.
    family: gaussian (default), binomial, poisson, Gamma, inverse.gaussian, nbinom2 (theta estimated, as glm.nb) and R's
        quasi families, the link in brackets: "binomial(probit)", "quasi(log, mu^2)", "nbinom2(log, theta=2)";
        of mixed models also nbinom1, beta and betabinomial; of foci poisson (default), quasipoisson, negative_binomial
        and clustered_negative_binomial.
    estimator: "ml", "reml" (default of linear mixed models), "laplace" (of generalized ones), AGQ(10), "mean_br",
        "median_br", "jeffreys", GEE(cluster="mouseID"), REML(residual=VarIdent("treatment")); of masks also
        "spatial"; of foci Splines(spacing="20 mm").
    backend: a name of `fn.backends()`; the best that can fit is chosen otherwise. A name never falls back.
    weights: prior weights: a column's name or one number a row; the trials, for a binomial share.
    offset: a column's name, an expression of columns, or one number a row, added to the linear predictor.
    subset: rows to use, as an expression ("age > 40") or True/False a row.
    contrasts: a contrast by factor, {"group": "contr.sum"}; R's defaults otherwise. Also a matrix with a row for each
        level, as [[1, 0], [0, 1], [-1, -1]], a DataFrame, or columns by name, {"group": {"b-a": [-1, 1, 0], ...}}; its
        columns are taken as they are, while one list of numbers, [1, 0, -1], is completed to k - 1 columns as in R.
    na_action: "omit" drops rows with a missing value and says how many; "fail" refuses them.
    mask: of images: where to fit, a path, an image or an array; `fn.read_images` says what stands in for it. Of foci:
        a path or an image; nilearn's MNI152 brain mask of 2 mm otherwise.
    device, workers, progress: of images: "cpu" or "cuda"; a number of processes or a dask client; a progress bar.
    seed: of models that draw random numbers ("spatial"); the same seed gives the same numbers.

    Raises FormulaError (with a caret), DataError, NoBackend, FitError, and RMissing from an R backend.

    >>> import formula_neuro as fn
    >>> m = fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial")
    >>> m.backend, m.nobs, list(m.coef.index)
    ('native-glmm', 512, ['(Intercept)', 'dff'])
    """
    how = None if estimator is None else as_estimator(estimator)
    running = Running(device, workers, progress, seed)
    if is_foci(data) or names_foci(formula):
        from .foci.asking import AskedOfFoci, foci_of, foci_request

        about = AskedOfFoci(
            formula,
            foci_of(data, weights),
            as_foci_family(family),
            how,
            offset=offset,
            subset=subset,
            contrasts=contrasts,
            na_action=na_action,
            mask=mask,
            running=running,
        )
        of_foci = foci_request(about)
        return registry.run(registry.installed().choose(of_foci, backend), of_foci)
    chosen_family = as_family("gaussian" if family is None else family)
    table = data if is_images(data) else as_table(data)
    if mask is not None or is_images(data) or names_images(formula, table):
        asked = Asked(
            formula,
            data,  # as given: the paths of images in a table may be relative to its file
            family=chosen_family,
            estimator=how,
            weights=weights,
            offset=offset,
            subset=subset,
            contrasts=contrasts,
            na_action=na_action,
            mask=mask,
            backend=backend,
            running=running,
        )
        in_voxels = map_request(asked)
        return registry.run(registry.installed().choose(in_voxels, backend), in_voxels)
    design = model_matrix(
        formula,
        table,
        weights=weights,
        offset=offset,
        subset=subset,
        contrasts=contrasts,
        na_action=na_action,
        beside=how.columns if how else (),
    )
    request = as_request(design, chosen_family, how)
    return registry.run(registry.installed().choose(request, backend), request)


def as_request(design: Design, family: Family, estimator: str | Estimator | None = None) -> Request:
    """The request that a design and a family make, its response checked and on the family's scale."""
    if design.formula.response is None:
        raise FormulaError("the formula has no response; write it left of the '~'", design.formula.text, 0)
    given = None if estimator is None else as_estimator(estimator)
    model = model_of(design, family, given)
    how = as_estimator(given, model)
    y, weights, notes = _response(design, family)
    constant = _constant(design, y, weights, family, how)
    asked = getattr(how, "zero_inflation", None)
    zeros = None if asked is None else inflation_design(asked, design, family.name)
    return Request(model, family, how, design, y, weights, (*design.messages, *notes, *constant), inflation=zeros)


def model_of(design: Design, family: Family, estimator: Estimator | None = None) -> str:
    """ "lm", "glm", "lmm" or "glmm"; "gee" where that is the estimator."""
    if isinstance(estimator, GEE):
        if design.random:
            raise FormulaError(
                f"estimator=GEE(...) takes no random terms: the clusters are cluster={estimator.cluster!r}; leave "
                "the bars out of the formula, or the estimator",
                design.formula.text,
                0,
            )
        return "gee"
    linear = family.name == "gaussian" and family.link.name == "identity"
    return ("l" if linear else "gl") + ("mm" if design.random else "m")


def _response(design: Design, family: Family) -> tuple[Array, Array, tuple[str, ...]]:
    """y and weights (n,) on the family's scale, with notes; raises DataError outside the family's range."""
    assert design.y is not None and design.formula.response is not None
    name, y = label(design.formula.response), design.y
    weights = np.ones(len(y)) if design.weights is None else design.weights
    if y.ndim == 2:
        return _counts(y, weights, family, name)
    if design.y_levels is not None and design.y_levels != LOGICAL:
        if not isinstance(family, Binomial):
            shown = ", ".join(design.y_levels[:3])
            raise DataError(
                f"{name} is text or a factor ({shown}, ...), but family={family.name!r} needs numbers; convert the "
                "column, or use family='binomial' for two levels"
            )
        if len(design.y_levels) == 1:
            raise DataError(
                f"{name} is {design.y_levels[0]!r} in all {len(y)} rows used, but family={family.name!r} takes two "
                "levels; look at which rows were dropped"
            )
        if len(design.y_levels) != 2:
            raise DataError(
                f"{name} has {len(design.y_levels)} levels ({', '.join(design.y_levels[:5])}), but "
                f"family={family.name!r} takes two (the first is failure); relevel or choose rows with subset="
            )
        note = (f"{name}: {design.y_levels[1]!r} counts as success, {design.y_levels[0]!r} as failure",)
        return y, weights, note
    family.check(y, name)
    successes = weights * y
    if family.name == "binomial" and (np.abs(successes - np.round(successes)) > 1e-3).any():  # R's own bound
        return y, weights, (f"{name}: shares times weights are not whole numbers of successes",)
    return y, weights, ()


def _counts(y: Array, weights: Array, family: Family, name: str) -> tuple[Array, Array, tuple[str, ...]]:
    """cbind(successes, failures) as shares and trials."""
    if not isinstance(family, Binomial) or y.shape[1] != 2:
        raise DataError(
            f"{name} is a response of {y.shape[1]} columns with family={family.name!r}; two are taken, as "
            "cbind(successes, failures), for family='binomial' only"
        )
    if (y < 0).any() or (y != np.round(y)).any():
        bad = y[((y < 0) | (y != np.round(y))).any(axis=1)][0]
        raise DataError(f"{name}: counts are whole and not negative, got ({bad[0]:g}, {bad[1]:g})")
    trials = y.sum(axis=1)
    if not (weights * trials > 0).any():
        raise DataError(f"{name}: no row has a trial with a weight above 0, so that nothing is left to fit")
    share = np.divide(y[:, 0], trials, out=np.zeros(len(y)), where=trials > 0)
    return share, weights * trials, ()


def _constant(design: Design, y: Array, weights: Array, family: Family, how: Estimator) -> tuple[str, ...]:
    """What there is to say of failures only, or successes only; an error under maximum likelihood.

    Nothing where the columns have no constant among their combinations, which would take all means to the limit.
    """
    if not isinstance(family, Binomial) or design.formula.response is None:
        return ()
    used = weights > 0
    seen = y[used]
    if not ((seen == 0).all() or ((seen == 1).all() and family.link.name != "log")):  # exp(0) is 1
        return ()
    if not _spans_a_constant(design.matrix[used]):
        return ()
    name = label(design.formula.response)
    what = f"{name} is {seen[0]:g} in all {len(seen)} rows used: the maximum-likelihood estimate is infinite"
    if how.word in BIAS_REDUCED:
        return (f"{what}; estimator={how.word!r} is finite, and owes that to the adjustment alone",)
    raise DataError(f"{what}; look at the coding of the response, or use a bias-reduced estimator")


def _spans_a_constant(X: Array) -> bool:
    """Whether some combination of the columns of X (n, p) is 1 in every row."""
    size = np.abs(X).max(axis=0, initial=0.0)
    X = X / np.where(size > 0, size, 1.0)
    return bool(np.abs(X @ np.linalg.lstsq(X, np.ones(len(X)), rcond=None)[0] - 1).max() < 1e-8)
