"""Sizes of tests over the brain, by simulated lesions without an effect: `brain_inference.py [studies]`.

Every study draws masks of 100 subjects from the synthetic reference. "exact": lesions do not depend on age, which is
tested alone. "beside": lesions depend on age, and a dose that goes with age is tested beside it. Shares of studies in
which anything is found at 5 % (family-wise error by permutation; false discovery rate), and shares of voxels with
|z| > 1.96 by Wald's and the score test, by the number of lesions in a voxel.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

import formula_neuro as fn
from formula_neuro.lesions.reference import LesionReference

SUBJECTS, PERMUTATIONS, LEVEL = 100, 99, 0.05
STATISTICS = {
    "max-T": {},
    "cluster extent": {"statistic": "cluster", "cluster_threshold": 2.0},
    "TFCE": {"statistic": "tfce"},
}
EVENTS = (1, 2, 5, 10, 20, SUBJECTS + 1)  # lesions of a voxel: edges of the bins


@dataclass(frozen=True)
class Study:
    """What one simulated study found: by permutation and by false discovery rate, and |z| > 1.96 by bin."""

    found: dict[str, bool]
    beyond: pd.DataFrame  # events, wald, score: one row a voxel


def study(reference: LesionReference, seed: int, beside: bool, statistics: dict[str, dict]) -> Study:
    """One study under the null hypothesis of what is tested."""
    images = fn.simulate_lesions(SUBJECTS, reference=reference, seed=seed).images
    age = images.table["age"].to_numpy()
    rng = np.random.default_rng([seed, 7])
    dose = (age - age.mean()) / age.std() + rng.normal(size=SUBJECTS)
    images = replace(images, table=images.table.assign(dose=dose))
    formula, tested = ("lesion ~ age + dose", "dose") if beside else ("lesion ~ age", "age")
    v = fn.fit(formula, images, family="binomial(probit)", estimator="mean_br")
    score = fn.contrast(v, tested, test="score")
    found = {
        name: bool(np.nanmin(fn.permutation_test(v, tested, n=PERMUTATIONS, seed=seed, **options).p) <= LEVEL)
        for name, options in statistics.items()
    }
    wald = fn.contrast(v, tested)
    found |= {"FDR of Wald": bool(wald.threshold("fdr", LEVEL).kept.any())}
    found |= {"FDR of scores": bool(score.threshold("fdr", LEVEL).kept.any())}
    z = {"wald": np.abs(wald.values["z"]) > 1.96, "score": np.abs(score.values["z"]) > 1.96}
    return Study(found, pd.DataFrame({"events": np.asarray(images.counts), **z}))


def sizes(
    studies: int, beside: bool, spacing: float = 12, statistics: dict[str, dict] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shares of studies in which anything was found, and shares of voxels with |z| > 1.96 by lesions."""
    reference = fn.lesion_reference(spacing=spacing)
    reference = reference if beside else reference.without("I(age - 63)")
    chosen = STATISTICS if statistics is None else statistics
    done = [study(reference, seed, beside, chosen) for seed in range(1, studies + 1)]
    found = pd.DataFrame([one.found for one in done]).mean().rename("share").rename_axis("test").reset_index()
    found["mc_error"] = np.sqrt(found["share"] * (1 - found["share"]) / studies)
    voxels = pd.concat([one.beyond for one in done])
    bins = pd.cut(voxels["events"], EVENTS, right=False)
    by_events = (
        voxels.groupby(bins, observed=True)[["wald", "score"]]
        .mean()
        .assign(voxels=voxels.groupby(bins, observed=True).size())
    )
    return found, by_events.reset_index()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for beside, name in ((False, "age alone (exact)"), (True, "dose beside age, which it goes with")):
        found, by_events = sizes(count, beside)
        print(f"\n{name}: {count} studies of {SUBJECTS} masks, {PERMUTATIONS} permutations, nominal {LEVEL}")
        print(found.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
        print(by_events.to_string(index=False, float_format=lambda value: f"{value:.3f}"), flush=True)
