"""Formula + table -> Design: the matrices of one model, with what is needed to make them again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from .family import Array
from .formula import Formula


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """One random term: K columns that vary by the levels of a grouping factor."""

    group: str  # "mouseID"; interactions in lme4's order, "b:a"
    columns: tuple[str, ...]  # K
    levels: tuple[str, ...]  # L, sorted as lme4 sorts them
    codes: NDArray[np.intp]  # (n,) level of each row; -1: not seen in training
    basis: Array  # (n, K)
    structure: str = "us"

    @cached_property
    def Z(self) -> sparse.csr_array:
        """(n, L * K), lme4's order: column = level * K + k; a row of an unseen level is zero."""
        n, k = self.basis.shape
        known = self.codes >= 0
        indptr = np.concatenate([[0], np.cumsum(known * k)])
        indices = (self.codes[known, None] * k + np.arange(k)).ravel()
        return sparse.csr_array((self.basis[known].ravel(), indices, indptr), shape=(n, len(self.levels) * k))


@dataclass(frozen=True)
class TermColumns:
    """The columns start:stop of X that belong to one term of the formula."""

    name: str  # "(Intercept)", "dff", "a:b"
    variables: tuple[str, ...]
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Design:
    """The matrices of one model on the rows that have no missing value.

    `rows` are the kept rows, 0-based, and `index` their labels in the data; `data` holds the raw columns
    that the formula names, on these rows; `dropped` counts the rows lost to each column.
    """

    formula: Formula
    y: Array | None  # (n,), (n, 2) for cbind(successes, failures), None without a response
    y_levels: tuple[str, str] | None  # the two levels of a factor response, the second counts as success
    matrix: Array  # (n, p)
    names: tuple[str, ...]  # p, R's names
    terms: tuple[TermColumns, ...]
    random: tuple[RandomTerm, ...]
    offset: Array  # (n,), the sum of all offsets
    weights: Array | None  # (n,) as given
    rows: NDArray[np.intp]
    index: pd.Index
    data: pd.DataFrame
    dropped: tuple[tuple[str, int], ...]
    messages: tuple[str, ...]
    contrasts: tuple[tuple[str, str], ...]  # (factor, contrast) as asked for by contrasts=
    recipe: Any  # private to this module: levels, contrasts and constants, for apply()

    @cached_property
    def X(self) -> pd.DataFrame:
        return pd.DataFrame(self.matrix, columns=list(self.names), index=self.index, copy=False)
