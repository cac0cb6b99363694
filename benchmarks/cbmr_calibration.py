"""How often tests of a meta-regression reject at .05 where there is nothing to find; three tables.

Run with OMP_NUM_THREADS=1. Arguments: simulations of moderators, of maps and of effects, by default 1000, 100 and 250.
Moderators are
those of the analyses' totals, whose regression is that of the whole model when s(...) holds factors: a number of each
study / a number of each analysis / a yes or no of each study (30 % yes). Maps are fitted in an ellipsoid of voxels of
4 mm, splines 40 mm apart. Effects are those of a number of each study in s(x), over the whole brain.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats
from scipy.ndimage import binary_erosion

import formula_neuro as fn
from formula_neuro.family import Array
from formula_neuro.foci.fit import FociFit
from formula_neuro.foci.truth import ellipsoid
from formula_neuro.images.brain import Brain
from formula_neuro_cbmr import quasi
from formula_neuro_cbmr.clustered import clustered_level
from formula_neuro_cbmr.jackknife import jackknife, of_level
from formula_neuro_cbmr.totals import Level, Totals, frailty_units, poisson_level, robust

SIZES = (100, 40)
MEAN, ALPHA = 10.0, 1.4
KNOTS = fn.Splines("40 mm", smooth="none")
NAMES = ("a", "b", "number of a study", "number of an analysis", "yes or no of a study")
TOTALS = {  # foci of an analysis: (analyses of a study, variance of a study's factor, of an analysis's, size of clumps)
    "Poisson": (1, 0.0, 0.0, 1),
    "negative binomial": (1, 0.0, ALPHA, 1),
    "the same in clumps of 3": (1, 0.0, ALPHA, 3),
    "1 to 4 analyses a study, Poisson": (4, 0.0, 0.0, 1),
    "1 to 4, each overdispersed": (4, 0.0, ALPHA, 1),
    "1 to 4, studies overdispersed": (4, ALPHA, 0.0, 1),
    "1 to 4, both": (4, ALPHA / 2, ALPHA / 2, 1),
}
DATA = {
    "Poisson": {"counts": "poisson"},
    "negative binomial": {"counts": "negative_binomial", "dispersion": ALPHA},
    "the same in clumps of 3": {"counts": "negative_binomial", "dispersion": ALPHA, "clump": 3},
    "1 to 4 analyses a study, studies overdispersed": {
        "counts": "negative_binomial",
        "dispersion": ALPHA,
        "analyses": (1, 4),
    },
}


# ---- moderators ----------------------------------------------------------------------------------
def factor(rng: np.random.Generator, variance: float, n: int) -> Array:
    """Gamma factors of mean 1, (n,)."""
    return rng.gamma(1 / variance, variance, n) if variance else np.ones(n)


def drawn(rng: np.random.Generator, studies: int, kind: str) -> Totals:
    """Totals of two groups that no moderator changes."""
    most, between, within, clump = TOTALS[kind]
    study = np.repeat(np.arange(studies), rng.integers(1, most + 1, studies))
    M, group = len(study), (np.arange(studies) % 2)[study]
    Z = np.column_stack([rng.normal(size=studies)[study], rng.normal(size=M), (rng.random(studies) < 0.3)[study]])
    mean = MEAN / clump * factor(rng, between, studies)[study] * factor(rng, within, M)
    t = clump * rng.poisson(mean).astype(float)
    return Totals(t, group, Z, np.zeros(M), study, np.arange(M), NAMES)


def p_values(totals: Totals, studies: int) -> Iterator[tuple[str, Array]]:
    """By covariance, (3,) each."""
    poisson, p = poisson_level(totals), len(NAMES)
    phi = quasi.dispersion(totals.t, poisson.means, p)
    yield "poisson, fisher", tails(poisson, poisson.fisher, np.inf)
    yield "poisson, quasi", tails(poisson, phi.phi * poisson.fisher, phi.df)
    yield "poisson, robust", tails(poisson, robust(totals, poisson), studies - p)
    yield "poisson, jackknife", tails(poisson, jackknife(of_level(totals, poisson)), studies - p)
    clustered = clustered_level(totals)
    yield "clustered, fisher", tails(clustered, clustered.fisher, np.inf)
    yield "clustered, jackknife", tails(clustered, jackknife(of_level(totals, clustered)), studies - p)
    unit = frailty_units(totals.group, totals.study, shared=True)
    shared = Totals(totals.t, totals.group, totals.Z, totals.offset, totals.study, unit, NAMES)
    by_study = clustered_level(shared)
    yield "by study, fisher", tails(by_study, by_study.fisher, np.inf)
    yield "by study, jackknife", tails(by_study, jackknife(of_level(shared, by_study)), studies - p)


def tails(level: Level, covariance: Array, df: float) -> Array:
    z = np.abs(level.gamma) / np.sqrt(np.diagonal(covariance)[2:])
    return np.asarray(2 * stats.t.sf(z, df))


def moderators(n: int) -> None:
    for number, kind in enumerate(TOTALS):
        for studies in SIZES:
            rng = np.random.default_rng([number, studies])
            found = [dict(p_values(drawn(rng, studies, kind), studies)) for _ in range(n)]
            if number == 0 and studies == SIZES[0]:
                print(f"| totals | studies | {' | '.join(found[0])} |\n|{'---|' * (2 + len(found[0]))}")
            rejected = [np.mean([one[name] < 0.05 for one in found], axis=0) for name in found[0]]
            cells = [" / ".join(f"{rate:.3f}".removeprefix("0") for rate in each) for each in rejected]
            print(f"| {kind} | {studies} | {' | '.join(cells)} |", flush=True)


# ---- maps ----------------------------------------------------------------------------------------
def rates(kind: str, studies: int, seed: int, brain: Brain, inner: Array) -> tuple[float, ...]:
    """Shares of voxels below .05: homogeneity (fisher, robust), comparison of two groups (fisher, robust, score).

    Foci that are to be even are judged 12 mm inside the mask, as clumps are cut off at its border.
    """
    table = pd.DataFrame({"g": np.where(np.arange(studies) % 2, "a", "b")})

    def fitted(of_peaks: float, noise: float) -> FociFit:
        foci = fn.simulate_foci(
            table=table, peaks=4, share=of_peaks / 4, noise=noise, mask=brain, seed=seed, **DATA[kind]
        )
        return fn.fit("foci ~ s(g)", foci, mask=brain.image(np.ones(len(inner)), 0.0), estimator=KNOTS)

    even, alike = fitted(0, MEAN), fitted(4, MEAN - 4)
    chance = [fn.homogeneity(even, "a", vcov=word)["a"].values["p"][inner] for word in ("fisher", "robust")]
    wald = [fn.contrast(alike, "a - b", test="wald", vcov=word).values["p"] for word in ("fisher", "robust")]
    score = fn.contrast(alike, "a - b", test="score").values["p"]
    return tuple(float((p < 0.05).mean()) for p in (*chance, *wald, score))


def maps(n: int) -> None:
    tests = ("homogeneity, fisher", "homogeneity, robust", "a - b, fisher", "a - b, robust", "a - b, score")
    print(f"| foci | studies | {' | '.join(tests)} |\n|{'---|' * (2 + len(tests))}")
    brain = ellipsoid()
    inner = binary_erosion(brain.mask, iterations=3).reshape(-1)[brain.voxels]
    for kind in DATA:
        for studies in SIZES:
            found = np.array([rates(kind, studies, seed, brain, inner) for seed in range(1, n + 1)])
            middle, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(n)
            cells = " | ".join(f"{m:.3f} ({e:.3f})" for m, e in zip(middle, error, strict=True))
            print(f"| {kind} | {studies} | {cells} |", flush=True)


# ---- effects -------------------------------------------------------------------------------------
def least(seed: int, studies: int, slope: float, brain: Brain) -> dict[str, float]:
    """The smallest corrected p values of an effect x that no map follows; a study's number of foci has its slope."""
    x = np.random.default_rng([seed, studies]).normal(size=studies)
    foci = fn.simulate_foci(
        table=pd.DataFrame({"x": x}), peaks=6, noise=MEAN - 6, counts="poisson", effects={"x": slope}, mask=brain,
        seed=seed,
    )  # fmt: skip
    fit = fn.fit("foci ~ s(x)", foci, mask=brain.image(np.ones(len(brain.voxels)), 0.0), estimator=KNOTS)
    asked = ("shape",) if slope else ("intensity", "shape")
    return {w: float(np.nanmin(fn.permutation_test(fit, "x", n=99, seed=seed, what=w).p)) for w in asked}


def effects(n: int) -> None:
    print("| studies | numbers of foci | tested | found something at .05 |\n|---:|---|---|---|")
    brain = ellipsoid()
    for studies in (16, 40):
        for slope, name in ((0.0, "Poisson"), (0.8, "go with x, .8 of a logarithm for a standard deviation")):
            found = pd.DataFrame([least(seed, studies, slope, brain) for seed in range(1, n + 1)])
            for what, p in found.items():
                share = stats.binomtest(int((p <= 0.05).sum()), n)
                interval = share.proportion_ci()
                shown = f"{share.statistic:.3f} ({interval.low:.3f} to {interval.high:.3f})"
                print(f"| {studies} | {name} | {what} | {shown} |", flush=True)


if __name__ == "__main__":
    simulations = [int(given) for given in sys.argv[1:]] or [1000, 100, 250]
    if simulations[0]:
        moderators(simulations[0])
    if len(simulations) > 1 and simulations[1] > 1:
        print()
        maps(simulations[1])
    if len(simulations) > 2 and simulations[2]:
        print()
        effects(simulations[2])
