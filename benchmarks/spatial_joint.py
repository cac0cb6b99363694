"""How often joint statements of the spatial model hold: coefficients drawn from its prior, masks from them, and a fit.

python benchmarks/spatial_joint.py [--repetitions 150] [--level -0.7] [--subjects 80]   (150: 10 minutes of one core)
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

import formula_neuro as fn
from formula_neuro.images.grid import Grid
from formula_neuro.images.stack import Images, analysed
from formula_neuro.images.store import InMemory, Store
from formula_neuro.maps.inference.clusters import members
from formula_neuro.maps.inference.sizes import cluster_sizes
from formula_neuro_spatial.graph import MaskGraph

SHAPE, SLOPE = (8, 7, 4), 0.15
Q = np.array([[8.0, 1.0], [1.0, 15.0]])
ALPHAS, LEVELS = (0.5, 0.2, 0.1, 0.05), (0.8, 0.95)


def simulated(seed: int, level: float, n: int) -> tuple[Images, np.ndarray]:
    """Masks of n subjects with a standardised covariate x, and the coefficients (V, 2) that they are drawn from."""
    rng = np.random.default_rng([11, seed])
    V = int(np.prod(SHAPE))
    graph = MaskGraph.of(np.arange(V), SHAPE)
    size, ways = np.linalg.eigh(np.diag(graph.n_s) - graph.adjacency.toarray())
    drawn = ways[:, 1:] @ (rng.standard_normal((V - 1, 2)) / np.sqrt(size[1:])[:, None])
    b = drawn @ np.linalg.cholesky(np.linalg.inv(Q)).T + [level, SLOPE]
    x = rng.standard_normal(n)
    x = (x - x.mean()) / x.std()
    Y = (b @ np.vstack([np.ones(n), x]) + rng.standard_normal((V, n)) > 0).astype(np.uint8)
    bits, rows, mask = InMemory(np.packbits(Y, axis=1)), np.arange(n, dtype=np.int64), np.ones(SHAPE, dtype=bool)
    counts = Y.sum(axis=1).astype(np.int64)
    store = Store(Grid(SHAPE, np.diag([4.0, 4, 4, 1])), n, True, np.arange(V), counts, mask.ravel(), bits, str(seed))
    table = pd.DataFrame({"x": x, "lesion": "in memory"})
    return Images(table, "lesion", mask, store, rows, 1, *analysed(store, mask, rows, 1)), b[:, 1]


def held(images: Images, truth: np.ndarray) -> tuple[list[tuple], list[tuple]]:
    """Of one data set: joint sets with whether all of them is above 0, clusters with whether their intervals hold."""
    v = fn.fit("lesion ~ x", images, family="binomial(probit)", estimator="spatial", progress=False)
    maps = fn.excursions(v, "x", n=500, alternative="greater", progress=False)
    sets = []
    for alpha in ALPHAS:
        kept = maps.threshold(alpha).kept
        if kept.any():
            sets.append((1 - alpha, int(kept.sum()), bool((truth[kept] > 0).all())))
    found = fn.contrast(v, "x").threshold("fdr", 0.05)
    clusters, scaled = [], (truth / maps.contrast.values["se"])[:, None]
    for level in LEVELS:
        table = maps.clusters(found, conf_level=level)
        for (_, row), (sign, inside) in zip(table.iterrows(), members(found), strict=True):
            size = cluster_sizes(found, scaled, sign, [inside])[0, 0]
            share = (truth[inside] * sign > 0).mean()
            clusters.append((level, len(inside), row.size_low <= size <= row.size_high, share >= row.beyond_low))
    return sets, clusters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=150)
    parser.add_argument("--level", type=float, default=-0.7, help="of the linear predictor: the incidence")
    parser.add_argument("--subjects", type=int, default=80)
    given = parser.parse_args()
    sets, clusters = [], []
    for seed in range(given.repetitions):
        a, b = held(*simulated(seed, given.level, given.subjects))
        sets, clusters = sets + a, clusters + b
    joint = pd.DataFrame(sets, columns=["probability", "voxels", "held"])
    print(joint.groupby("probability").agg(sets=("held", "size"), voxels=("voxels", "mean"), held=("held", "mean")))
    table = pd.DataFrame(clusters, columns=["conf_level", "voxels", "size", "share"])
    for least in (1, 5):
        shown = table[table["voxels"] >= least].groupby("conf_level")
        print(f"clusters of {least} voxels or more")
        print(shown.agg(clusters=("voxels", "size"), size=("size", "mean"), share=("share", "mean")))


if __name__ == "__main__":
    main()
