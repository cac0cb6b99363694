"""Voxels of simulated lesion maps beside brglm2, three estimators by three links; prints a markdown table.

The masks are simulated (150 subjects, voxels of 6 mm, most hit in fewer than 10), written to a folder and changed
so that every kind of voxel is there: in a tenth no man has a lesion (separated by sex), a twentieth are 1 in everybody,
and voxels that nobody has stay in (min_count=0). Each voxel of a random sample is refitted by brglm2's formula call.
Needs R with brglm2; `--voxels 30` is quick.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd

import formula_neuro as fn
from formula_neuro.maps.agreement import MapAgreement
from formula_neuro.maps.fit import CLASSES, MapFit

ESTIMATORS = {"mean_br": "AS_mean", "median_br": "AS_median", "jeffreys": "MPL_Jeffreys"}
LINKS = ("probit", "logit", "cloglog")
LEAST = 0.004  # incidence: with 150 subjects, about half of the voxels near it are hit
COEFFICIENTS, ERRORS = "coefficients", "standard errors"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--voxels", type=int, default=300, help="of each of the nine fits")
    options.add_argument("--subjects", type=int, default=150)
    options.add_argument("--seed", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = masks(Path(folder), chosen.subjects, chosen.seed)
        print(f"{len(images)} masks, {len(images.voxels):,} voxels, {chosen.voxels} refitted by each call\n")
        print("| link | estimator | agree | disagree | brglm2 did not finish | worst coefficient, se | worst se |")
        print("|---|---|---:|---:|---:|---:|---:|", flush=True)
        found = [line(images, link, estimator, chosen) for link in LINKS for estimator in ESTIMATORS]
    print("\n| class | voxels | sampled in all nine |\n|---|---:|---:|")
    v, sampled = found[0][0], np.concatenate([check.numbers for _, check in found])
    for code, words in enumerate(CLASSES):
        print(f"| {words} | {(v.values['class'] == code).sum()} | {(v.values['class'][sampled] == code).sum()} |")
    for v, check in found:
        if check.verdict != "agrees" or (check.by_voxel["verdict"] != "agrees").any():
            print(f"\n{v.family}, {v.request.estimator}: {check}")
            print(*apart(check), sep="\n")
    return int(any(check.verdict == "disagrees" for _, check in found))


def masks(folder: Path, subjects: int, seed: int) -> fn.Images:
    """Simulated masks in a folder, with separated and constant voxels among them."""
    reference = fn.lesion_reference(spacing=6)
    simulated = fn.simulate_lesions(subjects, reference=reference, seed=seed)
    table = pd.read_csv(simulated.to_nifti(folder), sep="\t")
    rng = np.random.default_rng(seed)
    table["sex"] = rng.permutation(np.arange(subjects) % 2)
    table["lesion"] = [str(folder / name) for name in table["lesion"]]
    kind = rng.random(len(reference.voxels))
    separated, full = reference.voxels[kind < 0.1], reference.voxels[kind > 0.95]
    for path, sex in zip(table["lesion"], table["sex"], strict=True):
        mask = nibabel.load(path)
        values = np.asarray(mask.dataobj).copy()
        values.flat[separated] *= sex
        values.flat[full] = 1
        nibabel.Nifti1Image(values, mask.affine).to_filename(path)
    inside = np.zeros(reference.grid.shape, dtype=bool)
    inside.flat[reference.voxels[reference.incidence > LEAST]] = True
    return fn.read_images(table, "lesion", mask=inside, min_count=0)


def line(images: fn.Images, link: str, estimator: str, chosen: argparse.Namespace) -> tuple[MapFit, MapAgreement]:
    """Fit and cross-check one of the nine, and print its line; differences are of voxels that brglm2 finished."""
    v = fn.fit("lesion ~ age + sex", images, family=f"binomial({link})", estimator=estimator)
    check = fn.crosscheck(v, voxels=chosen.voxels, seed=chosen.seed)
    verdicts = check.by_voxel["verdict"]
    counts = " | ".join(str((verdicts == word).sum()) for word in ("agrees", "disagrees", "unfinished"))
    worst = " | ".join(f"{largest(check, quantity):.1e}" for quantity in (COEFFICIENTS, ERRORS))
    print(f"| {link} | {ESTIMATORS[estimator]} | {counts} | {worst} |", flush=True)
    return v, check


def largest(check: MapAgreement, quantity: str) -> float:
    """The largest difference of a quantity, in its own unit, over the voxels that brglm2 finished."""
    done = [one for one in check.checks if one.verdict != "unfinished"]
    return max(abs(c.difference) for one in done for c in one.compared if c.quantity == quantity)


def apart(check: MapAgreement) -> list[str]:
    """What was said of every voxel that does not agree, three at most."""
    others = [(int(k), one) for k, one in zip(check.numbers, check.checks, strict=True) if one.verdict != "agrees"]
    return [f"voxel {k}: {one}" for k, one in others[:3]]


if __name__ == "__main__":
    sys.exit(main())
