"""Amplitudes that are known by their second moments: a nuisance of either sign needs no designs for its signs."""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

NOTHING = 1e-12  # of the largest moment: an amplitude of 0, but for rounding


def moment_columns(X: Array, S: Array, contrast: Array) -> tuple[Array, Array]:
    """The columns v (n, r) and truths l (r,) that stand for one design whose amplitudes have E[bb'] = S.

    X (n, k), S (k, k) in units of the noise's variance, contrast (k,), or (s, k) with l (s, r) for several. v v' is
    XSX' and v l' is XS contrast', so that the objective is the expected one; r is the rank of S. The (first) contrast
    has its truth in the first column alone, so the others tell what leaks into it. Raises DataError.

    >>> import numpy as np
    >>> v, l = moment_columns(np.eye(3)[:, :2], np.diag([1.0, 0.25]), np.array([1.0, 0]))
    >>> v.tolist(), l.tolist()
    ([[1.0, 0.0], [0.0, 0.5], [0.0, 0.0]], [1.0, 0.0])
    """
    k = X.shape[1]
    if S.shape != (k, k) or not np.isfinite(S).all() or not np.allclose(S, S.T, rtol=1e-9, atol=0):
        raise DataError(f"the second moments of {k} amplitudes are a symmetric table {k} by {k}; got {S.tolist()}")
    size, directions = np.linalg.eigh(S)
    if size[0] < -1e-9 * abs(size[-1]):
        raise DataError(f"second moments E[bb'] have no direction below 0; one has {size[0]:g}")
    some = size > NOTHING * max(size[-1], 0.0)
    root = directions[:, some] * np.sqrt(size[some])
    turn = np.linalg.qr(root.T @ np.atleast_2d(contrast).T, mode="complete")[0]
    own = _upright(root @ turn, np.atleast_2d(contrast))
    return X @ own, contrast @ own


def _upright(root: Array, contrast: Array) -> Array:
    """Signs chosen so that truths, or else amplitudes, are above 0; rounding about 0 is 0."""
    root = np.where(np.abs(root) > NOTHING * np.abs(root).max(initial=0), root, 0.0)
    truth = contrast @ root
    truth = np.where(np.abs(truth) > NOTHING * np.abs(truth).max(initial=0), truth, 0.0)
    sums = np.vstack([truth, root.sum(axis=0)])
    first = (sums != 0).argmax(axis=0)
    return np.asarray(root * np.where(sums[first, np.arange(root.shape[1])] < 0, -1.0, 1.0))
