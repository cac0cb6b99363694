"""What leaving out a cluster does: by taking its share away, by refitting, and by the definition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError


def mice(seed=0):
    """Cells of 7 mice seen at two times, mouse 2 with another effect of time than the others; sites cross mice."""
    rng = np.random.default_rng(seed)
    mouse = np.repeat(np.arange(1, 8), [12, 40, 9, 15, 8, 11, 14])
    time = rng.integers(0, 2, len(mouse))
    effect = np.where(mouse == 2, -2.0, 0.5)
    y = 3 + effect * time + 0.6 * rng.normal(size=8)[mouse] + rng.normal(size=len(mouse))
    hit = (rng.random(len(mouse)) < 1 / (1 + np.exp(1.5 - 0.5 * y))).astype(int)
    table = pd.DataFrame({"mouse": mouse, "time": np.array(["24h", "48h"])[time], "y": y, "hit": hit})
    return table.assign(cell=rng.integers(0, 3, len(mouse)), site=rng.integers(0, 4, len(mouse)))


MICE = mice()


def definition(m, rows):
    """b without some rows, by generalized least squares with the covariance of the whole fit, n x n."""
    keep = ~rows
    X, y = m.request.design.matrix[keep], m.request.y[keep]
    V = np.diag(m.sigma**2 / m.request.weights[keep])
    for term, effect in zip(m.request.design.random, m.random, strict=True):
        Z = term.Z.toarray()[keep]
        V += Z @ np.kron(np.eye(len(term.levels)), effect.covariance) @ Z.T
    return np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, y))


@pytest.mark.parametrize(
    "formula",
    ["y ~ time + (1|mouse)", "y ~ time + (time|mouse)", "y ~ time + (1|mouse/cell)", "y ~ time + (1|mouse) + (1|site)"],
)
def test_dfbeta_is_that_of_least_squares_with_the_whole_fits_covariance(formula):
    m = fn.fit(formula, MICE)  # nested terms take the cluster's share away, crossed ones build V again
    table = m.influence(groups="mouse")
    for mouse in (1, 2, 7):
        expected = m.beta - definition(m, (MICE["mouse"] == mouse).to_numpy())
        found = table.loc[mouse, ["dfbeta_(Intercept)", "dfbeta_time48h"]].to_numpy(dtype=float)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_weights_count():
    m = fn.fit("y ~ time + (1|mouse)", MICE.assign(w=np.linspace(0.5, 2, len(MICE))), weights="w")
    expected = m.beta - definition(m, (MICE["mouse"] == 2).to_numpy())
    np.testing.assert_allclose(m.influence(groups="mouse").loc[2, "dfbeta_time48h"], expected[1], rtol=1e-8)


def test_exact_refits_without_the_cluster():
    m = fn.fit("y ~ time + (1|mouse)", MICE)
    table = m.influence(groups="mouse", exact=True)
    alone = fn.fit("y ~ time + (1|mouse)", MICE[MICE["mouse"] != 3])
    # two searches for one optimum
    assert table.loc[3, "dfbeta_time48h"] == pytest.approx(m.coef["time48h"] - alone.coef["time48h"], abs=1e-7)
    assert table.loc[3, "dfbetas_time48h"] == pytest.approx(
        (m.coef["time48h"] - alone.coef["time48h"]) / alone.se["time48h"], abs=1e-6
    )


def test_one_step_of_a_glmm_is_near_the_refit():
    m = fn.fit("hit ~ time + (1|mouse)", MICE, family="binomial")
    step, refit = (m.influence(groups="mouse", exact=exact) for exact in (False, True))
    # the variances are held in the one step, and it is one step: a fifth of a standard error is what it may miss
    np.testing.assert_allclose(step["dfbetas_time48h"], refit["dfbetas_time48h"], atol=0.2)
    assert np.corrcoef(step["dfbeta_time48h"], refit["dfbeta_time48h"])[0, 1] > 0.98


def test_cooks_distance_measures_the_move_by_the_fits_covariance():
    m = fn.fit("y ~ time + (1|mouse)", MICE)
    table = m.influence(groups="mouse")
    d = table.filter(like="dfbeta_").to_numpy()
    np.testing.assert_allclose(table["cooks_distance"], np.einsum("ci,ij,cj->c", d, np.linalg.inv(m.vcov), d) / 2)


def test_words_name_the_mouse_that_moves_the_effect():
    pooled = fn.fit("y ~ time", MICE)
    texts = pooled.influence(groups="mouse").attrs["messages"]
    assert any(text.startswith("mouse 2 moves time48h by -") and "with it" in text for text in texts)


def test_a_linear_model_without_a_cluster_is_its_refit():
    pooled = fn.fit("y ~ time", MICE)
    a, b = (pooled.influence(groups="mouse", exact=exact) for exact in (False, True))
    np.testing.assert_allclose(a.filter(like="dfbeta_"), b.filter(like="dfbeta_"), rtol=1e-9, atol=1e-12)


def test_a_coefficient_that_a_cluster_alone_determines_is_nan_and_said():
    odd = MICE.assign(drug=(MICE["mouse"] == 2).map({True: "yes", False: "no"}))
    table = fn.fit("y ~ drug + (1|mouse)", odd).influence(groups="mouse")
    assert np.isnan(table.loc[2, "dfbeta_drugyes"])
    assert any("without mouse 2 not all" in text for text in table.attrs["messages"])


def test_the_groups_of_a_nested_term_can_be_left_out_by_its_name():
    m = fn.fit("y ~ time + (1|mouse/cell)", MICE)
    table = m.influence(groups="cell:mouse")
    assert len(table) == MICE.groupby(["mouse", "cell"]).ngroups
    assert table["rows"].sum() == len(MICE)


def test_several_ways_of_clustering_are_refused():
    with pytest.raises(DataError, match="name one"):
        fn.fit("y ~ time + (1|mouse)", MICE).influence(groups=["mouse", "site"])
