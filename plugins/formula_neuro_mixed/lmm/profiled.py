"""The profiled deviance of a linear mixed model (Bates et al. 2015, equations 34 and 41), for any structure of Z.

How V^-1 is applied is the business of the structure: `Sums` eliminates factor by factor, `DenseSums` does it by
dense matrices. Both scale the rows by sqrt(w), make X orthonormal and y a residual, so that nothing large cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.linalg import LinAlgError

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from ..grouping_factors import Factor
from ..stacks import inverse_and_logdet
from ..terms import Term
from .information import OnFactor

NO_RESIDUAL = (
    "the residual variance goes to 0: the fixed and random effects reproduce the response exactly, "
    "so the likelihood has no maximum; use fewer random terms or coarser groups"
)


class Information(Protocol):
    """H = Z'V^-1Z."""

    @property
    def diagonal(self) -> list[Array]: ...
    def product(self, parts: Sequence[Array]) -> list[Array]: ...
    def traces(self, directions: Sequence[OnFactor]) -> Array: ...


class Reduced(Protocol):
    """V^-1 at one theta: log|V|, [X y]'V^-1[X y] and Z'V^-1[X y] (one (L, K, r + 1) array a factor)."""

    @property
    def logdet(self) -> float: ...
    @property
    def WVW(self) -> Array: ...
    @property
    def ZVW(self) -> tuple[Array, ...]: ...
    def information(self) -> Information: ...
    def conditional(self) -> list[Array]: ...


class Products(Protocol):
    """All that the criterion needs of the data: y and Z scaled by sqrt(w), X made orthonormal, y a residual."""

    @property
    def terms(self) -> tuple[Term, ...]: ...
    @property
    def factors(self) -> tuple[Factor, ...]: ...
    @property
    def n(self) -> int: ...
    @property
    def rank(self) -> int: ...
    @property
    def df(self) -> int: ...
    @property
    def yy(self) -> float: ...
    @property
    def reml(self) -> bool: ...
    @property
    def constant(self) -> float: ...
    def reduce(self, theta: Array) -> Reduced: ...


@dataclass(frozen=True, eq=False)
class Solution:
    """The model solved at one theta (Bates et al. 2015, section 3)."""

    value: float
    C: Array  # (r, r) (X'V^-1X)^-1
    b: Array  # (r,)
    r2: float
    reduced: Reduced

    @cached_property
    def Gk(self) -> tuple[Array, ...]:
        """[G k], Z'V^-1X and Z'V^-1(y - Xb), one (L, K, r + 1) array a factor."""
        change = np.eye(len(self.b) + 1)
        change[:-1, -1] = -self.b
        return tuple(part @ change for part in self.reduced.ZVW)

    @cached_property
    def H(self) -> Information:
        """Z'V^-1Z."""
        return self.reduced.information()


def solve(products: Products, theta: Array) -> Solution:
    """The profiled deviance or REML criterion at theta, with the matrices that it is made of."""
    reduced = products.reduce(theta)
    r, df = products.rank, products.df
    XVy = reduced.WVW[:r, r]
    C, logdet = inverse_and_logdet(reduced.WVW[:r, :r])
    b = C @ XVy
    r2 = float(reduced.WVW[r, r] - b @ XVy)
    if not r2 > 1e-11 * products.yy:
        raise FitError(NO_RESIDUAL)
    value = reduced.logdet + df * (1 + math.log(2 * math.pi * r2 / df)) + products.constant
    if products.reml:
        value += logdet
    return Solution(value, C, b, r2, reduced)


def criterion(products: Products, theta: Array) -> float:
    """The value alone; infinite where theta is so large that the arithmetic fails."""
    try:
        return solve(products, theta).value
    except (LinAlgError, FitError):
        return float("inf")
