"""What a design is made of: plain values, complete once they are made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from ..data.grouping import Keys
from ..data.values import Contrast, Value
from ..family import Array
from ..formula import Formula
from ..syntax.expression import Node
from .blocks import Block


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """One random term: K columns that vary by the levels of a grouping factor."""

    group: str  # "mouseID"; interactions in lme4's order, "b:a"
    columns: tuple[str, ...]  # K
    levels: tuple[str, ...]  # L, sorted as lme4 sorts them
    codes: NDArray[np.intp]  # (n,) level of each row; -1: not seen in training
    basis: Array  # (n, K)
    structure: str = "us"
    hom: bool = False  # one variance for all columns, of diag, cs and ar1
    parts: tuple[TermColumns, ...] = ()  # which of the columns belong to each term left of the bar

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
class Given:
    """What model_matrix was asked for beside the formula, so that a fit can be made again with some of it changed.

    `table` is the user's whole table, with the labels of its rows; other columns of it can serve a finished fit, as
    the clusters of a robust covariance. It shares the memory of the data given.
    """

    table: pd.DataFrame
    weights: Any = None
    offset: Any = None
    subset: Any = None
    contrasts: Mapping[str, Any] | None = None
    na_action: str = "omit"
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Design:
    """The matrices of one model on the rows that have no missing value.

    `rows` are the kept rows, 0-based, and `index` their labels in the data; `data` holds the raw columns
    that the formula names, on these rows; `dropped` counts the rows lost to each column.
    """

    formula: Formula
    y: Array | None  # (n,), (n, 2) for cbind(successes, failures), None without a response
    y_levels: tuple[str, ...] | None  # the levels of a factor response, whose y are the codes 0, 1, ...
    matrix: Array  # (n, p)
    names: tuple[str, ...]  # p, R's names
    terms: tuple[TermColumns, ...]
    random: tuple[RandomTerm, ...]
    offset: Array  # (n,), the sum of all offsets
    extra_offset: Array | None  # (n,), the share of it that came from offset=, not from the formula
    weights: Array | None  # (n,) as given
    rows: NDArray[np.intp]
    index: pd.Index
    data: pd.DataFrame
    dropped: tuple[tuple[str, int], ...]
    messages: tuple[str, ...]
    contrasts: tuple[tuple[str, Contrast], ...]  # (factor, contrast) as asked for by contrasts=
    recipe: Recipe  # levels, contrasts and constants, for apply()
    given: Given | None = None
    beside: Mapping[str, Value] = field(default_factory=dict)  # columns of the data that an estimator needs: clusters

    @cached_property
    def X(self) -> pd.DataFrame:
        return pd.DataFrame(self.matrix, columns=list(self.names), index=self.index, copy=False)

    def apply(self, newdata: Any, random: bool | Collection[int] = True) -> Design:
        """The same columns for another table; see new_data.apply."""
        from .new_data import apply

        return apply(self, newdata, random)


# ---- making it again -----------------------------------------------------------------------------
@dataclass(frozen=True)
class Bar:
    """How one random term is made again: its columns and its groups' levels."""

    blocks: tuple[Block, ...]
    variables: tuple[str, ...]  # labels of the crossed grouping columns, in the order of the name
    keys: Keys  # a level of each, for every level of the term


@dataclass(frozen=True)
class Recipe:
    """What training fixed: constants of transforms, levels, contrasts and column plans."""

    nodes: tuple[tuple[str, Node], ...]  # label -> tree, of all variables; the response may be one again
    factors: tuple[tuple[str, tuple[str, ...]], ...]  # label -> levels
    states: tuple[tuple[str, Any], ...]
    fixed: tuple[Block, ...]
    bars: tuple[Bar, ...]
    offset: Node | None  # offset= as an expression
    free_offset: bool  # offset= was an array, so it cannot be made again


def term_columns(blocks: tuple[Block, ...]) -> tuple[TermColumns, ...]:
    """Which columns each block has, side by side."""
    found, start = [], 0
    for block in blocks:
        stop = start + len(block.columns)
        found.append(TermColumns(block.name, tuple(p.variable for p in block.pieces), start, stop))
        start = stop
    return tuple(found)
