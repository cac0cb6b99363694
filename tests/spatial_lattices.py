"""Small masks and lattices that the tests of the spatial model share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from formula_neuro.images.grid import Grid
from formula_neuro.images.stack import Images, analysed
from formula_neuro.images.store import InMemory, Store
from formula_neuro_spatial.graph import MaskGraph
from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.model import Model
from formula_neuro_spatial.rows import Rows

PROBIT = "binomial(probit)"
Q = np.array([[6.0, 1.0], [1.0, 12.0]])


def masks(mask: np.ndarray, n: int = 60, level: float = -1.0, seed: int = 0) -> Images:
    """Masks of n subjects within `mask`, whose probability varies smoothly and rises with age on one side."""
    rng = np.random.default_rng(seed)
    at = np.argwhere(mask)
    table = pd.DataFrame({"age": rng.uniform(45, 80, n), "sex": np.array(["F", "M"])[np.arange(n) % 2]})
    older = (table["age"].to_numpy() - 60) / 10
    eta = (level + 0.3 * np.sin(at[:, 1]))[:, None] + (0.4 * (at[:, 0] > 2))[:, None] * older
    Y = (eta + rng.standard_normal(eta.shape) > 0).astype(np.uint8)
    voxels = np.flatnonzero(mask.ravel()).astype(np.int64)
    counts, whole = Y.sum(axis=1).astype(np.int64), np.ones(len(Y), dtype=bool)
    bits = InMemory(np.packbits(Y, axis=1))
    store = Store(Grid(mask.shape, np.diag([8.0, 8, 8, 1])), n, True, voxels, counts, whole, bits, f"{seed}-{level}")
    rows = np.arange(n, dtype=np.int64)
    found = analysed(store, mask, rows, 1)
    return Images(table.assign(lesion="in memory"), "lesion", mask, store, rows, 1, *found)


def lattice(shape=(5, 4, 3), n=40, level=-0.8, seed=0) -> tuple[Model, np.ndarray]:
    """A model of simulated masks on a box without two of its corners, and the masks."""
    rng = np.random.default_rng(seed)
    voxels = np.arange(int(np.prod(shape)))[1:-1]
    graph = MaskGraph.of(voxels, shape)
    matrix = np.column_stack([np.ones(n), rng.uniform(40, 80, n)])
    rows = Rows.of(matrix, np.zeros(n), ["(Intercept)", "age"])
    at = np.array(np.unravel_index(voxels, shape)).T
    b = np.column_stack([level + 0.3 * np.sin(at[:, 0]), 0.3 * np.cos(at[:, 1])])
    Y = (b @ (matrix @ rows.T).T + rng.standard_normal((len(voxels), n)) > 0).astype(np.uint8)
    return Model(Likelihood(rows, lambda first, last: Y[first:last], len(Y)), graph, 3.0), Y


def design(model: Model) -> np.ndarray:
    return model.likelihood.rows.X[model.likelihood.rows.group]
