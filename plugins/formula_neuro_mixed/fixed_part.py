"""The fixed part of a generalized linear mixed model alone: what a test of its only random term compares with."""

from __future__ import annotations

from formula_neuro.errors import FitError, Unable
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.rank import orthonormal_basis
from formula_neuro.request import Request

WITHOUT_SHAPE = ("binomial", "poisson")


def loglik_without_random(request: Request) -> float:
    """The maximised log-likelihood of the generalized linear model with the request's fixed part."""
    if request.family.name not in WITHOUT_SHAPE:
        raise Unable(
            f"{request.family} has a dispersion or shape, which a generalized linear model estimates in another way: "
            "there is no model to compare with; bootstrap_test(small, large) compares two mixed ones"
        )
    used, design = request.weights > 0, request.design
    y, w = request.y[used], request.weights[used]
    found = irls(orthonormal_basis(design.matrix[used]).Q, y, w, design.offset[used], request.family)
    if not found.converged:
        raise FitError("the model without random terms did not converge, so there is nothing to compare with")
    return float(request.family.loglik(y, found.mu, w, 1.0))
