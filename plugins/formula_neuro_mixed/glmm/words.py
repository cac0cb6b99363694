"""What can be wrong with a GLMM's response and fit, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from formula_neuro.design import RandomTerm
from formula_neuro.errors import DataError
from formula_neuro.estimator import Normal
from formula_neuro.family import Family
from formula_neuro.kernels.irls import Scoring
from formula_neuro.kernels.rank import Basis
from formula_neuro.kernels.separation import at_the_limits, infinite, separation
from formula_neuro.request import Request
from formula_neuro.searches.simpler import ways_on

from ..lmm.containment import between
from ..newton import Minimum
from .search import ENOUGH, POLE, Searched
from .start import simpler

FEW = 20  # degrees of freedom: tests by z at .05 reject .11 of true nulls at 4 and at 8, .09 at 18 (benchmarks)
INSTEAD = (
    "a weak prior gives finite estimates: estimator=fn.Laplace(prior=fn.Normal(sd=2.5)); "
    "or take the term out, or join levels"
)


def check_response(request: Request) -> None:
    """A response at one limit in all rows has no finite maximum-likelihood estimate."""
    y, used = request.y, request.weights > 0
    family, first = request.family, float(y[used][0])
    if not (y[used] == first).all() or family.name in ("gaussian", "Gamma", "inverse.gaussian", "beta"):
        return
    if first == 0 or (first == 1 and family.range[1] == 1):
        what = "0 in all" if first == 0 else "1 in all"
        raise DataError(
            f"the response is {what} {int(used.sum())} rows, so its maximum-likelihood estimate is infinite; "
            "check the response, or fit without random terms by a bias-reduced estimator (estimator='mean_br')"
        )


def separated(request: Request, basis: Basis, by_itself: Scoring) -> dict[str, float]:
    """The coefficients that separation makes infinite, with signs; looked for only where means reach their limits."""
    used, kept, design, family = request.weights > 0, basis.kept, request.design, simpler(request.family)
    if request.family.name == "beta" or (by_itself.converged and not at_the_limits(by_itself.mu, family)):
        return {}
    X = design.matrix[:, kept]
    return infinite([design.names[j] for j in kept], X, request.y, request.weights * used, family)


def few_groups(request: Request, kept: NDArray[np.intp]) -> tuple[str, ...]:
    """Columns that tell few groups apart, of which normal and chi-squared tests find too much."""
    return tuple(
        f"{', '.join(names)}: the same in all rows of each {group}, and of so few groups ({left} degrees of freedom) "
        "tests by z and likelihood ratios find too much; take df='containment' (nested groups) or fn.bootstrap_test"
        for group, names, left in between(request.design, kept, request.weights > 0)
        if left < FEW
    )


def separation_words(signs: dict[str, float], prior: Normal | None) -> tuple[str, ...]:
    if not signs or prior is None:
        return separation(signs, INSTEAD)
    lost = ", ".join(signs)
    return (
        f"separation: maximum likelihood would make {lost} infinite; the prior (normal with sd {prior.sd:g}) keeps the "
        "estimates finite, and their size is owed to it: say so where they are reported",
    )


def shape_words(family: Family, at: Searched) -> tuple[str, ...]:
    """That a shape went to its limit, and what the model is there."""
    if not at.limited or family.shape is None:
        return ()
    name, simple = family.shape[0], at.problem.model.rows.family.name
    limit = "0" if family.name == "nbinom1" else "infinity"
    return (
        f"{name} went to {limit}: the responses vary no more than {simple} ones, so that this is the fit of "
        f"family='{simple}' with one parameter more",
    )


def unbounded(at: Searched) -> tuple[str, ...]:
    """That a standard deviation grows without limit."""
    terms, limit = at.problem.terms, at.marginal.limit
    model = at.problem.model
    theta = at.found.point[: model.n_theta]
    if model.layout.largest(theta) < limit / 2:
        return ()
    groups = [term.given.group for term in terms if np.abs(term.template(theta)).max() >= limit / 2]
    return (
        f"the standard deviation of the random effects of {', '.join(groups)} grows without limit: "
        "the responses hardly vary within levels; leave the term out or collect more rows a level",
    )


def unfinished(found: Minimum, random: Sequence[RandomTerm] = ()) -> tuple[str, ...]:
    """That the search ended before the maximum."""
    if found.converged:
        return ()
    steepest = np.abs(found.gradient).max()
    what = (
        "this is a pole of Laplace's approximation, where the responses of some level do not curve the likelihood (far "
        "values under inverse.gaussian, zeros under zero inflation), and no maximum; take fewer random terms, no "
        "weights='observed', or another family"
        if steepest > POLE
        else ways_on(random)
    )
    return (
        f"did not converge in {found.iterations} iterations: largest gradient {steepest:.2g}, "
        f"predicted gain in deviance {found.decrement:.2g} (wanted below {ENOUGH:g}); {what}",
    )
