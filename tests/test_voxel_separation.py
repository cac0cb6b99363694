"""Classes and signs of separated voxels equal those of the table's linear programmes."""

from __future__ import annotations

import numpy as np
import pytest

from formula_neuro.estimator import as_estimator
from formula_neuro.family import as_family
from formula_neuro.kernels.separation import classify
from formula_neuro_glm.voxels.classes import KINDS
from formula_neuro_glm.voxels.problem import Problem

RNG = np.random.default_rng(7)
AGE, SEX, SITE = RNG.integers(0, 9, 40) * 1.0, np.arange(40) % 2 * 1.0, np.arange(40) % 3
ONE = np.ones(40)
DESIGNS = {
    "age": np.column_stack([ONE, AGE]),
    "age, no intercept": np.column_stack([AGE - 4]),
    "age * sex": np.column_stack([ONE, AGE, SEX, AGE * SEX]),
    "age + site": np.column_stack([ONE, AGE, SITE == 1, SITE == 2]).astype(float),
    "sex * (age + noise)": np.column_stack([ONE, AGE, RNG.normal(size=40), SEX, AGE * SEX, RNG.normal(size=40) * SEX]),
}


def exact(X: np.ndarray, y: np.ndarray, family: str) -> tuple[int, list[int]]:
    """The class and signs of the table, 2 in place of an open sign."""
    names = [str(j) for j in range(X.shape[1])]
    apart = classify(names, X, y.astype(float), np.ones(len(y)), as_family(family), np.full(len(y), np.nan))
    return KINDS[apart.kind], [int(apart.signs[name]) or 2 if name in apart.signs else 0 for name in names]


@pytest.mark.parametrize("name", DESIGNS)
def test_classes_and_signs_are_those_of_the_linear_programmes(name):
    X, family = DESIGNS[name], "binomial(probit)"
    rng = np.random.default_rng(3)
    Y = (rng.random((30, 40)) < rng.uniform(0, 0.3, (30, 1)) * (1 + AGE / 4)).astype(np.uint8)
    Y[:7, SEX == 1] = 0
    Y[7:12, SEX == 0] = 1
    Y[12:14, SITE == 0] = 0
    Y[14:18] = rng.integers(2, 8, (4, 1)) < AGE
    Y[18:21] &= AGE == 8
    expected = [exact(X, y, family) for y in Y]
    assert len({kind for kind, _ in expected}) > 1  # the voxels are of several kinds
    for estimator in ("ml", "mean_br"):
        answer = Problem.of(X, as_family(family), as_estimator(estimator)).fit(Y)
        assert answer["class"].tolist() == [kind for kind, _ in expected]
        assert answer["separated"].tolist() == [signs for _, signs in expected]


@pytest.mark.parametrize("family", ["binomial(log)", "poisson"])
def test_a_log_link_separates_by_zeros_alone(family):
    X = DESIGNS["age + site"]
    rng = np.random.default_rng(4)
    Y = (rng.random((20, 40)) < 0.2).astype(np.uint8)
    Y[:8, SITE == 2] = 0
    answer = Problem.of(X, as_family(family), as_estimator("ml")).fit(Y)
    expected = [exact(X, y, family) for y in Y]
    assert answer["class"].tolist() == [kind for kind, _ in expected]
    assert answer["separated"].tolist() == [signs for _, signs in expected]
