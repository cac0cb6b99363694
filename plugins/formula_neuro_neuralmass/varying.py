"""vary(): a parameter's value in each node by a formula, such as a gradient of myelin over the cortex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.data.table import as_table
from formula_neuro.design import model_matrix
from formula_neuro.dynamics.connectome import Connectome
from formula_neuro.errors import DataError
from formula_neuro.formula import parse
from formula_neuro.syntax.expression import label

from .parameters import known


def vary(
    formula: str,
    nodes: Any,
    coef: Mapping[str, float] | Sequence[float] | None = None,
    *,
    connectome: Connectome | Sequence[str] | None = None,
    node: str = "node",
    within: tuple[float, float] | None = None,
) -> pd.Series:
    """A parameter's value in each node, X coef, as a Series by node for params={"a": fn.vary("a ~ myelin", ...)}.

    formula: as of fn.fit, "parameter ~ ..." or "~ ...", without random terms: R's columns of the table, with its
        contrasts, polynomials and interactions. offset(column) adds a column as it is.
    nodes: a table with a row a node, or a path of one; its column `node`, else its index, names them.
    coef: by R's names of the columns, those left out being an error, or in their order. None: what the table's own
        column of the parameter is fitted with by least squares, so that a map is smoothed by the formula.
    connectome: its names are the order of the answer, and each needs a row.
    within: the least and most that the parameter may be. Raises DataError, FormulaError.

    >>> table = {"node": ["V1", "M1", "PFC"], "myelin": [1.0, 0.8, 0.2]}
    >>> vary("a ~ myelin", table, {"(Intercept)": 0.25, "myelin": 0.1})
    node
    V1     0.35
    M1     0.33
    PFC    0.27
    Name: a, dtype: float64
    """
    table, names = _named(nodes, node, connectome)
    parsed = parse(formula, list(table.columns))
    if parsed.bars or parsed.spatial:
        raise DataError(
            f"{formula!r}: a parameter varies by fixed terms; bars and s(...) are of models that are fitted"
        )
    parameter = None if parsed.response is None else label(parsed.response)
    if coef is None and (parameter is None or parameter not in table.columns):
        raise DataError(
            f"{formula!r}: give coef=, or a column {parameter or 'with the parameter'} to which it is fitted"
        )
    text = formula if coef is None else formula[formula.index("~") :]
    design = model_matrix(text, table, na_action="fail")
    weights = _coefficients(design.names, coef) if coef is not None else _fitted(design)
    offset = 0.0 if design.offset is None else design.offset
    values = design.matrix @ weights + offset
    _check(values, within, formula)
    return pd.Series(values, index=pd.Index(names, name=node), name=parameter)


def _named(nodes: Any, node: str, connectome: Connectome | Sequence[str] | None) -> tuple[pd.DataFrame, list[str]]:
    """The table in the order of the answer, and the nodes' names."""
    table = as_table(nodes)
    names = [str(name) for name in (table[node] if node in table.columns else table.index)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the table has {names.count(twice[0])} rows for the node {twice[0]}; one is expected")
    if connectome is None:
        return table.reset_index(drop=True), names
    wanted = list(connectome.names if isinstance(connectome, Connectome) else connectome)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"the table has no row for {len(missing)} of the {len(wanted)} nodes, such as {missing[0]}")
    return table.iloc[[names.index(name) for name in wanted]].reset_index(drop=True), wanted


def _coefficients(columns: Sequence[str], coef: Mapping[str, float] | Sequence[float]) -> Any:
    if not isinstance(coef, Mapping):
        found = np.asarray(coef, dtype=np.float64)
        if found.shape != (len(columns),):
            raise DataError(f"coef has the shape {found.shape}; the formula has the columns {', '.join(columns)}")
        return found
    for name in coef:
        known(name, columns, "coef names no column of the formula:")
    missing = [name for name in columns if name not in coef]
    if missing:
        raise DataError(f"coef has no value for {', '.join(missing)}; the formula has the columns {', '.join(columns)}")
    return np.array([float(coef[name]) for name in columns])


def _fitted(design: Any) -> Any:
    return np.linalg.lstsq(design.matrix, design.y - (0.0 if design.offset is None else design.offset), rcond=None)[0]


def _check(values: Any, within: tuple[float, float] | None, formula: str) -> None:
    if not np.isfinite(values).all():
        raise DataError(f"{formula!r} gives {int((~np.isfinite(values)).sum())} nodes no finite value")
    if within is not None and (values.min() < within[0] or values.max() > within[1]):
        raise DataError(
            f"{formula!r} gives values from {values.min():.4g} to {values.max():.4g}; {within[0]:g} to {within[1]:g} "
            "are allowed"
        )
