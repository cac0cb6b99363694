"""Rows whitened by a residual structure: R = D C D, D the relative standard deviations, C the correlations in time.

rho holds log sd ratios to the first level, then atanh of AR1's phi, so that any real numbers are parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from formula_neuro.data.rows import column
from formula_neuro.data.values import as_factor
from formula_neuro.design import Design, RandomTerm
from formula_neuro.errors import DataError, NewLevels, Unable
from formula_neuro.estimator import ML, REML
from formula_neuro.estimator.residual_structure import AR1, VarIdent
from formula_neuro.family import Array
from formula_neuro.request import Request
from formula_neuro.searches.search import USUAL

from ..gee.clusters import Clusters, blocks_in_time


@dataclass(frozen=True, eq=False)
class Rows:
    """A request with the structure of its residuals: `codes` (n,) levels of VarIdent, `blocks` the series of AR1."""

    request: Request
    levels: tuple[str, ...]
    codes: NDArray[np.intp]
    blocks: Clusters | None
    words: tuple[str, ...] = ()

    @property
    def n_ratios(self) -> int:
        return max(len(self.levels) - 1, 0)

    @property
    def size(self) -> int:
        return self.n_ratios + (self.blocks is not None)

    def weights(self, rho: Array) -> Array:
        """Prior weights over squared sd ratios, (n,)."""
        ratios = np.exp(np.concatenate([[0.0], rho[: self.n_ratios]]))
        return np.asarray(self.request.weights / ratios[self.codes] ** 2)

    def relative_weights(self, rho: Array, table: pd.DataFrame | None) -> Array:
        """1 over squared sd ratios of the rows, or of another table's."""
        ratios = np.exp(np.concatenate([[0.0], rho[: self.n_ratios]]))
        if table is None:
            return np.asarray(1 / ratios[self.codes] ** 2)
        if not self.levels:
            return np.ones(len(table))
        structures = getattr(self.request.estimator, "residual", ())
        name = next(s.group for s in structures if isinstance(s, VarIdent))
        given = as_factor(column(name, table.rename(columns=str)))
        strange = [level for level in given.levels if level not in self.levels]
        if strange:
            raise NewLevels(
                f"{name}: {', '.join(strange)} did not occur when the model was fitted (known: "
                f"{', '.join(self.levels)}), so its residual spread is not known"
            )
        place = np.array([self.levels.index(level) for level in given.levels] + [-1], dtype=np.intp)
        weights = np.append(1 / ratios**2, np.nan)  # a missing level has no known spread
        return np.asarray(weights[place[given.codes]])

    def phi(self, rho: Array) -> float:
        return float(np.tanh(rho[-1])) if self.blocks is not None else 0.0

    def named(self, rho: Array) -> Mapping[str, float]:
        """The parameters as users know them."""
        ratios = np.exp(rho[: self.n_ratios])
        named = {f"sd {b} / {self.levels[0]}": float(r) for b, r in zip(self.levels[1:], ratios, strict=True)}
        return {**named, **({"phi": self.phi(rho)} if self.blocks is not None else {})}

    def log_determinant(self, rho: Array) -> float:
        """What log|R| adds to the criterion of the whitened model; weights, where they stay weights, are in it."""
        if self.blocks is None:
            return 0.0
        return float(np.log(1 - self._steps(rho) ** 2).sum() - np.log(self.weights(rho)).sum())

    def whitened(self, rho: Array) -> Request:
        """The request of an ordinary model: unequal spread as weights; correlated rows made independent of weight 1."""
        how = self.request.estimator
        plain = REML() if isinstance(how, REML) else ML()
        if self.blocks is None:
            return replace(self.request, estimator=plain, weights=self.weights(rho), search=USUAL)
        d = self.request.design
        design: Design = replace(
            d,
            matrix=self._white(d.matrix, rho),
            offset=np.zeros(len(d.offset)),
            random=tuple(replace(term, basis=self._white(term.basis, rho)) for term in d.random),
        )
        y = self._white((self.request.y - d.offset)[:, None], rho)[:, 0]
        return replace(self.request, estimator=plain, design=design, y=y, weights=np.ones(len(y)), search=USUAL)

    def coloured(self, z: Array, rho: Array) -> Array:
        """Residuals (n,) of covariance R from independent ones z (n,)."""
        root = np.sqrt(np.divide(1.0, self.weights(rho), out=np.zeros(len(z)), where=self.request.weights > 0))
        if self.blocks is None:
            return np.asarray(root * z)
        out, steps = z[self.blocks.rows].copy(), np.zeros(len(z))
        same = self._within
        steps[same] = self._steps(rho)
        for i in same:  # each row leans on the one before it
            out[i] = steps[i] * out[i - 1] + np.sqrt(1 - steps[i] ** 2) * out[i]
        found = np.empty_like(out)
        found[self.blocks.rows] = out
        return np.asarray(root * found)

    @property
    def _within(self) -> NDArray[np.intp]:
        """Sorted rows that have one before them in their series."""
        assert self.blocks is not None
        return np.flatnonzero(np.diff(self.blocks.codes) == 0) + 1

    def _steps(self, rho: Array) -> Array:
        """Correlations of rows with the one before them."""
        assert self.blocks is not None
        same = self._within
        gaps = (self.blocks.times[same] - self.blocks.times[same - 1]).astype(float)
        return np.asarray(self.phi(rho) ** gaps)

    def _white(self, M: Array, rho: Array) -> Array:
        """R^-1/2 M (n, c)."""
        assert self.blocks is not None
        rows, same, steps = self.blocks.rows, self._within, self._steps(rho)[:, None]
        scaled = (M * np.sqrt(self.weights(rho))[:, None])[rows]
        scaled[same] = (scaled[same] - steps * scaled[same - 1]) / np.sqrt(1 - steps**2)
        out = np.empty_like(scaled)
        out[rows] = scaled
        return out


def rows_of(request: Request) -> Rows:
    """The rows of a request with a residual structure; raises DataError and Unable where it cannot be."""
    n = len(request.y)
    levels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    codes, blocks = np.zeros(n, dtype=np.intp), None
    for structure in getattr(request.estimator, "residual", ()):
        if isinstance(structure, VarIdent):
            levels, codes = _levels(request, structure)
        else:
            blocks, words = _series(request, structure)
    return Rows(request, levels, codes, blocks, words)


def _levels(request: Request, structure: VarIdent) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    factor = as_factor(request.design.beside[structure.group])
    counts = np.bincount(factor.codes[request.weights > 0], minlength=len(factor.levels))
    if len(factor.levels) < 2:
        raise DataError(
            f"VarIdent({structure.group!r}): one level only is left in the rows used, so there is no spread to compare"
        )
    few = [level for level, count in zip(factor.levels, counts, strict=True) if count < 2]
    if few:
        raise DataError(
            f"VarIdent({structure.group!r}): level {few[0]} has {int(counts[factor.levels.index(few[0])])} row, from "
            "which no residual spread can be estimated; join it with another level"
        )
    return factor.levels, factor.codes


def _series(request: Request, structure: AR1) -> tuple[Clusters, tuple[str, ...]]:
    if (request.weights == 0).any():
        raise DataError("AR1: rows of weight 0 have no place in a series; leave them out with subset=")
    name, codes = _group(request, structure)
    _check_within(request.design.random, name, codes)
    time = None if structure.time is None else request.design.beside[structure.time]
    blocks = blocks_in_time("AR1", name, codes, time, structure.time, np.arange(len(codes)), request.design.index)
    if not blocks.pairs:
        raise DataError(f"AR1: every level of {name} has one row, so that no correlation in time can be estimated")
    said = f"AR1: rows follow one another within {name} in the data's order, one step apart; AR1('a column') says times"
    return blocks, () if structure.time is not None else (said,)


def _group(request: Request, structure: AR1) -> tuple[str, NDArray[np.intp]]:
    """The series: the column asked for, or the finest grouping factor."""
    if structure.group is not None:
        return structure.group, as_factor(request.design.beside[structure.group]).codes
    finest = max(request.design.random, key=lambda term: len(term.levels))
    return finest.group, finest.codes


def _check_within(random: tuple[RandomTerm, ...], name: str, codes: NDArray[np.intp]) -> None:
    """Whitening mixes the rows of a series, so that each must lie within one level of every grouping factor."""
    for term in random:
        pairs = np.unique(np.stack([codes, term.codes]), axis=1).shape[1]
        if pairs > len(np.unique(codes)):
            raise Unable(
                f"AR1 within {name}: rows of one {name} belong to several levels of {term.group}; a series lies within "
                f"one level of every grouping factor (nlme asks for the same), as AR1(..., group={term.group!r})"
            )
