"""Data sets that come with R's packages."""

from __future__ import annotations

import pandas as pd

from .engine import call
from .frame import column_from_r


def data(package: str, name: str) -> pd.DataFrame:
    """A data set of an R package as a DataFrame.

    Factors become categoricals with their levels and order, whole numbers with missing values floats.
    Row names stay as the index where R has any. Raises RMissing where R or the package is not there,
    RFailed (with the names that there are) for an unknown data set.

    >>> data("lme4", "sleepstudy").columns.tolist()
    ['Reaction', 'Days', 'Subject']
    """
    answer = call("dataset", {"package": package, "name": name}).value
    columns = {key: column_from_r(column) for key, column in answer["columns"].items()}
    labels = answer["labels"] or None
    return pd.DataFrame(columns, index=None if labels is None else list(labels))
