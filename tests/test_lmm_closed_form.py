"""What makes small linear mixed models quick: closed forms, against the general paths that they stand in for."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro.kernels.templates import lower_factor
from formula_neuro_mixed.lmm.derivatives import Solver
from formula_neuro_mixed.lmm.fitting import cross_products
from formula_neuro_mixed.lmm.scalar import closed_form
from formula_neuro_mixed.newton import Target, minimise


def products(formula: str, estimator: str):
    rng = np.random.default_rng(6)
    g = rng.integers(0, 9, 70)
    data = {"y": rng.normal(size=9)[g] + rng.normal(size=70), "x": rng.normal(size=70), "g": g.astype(str)}
    design = model_matrix(formula, data, weights=rng.uniform(0.5, 2, 70))
    return cross_products(as_request(design, as_family("gaussian"), estimator))[0]


@pytest.mark.parametrize("estimator", ["reml", "ml"])
@pytest.mark.parametrize("formula", ["y ~ x + (1|g)", "y ~ x + (0 + x|g)", "y ~ 0 + (1|g)"])
@pytest.mark.parametrize("theta", [0.0, 0.2, 1.0, 30.0])
def test_one_effect_a_level_has_the_derivatives_of_the_general_path(formula, estimator, theta):
    sums = products(formula, estimator)
    fast, general, point = closed_form(sums), Solver(sums), np.array([theta])
    for one, two in zip(fast.derivatives(point), general.derivatives(point), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-10)  # rounding of sums of some hundred terms
    assert fast.value(point) == fast.derivatives(point)[0]


@pytest.mark.parametrize("formula", ["y ~ x + (1|g)", "y ~ x + (0 + x|g)"])
def test_one_effect_a_level_has_the_start_of_the_general_path(formula):
    sums = products(formula, "reml")
    np.testing.assert_allclose(closed_form(sums).start(), Solver(sums).start(), rtol=1e-10)  # as above


@pytest.mark.parametrize("formula", ["y ~ x + (x|g)", "y ~ x + (1|g) + (1|x)"])
def test_other_models_have_no_closed_form(formula):
    assert closed_form(products(formula, "reml")) is None


@pytest.mark.parametrize(
    "F",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        [[1.0, 2.0], [-2.0, -4.0]],
        [[3.0, -4.0], [0.0, 0.0]],
        [[1e-170, 1e-170], [1e-170, -1e-170]],
    ],
)
def test_a_lower_factor_of_two_effects_is_that_of_more(F):
    wide = np.zeros((3, 3))
    wide[:2, :2] = F
    np.testing.assert_allclose(lower_factor(np.array(F)), lower_factor(wide)[:2, :2], rtol=1e-14)  # last digits


def test_a_lower_factor_whose_first_effect_is_0_has_one_column():
    assert lower_factor(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0.0, 0.0], [0.0, 5.0]]


def test_a_search_gives_up_where_its_steps_lead_nowhere_near_the_goal():
    def derivatives(x):
        return float(x[0] ** 2 + 5), 2 * x, np.array([[2.0]])

    target = Target(
        lambda x: derivatives(x)[0], lambda x: derivatives(x)[:2], derivatives, lambda point, step: abs(step[0])
    )
    search = partial(minimise, target, np.array([0.1]), tolerance=1e-14)
    assert search(goal=4.0).point.tolist() == [0.1]  # 10 times the gain of 0.01 would not do
    assert abs(search(goal=5.001).point[0]) < 1e-7
