"""From a Request to the arguments that our R functions take."""

from __future__ import annotations

from typing import Any

import numpy as np

from formula_neuro.data.values import Contrast
from formula_neuro.design import Design
from formula_neuro.family import Array, NBinom2, Quasi
from formula_neuro.kernels.rank import orthonormal_basis
from formula_neuro.kernels.starts import starts
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .frame import columns_to_r
from .learnt import group_calls, learnt_calls


def arguments(request: Request) -> dict[str, Any]:
    """The model as R should see it: the formula as typed, the raw columns, weights and offset as given.

    A request for another response than its data's (a simulated one) sends that response and the total
    weights instead, because the formula's own left side no longer applies.
    """
    design = request.design
    replaced, zeros = not _own_response(request), request.inflation
    asked = {
        "formula": design.formula.text.strip(),
        "columns": {**columns_to_r(design.data), **({} if zeros is None else columns_to_r(zeros.data))},
        "zeros": None if zeros is None else zeros.formula.text.strip(),
        "rows": len(design.rows),
        "learnt": learnt_calls(design) or None,
        "grouped": group_calls(design) or None,
        "family": request.family.name,
        "link": request.family.link.name,
        "variance": request.family.variance_of if isinstance(request.family, Quasi) else None,
        "theta": request.family.theta if isinstance(request.family, NBinom2) and request.family.fixed else None,
        "contrasts": {name: _contrast(asked) for name, asked in design.contrasts} or None,
        "weights": _double(request.weights if replaced else design.weights),
        "offset": _double(_extra_offset(design)),
        "response": _double(request.y) if replaced else None,
        "reml": request.estimator.word == "reml",
        "nodes": int(getattr(request.estimator, "nodes", 1)),
    }
    return {key: value for key, value in asked.items() if value is not None}


def going_on(fit: Fit, order: tuple[int, ...]) -> dict[str, Array]:
    """Where a mixed model shall start: theta and coefficients in R's order, and the unit of each of these.

    Units are what moves a row by about one residual sd (or unit of the link), and at most standard errors.
    """
    design, known = fit.request.design, ~np.isnan(fit.beta)
    sizes = [term.basis.shape[1] * (term.basis.shape[1] + 1) // 2 for term in design.random]
    theta = np.split(fit.theta, np.cumsum(sizes)[:-1])
    rows = [np.triu_indices(term.basis.shape[1])[1] for term in design.random]  # of each element, column by column
    units = [1 / _size(term.basis)[row] for term, row in zip(design.random, rows, strict=True)]
    places = np.argsort(order)
    se = np.sqrt(np.diag(fit.covariance))[known]
    return {
        "start_theta": np.concatenate([theta[i] for i in places]),
        "start_beta": np.ascontiguousarray(fit.beta[known]),
        "units_theta": np.concatenate([units[i] for i in places]),
        "units_beta": np.fmin(np.where(se > 0, se, np.inf), 1 / _size(design.matrix[:, known])),
    }


def first_coefficients(request: Request) -> Array | None:
    """Coefficients (p,) whose means lie inside the family's range on the rows of positive weight, if there are any."""
    used, family = request.weights > 0, request.family
    basis = orthonormal_basis(request.design.matrix[used])
    rows = request.y[used], request.weights[used], request.design.offset[used]
    for b in starts(basis.Q, *rows, family):
        if family.inside(basis.Q @ b + rows[2]).all():
            return np.nan_to_num(basis.coefficients(b))
    return None


def _size(columns: Array) -> Array:
    """Root mean squares, 1 for columns of zeros."""
    size = np.sqrt((columns**2).mean(axis=0))
    return np.where(size > 0, size, 1.0)


def _own_response(request: Request) -> bool:
    y = request.design.y
    if y is None:
        return False
    if y.ndim == 2:
        total = y.sum(axis=1)
        y = np.divide(y[:, 0], total, out=np.zeros(len(y)), where=total > 0)
    return bool(np.allclose(y, request.y, rtol=1e-12, atol=0))  # only the division of cbind() can round


def _extra_offset(design: Design) -> Array | None:
    """The offset given beside the formula; R adds the formula's own itself."""
    extra: Array | None = getattr(design, "extra_offset", None)
    return extra if extra is not None and np.any(extra) else None


def _contrast(asked: Contrast) -> Any:
    """A contrast's name, or its matrix with the names of the columns."""
    if asked.matrix is None:
        return asked.kind
    return {"matrix": np.array(asked.matrix, dtype=float), "columns": asked.columns}


def _double(values: Array | None) -> Array | None:
    return None if values is None else np.ascontiguousarray(values, dtype=np.float64)
