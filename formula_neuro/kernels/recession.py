"""Which way a coefficient may run to infinity while the likelihood does not fall: the open ends of its profile.

A log-concave likelihood never falls along d when s_i x_i'd >= 0 in every row (s_i as in separation.py; x_i'd = 0 where
a row is at no limit). The profile of a coefficient is open above when some such d raises it, and below when some d
lowers it: the profile is concave, and along d it does not fall. One linear programme an end says which.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import null_space

from ..family import Array, Family
from .rank import column_norms
from .separation import _sides


def open_ends(X: Array, y: Array, w: Array, family: Family, j: int) -> tuple[bool, bool]:
    """Whether the profile of coefficient j stays at its supremum below, and above; X (n, p).

    >>> from formula_neuro.family import as_family
    >>> X, y = np.array([[1.0, -2], [1, -1], [1, 1], [1, 2]]), np.array([0.0, 0, 1, 1])
    >>> open_ends(X, y, np.ones(4), as_family("binomial"), 1)
    (False, True)
    """
    from scipy.optimize import linprog

    sides = _sides(y, family)
    if sides is None:
        return False, False
    used = w > 0
    rows, sides = X[used] / column_norms(X[used]), sides[used]
    inside = rows[sides == 0]
    space = null_space(np.linalg.qr(inside, mode="r")) if len(inside) else np.eye(X.shape[1])
    if space.shape[1] == 0 or not (sides != 0).any():
        return False, False
    signed = np.unique((rows * sides[:, None])[sides != 0] @ space, axis=0)
    limits = np.vstack([-signed, space, -space])
    bounds = np.concatenate([np.zeros(len(signed)), np.ones(2 * len(space))])
    found = [linprog(sign * space[j], limits, bounds, bounds=(None, None), method="highs").fun for sign in (1.0, -1.0)]
    below, above = (value is not None and value < -1e-7 for value in found)
    return below, above
