"""Columns of one part of a formula: what each term contributes, as a plan that new data can follow again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..data.values import Categorical, Contrast, Matrix, Value, as_numbers
from ..family import Array
from ..formula import Formula, Part
from ..syntax.expression import label
from .coding import Coding, coded_by_contrasts, contrasts, full


@dataclass(frozen=True)
class Piece:
    """One variable's columns inside a term; `coding` is None for numbers."""

    variable: str
    names: tuple[str, ...]
    coding: Coding | None = None


@dataclass(frozen=True)
class Block:
    """The columns of one term: the products over its pieces, the leftmost running fastest."""

    name: str
    pieces: tuple[Piece, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        if not self.pieces:
            return ("(Intercept)",)
        return tuple(":".join(reversed(c)) for c in product(*(p.names for p in reversed(self.pieces))))


def plan(part: Part, values: Mapping[str, Value], asked: Mapping[str, Contrast]) -> tuple[Block, ...]:
    """The blocks of a part, coded by R's rule; `asked` has contrasts by variable."""
    labels = [label(node) for node in part.variables]
    factors = frozenset(i for i, name in enumerate(labels) if isinstance(values[name], Categorical))
    choices = coded_by_contrasts(part.terms, factors, part.intercept)
    blocks = [Block("(Intercept)", ())] if part.intercept else []
    for term, choice in zip(part.terms, choices, strict=True):
        pieces = [_piece(labels[i], values[labels[i]], choice.get(i, False), asked) for i in term]
        blocks.append(Block(":".join(labels[i] for i in term), tuple(pieces)))
    return tuple(blocks)


def _piece(name: str, value: Value, by_contrasts: bool, asked: Mapping[str, Contrast]) -> Piece:
    if isinstance(value, Categorical):
        coding = contrasts(value, asked.get(name)) if by_contrasts else full(value.levels)
        return Piece(name, tuple(name + suffix for suffix in coding.names), coding)
    if isinstance(value, Matrix):
        return Piece(name, tuple(name + column for column in value.columns))
    return Piece(name, (name,))


def fill(blocks: tuple[Block, ...], values: Mapping[str, Value], n: int) -> Array:
    """The matrix (n, columns) of the blocks, column-major; a row with a missing value is NaN."""
    matrix = np.empty((n, sum(len(b.columns) for b in blocks)), order="F")
    start = 0
    for block in blocks:
        if not block.pieces:
            matrix[:, start] = 1.0
            start += 1
            continue
        fastest, *others = (_Columns(piece, values[piece.variable]) for piece in block.pieces)
        arrays = [[columns.into(np.empty(n), j) for j in range(columns.count)] for columns in others]
        for choice in product(*(range(len(a)) for a in reversed(arrays)), range(fastest.count)):
            column = fastest.into(matrix[:, start], choice[-1])
            for array, j in zip(arrays, reversed(choice[:-1]), strict=True):
                column *= array[j]
            start += 1
    return matrix


def offsets(formula: Formula, values: Mapping[str, Value], n: int) -> Array:
    """The sum of a formula's offset() terms, (n,)."""
    each = (as_numbers(values[label(node)], f"offset({label(node)})") for node in formula.offsets)
    return sum(each, np.zeros(n))


class _Columns:
    """A variable's columns inside a term, one at a time: all indicators of a factor would double the memory."""

    def __init__(self, piece: Piece, value: Value):
        if isinstance(value, Categorical):
            assert piece.coding is not None
            gone = np.full(piece.coding.matrix.shape[1], np.nan)
            self.values = np.ascontiguousarray(np.vstack([gone, piece.coding.matrix]).T)
            self.codes: NDArray[np.intp] | None = value.codes + 1  # 0: missing
        else:
            self.values = value.values.T if isinstance(value, Matrix) else value[None, :]
            self.codes = None
        self.count = len(self.values)

    def into(self, column: Array, j: int) -> Array:
        """The column j, written where it shall stand."""
        if self.codes is None:
            column[:] = self.values[j]
        else:
            np.take(self.values[j], self.codes, out=column, mode="clip")  # which needs no buffer
        return column
