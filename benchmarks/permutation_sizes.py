"""How often max-T finds something where there is nothing, beside a covariate: `permutation_sizes.py [studies]`.

300 voxels in a row, neighbours correlated by .9; every voxel depends on a nuisance, by half a standard deviation for
one of it, and not on the tested covariate. Binary responses are thresholded (probit), common ones have incidences of
10 to 50 %, rare ones of 1 to 8 %. 199 permutations a study, by the score statistics and by Freedman and Lane's t that
fn.permutation_test takes, without its images. Prints the tables of benchmarks/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from formula_neuro.family import as_family
from formula_neuro.maps.inference.nulls import Rows
from formula_neuro.maps.inference.permuted import FreedmanLane, Scores, without
from formula_neuro_glm.voxels.engine import NullModel

Array = NDArray[np.float64]
VOXELS, PERMUTATIONS, LEVEL = 300, 199, 0.05
EFFECT = 0.5  # of the nuisance
PROBIT = as_family("binomial(probit)")
INCIDENCE = {"common": (0.1, 0.5), "rare": (0.01, 0.08)}


def errors(rng: np.random.Generator, n: int, near: float = 0.9) -> Array:
    """(VOXELS, n) standard normal, each voxel correlated with the one before."""
    out = rng.normal(size=(VOXELS, n))
    for v in range(1, VOXELS):
        out[v] = near * out[v - 1] + np.sqrt(1 - near**2) * out[v]
    return out


def covariates(rng: np.random.Generator, n: int, correlation: float, kind: str) -> tuple[Array, Array]:
    """The nuisance and the tested covariate, whose rest beside the nuisance is normal, exponential or spread by it."""
    z, e = rng.normal(size=(2, n))
    rest = {"normal": e, "yes or no": e, "skewed": rng.exponential(size=n) - 1, "spread": e * np.exp(0.7 * z)}[kind]
    x = correlation * z + np.sqrt(1 - correlation**2) * rest
    return z, (x > 0.8).astype(float) if kind == "yes or no" else x


def p_value(method: Scores | FreedmanLane, rows: tuple[Array, Array, Array], n: int, rng: np.random.Generator) -> float:
    """Of the largest statistic of all voxels, the data's own among the permuted ones."""
    orders = np.array([np.arange(n), *(rng.permutation(n) for _ in range(PERMUTATIONS))])
    found = method.statistics(Rows(0, len(rows[0]), *rows), orders)
    largest = np.nan_to_num(np.abs(found)).max(axis=0)
    return float((largest >= largest[0] - 1e-9).mean())


def binary(rng: np.random.Generator, n: int, correlation: float, kind: str, incidence: str) -> float:
    z, x = covariates(rng, n, correlation, kind)
    level = stats.norm.ppf(np.linspace(*INCIDENCE[incidence], VOXELS)) * np.sqrt(1 + EFFECT**2)
    Y = (level[:, None] + EFFECT * z + errors(rng, n) > 0).astype(np.uint8)
    Y = Y[(Y.sum(axis=1) > 0) & (Y.sum(axis=1) < n)]
    Z = np.column_stack([np.ones(n), z])
    model = NullModel(Z, np.ones(n), np.zeros(n), PROBIT)
    nulls = model.fit(Y)
    still = nulls.still(0, len(Y), n) & nulls.fine[:, None]
    with np.errstate(all="ignore"):
        u, W, residual = (np.where(still, part, 0.0) for part in model.rows(nulls.b, Y))
    Q = np.linalg.qr(Z)[0]
    return p_value(Scores(without(x[:, None], Q, W.sum(axis=0)), Q), (u, W, residual), n, rng)


def gaussian(rng: np.random.Generator, n: int, correlation: float, kind: str, noise: str) -> float:
    z, x = covariates(rng, n, correlation, kind)
    e = errors(rng, n)
    if noise == "log-normal":
        e = np.exp(e)
    elif noise == "spread by what is tested":
        e = e * np.exp(0.5 * (x - x.mean()) / x.std())
    Y = EFFECT * z + e
    Q = np.linalg.qr(np.column_stack([np.ones(n), z]))[0]
    residual = Y - (Y @ Q) @ Q.T
    method = FreedmanLane(without(x[:, None], Q, np.ones(n)), Q, np.ones(n), n - 3.0)
    return p_value(method, (residual, residual, residual), n, rng)


def size(study: Callable[[np.random.Generator], float], studies: int, seed: int) -> str:
    """The share of studies that find something, with the limits of 95 % of it (Clopper and Pearson)."""
    found = sum(study(np.random.default_rng([seed, i])) <= LEVEL for i in range(studies))
    interval = stats.binomtest(found, studies).proportion_ci()
    return f"{found / studies:.3f} ({interval.low:.3f} to {interval.high:.3f})"


BINARY = [
    (40, 0.0, "normal", "common"), (40, 0.5, "normal", "rare"), (40, 0.8, "normal", "common"),
    (40, 0.8, "normal", "rare"), (100, 0.8, "normal", "common"), (100, 0.8, "normal", "rare"),
    (100, 0.5, "yes or no", "rare"), (100, 0.5, "spread", "common"), (300, 0.8, "normal", "rare"),
]  # fmt: skip
GAUSSIAN = [
    (20, 0.8, "normal", "normal"), (40, 0.8, "normal", "log-normal"), (40, 0.8, "skewed", "log-normal"),
    (100, 0.8, "normal", "log-normal"), (40, 0.5, "spread", "normal"),
    (40, 0.5, "normal", "spread by what is tested"),
]  # fmt: skip


if __name__ == "__main__":
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print("| masks | correlation | tested covariate | lesions | found something |")
    print("|---:|---:|---|---|---|")
    for seed, (n, r, kind, incidence) in enumerate(BINARY):
        one = partial(binary, n=n, correlation=r, kind=kind, incidence=incidence)
        print(f"| {n} | {r} | {kind} | {incidence} | {size(one, studies, seed)} |", flush=True)
    print("\n| images | correlation | tested covariate | noise | found something |\n|---:|---:|---|---|---|")
    for seed, (n, r, kind, noise) in enumerate(GAUSSIAN, 100):
        one = partial(gaussian, n=n, correlation=r, kind=kind, noise=noise)
        print(f"| {n} | {r} | {kind} | {noise} | {size(one, studies, seed)} |", flush=True)
