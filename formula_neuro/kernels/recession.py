"""Which way a coefficient may run to infinity while the likelihood does not fall: the open ends of its profile."""

from __future__ import annotations

from ..family import Array, Family
from .cone import recession_cone
from .separation import _sides


def open_ends(X: Array, y: Array, w: Array, family: Family, j: int) -> tuple[bool, bool]:
    """Whether the profile of coefficient j stays at its supremum below, and above; X (n, p) of full rank.

    A log-concave likelihood never falls along a direction of the recession cone, so that the profile, which is concave,
    never falls towards the side to which such a direction takes the coefficient.

    >>> import numpy as np
    >>> from formula_neuro.family import as_family
    >>> X, y = np.array([[1.0, -2], [1, -1], [1, 1], [1, 2]]), np.array([0.0, 0, 1, 1])
    >>> open_ends(X, y, np.ones(4), as_family("binomial"), 1)
    (False, True)
    """
    used, sides = w > 0, _sides(y, family)
    cone = None if sides is None else recession_cone(X[used], sides[used])
    if cone is None or not cone.infinite[j]:
        return False, False
    return bool(cone.sign[j] <= 0), bool(cone.sign[j] >= 0)  # 0: the directions disagree
