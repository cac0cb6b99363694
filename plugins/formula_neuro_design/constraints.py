"""What Z and c must keep: ZA = B (fixed columns, for instance) and Cc = d (a fixed contrast, for instance)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from formula_neuro.errors import DataError
from formula_neuro.family import Array

SAME = 1e-9  # relative: rounding of products of a few hundred terms is far below, a wrong constraint far above


@dataclass(frozen=True, eq=False)
class Constraints:
    """ZA = B with A (p, q) and B (n, q); Cc = d with C (k, p) and d (k,), or (s, k) for s contrasts.

    q and k may be 0. Raises DataError.
    """

    A: Array
    B: Array
    C: Array
    d: Array

    def __post_init__(self) -> None:
        p, q = self.A.shape
        if self.B.shape[1] != q or self.C.shape[1] != p or self.d.shape[-1:] != self.C.shape[:1] or self.d.ndim > 2:
            shapes = ", ".join(f"{name} {getattr(self, name).shape}" for name in "ABCd")
            raise DataError(f"the shapes of ZA = B and Cc = d do not fit: {shapes}")
        if not all(np.isfinite(getattr(self, name)).all() for name in "ABCd"):
            raise DataError("ZA = B and Cc = d hold values that are missing or infinite")
        if q > p:
            raise DataError(f"{q} columns are fixed, but the design has {p}; ask for at least {q}")
        if np.linalg.matrix_rank(self.A) < q:
            raise DataError("the columns of A are collinear")
        if collinear(self.B):
            raise DataError("the fixed columns are collinear, so the design would be too; fix fewer")
        self._check_contrast(p)

    def _check_contrast(self, p: int) -> None:
        c = np.atleast_2d(self.contrast())
        if np.abs(c @ self.C.T - self.d).max(initial=0) > SAME * np.abs(self.d).max(initial=1):
            raise DataError("no contrast c has Cc = d: its equations contradict one another")
        if not len(self.C) or np.linalg.matrix_rank(self.C) < p:
            return
        if not c.any(axis=1).all():
            raise DataError("the contrast is 0 in every column")
        if np.linalg.matrix_rank(c) < len(c):
            raise DataError("the contrasts are linearly dependent; leave out those that follow from the others")

    @property
    def free_contrast(self) -> bool:
        return not len(self.C)

    def contrast(self) -> Array:
        """The shortest c (p,) with Cc = d, or (s, p) for s contrasts."""
        return np.asarray((np.linalg.pinv(self.C) @ self.d.T).T)

    def free_directions(self) -> Array:
        """Orthonormal directions (p, .) in which c may move."""
        return null_space(self.C)


def first_columns(B: Array, p: int, contrast: Array | None) -> Constraints:
    """The first columns of Z are those of B, and c is `contrast`, (p,) or (s, p), or free where that is None."""
    q = B.shape[1]
    if q > p:
        raise DataError(f"{q} columns are fixed, but the design has {p}; ask for at least {q}")
    C, d = (np.zeros((0, p)), np.zeros(0)) if contrast is None else (np.eye(p), contrast)
    return Constraints(np.eye(p)[:, :q], B, C, d)


def null_space(M: Array) -> Array:
    """Orthonormal columns x with Mx = 0; all directions where M has no rows."""
    return np.asarray(linalg.null_space(M, rcond=1e-10)) if M.size else np.eye(M.shape[1])


def collinear(X: Array) -> bool:
    """Whether columns (n, k), each scaled to length 1, are linearly dependent to ten digits."""
    size = np.sqrt((X**2).sum(axis=0))
    if not X.shape[1]:
        return False
    return bool((size == 0).any() or np.linalg.svd(X / size, compute_uv=False)[-1] < 1e-10 or X.shape[1] > len(X))
