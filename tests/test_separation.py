"""Separation against answers found otherwise: closed forms, enumeration of directions, R's own definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.family import as_family
from formula_neuro.kernels.separation import classify

BINOMIAL = as_family("binomial")


def kind(X, y, family=BINOMIAL, w=None):
    names = [f"b{j}" for j in range(X.shape[1])]
    return classify(names, np.asarray(X, float), np.asarray(y, float), np.ones(len(y)) if w is None else w, family)


def test_one_covariate_agrees_with_its_closed_form_on_random_cases():
    rng = np.random.default_rng(0)
    for i in range(80):
        n, unit = int(rng.integers(3, 15)), rng.choice([1.0, 1e6, 1e-6])
        x = (rng.integers(-3, 4, n) if i % 2 else rng.normal(size=n)) * unit
        y = (x + rng.normal(size=n) * unit * rng.choice([0, 1, 3]) > 0) * 1.0
        if np.ptp(x) == 0 or y.min() == y.max():
            continue
        found = kind(np.column_stack([np.ones(n), x]), y)
        up, down = x[y == 0].max() - x[y == 1].min(), x[y == 1].max() - x[y == 0].min()
        expected = "overlap" if min(up, down) > 0 else "complete" if min(up, down) < 0 else "quasi-complete"
        assert found.kind == expected
        assert expected == "overlap" or found.signs["b1"] == (1.0 if up <= 0 else -1.0)


def enumerated(X, y):
    """Kind and the coefficients' signs from every direction with entries -3..3, enough for designs of -1, 0, 1."""
    A = X * (2 * y - 1)[:, None]
    grid = np.array(list(itertools.product(range(-3, 4), repeat=X.shape[1])))
    effects = grid @ A.T
    inside = (effects >= 0).all(axis=1) & (effects > 0).any(axis=1)
    if not inside.any():
        return "overlap", {}
    signs = {}
    for j in range(X.shape[1]):
        found = set(np.sign(grid[inside, j])) - {0}
        if found:
            signs[f"b{j}"] = float(found.pop()) if len(found) == 1 else 0.0
    moved = (effects[inside] > 0).any(axis=0)
    return ("complete" if moved.all() else "quasi-complete"), signs


def test_small_whole_number_designs_agree_with_enumerating_directions():
    rng = np.random.default_rng(1)
    kinds = set()
    for _ in range(60):
        n = int(rng.integers(5, 12))
        X = np.column_stack([np.ones(n), rng.integers(-1, 2, (n, 2))])
        y = rng.integers(0, 2, n).astype(float)
        if np.linalg.matrix_rank(X) < 3 or y.min() == y.max():
            continue
        found = kind(X, y)
        assert (found.kind, dict(found.signs)) == enumerated(X, y)
        kinds.add(found.kind)
    assert kinds == {"overlap", "quasi-complete", "complete"}


def test_units_origins_and_duplicates_do_not_matter():
    rng = np.random.default_rng(2)
    for _ in range(15):
        X = np.column_stack([np.ones(12), rng.normal(size=12), rng.integers(0, 2, 12)])
        y = (X[:, 1] + 2 * X[:, 2] + rng.normal(size=12) > 0.8) * 1.0
        if y.min() == y.max() or np.ptp(X[:, 2]) == 0:
            continue
        other = np.vstack([X, X[::2]]) * np.array([1.0, 1e6, 1e-6])
        assert kind(other, np.r_[y, y[::2]]) == kind(X, y)
        moved = X.copy()
        moved[:, 1] += 2000.0  # the intercept then follows the slope; kind and slopes stay
        a, b = kind(moved, y), kind(X, y)
        assert (a.kind, a.signs.get("b1"), a.signs.get("b2")) == (b.kind, b.signs.get("b1"), b.signs.get("b2"))


def test_an_empty_cell_is_quasi_complete_and_names_that_coefficient_alone():
    g = np.repeat([0.0, 1.0], 10)
    y = np.r_[np.tile([0.0, 1.0], 5), np.ones(10)]
    found = kind(np.column_stack([np.ones(20), g]), y)
    assert (found.kind, found.signs) == ("quasi-complete", {"b1": 1.0})


@pytest.mark.parametrize(("value", "sign"), [(0.0, -1.0), (1.0, 1.0)])
def test_a_constant_response_has_its_own_kind_and_moves_the_intercept_only(value, sign):
    X = np.column_stack([np.ones(6), np.arange(6.0)])
    found = kind(X, np.full(6, value))
    assert (found.kind, found.signs) == (f"all {value:g}", {"b0": sign, "b1": 0.0})


def test_shares_between_0_and_1_hold_their_rows():
    X = np.column_stack([np.ones(4), [0.0, 0, 1, 1]])
    assert kind(X, [0.2, 0.5, 1.0, 1.0]).signs == {"b1": 1.0}
    assert kind(X, [0.2, 0.5, 1.0, 0.9]).kind == "overlap"


def test_rows_of_zero_weight_have_no_say():
    X = np.column_stack([np.ones(5), [1.0, 2, 3, 4, 9]])
    assert kind(X, [0, 0, 1, 1, 0]).kind == "overlap"
    assert kind(X, [0, 0, 1, 1, 0], w=np.array([1.0, 1, 1, 1, 0])).kind == "complete"


def test_the_log_link_of_shares_lets_only_failures_run_away():
    X = np.column_stack([np.ones(6), [0.0, 0, 0, 1, 1, 1]])
    log = as_family("binomial(log)")
    assert kind(X, [0, 1, 0, 0, 0, 0], log).signs == {"b1": -1.0}
    assert kind(X, [0, 1, 0, 1, 1, 1], log).kind == "overlap"  # a risk of 1 is a finite coefficient
    assert kind(X, [1, 1, 1, 1, 1, 1], log).signs == {}


def test_a_group_of_zero_counts_is_infinite_under_the_log_and_not_under_the_square_root():
    X = np.column_stack([np.ones(6), [0.0, 0, 0, 1, 1, 1]])
    assert kind(X, [2, 1, 3, 0, 0, 0], as_family("poisson")).signs == {"b1": -1.0}
    assert kind(X, [2, 1, 3, 0, 0, 0], as_family("poisson(sqrt)")).kind == ""


def test_overlap_by_less_than_one_part_in_a_million_is_still_overlap():
    x = np.array([0.0, 1, 2, 2 - 1e-6, 3, 4])
    assert kind(np.column_stack([np.ones(6), x]), [0, 0, 0, 1, 1, 1]).kind == "overlap"
    x[3] = 2 + 1e-6
    assert kind(np.column_stack([np.ones(6), x]), [0, 0, 0, 1, 1, 1]).kind == "complete"


def test_many_rows_with_one_separated_level_are_no_overlap():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(1000), rng.normal(size=(1000, 3)), rng.integers(0, 2, 1000)])
    y = ((X[:, 1] + rng.logistic(size=1000) > 0) | (X[:, 4] == 1)) * 1.0
    found = kind(X, y)
    assert (found.kind, found.signs) == ("quasi-complete", {"b4": 1.0})


def test_aliased_columns_stay_out_and_fits_report_kind_and_signs():
    table = {"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2, 3, 4, 5, 6], "z": [2.0, 4, 6, 8, 10, 12]}
    for estimator in ("ml", "mean_br"):
        m = fn.fit("y ~ x + z", table, family="binomial", estimator=estimator)
        assert (m.separation, dict(m.separated)) == ("complete", {"(Intercept)": -1.0, "x": 1.0})
        assert m.converged == (estimator == "mean_br")


@pytest.mark.parametrize(
    ("family", "y"),
    [("quasi(logit, mu(1-mu))", [0, 0, 1, 1]), ("quasi(log, mu)", [0, 0, 3, 4]), ("quasi(log, mu^2)", [0, 0, 3, 4])],
)
def test_a_quasi_family_separates_like_the_family_of_its_variance(family, y):
    m = fn.fit("y ~ g", {"g": list("aabb"), "y": np.array(y, dtype=float)}, family=family)
    assert not m.converged and m.separated == {"(Intercept)": -1.0, "gb": 1.0}


def test_separation_says_what_to_do_instead():
    x = [1.0, 2, 3, 4, 5, 6]
    shares = fn.fit("y ~ x", {"x": x, "y": [0, 0, 0, 1, 1, 1]}, family="binomial")
    counts = fn.fit("y ~ f", {"f": list("aaabbb"), "y": [0, 0, 0, 1, 9, 4]}, family="nbinom2")
    words = "fn.confint(fit, method='profile') gives the limits"
    assert "x (+infinity) are infinite" in shares.messages[0]
    assert "estimator='mean_br' gives finite estimates" in shares.messages[0] and words in shares.messages[0]
    assert "mean_br" not in counts.messages[0] and words in counts.messages[0]  # it has no adjusted scores


def test_separated_shares_under_cloglog_come_close_to_their_limit():
    x = np.array([-9.0, -4, -1, -0.2, 0.1, 0.3, 2, 6, 12])
    m = fn.fit("y ~ x", {"x": x, "y": (x > 0).astype(float)}, family="binomial(cloglog)")
    assert m.separation == "complete"
    assert m.deviance < 1e-4  # the supremum of the likelihood is 1; far rows must not hold the near ones back
