"""Spatially varying coefficients of masks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from typing import Any

from .base import Estimator

METHODS = ("laplace", "gibbs")
COMPONENTS = ("largest", "overlapping")


@dataclass(frozen=True, repr=False)
class Spatial(Estimator):
    """Probit models of masks whose coefficients vary smoothly over voxels, a Bayesian model ("spatial" is the word).

    The prior is the multivariate CAR prior of Ge et al. (2014): differences of the coefficients between voxels that
    share a face are normal with precision Q (weights 1, no range parameter), and Q is Wishart(prior_df, I) for
    covariates that are standardised inside, as its scale I is not free of theirs; maps are on the scale of the data.
    Maps: "coef" is the posterior mean, "se" the posterior standard deviation, "z" their ratio, "positive" the
    posterior probability that the coefficient is above 0, "fitted_incidence" the posterior mean of the share of images
    with an event.

    Where this and others differ. Nothing is centred and there are no fixed effects beside the maps: the prior is flat
    in the level of every coefficient, so that the paper's fixed effects plus maps of mean 0 have the same posterior of
    their sum (the authors' program, BSGLMM, samples none either); engine.level has the means over voxels. No global
    term of white matter, which BSGLMM adds unless it is told not to. prior_df is P + 1, the smallest whole number with
    a proper prior, hence V + P degrees of freedom given the maps of V voxels in one piece, as BSGLMM on a CPU; on a GPU
    it has 20, the paper an improper 0: of no weight in a brain, of some on a small lattice. The intercept is smoothed
    as the covariates are, which BLESS does not do. Voxels without an event are analysed: they borrow from neighbours.

    method: "laplace" (a normal approximation, the one nearest to the posterior in Kullback and Leibler's sense, sought
        from Laplace's on, with Q by EM: the same numbers at every call), or "gibbs" (sampling, exact but for Monte
        Carlo error, with chains that say whether they have met; workers= runs them side by side, device= on a GPU, and
        a run that was cut short goes on where it was).
    draws: laplace: draws for the covariances (default 32); gibbs: sweeps kept of every chain (1000).
    chains, burn_in, thin: of gibbs: chains (4), sweeps left out first (500), and of how many one is kept (1).
    maps: of gibbs: draws of all voxels that every chain keeps for fn.excursions, evenly spaced, 4 bytes a coefficient
        and voxel each (0); the normal approximation draws them when they are asked for.
    prior_df: P + 1 by default, the smallest whole number with a proper prior; see above.
    components: of a mask in several pieces that share no face: "largest", that piece alone, as every piece has a level
        of its own, which is free; or "overlapping", all whose data determine it: the voxels of the piece taken
        together have finite maximum-likelihood estimates.

    >>> Spatial(draws=64)
    Spatial(method='laplace', draws=64)
    """

    word = "spatial"

    method: str = "laplace"
    draws: int | None = None
    chains: int | None = None
    burn_in: int | None = None
    thin: int | None = None
    maps: int | None = None
    prior_df: float | None = None
    components: str = "largest"

    def __repr__(self) -> str:
        own = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "method"]
        given = [f", {name}={value!r}" for name, value in own if value not in (None, "largest")]
        return f"Spatial(method={self.method!r}{''.join(given)})"

    @classmethod
    def of(cls, text: str) -> Spatial:
        """From its fields as text, method= left out of the first if one likes: "gibbs, draws=2000".

        >>> Spatial.of("draws=64, components=overlapping").components
        'overlapping'
        """
        known = [field.name for field in fields(cls)]
        given: dict[str, Any] = {}
        for number, part in enumerate(part.strip() for part in text.split(",")):
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals and number == 0:
                name, value = "method", name
            if name not in known or not value:
                raise ValueError(
                    f"estimator='spatial({text})': {part!r} is no field; there are {', '.join(known)}, as in "
                    "'spatial(gibbs, draws=2000)'"
                )
            given[name] = _value(value)
        return cls(**given)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"Spatial: method={self.method!r} is not known; there are {', '.join(METHODS)}")
        if self.components not in COMPONENTS:
            raise ValueError(f"Spatial: components={self.components!r} is not known; there are {', '.join(COMPONENTS)}")
        for name, least in (("draws", 4), ("chains", 1), ("burn_in", 0), ("thin", 1), ("maps", 0)):
            given = getattr(self, name)
            if given is None:
                continue
            if self.method == "laplace" and name != "draws":
                raise ValueError(f"Spatial: {name}= belongs to method='gibbs'; leave it out, or take that method")
            if not isinstance(given, int) or given < least:
                raise ValueError(f"Spatial: {name}= is a whole number, {least} or more; got {given!r}")
        if (self.maps or 0) > (1000 if self.draws is None else self.draws):
            raise ValueError(f"Spatial: maps={self.maps} of a chain's draws were to be kept, which are fewer")
        if self.prior_df is not None and not (isinstance(self.prior_df, (int, float)) and 0 < self.prior_df < inf):
            raise ValueError(f"Spatial: prior_df= is a finite number above 0; got {self.prior_df!r}")


def _value(text: str) -> Any:
    """A number where the text is one; quotes may stand around a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip("'\"")
