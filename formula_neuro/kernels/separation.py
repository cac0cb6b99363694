"""Whether a direction of the coefficients separates the responses, so that maximum likelihood is infinite.

Konis (2007): maximise sum_i s_i x_i'b subject to s_i x_i'b >= 0 and |b| <= 1, with s_i = 1 for a row at
its upper limit (a success) and -1 at the lower (a failure, a count of 0); rows in between need x_i'b = 0.
An optimum above 0 is such a direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.linalg import null_space

from ..family import Array, Binomial, Family, Poisson
from .rank import column_norms

SIGMOID = ("logit", "probit", "cloglog", "cauchit")


def separating_direction(X: Array, y: Array, w: Array, family: Family) -> Array | None:
    """Coefficients (p,) along which the likelihood rises for ever, or None when the maximum is finite.

    X (n, p). The largest element is 1 in absolute value after scaling each column to length 1.

    >>> from formula_neuro.family import as_family
    >>> X, y = np.array([[1.0, -2], [1, -1], [1, 1], [1, 2]]), np.array([0.0, 0, 1, 1])
    >>> bool(separating_direction(X, y, np.ones(4), as_family("binomial"))[1] > 0)
    True
    """
    from scipy.optimize import linprog

    sides = _sides(y, family)
    if sides is None:
        return None
    used = w > 0
    norms = column_norms(X[used])
    rows, sides = X[used] / norms, sides[used]
    inside = rows[sides == 0]
    space = null_space(inside) if len(inside) else np.eye(X.shape[1])  # all b with x'b = 0 for those rows
    if space.shape[1] == 0 or not (sides != 0).any():
        return None
    signed = np.unique((rows * sides[:, None])[sides != 0] @ space, axis=0)
    limits = np.vstack([-signed, space, -space])
    bounds = np.concatenate([np.zeros(len(signed)), np.ones(2 * len(space))])
    answer = linprog(-signed.sum(axis=0), A_ub=limits, b_ub=bounds, bounds=(None, None), method="highs")
    if answer.x is None or signed.sum(axis=0) @ answer.x < 1e-7:
        return None
    return np.asarray(space @ answer.x / norms)


def _sides(y: Array, family: Family) -> Array | None:
    """1, -1 or 0 for rows at the upper limit, the lower limit, in between; None where no limit is at infinity."""
    link = family.link.name
    if isinstance(family, Binomial) and link in SIGMOID:
        return np.where(y == 1, 1.0, np.where(y == 0, -1.0, 0.0))
    if isinstance(family, (Poisson, Binomial)) and link == "log":
        return np.where(y == 0, -1.0, 0.0)
    return None


def at_the_limits(mu: Array, family: Family, near: float = 1e-4) -> bool:
    """Whether some fitted mean has come so close to its limit that separation is worth looking for.

    A converged fit without such means has finite coefficients: the linear programme can be spared.
    """
    return bool((mu < near).any() or (isinstance(family, Binomial) and (mu > 1 - near).any()))


def infinite(names: Sequence[str], X: Array, y: Array, w: Array, family: Family) -> dict[str, float]:
    """The columns with infinite coefficients, each with its sign; 0 for one that nothing determines any more.

    Rows that a separating direction moves say no more: the others are asked again, until none is separated
    (Clarkson and Jennrich 1991). A coefficient that the rows left cannot carry is not finite.
    """
    norms, left, signs = column_norms(X), w > 0, np.zeros(X.shape[1])
    while left.any() and (direction := separating_direction(X, y, w * left, family)) is not None:
        effects = X * direction
        moved = left & (np.abs(effects.sum(axis=1)) > 1e-6 * np.abs(effects[left]).max())
        own = np.abs(direction) * norms > 1e-6
        signs = np.where((signs == 0) & own, np.sign(direction), signs)
        if not moved.any():
            break
        left &= ~moved
    if not signs.any():
        return {}
    lost = np.abs(null_space((X / norms)[left])).max(axis=1, initial=0.0) if left.any() else np.ones(len(names))
    return {name: float(sign) for name, sign, gone in zip(names, signs, lost, strict=True) if sign != 0 or gone > 1e-6}


def separation(signs: Mapping[str, float]) -> tuple[str, ...]:
    """The message that names the infinite coefficients, or nothing."""
    if not signs:
        return ()
    shown = ", ".join(f"{name} ({'+' if sign > 0 else '-'}infinity)" for name, sign in signs.items() if sign)
    undetermined = ", ".join(name for name, sign in signs.items() if not sign)
    beside = f" and nothing determines {undetermined}" if undetermined else ""
    return (
        f"separation: the fixed effects predict some responses perfectly, so the maximum-likelihood estimate of "
        f"{shown} is infinite{beside}; the numbers shown are only where the iteration stopped",
    )
