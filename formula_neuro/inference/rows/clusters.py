"""The clusters of a robust covariance: from a column's name, or labels, to whole numbers on the rows used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import DataError
from ...nearest import nearest
from ...result import Fit


@dataclass(frozen=True, eq=False)
class Clusters:
    """One way of clustering: codes 0..count-1 of the rows, and what it is called."""

    name: str
    codes: NDArray[np.intp]  # (m,)
    count: int
    labels: tuple[Any, ...] = ()  # of the clusters, in the order of their codes

    def crossed(self, other: Clusters) -> Clusters:
        """The clusters that the combinations of the two form."""
        return _coded(f"{self.name}:{other.name}", self.codes * other.count + other.codes)


def clusters_of(fit: Fit, given: Any, used: NDArray[np.bool_]) -> tuple[Clusters, ...]:
    """The ways of clustering that {"cluster": given} names, on the rows of positive weight.

    given: the name of any column of the data that the fit was made from, or labels (one a row used, or one a row of
    the data); a list of names, or a tuple of label arrays, clusters several ways. Raises DataError.
    """
    ways = list(given) if isinstance(given, tuple) or _are_names(fit, given) else [given]
    if not ways:
        raise DataError("vcov={'cluster': ...} names no column; give one, as {'cluster': 'mouseID'}")
    return tuple(_one(fit, way, used, f"cluster {i + 1}") for i, way in enumerate(ways))


def _are_names(fit: Fit, given: Any) -> bool:
    """A list of texts names columns, unless there is one a row: then they are labels."""
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        return False
    design = fit.request.design
    return len(given) not in (len(design.rows), len(design.given.table) if design.given is not None else -1)


def _one(fit: Fit, given: Any, used: NDArray[np.bool_], unnamed: str) -> Clusters:
    name = given if isinstance(given, str) else str(getattr(given, "name", None) or unnamed)
    labels = _column(fit, given) if isinstance(given, str) else _labels(fit, given, name)
    gone = int(pd.isna(labels[used]).sum())
    if gone:
        raise DataError(
            f"{name}: the cluster of {gone} of {int(used.sum())} rows used is missing; give them one, or fit with "
            f"subset= on the rows that have one"
        )
    found = _coded(name, labels[used])
    if found.count < 2:
        raise DataError(
            f"{name}: all rows used are in one cluster, but a covariance between clusters needs two or more"
        )
    return found


def _column(fit: Fit, name: str) -> NDArray[Any]:
    given = fit.request.design.given
    if given is None:
        raise DataError(f"{name}: this fit's design does not keep its data; give the labels themselves, one a row used")
    columns = {str(column): column for column in given.table.columns}
    if name not in columns:
        near = nearest(name, columns)
        hint = f"; did you mean {near!r}?" if near else f" (there are {', '.join(columns)})"
        raise DataError(f"{name} is not a column of the data that the fit was made from{hint}")
    return np.asarray(given.table[columns[name]], dtype=object)[fit.request.design.rows]


def _labels(fit: Fit, given: Any, name: str) -> NDArray[Any]:
    design = fit.request.design
    n = len(design.rows)
    whole = len(design.given.table) if design.given is not None else n
    labels = np.asarray(given, dtype=object)
    if labels.ndim != 1 or len(labels) not in (n, whole):
        all_rows = f", or {whole}, one a row of the data" if whole != n else ""
        raise DataError(
            f"{name}: the clusters are labels of shape {labels.shape}; expected {n}, one a row used{all_rows}, or the "
            "name of a column"
        )
    if isinstance(given, pd.Series):
        index = design.index if len(labels) == n or design.given is None else design.given.table.index
        if not given.index.equals(index):
            raise DataError(
                f"{name}: the clusters are a Series with other row labels than the data's; give .to_numpy()"
            )
    return labels if len(labels) == n else labels[design.rows]


def _coded(name: str, labels: NDArray[Any]) -> Clusters:
    codes, levels = pd.factorize(labels)
    return Clusters(name, codes, len(levels), tuple(levels))
