"""Spatially varying coefficients of masks."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Approximate

METHODS = ("laplace", "gibbs")


@dataclass(frozen=True, repr=False)
class Spatial(Approximate):
    """Probit models of masks whose coefficients vary smoothly over voxels, a Bayesian model ("spatial" is the word).

    The prior is the multivariate CAR prior of Ge et al. (2014): differences of the coefficients between voxels that
    share a face are normal with precision Q, and Q is Wishart(prior_df, I) for covariates that are standardised inside
    (as its scale I is not free of theirs); maps are on the scale of the data. No coefficient is centred: the prior is
    flat in the level of every coefficient, so that it takes the place of Ge's fixed effects. There is no global term of
    white matter, which the authors' program adds by itself.
    Maps: "coef" is the posterior mean, "se" the posterior standard deviation, "z" their ratio.

    method: "laplace" (a normal approximation around the mode with a correction for skewness, Q by EM: the same numbers
        at every call), or "gibbs" (sampling, exact but for Monte Carlo error; where events are rarer than some per cent
        chains need tens of thousands of sweeps, and say where they have not met).
    draws: laplace: draws for the covariances (default 32); gibbs: sweeps kept of every chain (1000).
    chains, burn_in, thin: of gibbs: chains (4), sweeps left out first (1000), and of how many one is kept (1).
    prior_df: P + 1 by default, the smallest whole number with a proper prior (the authors' GPU program has 20, their
        CPU program V + P - c, their paper 0).

    >>> Spatial(draws=64)
    Spatial(method='laplace', draws=64)
    """

    word = "spatial"

    method: str = "laplace"
    draws: int | None = None
    chains: int | None = None
    burn_in: int | None = None
    thin: int | None = None
    prior_df: float | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"Spatial: method={self.method!r} is not known; there are {', '.join(METHODS)}")
        for name, least in (("draws", 4), ("chains", 1), ("burn_in", 0), ("thin", 1)):
            given = getattr(self, name)
            if given is None:
                continue
            if self.method == "laplace" and name != "draws":
                raise ValueError(f"Spatial: {name}= belongs to method='gibbs'; leave it out, or take that method")
            if not isinstance(given, int) or given < least:
                raise ValueError(f"Spatial: {name}= is a whole number, {least} or more; got {given!r}")
        if self.prior_df is not None and not self.prior_df > 0:
            raise ValueError(f"Spatial: prior_df= is a number above 0; got {self.prior_df!r}")
