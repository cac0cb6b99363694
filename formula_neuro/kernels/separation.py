"""Whether a direction of the coefficients separates the responses, so that maximum likelihood is infinite.

With s_i = 1 for a row at its upper limit (a success), -1 at the lower (a failure, a count of 0), the maximum is
infinite when some b has s_i x_i'b >= 0 in every row, not 0 in all, and x_i'b = 0 in rows in between (Albert &
Anderson 1984; Konis 2007). The log link of shares has no upper limit: its successes are rows in between
(Schwendinger, Gruen & Hornik 2021). cone.py finds the directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import FitError
from ..family import Array, Binomial, Family, Poisson, Quasi
from ..family.links import LINKS
from .cone import recession_cone
from .irls import irls
from .rank import column_norms

SIGMOID = ("logit", "probit", "cloglog", "cauchit")


@dataclass(frozen=True)
class Separation:
    """The kind ("overlap", "quasi-complete", "complete", "all 0", "all 1"; "" for a family without limits at infinity)
    and the infinite coefficients by name with their signs, 0 where the data leave the sign open."""

    kind: str = ""
    signs: Mapping[str, float] = field(default_factory=dict)


def classify(
    names: Sequence[str], X: Array, y: Array, w: Array, family: Family, score: Array | None = None
) -> Separation:
    """The separation of responses y (n,) with weights w by columns X (n, p), of full rank where w > 0.

    `score` (rows of positive weight,), d loglik / d eta of a converged maximum-likelihood fit, spares the linear
    programme where the responses overlap.

    >>> from formula_neuro.family import as_family
    >>> X, y = np.array([[1.0, -2], [1, -1], [1, 1], [1, 2]]), np.array([0.0, 0, 1, 1])
    >>> classify(["(Intercept)", "x"], X, y, np.ones(4), as_family("binomial"))
    Separation(kind='complete', signs={'(Intercept)': 0.0, 'x': 1.0})
    """
    sides, used = _sides(y, family), w > 0
    if sides is None or not used.any() or X.shape[1] == 0:
        return Separation()
    X, y, w, sides = X[used], y[used], w[used], sides[used]
    # zeros gain without end where variances are mu^2, so that other directions may be infinite as well
    finite = Separation("" if _varies_as(family, "mu^2") else "overlap")
    constant = "all 0" if (y == 0).all() else "all 1" if _of_shares(family) and (y == 1).all() else ""
    if constant:
        signs = _of_constant(names, X, sides)
        return Separation(constant, signs) if signs else finite
    if overlaps(X, sides, _score(X, y, w, family) if score is None else score):
        return finite
    cone = recession_cone(X, sides)
    if cone is None:
        return finite
    kind = "complete" if cone.moved.all() else "quasi-complete"
    found = zip(names, cone.sign, cone.infinite, strict=True)
    return Separation(kind, {name: float(sign) for name, sign, infinite in found if infinite})


def overlaps(X: Array, sides: Array, score: Array | None) -> bool:
    """Whether a score that is nearly 0 in sum proves that no direction separates (Stiemke's lemma).

    With u_i the rows' scores, s_i u_i > 0 at the limits: a separating b with largest |x_i'b| = 1 has
    b'X'u >= min s_i u_i, while |b'Q'u| <= sqrt(n) |Q'u| for an orthonormal Q.
    """
    limits = sides != 0
    if score is None or not np.isfinite(score).all():
        return False
    if not limits.any():
        return True
    Q = np.linalg.qr(X / column_norms(X))[0]
    left = np.sqrt(len(X)) * float(np.linalg.norm(Q.T @ score)) + 1e-13 * float(np.abs(score).sum())
    return bool((sides * score)[limits].min() > 10 * left)


def _score(X: Array, y: Array, w: Array, family: Family) -> Array | None:
    """The rows' scores under the canonical link, whose separation is the same; None where its search stopped early."""
    shares = _of_shares(family) and family.link.name != "log"
    easier = Binomial(LINKS["logit"]) if shares else Poisson(LINKS["log"])
    Q = np.linalg.qr(X / column_norms(X))[0]
    try:
        found = irls(Q, y, w, np.zeros(len(y)), easier, iterations=25)
    except FitError:
        return None
    return np.asarray(w * (y - found.mu)) if found.converged else None


def _of_constant(names: Sequence[str], X: Array, sides: Array) -> dict[str, float]:
    """What a response that is all 0 or all 1 leaves infinite: the combination of columns that is constant, if any.

    The signs of other columns would be accidents of a programme: each is left open.
    """
    if not sides.any():
        return {}
    norms = column_norms(X)
    b, *_ = np.linalg.lstsq(X / norms, sides, rcond=None)
    if np.abs(X / norms @ b - sides).max() > 1e-8:
        cone = recession_cone(X, sides)
        if cone is None:
            return {}
        return {n: float(s) for n, s, lost in zip(names, cone.sign, cone.infinite, strict=True) if lost}
    own = np.abs(b) > 1e-8 * np.abs(b).max()
    return {name: float(np.sign(value)) if mine else 0.0 for name, value, mine in zip(names, b, own, strict=True)}


def _sides(y: Array, family: Family) -> Array | None:
    """1, -1 or 0 for rows at the upper limit, the lower limit, in between; None where no limit is at infinity."""
    link = family.link.name
    shares = _of_shares(family)
    if shares and link in SIGMOID:
        return np.where(y == 1, 1.0, np.where(y == 0, -1.0, 0.0))
    if link == "log" and (shares or isinstance(family, Poisson) or _varies_as(family, "mu", "mu^2")):
        return np.where(y == 0, -1.0, 0.0)
    return None


def _of_shares(family: Family) -> bool:
    """Whether responses are shares between 0 and 1."""
    return isinstance(family, Binomial) or _varies_as(family, "mu(1-mu)")


def _varies_as(family: Family, *variances: str) -> bool:
    return isinstance(family, Quasi) and family.variance_of in variances


def at_the_limits(mu: Array, family: Family, near: float = 1e-4) -> bool:
    """Whether some fitted mean has come so close to its limit that separation is worth looking for.

    A converged fit without such means has finite coefficients: the linear programme can be spared.
    """
    return bool((mu < near).any() or (_of_shares(family) and (mu > 1 - near).any()))


def infinite(names: Sequence[str], X: Array, y: Array, w: Array, family: Family) -> dict[str, float]:
    """The columns with infinite coefficients, each with its sign; 0 where the data leave the sign open."""
    return dict(classify(names, X, y, w, family).signs)


def separation(signs: Mapping[str, float], advice: str = "") -> tuple[str, ...]:
    """The message that names the infinite coefficients, with what to do instead; nothing where there are none."""
    if not signs:
        return ()
    return (
        "separation: the fixed effects predict some responses perfectly, so that in maximum likelihood "
        f"{in_words(signs)}; the numbers shown are only where the iteration stopped" + (advice and f"; {advice}"),
    )


def in_words(signs: Mapping[str, float]) -> str:
    """ "x (+infinity) is infinite and nothing determines z"."""
    shown = ", ".join(f"{name} ({'+' if sign > 0 else '-'}infinity)" for name, sign in signs.items() if sign)
    undetermined = ", ".join(name for name, sign in signs.items() if not sign)
    several = sum(sign != 0 for sign in signs.values()) > 1
    parts = ([f"{shown} {'are' if several else 'is'} infinite"] if shown else []) + (
        [f"nothing determines {undetermined}"] if undetermined else []
    )
    return " and ".join(parts)
