"""VarIdent and AR1 residuals of linear mixed models, against matrices n x n worked out in full."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import formula_neuro as fn
from formula_neuro.errors import DataError, NewLevels, NoBackend, Unable


@pytest.fixture(scope="module")
def series():
    """12 mice with 8 of 10 trials in no order, two doses of unequal spread, residuals correlated in time."""
    rng = np.random.default_rng(5)
    mouse, trial = np.repeat(np.arange(12), 10), np.tile(np.arange(10), 12)
    e = np.zeros((12, 10))
    for k in range(10):
        e[:, k] = (0.6 * e[:, k - 1] if k else 0.0) + rng.normal(size=12) * (0.8 if k else 1.0)
    d = pd.DataFrame({"mouse": [f"m{i:02d}" for i in mouse], "trial": trial, "x": rng.normal(size=120)})
    d["dose"], d["w"] = np.where(mouse % 2, "low", "high"), rng.uniform(0.5, 2, 120)
    d["session"] = d["mouse"] + np.where(trial < 5, "a", "b")
    d["y"] = 1 + 0.5 * d["x"] + rng.normal(size=12)[mouse] + e.ravel() * np.where(mouse % 2, 2.0, 1.0)
    return d[rng.random(120) < 0.8].sample(frac=1, random_state=1).reset_index(drop=True)


def fit(formula, data, residual, reml=True, **options):
    return fn.fit(formula, data, estimator=(fn.REML if reml else fn.ML)(residual=residual), **options)


BOTH = [fn.VarIdent("dose"), fn.AR1("trial", group="mouse")]
CASES = [(fn.VarIdent("dose"), {}), (fn.AR1("trial"), {}), (BOTH, {}), (BOTH, {"weights": "w"})]


class Dense:
    """y ~ x + (1|mouse): the criterion of (log sd of mice, log sigma, log sd ratio, atanh phi), in full."""

    def __init__(self, data, spread, correlated, weights, reml):
        n = len(data)
        self.X = np.column_stack([np.ones(n), data["x"]])
        self.y = data["y"].to_numpy()
        mouse = data["mouse"].to_numpy()
        self.same = (mouse[:, None] == mouse).astype(float)
        self.low = (data["dose"] == "low").to_numpy() * float(spread)
        apart = np.abs(np.subtract.outer(data["trial"].to_numpy(), data["trial"].to_numpy()))
        self.apart = np.where(self.same > 0, apart, np.inf if correlated else apart)
        self.spread, self.correlated, self.reml = spread, correlated, reml
        self.w = data["w"].to_numpy() if weights else np.ones(n)

    def V(self, p):
        p = list(p)
        tau, sigma = np.exp(p[0]), np.exp(p[1])
        ratio = np.exp(p[2]) if self.spread else 1.0
        phi = np.tanh(p[-1]) if self.correlated else 0.0
        C = phi**self.apart if self.correlated else np.eye(len(self.y))
        sd = sigma * np.where(self.low > 0, ratio, 1.0) / np.sqrt(self.w)
        return tau**2 * self.same + sd[:, None] * C * sd

    def covariance(self, p):
        return np.linalg.inv(self.X.T @ np.linalg.solve(self.V(p), self.X))

    def criterion(self, p):
        V, X = self.V(p), self.X
        XVX = X.T @ np.linalg.solve(V, X)
        r = self.y - X @ np.linalg.solve(XVX, X.T @ np.linalg.solve(V, self.y))
        n = len(r) - self.reml * X.shape[1]
        extra = np.linalg.slogdet(XVX)[1] if self.reml else 0.0
        return np.linalg.slogdet(V)[1] + extra + r @ np.linalg.solve(V, r) + n * np.log(2 * np.pi)

    def at(self, m):
        """The parameters of a fit."""
        p = [np.log(m.varcorr()["sd_or_correlation"][0]), np.log(m.sigma)]
        p += [np.log(m.residual["sd low / high"])] if self.spread else []
        return np.array(p + ([np.arctanh(m.residual["phi"])] if self.correlated else []))


def dense(data, residual, options, reml=True):
    kinds = {type(s) for s in (residual if isinstance(residual, list) else [residual])}
    return Dense(data, fn.VarIdent in kinds, fn.AR1 in kinds, "weights" in options, reml)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("residual", "options"), CASES)
def test_the_criterion_is_that_of_the_covariance_in_full_and_least_there(series, residual, options, reml):
    m = fit("y ~ x + (1|mouse)", series, residual, reml, **options)
    whole = dense(series, residual, options, reml)
    p = whole.at(m)
    assert m.converged and m.criterion == pytest.approx(whole.criterion(p), abs=1e-8)
    best = optimize.minimize(whole.criterion, p, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10})
    assert m.criterion < best.fun + 1e-8  # rounding of n x n determinants
    assert np.allclose(m.covariance, whole.covariance(p), rtol=1e-7)


@pytest.mark.parametrize(("residual", "options"), CASES)
def test_satterthwaite_counts_the_uncertainty_of_the_structure(series, residual, options):
    m = fit("y ~ x + (1|mouse)", series, residual, **options)
    whole = dense(series, residual, options)
    p = whole.at(m)
    H, v = differences(whole.criterion, p), lambda q: np.diag(whole.covariance(q))
    E = 1e-4 * np.eye(len(p))
    a = np.array([(v(p + e) - v(p - e)) / 2e-4 for e in E])
    expected = 2 * v(p) ** 2 / np.einsum("ai,ab,bi->i", a, 2 * np.linalg.inv(H), a)
    assert np.allclose(m.tidy()["df"], expected, rtol=1e-4)  # differences of second order on both sides


def differences(f, p, h=1e-3):
    E = h * np.eye(len(p))
    return np.array([[(f(p + a + b) - f(p + a - b) - f(p - a + b) + f(p - a - b)) / (4 * h * h) for b in E] for a in E])


# ---- what must not matter ------------------------------------------------------------------------
def test_equal_spread_and_no_correlation_are_the_plain_model(series):
    rng = np.random.default_rng(0)
    d = series.assign(half=rng.choice(["a", "b"], len(series)))
    m, plain = (
        fit("y ~ x + (1|mouse)", d, fn.VarIdent("half"), reml=False),
        fn.fit("y ~ x + (1|mouse)", d, estimator="ml"),
    )
    assert 0 <= m.loglik - plain.loglik < 5  # one parameter more, for nothing: chi-squared on 1 over 2
    assert m.n_parameters == plain.n_parameters + 1


def test_the_order_of_rows_and_the_unit_of_the_response_do_not_matter(series):
    m = fit("y ~ x + (1|mouse)", series, BOTH)
    other = fit("y ~ x + (1|mouse)", series.sample(frac=1, random_state=2).assign(y=lambda t: 1e3 * t["y"]), BOTH)
    assert np.allclose(other.coef, 1e3 * m.coef, rtol=1e-6) and np.allclose(other.se, 1e3 * m.se, rtol=1e-5)
    assert other.residual["phi"] == pytest.approx(m.residual["phi"], abs=1e-6)


def test_the_first_level_is_only_a_name(series):
    m = fit("y ~ x + (1|mouse)", series, fn.VarIdent("dose"))
    turned = series.assign(dose=pd.Categorical(series["dose"], ["low", "high"]))
    other = fit("y ~ x + (1|mouse)", turned, fn.VarIdent("dose"))
    assert other.residual["sd high / low"] == pytest.approx(1 / m.residual["sd low / high"], rel=1e-6)
    assert other.sigma == pytest.approx(m.sigma * m.residual["sd low / high"], rel=1e-6)


def test_crossed_random_effects_may_have_unequal_spread(series):
    m = fit("y ~ x + (1|mouse) + (1|trial)", series, fn.VarIdent("dose"))
    plain = fn.fit("y ~ x + (1|mouse) + (1|trial)", series)
    assert m.converged and m.loglik > plain.loglik


def test_a_refit_of_another_response_keeps_the_structure(series):
    m = fit("y ~ x + (1|mouse)", series, BOTH)
    again = m.engine.refit(m.request.with_response(2 * m.request.y))
    assert again.residual["phi"] == pytest.approx(m.residual["phi"], abs=1e-6)


def test_simulated_residuals_have_the_fitted_covariance(series):
    m = fit("y ~ x + (1|mouse)", series, BOTH, weights="w")
    whole = dense(series, BOTH, {"weights": "w"})
    p = whole.at(m)
    engine, n = m.engine, m.nobs
    root = m.sigma * np.column_stack([engine.rows.coloured(column, engine.rho) for column in np.eye(n)])
    effects = m.varcorr()["covariance"][0] * whole.same
    assert np.allclose(root @ root.T, whole.V(p) - effects, atol=1e-9)


def test_a_new_response_has_the_spread_of_its_level(series):
    m = fit("y ~ x + (1|mouse)", series, fn.VarIdent("dose"))
    rows = {"x": [0.0, 0.0], "mouse": ["m02", "m02"], "dose": ["high", "low"]}
    told = m.predict(rows, interval="prediction", df="none")
    half = (told["conf_high"] - told["fitted"]) / 1.959963984540054
    variance = half**2 - half[0] ** 2 + m.sigma**2  # the first row's residual variance is sigma squared
    assert variance[1] == pytest.approx((m.sigma * m.residual["sd low / high"]) ** 2, rel=1e-6)
    with pytest.raises(NewLevels, match="its residual spread is not known"):
        m.predict({**rows, "dose": ["high", "none"]}, interval="prediction")


def test_a_fit_can_be_pickled(series):
    import pickle

    m = fit("y ~ x + (1|mouse)", series, BOTH)
    assert np.array_equal(pickle.loads(pickle.dumps(m)).tidy()["df"], m.tidy()["df"])


def test_scaled_residuals_have_one_spread_in_all_levels(series):
    m = fit("y ~ x + (1|mouse)", series, fn.VarIdent("dose"))
    spread = m.residuals("pearson").groupby(series["dose"]).std()
    assert spread["low"] == pytest.approx(spread["high"], rel=0.05)  # each level fits its own, to degrees of freedom


# ---- words ---------------------------------------------------------------------------------------
def test_summary_varcorr_and_glance_tell_the_structure(series):
    m = fit("y ~ x + (1|mouse)", series, BOTH)
    text = str(m.summary())
    assert "Residual standard deviations by dose (varIdent)" in text and "corAR1" in text
    rows = m.varcorr().set_index("term")["sd_or_correlation"]
    assert rows["low"] == pytest.approx(m.sigma * m.residual["sd low / high"]) and rows["phi"] == m.residual["phi"]
    assert m.glance()["sd low / high"][0] == m.residual["sd low / high"]


def test_the_recipe_is_nlmes(series):
    from formula_neuro.display.recipes import python_code, r_code

    m = fit("y ~ x + (1|mouse)", series, BOTH)
    assert 'fn.REML(residual=[fn.VarIdent("dose"), fn.AR1(time="trial", group="mouse")])' in python_code(m)
    assert "weights = nlme::varIdent(form = ~1 | dose)" in r_code(m)


def test_models_are_compared_with_their_structures(series):
    small, large = fit("y ~ 1 + (1|mouse)", series, BOTH), fit("y ~ x + (1|mouse)", series, BOTH)
    by_ml = [fit(f, series, BOTH, reml=False).loglik for f in ("y ~ 1 + (1|mouse)", "y ~ x + (1|mouse)")]
    assert fn.anova(small, large)["statistic"][1] == pytest.approx(2 * (by_ml[1] - by_ml[0]), abs=1e-6)


def test_a_bootstrap_keeps_the_structure(series):
    small, large = (fit(f, series, fn.VarIdent("dose")) for f in ("y ~ 1 + (1|mouse)", "y ~ x + (1|mouse)"))
    assert fn.bootstrap_test(small, large, n=4, seed=1).n_used == 4


@pytest.mark.parametrize(
    ("residual", "error", "words"),
    [
        (fn.VarIdent("doses"), DataError, "'doses' is not a column"),
        (fn.VarIdent("row"), DataError, "level 0 has 1 row"),
        (fn.AR1("x"), DataError, "whole numbers"),
        (fn.AR1("dose"), DataError, "a time occurs once in a mouse"),
        (fn.AR1("trial", group="dose"), Unable, "belong to several levels of mouse"),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_words(series, residual, error, words):
    with pytest.raises(error, match=words):
        fit("y ~ x + (1|mouse)", series.assign(row=range(len(series))), residual)


def test_nlmes_own_formulas_are_led_to_the_columns_name():
    with pytest.raises(ValueError, match=r"VarIdent\('treatment'\) for nlme's varIdent"):
        fn.VarIdent("~1 | treatment")
    with pytest.raises(ValueError, match="residual= takes VarIdent"):
        fn.REML(residual="varIdent")
    with pytest.raises(ValueError, match="one structure of a kind"):
        fn.REML(residual=[fn.VarIdent("a"), fn.VarIdent("b")])


def test_backends_without_structures_refuse_them(series):
    with pytest.raises(NoBackend, match="has no VarIdent of residuals"):
        fit("y ~ x + (1|mouse)", series, fn.VarIdent("dose"), backend="lme4")
