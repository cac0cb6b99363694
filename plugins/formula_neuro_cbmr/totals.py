"""How many foci: the regression of the analyses' totals, t ~ 0 + group + Z, beside which maps only say where.

With a constant among the splines and an indicator a group in s(...), the likelihood of a meta-regression is that of
each group's places given the totals, times that of the totals: levels and global coefficients are those of a plain
regression of counts, to all digits (Palmgren 1981; McCullagh & Nelder 1989, chapter 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import FitError
from formula_neuro.family import Array, as_family
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.rank import Basis, orthonormal_basis
from formula_neuro.kernels.separation import in_words, infinite

Index = NDArray[np.intp]
POISSON = as_family("poisson")


@dataclass(frozen=True, eq=False)
class Totals:
    """Foci t (M,) of the analyses, what their means depend on, and who belongs together.

    `group` (M,) numbers the cells of s(...), `Z` (M, q) are the global columns; `study` (M,) is what scores are summed
    over, `unit` (M,) what shares one frailty. `names` (G + q,) are those of the groups, then those of Z.
    """

    t: Array
    group: Index
    Z: Array
    offset: Array
    study: Index
    unit: Index
    names: tuple[str, ...]

    @property
    def groups(self) -> int:
        return len(self.names) - int(self.Z.shape[1])

    @cached_property
    def columns(self) -> Array:
        """An indicator a group, then Z, (M, G + q)."""
        return np.column_stack([self.group[:, None] == np.arange(self.groups), self.Z]).astype(np.float64)

    @cached_property
    def basis(self) -> Basis:
        """The columns orthonormalised; raises FitError where they depend on each other."""
        found = orthonormal_basis(self.columns)
        lost = [name for j, name in enumerate(self.names) if j not in found.kept]
        if lost:
            raise FitError(
                f"the totals cannot tell {', '.join(lost)} from the columns before: {len(self.names)} columns of "
                f"{len(self.t)} analyses have rank {found.rank}; leave these terms out of the formula"
            )
        return found

    @cached_property
    def unit_group(self) -> Index:
        """The group whose dispersion each unit has, (K,)."""
        found = np.zeros(int(self.unit.max(initial=-1)) + 1, dtype=np.intp)
        found[self.unit] = self.group
        return found

    def by_unit(self, values: Array) -> Array:
        """Sums over the analyses of each unit: (M,) or (M, m) to (K, ...)."""
        return _sums(values, self.unit, len(self.unit_group))

    def by_study(self, values: Array) -> Array:
        """Sums over the analyses of each study: (M,) or (M, m) to (K, ...)."""
        return _sums(values, self.study, int(self.study.max(initial=-1)) + 1)


@dataclass(frozen=True, eq=False)
class Level:
    """The regression of totals, fitted: theta (G + q,) are the groups' log expected foci of an analysis, then gamma.

    means (M,) are the fitted totals, `ratio` (M,) what the scores of the places weigh them by (1 for Poisson; how the
    count of the unit shrinks them under a frailty). alpha (G,) are the frailties' variances, 0 for Poisson, and
    `alpha_se` (G,) the standard errors of log alpha. fisher and observed (G + q, G + q) are covariances. `loglik`
    leaves out what is constant (scale.py). `decrement` is the rise that one more step predicts.
    """

    theta: Array
    means: Array
    ratio: Array
    alpha: Array
    alpha_se: Array
    fisher: Array
    observed: Array
    loglik: float
    steps: int
    decrement: float
    converged: bool
    messages: tuple[str, ...] = ()

    @property
    def levels(self) -> Array:
        return self.theta[: len(self.alpha)]

    @property
    def gamma(self) -> Array:
        return self.theta[len(self.alpha) :]

    @property
    def dispersions(self) -> int:
        """How many alphas count as parameters: those above 0."""
        return int((self.alpha > 0).sum())


def frailty_units(group: Index, study: Index, shared: bool) -> Index:
    """Number of the unit that shares one frailty, of each analysis (M,): itself, or its study within its group.

    A study with analyses in several groups has a unit in each, as every group has a variance of its own.

    >>> frailty_units(np.array([0, 0, 1]), np.array([4, 4, 4]), shared=True).tolist()
    [0, 0, 1]
    """
    if not shared:
        return np.arange(len(group))
    pairs = np.column_stack([study, group])
    return np.asarray(np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.intp)


def poisson_level(totals: Totals) -> Level:
    """Maximum likelihood of Poisson totals; raises FitError where a coefficient is infinite."""
    check_finite(totals)
    basis = totals.basis
    found = irls(basis.Q, totals.t, np.ones(len(totals.t)), totals.offset, POISSON, tolerance=1e-26)
    information = basis.Q.T @ (found.mu[:, None] * basis.Q)
    covariance = basis.covariance(np.asarray(np.linalg.inv(information), dtype=np.float64))
    groups = totals.groups
    return Level(
        theta=basis.coefficients(found.b),
        means=found.mu,
        ratio=np.ones_like(found.mu),
        alpha=np.zeros(groups),
        alpha_se=np.full(groups, np.nan),
        fisher=covariance,
        observed=covariance,
        loglik=float(totals.t @ np.log(found.mu) - found.mu.sum()),
        steps=found.iterations,
        decrement=found.decrement / 2,  # of the deviance: twice the log-likelihood
        converged=found.converged,
        messages=() if found.converged else ("the regression of totals did not converge",),
    )


def check_finite(totals: Totals) -> None:
    """Raise FitError naming the coefficients that totals of 0 send to infinity."""
    signs = infinite(totals.names, totals.basis.Q @ totals.basis.R, totals.t, np.ones(len(totals.t)), POISSON)
    if signs:
        raise FitError(
            f"the totals leave no finite estimate: {in_words(signs)}, as the analyses that they tell apart have no "
            "focus inside the mask; leave these analyses or terms out"
        )


def scores(totals: Totals, level: Level) -> Array:
    """Of theta, summed over the analyses of every study, (K, G + q)."""
    return totals.by_study((totals.t - level.ratio * level.means)[:, None] * totals.columns)


def robust(totals: Totals, level: Level) -> Array:
    """The sandwich of the studies' scores times K / (K - 1) (CR1), (G + q, G + q); raises FitError for one study."""
    u = scores(totals, level) @ level.fisher
    return small_sample(len(u)) * (u.T @ u)


def small_sample(studies: int) -> float:
    """K / (K - 1) of K studies; raises FitError where there is but one."""
    if studies < 2:
        raise FitError("a covariance over studies needs two of them at least, got 1; use vcov='fisher'")
    return studies / (studies - 1)


def _sums(values: Array, index: Index, size: int) -> Array:
    out = np.zeros((size, *values.shape[1:]))
    np.add.at(out, index, values)
    return out
