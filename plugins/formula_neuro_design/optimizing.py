"""fn.optimize_design: from a formula to a design matrix and contrast for a family of responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.table import as_table, plain

from .advice import advice
from .answer import OptimalDesign
from .blocks import Phi, Snr, blocks
from .candidates import candidates
from .constraints import first_columns
from .measures import measures
from .paper import algorithm_1, initial_design
from .solver import Solution, solve


def optimize_design(
    formula: str,
    data: Any,
    *,
    contrast: str,
    columns: int,
    fix: Sequence[str] | str = (),
    snr: Snr | list[Snr] = 1.0,
    phi: Phi | list[Phi] = 0.5,
    k: float | None = None,
    free_contrast: bool = False,
    method: str = "exact",
    starts: int = 1,
    seed: int = 1,
) -> OptimalDesign:
    """The design matrix and contrast whose estimate has the least bias and variance over a family of true designs.

    One signed amplitude per voxel although the delay of the response varies. Each shift of shift(x, from, to), in
    scans, later above 0, zeros entering, is one true design; no intercept is added, so take means out of the data or
    have a fixed column of ones. The objective is the sum over designs of 2 phi times the expected estimated variance
    and 2 - 2 phi times the squared bias, in units of the noise's variance. It is reached to rounding; that no better
    optimum lies elsewhere is not proved (`starts`).

    data: a table, a row a scan. contrast, fix, snr: variables of the formula, each meaning its term, at shift 0 where
    it is shifted. columns: of the design, the fixed ones counted. contrast is 1 at its column, or at the first free
    one where it is not fixed, and 0 elsewhere; free_contrast=True lets it be found too. snr: amplitudes in standard
    deviations of the noise, one for all variables or one for each by name; a list has a block of designs for each entry
    (other signs; null designs, whose shifted variable has 0: one design). phi: in [0, 1), or "A", "B" for the paper's
    weights, in which bias squared (A, k = 1000) or bias (B, k = 100) weighs k times as much as the variance; a list has
    one for each block. starts: searches from so many points, drawn with `seed`. method: "exact", or "paper", the
    paper's Algorithm 1, for comparison.

    Choose the family by prior knowledge or on other data: one chosen on the data that it then fits biases inference.
    Raises FormulaError, DataError and FitError. Source: the manuscript on optimal design matrices for fMRI (2010).

    >>> import numpy as np
    >>> import formula_neuro as fn
    >>> scans = np.arange(120)
    >>> frame = {"dose": np.clip((scans - 30) / 20, 0, 1), "drift": scans / 120}
    >>> d = fn.optimize_design("~ center(shift(dose, 0, 9)) + center(drift)", frame, contrast="dose", columns=3,
    ...                        fix=["dose", "drift"], snr={"dose": 1, "drift": 0.5})
    >>> list(d.design.columns), d.design.shape, d.contrast
    (['dose', 'drift', 'free1'], (120, 3), array([1., 0., 0.]))
    """
    fixed = [fix] if isinstance(fix, str) else list(fix)
    table = plain(as_table(data))
    designs = candidates(formula, table)
    _check(columns, starts, fixed, len(table), method)
    family = blocks(designs, contrast, snr, phi, k)
    B = designs.first[:, [designs.place(name, "fix") for name in fixed]]
    wanted = None if free_contrast else _contrast(contrast, fixed, columns)
    constraints = first_columns(B, columns, wanted)
    if method == "paper":
        found = algorithm_1(family.family, constraints, *initial_design(family.signal, family.family.l, constraints))
    else:
        found = solve(family.family, constraints, starts, seed)
    Z, c = _readable(found, len(fixed), wanted)
    Z[:, : len(fixed)] = B  # equal to rounding before
    seen = measures(Z, c, family.family, family.g)
    return OptimalDesign(
        formula=formula,
        name=contrast,
        design=pd.DataFrame(Z, columns=_labels(fixed, columns)),
        contrast=c,
        objective=found.objective,
        bias=seen.bias,
        variance_change=seen.variance_change,
        variance_bias=seen.variance_bias,
        messages=advice(designs, family, contrast, fixed, free_contrast, method, seen.bias),
        iterations=found.iterations,
        table=family.table.assign(contrast=family.family.l),
        family=family.family,
        g=family.g,
        constraints=constraints,
        first=pd.DataFrame(designs.first, columns=list(designs.names)),
    )


def _check(columns: int, starts: int, fixed: list[str], n: int, method: str) -> None:
    if method not in ("exact", "paper"):
        raise DataError(f'method is {method!r}; "exact" or "paper" is expected')
    if method == "paper" and starts != 1:
        raise DataError('the paper\'s search has one start of its own; starts belongs to method="exact"')
    for name, value in (("columns", columns), ("starts", starts)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise DataError(f"{name} is {value!r}; a whole number from 1 is expected")
    if len(set(fixed)) < len(fixed):
        raise DataError(f"fix names a variable twice: {', '.join(fixed)}")
    if columns >= n:
        raise DataError(f"columns is {columns} and the data has {n} scans; fewer columns than scans are expected")


def _contrast(name: str, fixed: list[str], columns: int) -> Array:
    if name not in fixed and columns == len(fixed):
        raise DataError(f"no column is left for the contrast: fix {name!r} too, or ask for columns={columns + 1}")
    c = np.zeros(max(columns, len(fixed)))
    c[fixed.index(name) if name in fixed else len(fixed)] = 1.0
    return c


def _labels(fixed: list[str], columns: int) -> list[str]:
    taken = set(fixed)
    return [*fixed, *[f"free{i}" for i in range(1, columns + len(taken) + 1) if f"free{i}" not in taken]][:columns]


def _readable(found: Solution, q: int, wanted: Array | None) -> tuple[Array, Array]:
    """Free columns scaled to a largest entry of 1, where the contrast allows it: neither estimate nor test changes."""
    Z, c = found.Z.copy(), found.c.copy() if wanted is None else wanted
    for j in range(q, len(c)):
        if wanted is None or wanted[j] == 0:
            peak = Z[np.abs(Z[:, j]).argmax(), j]
            Z[:, j] /= peak
            if wanted is None:
                c[j] /= peak
    return Z, c
