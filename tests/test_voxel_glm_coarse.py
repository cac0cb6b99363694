"""Many rows: a coarse model first, then few passes over all of them, with the estimates of the plain search."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

import formula_neuro as fn
from formula_neuro.estimator import as_estimator
from formula_neuro.family import as_family
from formula_neuro_glm.voxels import representatives as coarse
from formula_neuro_glm.voxels.problem import Problem

ROWS = 4400  # just enough for representatives


def design(n: int = ROWS) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([np.ones(n), rng.normal(size=n), np.arange(n) % 2, rng.uniform(-1, 1, n)])


def lesions(X: np.ndarray) -> np.ndarray:
    """Voxels with a few events to a third of the rows."""
    rng = np.random.default_rng(1)
    eta = np.linspace(-0.5, -2.7, 6)[:, None] + X[:, 1:] @ [0.2, -0.1, 0.3]
    return (rng.random(eta.shape) < ndtr(eta)).astype(np.uint8)


def problem(X: np.ndarray, family: str, estimator: str, offset: np.ndarray | None = None) -> Problem:
    return Problem.of(X, as_family(family), as_estimator(estimator), offset=offset)


@pytest.mark.parametrize("estimator", ["ml", "mean_br", "median_br", "jeffreys"])
@pytest.mark.parametrize("link", ["probit", "logit", "cloglog"])
def test_a_coarse_model_leaves_the_estimates_as_they_are(link, estimator, monkeypatch):
    X = design()
    Y = lesions(X)
    p = problem(X, f"binomial({link})", estimator)
    assert p.packed.coarse is not None
    quick = p.fit(Y)
    monkeypatch.setattr(coarse, "WORTH", 1000)
    plain = problem(X, f"binomial({link})", estimator)
    assert plain.packed.coarse is None
    slow = plain.fit(Y)
    assert quick["converged"].all() and slow["converged"].all()
    # the last step leaves 3e-9 standard errors, and covariances follow it to a per cent of 1e-5
    assert np.abs((quick["coef"] - slow["coef"]) / slow["se"]).max() < 1e-7
    assert np.abs(quick["se"] / slow["se"] - 1).max() < 1e-7
    np.testing.assert_allclose(quick["loglik"], slow["loglik"], rtol=1e-10)
    assert (quick["class"] == slow["class"]).all()


def test_few_passes_over_all_rows_are_left():
    X = design()
    assert problem(X, "binomial(probit)", "mean_br").fit(lesions(X))["iterations"].max() <= 4


def test_representatives_keep_the_sums_of_polynomials():
    X = design()
    found = coarse.representatives(problem(X, "binomial(probit)", "mean_br").packed.exact)
    assert found is not None
    p = problem(X, "binomial(probit)", "mean_br")
    powers = [(p.rows.Q[:, 1] ** k, found.packed.Q[:, 1] ** k) for k in range(5)]
    for all_rows, few in powers:
        np.testing.assert_allclose(found.packed.trials @ few, all_rows.sum(), atol=1e-2)  # shares are of float32


@pytest.mark.parametrize("family", ["binomial(probit)", "binomial(logit)", "poisson"])
@pytest.mark.parametrize("rows", [60, ROWS])
def test_offsets_are_those_of_the_table(family, rows):
    X = design(rows)
    offset = 0.3 * np.sin(np.arange(rows))
    Y = lesions(X)[:2]
    answer = problem(X, family, "mean_br", offset).fit(Y)
    d = pd.DataFrame(X[:, 1:], columns=["a", "b", "c"]).assign(o=offset)
    for i, y in enumerate(Y):
        m = fn.fit("y ~ a + b + c + offset(o)", d.assign(y=y), family=family, estimator="mean_br")
        assert np.abs((answer["coef"][i] - m.coef) / m.se).max() < 1e-7
        assert np.abs(answer["se"][i] / m.se - 1).max() < 1e-7


@pytest.mark.parametrize("estimator", ["ml", "mean_br"])
def test_shares_under_the_log_link_are_those_of_the_table(estimator):
    X = design(200)
    Y = lesions(X)[:3]
    answer = problem(X, "binomial(log)", estimator).fit(Y)
    d = pd.DataFrame(X[:, 1:], columns=["a", "b", "c"])
    for i, y in enumerate(Y):
        m = fn.fit("y ~ a + b + c", d.assign(y=y), family="binomial(log)", estimator=estimator)
        assert answer["converged"][i] == m.converged
        assert np.abs((answer["coef"][i] - m.coef) / m.se).max() < 1e-7
