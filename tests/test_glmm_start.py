"""Where the search for a generalized linear mixed model begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro_mixed.glmm import inner as glmm_inner
from formula_neuro_mixed.glmm import start as glmm_start


def beginning(family, y, g):
    """theta and the intercept in inner coordinates, where X is a column of 1 but for its sign."""
    design = model_matrix("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": [f"g{i:03d}" for i in g]}))
    problem = glmm_inner.inner(as_request(design, as_family(family)))
    b = glmm_start.alone(problem.model).b
    theta, intercept = glmm_start.start(problem.model, problem.terms, b)
    return theta, intercept * problem.model.X[0, 0]


def test_of_poisson_counts_it_is_near_the_standard_deviation_and_the_mean_given_the_effects():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(400), 20)
    y = rng.poisson(np.exp(0.5 + 0.6 * rng.standard_normal(400)[g]))
    theta, intercept = beginning("poisson", y, g)
    # 400 levels know a standard deviation to 1/sqrt(800) of it, moments of lognormal means to some three times that
    assert theta == pytest.approx(0.6, abs=0.1)
    assert intercept == pytest.approx(0.5, abs=0.12)


def test_without_more_variation_than_the_family_has_it_is_small_but_not_0():
    # 0 is a stationary point that no search would leave
    y, g = np.tile([0, 1], 200), np.repeat(np.arange(40), 10)
    assert beginning("binomial", y, g)[0] == pytest.approx(0.2)


def test_an_overdispersed_family_begins_with_effects_of_the_usual_size():
    y = np.random.default_rng(2).negative_binomial(2, 0.4, 400)
    design = model_matrix("y ~ 1 + (1|g)", pd.DataFrame({"y": y, "g": np.repeat(np.arange(40), 10).astype(str)}))
    problem = glmm_inner.inner(as_request(design, as_family("nbinom2")))
    assert glmm_start.start(problem.model, problem.terms, np.zeros(1))[0] == 1
