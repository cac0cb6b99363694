"""permutation_test(): family-wise error over the brain, of models in every voxel and of foci."""

from __future__ import annotations

from typing import Any

from ..foci.fit import FociFit
from ..foci.inference.permutation import permuted_foci
from ..maps.fit import MapFit
from ..maps.inference.permutation import AskedOfDraws, PermutationTest, permuted_maps
from ..scalars import is_whole
from .sides import as_alternative


def permutation_test(
    fit: MapFit | FociFit,
    hypothesis: Any,
    n: int = 1000,
    seed: int = 1,
    *,
    statistic: str = "max",
    alternative: str | None = None,
    cluster_threshold: float = 3.1,
    connectivity: int = 26,
    within: Any = None,
    what: str | None = None,
    workers: Any = None,
    progress: bool | None = None,
) -> PermutationTest:
    """Test a hypothesis in all voxels at once, the family-wise error controlled by permuting the tested covariate.

    hypothesis: a coefficient or combination, as in contrast(); a list of rows is tested jointly, without direction.
    n: permutations beside the data's own, which counts as one. seed: permutation i has a stream of its own, so that
        neither workers nor n change it.
    statistic: "max" (of the voxels' z), "cluster" (the largest cluster above `cluster_threshold`, a z value) or "tfce"
        (Smith and Nichols 2009, with E = 0.5 and H = 2).
    alternative: "two.sided" (the default), "greater" or "less"; of two sides one distribution is made, of the larger.
    connectivity: a voxel has 6, 18 or 26 neighbours.
    within: a column of the table (or values, one an image): only images of the same value change places, as of a site.
    workers: a number of processes or a dask client.

    Binomial and poisson models: score statistics of null models fitted once a voxel by maximum likelihood (whatever the
    fit's own estimator; they are finite where estimates are not). The test is exact where the other columns are the
    intercept alone. Beside others it is exact as far as what these leave of the tested covariate can change places
    (Potter 2005), else approximate: max-T found something in .03 to .06 of simulated studies at .05, whether lesions
    were rare, covariates correlated by up to .8, binary or of uneven spread (benchmarks/permutation_sizes.py).
    Gaussian models: t of Freedman and Lane (1983), approximate beside other columns (.05 to .08 there with log-normal
    noise); the noise must vary as much at all values of the tested covariate, else far too much is found (.27).

    Foci: what differs between cells of s(...), "a - b" or a list of such; the effect of a number in s(x); or a cell by
    itself, "a" or fn.homogeneity(c)["a"], against chance, "greater". what: "intensity" (the default; of a
    cell by itself "shape") or "shape" (where, not how many). Comparisons permute the labels of studies: Welch's
    statistic of what each study adds to the map of a null model, fitted once (exact where there are no moderators,
    studies have one analysis each and numbers of foci have nothing to do with what is compared; where numbers went with
    x, its "shape" was found in .05 to .12 at .05). A cell by itself: studies drawn with replacement (approximate).

    >>> import formula_neuro as fn
    >>> s = fn.simulate_lesions(60, reference=fn.lesion_reference(spacing=12), seed=1)
    >>> v = fn.fit("lesion ~ age", s.images, family="binomial(probit)", estimator="mean_br")
    >>> test = fn.permutation_test(v, "age", n=99, seed=1)
    >>> test.draws.shape, bool(test.p.min() >= 0.01)
    ((100,), True)
    """
    if not is_whole(seed):
        raise ValueError(f"seed is a whole number of 0 or more; got {seed!r}")
    side = None if alternative is None else as_alternative(alternative)
    asked = AskedOfDraws(n, seed, statistic, side, cluster_threshold, connectivity, within, what, workers, progress)
    return permuted_foci(fit, hypothesis, asked) if isinstance(fit, FociFit) else permuted_maps(fit, hypothesis, asked)
