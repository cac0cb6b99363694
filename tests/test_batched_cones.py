"""Separation of many responses at once beside the linear programmes of one."""

from __future__ import annotations

import numpy as np
import pytest

from formula_neuro.kernels.cone import recession_cone
from formula_neuro.kernels.cones import recession_cones

DESIGNS = ("numbers", "factor and number", "interaction", "ties")


def _design(kind: str, rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(12, 50))
    sex, age = rng.integers(0, 2, n), rng.uniform(40, 80, n)
    whole = rng.integers(40, 46, n).astype(float)
    columns = {
        "numbers": [age, rng.standard_normal(n)],
        "factor and number": [age, sex],
        "interaction": [age, sex, age * sex],
        "ties": [whole, sex, whole * sex],
    }[kind]
    return np.column_stack([np.ones(n), *columns])


@pytest.mark.parametrize("kind", DESIGNS)
def test_the_batch_finds_the_cones_that_one_by_one_finds(kind: str) -> None:
    rng = np.random.default_rng(11)
    X = _design(kind, rng)
    assert np.linalg.matrix_rank(X) == X.shape[1]
    Y = rng.random((40, len(X))) < rng.choice([0.05, 0.15, 0.4], 40)[:, None]
    sides = np.where(Y[Y.any(axis=1) & ~Y.all(axis=1)], 1, -1).astype(np.int8)
    cones = recession_cones(X, sides)
    assert cones.sure.mean() > 0.9 and 0 < cones.apart.sum() < len(sides)
    for c in np.flatnonzero(cones.sure):
        alone = recession_cone(X, sides[c].astype(float))
        if alone is None:
            assert not cones.apart[c]
            continue
        assert cones.complete[c] == alone.moved.all()
        assert np.array_equal(cones.infinite[c], alone.infinite) and np.array_equal(cones.signs[c], alone.sign)
