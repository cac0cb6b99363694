"""fit(): formula + data -> Design -> Request -> the backend that is chosen -> Fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

from . import registry
from .asking import Asked, table_request
from .data.table import as_table
from .estimator import Estimator, as_estimator
from .family import Family, FociFamily
from .foci.given import is_foci, names_foci
from .maps.asking import is_images, map_request, names_images
from .result import Fit
from .running.where import Running

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
    running = Running(device, workers, progress, seed)
    asked = Asked(
        formula,
        data,
        family=family,
        estimator=None if estimator is None else as_estimator(estimator),
        weights=weights,
        offset=offset,
        subset=subset,
        contrasts=contrasts,
        na_action=na_action,
        mask=mask,
        backend=backend,
        running=running,
    )
    request = _request(asked)
    found: Fit | MapFit | FociFit = registry.run(registry.installed().choose(request, backend), request)
    return found


def _request(asked: Asked) -> Any:
    """The request of the data's kind: foci, images, or a table."""
    if is_foci(asked.data) or names_foci(asked.formula):
        from .foci.asking import foci_request

        return foci_request(asked)
    if is_images(asked.data):
        return map_request(asked)
    table = as_table(asked.data)
    if asked.mask is not None or names_images(asked.formula, table):
        return map_request(asked)  # of the data as given: the paths of images in a table may be relative to its file
    return table_request(replace(asked, data=table))
