"""Every voxel of a block equals the table's fit of its responses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

import formula_neuro as fn
from formula_neuro.estimator import as_estimator
from formula_neuro.family import as_family
from formula_neuro_glm import glm
from formula_neuro_glm.voxels.problem import Problem

LINKS = ["probit", "logit", "cloglog"]
ESTIMATORS = ["ml", "mean_br", "median_br", "jeffreys", "jeffreys(0.2)"]


def table(n: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex = (np.arange(n) % 2).astype(float)
    return pd.DataFrame({"age": rng.uniform(40, 80, n), "sex": sex, "size": rng.normal(size=n)})


def matrix(d: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.ones(len(d)), d["age"], d["sex"], d["size"]])


def lesions(d: pd.DataFrame, voxels: int, seed: int = 1) -> np.ndarray:
    """Voxels from frequent to rare, so that some are separated and some have one event."""
    rng = np.random.default_rng(seed)
    eta = (
        np.linspace(0.3, -1.8, voxels)[:, None] + 0.02 * (d["age"].to_numpy() - 60) + 0.5 * (d["sex"].to_numpy() - 0.5)
    )
    return (rng.random((voxels, len(d))) < ndtr(eta)).astype(np.uint8)


def tables(d: pd.DataFrame, Y: np.ndarray, family: str, estimator: str) -> list[fn.Fit]:
    """The table's fit of every voxel."""
    first = fn.fit("y ~ age + sex + size", d.assign(y=np.arange(len(d)) % 2), family=family, estimator=estimator)
    return [glm.fit(first.request.with_response(y)) for y in Y]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("link", [*LINKS, "cauchit"])
def test_each_voxel_is_the_tables_fit(link, estimator):
    d, family = table(), f"binomial({link})"
    Y = lesions(d, 10)
    answer = Problem.of(matrix(d), as_family(family), as_estimator(estimator)).fit(Y)
    fits = tables(d, Y, family, estimator)
    assert [bool(c) for c in answer["converged"]] == [m.converged for m in fits]
    for i, m in enumerate(fits):
        assert dict(zip(m.coef.index, answer["separated"][i], strict=True)) == signs(m)
        if not m.converged:
            continue
        # both stop within 1e-10 standard errors of the root, or where rounding stops them
        assert np.abs((answer["coef"][i] - m.coef) / m.se).max() < 1e-8
        assert np.abs(answer["se"][i] / m.se - 1).max() < 1e-7
        assert abs(answer["loglik"][i] - m.loglik) < 1e-7


def signs(m: fn.Fit) -> dict[str, int]:
    """The table's signs of infinite coefficients, 2 in place of one that the data leave open."""
    return {name: int(m.separated[name]) or 2 if name in m.separated else 0 for name in m.coef.index}


def test_a_linear_model_of_weights_and_offsets_is_the_tables():
    d = table()
    rng = np.random.default_rng(5)
    d = d.assign(w=rng.integers(0, 4, len(d)), o=rng.normal(size=len(d)))
    Y = rng.normal(size=(3, len(d)))
    answer = Problem.of(
        matrix(d), as_family("gaussian"), as_estimator("ml"), weights=d["w"].to_numpy(), offset=d["o"].to_numpy()
    ).fit(Y)
    for i, y in enumerate(Y):
        m = fn.fit("y ~ age + sex + size", d.assign(y=y), weights="w", offset="o")
        assert np.allclose(answer["coef"][i], m.coef, rtol=1e-9)
        assert np.allclose(answer["se"][i], m.se, rtol=1e-9)
        assert np.allclose(answer["covariance"][i], m.vcov.to_numpy()[np.tril_indices(4)], rtol=1e-8)
        assert np.isclose(answer["sigma"][i], m.sigma) and np.isclose(answer["loglik"][i], m.loglik)
        assert np.isclose(answer["deviance"][i], m.deviance)


def test_of_several_roots_the_voxel_has_the_tables():
    """Age separates one sex, so that mean bias reduction with cloglog has a root with means of 1 and a nearer one."""
    age = "70.7 45 73.1 74 54 60.5 64.1 53.6 64.9 69.3 74.4 53.5 57.2 63.8 79 77.1 42.3 70.6 46.3 51.1 63.3"
    y = np.array([int(c) for c in "000011101001100010101"])
    d = pd.DataFrame({"age": [float(a) for a in age.split()], "sex": np.arange(21) % 2, "y": y})
    X = np.column_stack([np.ones(21), d["age"], d["sex"], d["age"] * d["sex"]])
    answer = Problem.of(X, as_family("binomial(cloglog)"), as_estimator("mean_br")).fit(y[None].astype(np.uint8))
    m = fn.fit("y ~ age * sex", d, family="binomial(cloglog)", estimator="mean_br")
    assert answer["converged"][0] and m.converged
    assert np.abs((answer["coef"][0] - m.coef) / m.se).max() < 1e-8  # both stop within 1e-10 standard errors
