"""All voxels of a block: classes as far as they are cheap, batched scoring, the other classes, the stubborn voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import ML
from formula_neuro.kernels.cones import recession_cones
from formula_neuro.kernels.separation import SIGMOID

from .batch import proved, searched
from .cells import signs_of
from .classes import UNKNOWN, Classes, cheap, programmed
from .design import Rows
from .estimates import COMPLETE, OPEN, OVERLAP, QUASI, Estimates
from .packed import Packed
from .stubborn import alone

SURE = 3.3  # 1 - exp(-exp(3.3)) differs from 1 by 2e-12


@dataclass(frozen=True, eq=False)
class Block:
    """Responses Y (C, n) of the rows, and where they are computed."""

    packed: Packed
    Y: NDArray[Any]
    device: str | None

    @property
    def rows(self) -> Rows:
        return self.packed.rows

    @property
    def likeliest(self) -> bool:
        return isinstance(self.rows.how, ML)


@dataclass(frozen=True, eq=False)
class Estimated:
    """Estimates in the basis, classes, and where a maximum is at infinity what it tends to: the finite ones among the
    user's kept columns, with covariance and log-likelihood."""

    found: Estimates
    known: Classes
    limits: Estimates


def estimate(block: Block) -> Estimated:
    """Maximum likelihood is sought only where nothing says that it is infinite, the other estimators everywhere."""
    rows, Y = block.rows, block.Y
    known = cheap(rows, Y)
    bounded = (known.kind == OVERLAP) | ((known.kind == UNKNOWN) & ~known.apart)
    fitted = np.flatnonzero(bounded | (not block.likeliest))
    found = Estimates.empty(len(Y), rows.rank)
    found.put(fitted, searched(block.packed, rows.how, Y[fitted], block.device))
    out = Estimated(found, known, Estimates.empty(len(Y), rows.rank))
    _by_scores(block, out)
    _by_levels(block, out)
    _by_programmes(block, known)
    missing = ~found.converged & ((known.kind == OVERLAP) | (not block.likeliest))
    _again(block, np.flatnonzero(missing), found)
    _by_the_table(block, _saturated(rows, found), found)
    return out


def _saturated(rows: Rows, found: Estimates) -> NDArray[np.intp]:
    """Voxels whose bias-reduced means are 1 to rounding in some row of a complementary log-log model.

    The adjusted score of few rows has several roots there, and bold steps may pass by the one that a table's search
    and brglm2 end at.
    """
    if rows.family.link.name != "cloglog" or rows.how.word not in ("mean_br", "median_br"):
        return np.zeros(0, dtype=np.intp)
    with np.errstate(invalid="ignore"):
        eta = found.b @ rows.Q.T + rows.offset
        return np.flatnonzero(found.converged & (eta > SURE).any(axis=1))


def _by_the_table(block: Block, which: NDArray[np.intp], found: Estimates) -> None:
    """These voxels by the search of a table's model, where that ends at a root."""
    for c in which:
        one = alone(block.rows, block.Y[c].astype(float))
        if one is not None and one.converged.all():
            found.put(np.array([c]), one)


def _by_programmes(block: Block, known: Classes) -> None:
    """What is left, by linear programmes: all at once where the responses are 0 and 1, then those in doubt."""
    rows, left = block.rows, np.flatnonzero(known.kind == UNKNOWN)
    if len(left) and rows.family.link.name in SIGMOID and block.Y.dtype == np.uint8:
        cones = recession_cones(rows.X, np.where(block.Y[left] > 0, 1, -1).astype(np.int8))
        kinds = np.where(cones.apart, np.where(cones.complete, COMPLETE, QUASI), OVERLAP)
        signs = np.where(cones.infinite, np.where(cones.signs == 0, OPEN, cones.signs), 0)
        sure, left = left[cones.sure], left[~cones.sure]
        known.kind[sure], known.signs[sure] = kinds[cones.sure], signs[cones.sure]
    for c in left:
        known.put(np.array([c]), programmed(rows, block.Y[c].astype(float)))


def _again(block: Block, which: NDArray[np.intp], found: Estimates) -> None:
    """Voxels whose search has not ended: on all rows instead of nodes, then one by one."""
    if len(which) and not block.packed.quick.exact:
        found.put(which, searched(block.packed, block.rows.how, block.Y[which], block.device, exactly=True))
    for c in which[~found.converged[which]]:
        one = alone(block.rows, block.Y[c].astype(float))
        if one is not None:
            found.put(np.array([c]), one)


def _by_scores(block: Block, out: Estimated) -> None:
    """Overlap by the certificate at the estimate and, where that proves nothing, at maximum likelihood's."""
    known = out.known
    left = known.open
    known.kind[left[out.found.overlap[left]]] = OVERLAP
    left = known.open
    if len(left) and not block.likeliest:
        likeliest = searched(block.packed, ML(), block.Y[left], block.device, exactly=True)
        known.kind[left[likeliest.overlap]] = OVERLAP


def _by_levels(block: Block, out: Estimated) -> None:
    """Voxels with pure levels whose other rows overlap: the signs are the same in all of one kind."""
    at = np.flatnonzero(out.known.apart)
    kinds, which = np.unique(out.known.pure[at], axis=0, return_inverse=True)
    for k in range(len(kinds)):
        own = at[which.ravel() == k]
        sides = out.known.sides(int(own[0]))
        if (sides == 0).any():
            overlapping = _of_others(block, own, sides == 0, out)
            out.known.kind[overlapping] = QUASI
            out.known.signs[overlapping] = signs_of(block.rows, sides) if len(overlapping) else 0


def _of_others(block: Block, at: NDArray[np.intp], rest: NDArray[np.bool_], out: Estimated) -> NDArray[np.intp]:
    """Which of the voxels `at` overlap in the rows `rest` (n,); maximum likelihood there into the limits."""
    rows, Y = block.rows, block.Y[np.ix_(at, np.flatnonzero(rest))]
    packed = block.packed.likeliest(rest)
    others = packed.rows
    sure = np.zeros(len(at), dtype=bool)
    if not block.likeliest:
        Q = rows.Q[rest][packed.exact.representatives]
        sure = proved(others, packed.exact, Q, out.found.b[at], Y, block.device)
    todo = np.flatnonzero(~sure)
    if len(todo):
        inner = estimate(Block(packed, Y[todo], block.device))
        sure[todo] = inner.known.kind == OVERLAP
        out.limits.put(at[todo], _on_columns(others, inner.found))
    return at[sure]


def _on_columns(rows: Rows, found: Estimates) -> Estimates:
    """Estimates of the columns themselves, NaN where dropped, in place of those of their basis."""
    inverse, k = np.linalg.inv(rows.R), rows.kept
    out = Estimates.empty(len(found.b), rows.columns)
    out.b[:, k] = found.b @ inverse.T
    out.V[np.ix_(np.arange(len(found.b)), k, k)] = inverse @ found.V @ inverse.T
    out.loglik[:], out.converged[:] = found.loglik, found.converged
    return out
