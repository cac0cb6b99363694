"""The native linear mixed model against dense textbook formulas, and by what must not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import linalg, optimize

import formula_neuro as fn
from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.errors import DataError, FitError
from formula_neuro.family import as_family
from formula_neuro_mixed.lmm import rest
from formula_neuro_mixed.lmm.derivatives import derivatives, gradient
from formula_neuro_mixed.lmm.fitting import cross_products
from formula_neuro_mixed.lmm.minque import minque_theta
from formula_neuro_mixed.lmm.profiled import criterion
from formula_neuro_mixed.newton import Target, minimise
from formula_neuro_mixed.terms import start_theta

# Davies & Goldsmith (1972), as printed in Bates et al.: yields of six batches of dyestuff, five each
DYESTUFF = pd.DataFrame(
    {
        "batch": np.repeat(list("ABCDEF"), 5),
        "y": [1545, 1440, 1440, 1520, 1580, 1540, 1555, 1490, 1560, 1495, 1595, 1550, 1605, 1510, 1560,
              1445, 1440, 1595, 1465, 1545, 1595, 1630, 1515, 1635, 1625, 1520, 1455, 1450, 1480, 1445],
    }
)  # fmt: skip


def crossed(n=120, seed=0):
    """Two crossed factors, a slope that varies by the first, weights."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(0, 9, n), rng.integers(0, 6, n), rng.normal(size=n)
    y = 2 + x + rng.normal(size=9)[g] + 0.6 * rng.normal(size=9)[g] * x + 0.8 * rng.normal(size=6)[h]
    data = pd.DataFrame({"g": g, "h": h, "x": x, "w": rng.uniform(0.5, 2, n), "o": rng.normal(size=n)})
    return data.assign(y=y + rng.normal(size=n), g=data.g.map("g{}".format), h=data.h.map("h{}".format))


def native(formula, data, **options):
    return fn.fit(formula, data, backend="native-lmm", **options)


def request_for(formula, data, estimator="reml", **options):
    return as_request(model_matrix(formula, data, **options), as_family("gaussian"), estimator)


# ---- the textbook: everything from the n x n covariance ------------------------------------------
def relative_covariance(request, theta):
    """V = W^-1 + sum over terms of Z (I x LL') Z', (n, n)."""
    V, start = np.diag(1 / request.weights), 0
    for term in request.design.random:
        K = len(term.columns)
        L = np.zeros((K, K))
        for j in range(K):
            for i in range(j, K):
                L[i, j] = theta[start]
                start += 1
        Z = term.Z.toarray()
        V = V + Z @ np.kron(np.eye(len(term.levels)), L @ L.T) @ Z.T
    return V


def dense_deviance(request, theta, reml, s2=None):
    """-2 log-likelihood (or the REML criterion) from its definition; s2 profiled out unless given."""
    y, X = request.y - request.design.offset, request.design.matrix
    V = relative_covariance(request, theta)
    n, p = X.shape
    XVX = X.T @ np.linalg.solve(V, X)
    r = y - X @ np.linalg.solve(XVX, X.T @ np.linalg.solve(V, y))
    r2, df = r @ np.linalg.solve(V, r), n - p if reml else n
    s2 = r2 / df if s2 is None else s2
    value = df * np.log(2 * np.pi * s2) + np.linalg.slogdet(V)[1] + r2 / s2
    return value + np.linalg.slogdet(XVX)[1] if reml else value


MODELS = [
    ("y ~ x + (1|g)", {}),
    ("y ~ x + (x|g)", {"weights": "w"}),
    ("y ~ x + (x||g) + (1|h)", {}),
    ("y ~ x + offset(o) + (1 + x|g) + (1|h)", {"weights": "w"}),
]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_the_criterion_is_the_dense_formula_at_the_reported_theta(formula, options, reml):
    m = native(formula, crossed(), estimator="reml" if reml else "ml", **options)
    # 120 terms of size 1 to 10 are summed in another order: 1e-10 of 300
    assert m.criterion == pytest.approx(dense_deviance(m.request, m.theta, reml), rel=1e-10)
    assert m.loglik == pytest.approx(-m.criterion / 2)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_no_general_minimiser_finds_less(formula, options, reml):
    m = native(formula, crossed(), estimator="reml" if reml else "ml", **options)
    best = optimize.minimize(lambda t: dense_deviance(m.request, t, reml), m.theta * 1.1 + 0.05, method="BFGS")
    assert m.converged
    assert m.criterion <= best.fun + 1e-9  # the dense formula's own rounding


@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_coefficients_are_generalised_least_squares(formula, options):
    m = native(formula, crossed(), **options)
    V, X = relative_covariance(m.request, m.theta), m.request.design.matrix
    C = np.linalg.inv(X.T @ np.linalg.solve(V, X))
    y = m.request.y - m.request.design.offset
    np.testing.assert_allclose(m.beta, C @ X.T @ np.linalg.solve(V, y), rtol=1e-10)
    np.testing.assert_allclose(m.covariance, m.sigma**2 * C, rtol=1e-9)


def test_modes_and_their_covariances_are_the_normal_theory_ones():
    m = native("y ~ x + (x|g) + (1|h)", crossed())
    y, X, V = m.request.y, m.request.design.matrix, relative_covariance(m.request, m.theta)
    for term, effect in zip(m.request.design.random, m.random, strict=True):
        Z, S = term.Z.toarray(), np.kron(np.eye(len(term.levels)), effect.covariance / m.sigma**2)
        modes = S @ Z.T @ np.linalg.solve(V, y - X @ m.beta)
        np.testing.assert_allclose(effect.modes.ravel(), modes, rtol=1e-8, atol=1e-10)
        conditional = m.sigma**2 * (S - S @ Z.T @ np.linalg.solve(V, Z @ S))
        K = len(term.columns)
        blocks = [conditional[i : i + K, i : i + K] for i in range(0, len(S), K)]
        np.testing.assert_allclose(effect.mode_covariance, blocks, atol=1e-10)


def test_the_linear_predictor_adds_up():
    m = native("y ~ x + offset(o) + (x|g) + (1|h)", crossed())
    Zu = sum(t.Z @ e.modes.ravel() for t, e in zip(m.request.design.random, m.random, strict=True))
    np.testing.assert_allclose(m.eta, m.request.design.matrix @ m.beta + m.request.design.offset + Zu, rtol=1e-12)


def test_a_balanced_one_way_layout_has_the_anova_estimates():
    m = native("y ~ 1 + (1|batch)", DYESTUFF)
    means = DYESTUFF.groupby("batch").y.mean()
    within = DYESTUFF.groupby("batch").y.var().mean()
    between = 5 * means.var()
    assert m.sigma**2 == pytest.approx(within, rel=1e-9)
    assert m.random[0].covariance[0, 0] == pytest.approx((between - within) / 5, rel=1e-9)
    assert m.se["(Intercept)"] == pytest.approx(np.sqrt(between / 30), rel=1e-9)


def test_dyestuff_has_its_published_criteria():
    # Bates, lme4: Mixed-effects modeling with R, section 1.3 (REML 319.7, standard deviations 42.00 and 49.51)
    m = native("y ~ 1 + (1|batch)", DYESTUFF)
    assert m.criterion == pytest.approx(319.6543, abs=5e-5)
    assert np.sqrt(m.random[0].covariance[0, 0]) == pytest.approx(42.00, abs=5e-3)
    assert native("y ~ 1 + (1|batch)", DYESTUFF, estimator="ml").criterion == pytest.approx(327.3271, abs=5e-5)


# ---- derivatives ---------------------------------------------------------------------------------
@pytest.mark.parametrize("estimator", ["reml", "ml"])
def test_gradient_and_hessian_are_those_of_the_criterion(estimator):
    products, _, _ = cross_products(request_for("y ~ x + (x|g) + (1|h)", crossed(), estimator, weights="w"))
    theta, step = np.array([1.1, 0.2, 0.6, 0.8]), 1e-5
    _, first, second = derivatives(products, theta)
    moves = step * np.eye(4)
    by_value = [(criterion(products, theta + e) - criterion(products, theta - e)) / (2 * step) for e in moves]
    by_gradient = [(gradient(products, theta + e)[1] - gradient(products, theta - e)[1]) / (2 * step) for e in moves]
    # central differences: truncation 1e-10, rounding 1e-13 / 1e-5
    np.testing.assert_allclose(first, by_value, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(second, by_gradient, rtol=1e-6, atol=1e-7)


def test_the_search_leaves_a_variance_of_0_when_the_data_want_one():
    products, _, _ = cross_products(request_for("y ~ x + (x|g) + (1|h)", crossed()))
    target = Target(
        lambda t: criterion(products, t), lambda t: gradient(products, t), lambda t: derivatives(products, t),
        lambda point, step: float(np.abs(step).max()),
    )  # fmt: skip
    from_zero = minimise(target, np.zeros(4), tolerance=1e-14)
    from_one = minimise(target, start_theta(products.terms), tolerance=1e-14)
    assert from_zero.converged
    assert from_zero.value == pytest.approx(from_one.value, abs=1e-9)


def test_the_start_is_the_answer_where_the_design_is_balanced():
    products, _, _ = cross_products(request_for("y ~ 1 + (1|batch)", DYESTUFF))
    m = native("y ~ 1 + (1|batch)", DYESTUFF)
    np.testing.assert_allclose(minque_theta(products, np.ones(1)), m.engine.theta, rtol=1e-10)


def test_the_last_step_squares_the_decrement():
    target = Target(
        lambda t: float(np.cosh(t[0])),
        lambda t: (float(np.cosh(t[0])), np.sinh(t)),
        lambda t: (float(np.cosh(t[0])), np.sinh(t), np.cosh(t)[:, None]),
        lambda point, step: 0.0,
    )
    # Newton's error of cosh goes from e to e^3/3: the step from 1e-4 lands at 3e-13 without derivatives there
    found = minimise(target, np.array([1e-4]), tolerance=1e-30, last=1e-15)
    assert found.iterations == 1
    assert abs(found.point[0]) < 1e-12
    assert found.decrement == pytest.approx(5e-9, rel=1e-3)


# ---- degrees of freedom --------------------------------------------------------------------------
@pytest.mark.parametrize("reml", [True, False])
def test_satterthwaite_is_the_delta_method_on_the_dense_deviance(reml):
    m = native("y ~ x + (x|g) + (1|h)", crossed(), estimator="reml" if reml else "ml")
    X = m.request.design.matrix
    at, L = np.append(m.theta, np.log(m.sigma**2)), np.array([[1.0, 0], [0, 1], [1, 2]])

    def deviance(t):
        return dense_deviance(m.request, t[:-1], reml, np.exp(t[-1]))

    def variances(t):
        V = np.exp(t[-1]) * relative_covariance(m.request, t[:-1])
        return np.einsum("qi,ij,qj->q", L, np.linalg.inv(X.T @ np.linalg.solve(V, X)), L)

    moves = 1e-4 * np.eye(len(at))
    slopes = np.array([(variances(at + e) - variances(at - e)) / 2e-4 for e in moves])
    second = [
        [deviance(at + e + f) - deviance(at + e - f) - deviance(at - e + f) + deviance(at - e - f) for f in moves]
        for e in moves
    ]
    A = 2 * np.linalg.inv(np.array(second) / 4e-8)
    expected = 2 * variances(at) ** 2 / np.einsum("iq,ij,jq->q", slopes, A, slopes)
    # second differences of a value near 350: rounding 1e-13 * 350 / 1e-8
    np.testing.assert_allclose(m.engine.df(m, L, "satterthwaite"), expected, rtol=1e-4)


def test_a_balanced_one_way_layout_has_the_exact_degrees_of_freedom():
    m = native("y ~ 1 + (1|batch)", DYESTUFF)
    assert m.engine.df(m, np.eye(1), "satterthwaite")[0] == pytest.approx(5.0, abs=1e-8)


def test_a_singular_fit_has_the_residual_degrees_of_freedom():
    rng = np.random.default_rng(5)
    data = DYESTUFF.assign(y=rng.normal(size=30)).assign(y=lambda d: d.y - d.groupby("batch").y.transform("mean"))
    m = native("y ~ 1 + (1|batch)", data)
    assert m.theta[0] == 0
    assert m.engine.df(m, np.eye(1), "satterthwaite")[0] == pytest.approx(29)


def test_residual_degrees_of_freedom_count_every_parameter():
    m = native("y ~ x + (x|g)", crossed())
    assert m.n_parameters == 6
    assert m.engine.df(m, np.eye(2), "residual").tolist() == [114.0, 114.0]


def test_unknown_degrees_of_freedom_are_an_error_that_names_the_known_ones():
    m = native("y ~ x + (1|g)", crossed())
    with pytest.raises(ValueError, match=r"'between' is not known.* satterthwaite, kenward-roger, containment"):
        m.engine.df(m, np.eye(2), "between")


# ---- what must not matter ------------------------------------------------------------------------
def test_the_order_of_rows_does_not_matter():
    data = crossed()
    m, mixed = (
        native("y ~ x + (x|g) + (1|h)", data),
        native("y ~ x + (x|g) + (1|h)", data.sample(frac=1, random_state=1)),
    )
    np.testing.assert_allclose(m.theta, mixed.theta, rtol=1e-9)
    np.testing.assert_allclose(m.coef, mixed.coef, rtol=1e-11)


def test_names_of_groups_do_not_matter():
    data = crossed()
    renamed = data.assign(g=data.g.map({f"g{i}": f"mouse{(i * 5) % 9}" for i in range(9)}))
    m, other = native("y ~ x + (x|g)", data), native("y ~ x + (x|g)", renamed)
    np.testing.assert_allclose(m.theta, other.theta, rtol=1e-9)


def test_units_and_origin_of_a_slope_variable_do_not_matter():
    data = crossed()
    # ML: the REML criterion itself depends on the units of X, by a constant
    m = native("y ~ x + (x|g)", data, estimator="ml")
    moved = native("y ~ x + (x|g)", data.assign(x=1e4 * data.x + 1e6), estimator="ml")
    assert moved.criterion == pytest.approx(m.criterion, abs=1e-8)  # the shift costs the column 2 digits
    np.testing.assert_allclose(moved.se["x"] * 1e4, m.se["x"], rtol=1e-8)
    np.testing.assert_allclose(
        moved.engine.df(moved, [[0, 1]], "satterthwaite"), m.engine.df(m, [[0, 1]], "satterthwaite"), rtol=1e-6
    )


def test_a_large_constant_in_the_response_only_moves_the_intercept():
    data = crossed()
    m, moved = native("y ~ x + (1|g)", data), native("y ~ x + (1|g)", data.assign(y=data.y + 1e8))
    # 1e8 leaves 8 of 16 digits of y
    np.testing.assert_allclose(moved.coef - [1e8, 0], m.coef, atol=1e-6)
    assert moved.sigma == pytest.approx(m.sigma, rel=1e-7)


def test_weights_times_a_constant_only_scale_sigma():
    data = crossed()
    m, scaled = (
        native("y ~ x + (x|g)", data, weights="w"),
        native("y ~ x + (x|g)", data.assign(w=100 * data.w), weights="w"),
    )
    assert scaled.criterion == pytest.approx(m.criterion, abs=1e-8)
    assert scaled.sigma == pytest.approx(10 * m.sigma, rel=1e-9)
    np.testing.assert_allclose(scaled.random[0].covariance, m.random[0].covariance, rtol=1e-7)


def test_duplicated_random_intercepts_give_the_same_fit():
    data = crossed()
    m, twice = native("y ~ x + (1|g)", data), native("y ~ x + (1|g) + (1|k)", data.assign(k=data.g))
    assert twice.criterion == pytest.approx(m.criterion, abs=1e-8)


# ---- words ---------------------------------------------------------------------------------------
def test_a_variance_of_0_is_named():
    rng = np.random.default_rng(5)
    data = crossed().assign(y=rng.normal(size=120))
    data = data.assign(y=data.y - data.groupby("g").y.transform("mean"))
    m = native("y ~ 1 + (1|g)", data)
    assert m.converged
    assert any("the variance of (Intercept) within g is estimated as 0" in message for message in m.messages)


def test_a_correlation_of_minus_1_is_named():
    rng = np.random.default_rng(3)  # the true correlation is -1; with this draw so is the estimate
    data, u = crossed(400, 6), rng.normal(size=9)
    y = data.x + u[data.g.str[1:].astype(int)] * (1 - 0.5 * data.x) + rng.normal(size=400)
    m = native("y ~ x + (x|g)", data.assign(y=y))
    assert any("the correlation of (Intercept) and x within g is estimated as -1" in message for message in m.messages)
    assert m.theta[2] == 0


def test_a_fit_inside_the_boundary_is_not_called_singular():
    assert not any("singular" in message for message in native("y ~ x + (x|g)", crossed()).messages)


def test_few_levels_are_remarked_on():
    data = crossed().assign(k=lambda d: d.h.map(lambda h: h < "h3"))
    assert any("k has 2 levels" in message for message in native("y ~ x + (1|k)", data).messages)


def test_as_many_levels_as_rows_are_refused():
    data = crossed().assign(row=lambda d: np.arange(len(d)))
    with pytest.raises(DataError, match="row has 120 levels for 120 rows"):
        native("y ~ x + (1|row)", data)


def test_as_many_effects_as_rows_are_fitted_with_a_message():
    data = crossed().assign(pair=lambda d: np.arange(len(d)) // 2, t=lambda d: np.arange(len(d)) % 2)
    m = native("y ~ t + (t|pair)", data)
    assert any("120 random effects for 120 rows" in message for message in m.messages)


def test_a_slope_variable_that_is_constant_within_groups_is_remarked_on():
    data = crossed().assign(age=lambda d: d.g.str[1:].astype(int) % 4)
    messages = native("y ~ x + (age|g)", data).messages
    assert any("age is constant within every level of g" in message for message in messages)


def test_an_aliased_column_is_dropped_and_named():
    data = crossed().assign(twice=lambda d: 2 * d.x + 1)
    m, without = native("y ~ x + twice + (1|g)", data), native("y ~ x + (1|g)", data)
    assert m.aliased == ("twice",)
    assert m.n_parameters == without.n_parameters
    assert m.criterion == pytest.approx(without.criterion, abs=1e-9)


def test_rows_of_zero_weight_take_no_part_but_are_predicted():
    data = crossed().assign(w=lambda d: np.where(np.arange(len(d)) % 7 == 0, 0.0, d.w))
    m, rest = native("y ~ x + (x|g)", data, weights="w"), native("y ~ x + (x|g)", data[data.w > 0], weights="w")
    for what in ("criterion", "sigma", "df_resid"):
        assert getattr(m, what) == pytest.approx(getattr(rest, what), rel=1e-9)
    assert len(m.eta) == 120
    assert any("18 rows have weight 0" in message for message in m.messages)


def test_a_response_without_noise_is_an_error_not_a_number():
    data = crossed().assign(y=lambda d: d.g.str[1:].astype(float) ** 2)
    with pytest.raises(FitError, match="residual variance goes to 0"):
        native("y ~ x + (1|g)", data)


def test_a_constant_response_is_an_error():
    with pytest.raises(DataError, match="constant"):
        native("y ~ x + (1|g)", crossed().assign(y=3.3))


def test_as_many_groups_as_there_are_cost_no_dense_matrix():
    n, levels = 40000, 20000
    y = np.random.default_rng(0).normal(size=n).reshape(2, levels)
    m = native("y ~ 1 + (1|g)", pd.DataFrame({"y": y.ravel(), "g": np.arange(n) % levels}))
    within = y.var(axis=0, ddof=1).mean()
    between = 2 * y.mean(axis=0).var(ddof=1)  # a balanced layout: the estimates are those of the analysis of variance
    assert m.sigma**2 == pytest.approx(within, rel=1e-8)
    assert m.random[0].covariance[0, 0] == pytest.approx((between - within) / 2, rel=1e-6)


def test_crossed_effects_too_many_for_memory_are_refused_with_the_figure(monkeypatch):
    monkeypatch.setattr(rest, "MEMORY", 2000)
    with pytest.raises(FitError, match="dense blocks of 6 of them here, about 0 GB"):
        native("y ~ x + (1|g) + (1|h)", crossed())


def test_a_model_without_fixed_columns_is_fitted():
    m = native("y ~ 0 + (1|g)", crossed())
    V = relative_covariance(m.request, m.theta)
    r2 = m.request.y @ np.linalg.solve(V, m.request.y)
    assert m.criterion == pytest.approx(np.linalg.slogdet(V)[1] + 120 * (1 + np.log(2 * np.pi * r2 / 120)))


def test_another_response_is_fitted_as_if_it_were_the_first():
    data = crossed()
    m = native("y ~ x + (x|g)", data)
    again = m.engine.refit(m.request.with_response(data.o.to_numpy()))
    np.testing.assert_array_equal(again.coef, native("o ~ x + (x|g)", data).coef)


def test_the_same_fit_twice_gives_the_same_bits():
    data = crossed()
    np.testing.assert_array_equal(native("y ~ x + (x|g)", data).theta, native("y ~ x + (x|g)", data).theta)


def test_a_random_matrix_template_reports_a_valid_covariance():
    m = native("y ~ x + (x|g)", crossed())
    L = np.array([[m.theta[0], 0], [m.theta[1], m.theta[2]]])
    np.testing.assert_allclose(m.random[0].covariance, m.sigma**2 * L @ L.T, rtol=1e-12)
    assert linalg.eigvalsh(m.random[0].covariance).min() > 0
