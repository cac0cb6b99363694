"""Profile intervals of mixed models: lme4's, and by what defines them."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import Unable
from formula_neuro.inference.intervals.held import Held
from formula_neuro_mixed.held import _Space


def grouped(seed=1, groups=12, rows=6, slope=0.6):
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    u, v = rng.normal(size=(2, groups))
    y = 1 + x + u[g] + slope * v[g] * x + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "x": x, "y": y, "n": rng.poisson(np.exp(0.5 + 0.3 * x + 0.6 * u[g]))})


DATA = grouped()


def test_names_and_order_are_lme4s():
    table = fn.confint(fn.fit("y ~ x + (x|g)", DATA), method="profile")
    assert table["term"].tolist() == [
        "sd_(Intercept)|g", "cor_x.(Intercept)|g", "sd_x|g", "sigma", "(Intercept)", "x",
    ]  # fmt: skip
    assert ((table["conf_low"] < table["estimate"]) & (table["estimate"] < table["conf_high"])).all()
    assert any("refitted by ML" in text for text in table.attrs["messages"])


def test_parameters_can_be_named_alone_or_by_kind():
    m = fn.fit("y ~ x + (1|g)", DATA)
    whole = fn.confint(m, method="profile").set_index("term")
    assert fn.confint(m, "theta_", method="profile")["term"].tolist() == ["sd_(Intercept)|g", "sigma"]
    assert fn.confint(m, "beta_", method="profile")["term"].tolist() == ["(Intercept)", "x"]
    alone = fn.confint(m, "sigma", method="profile").iloc[0]
    assert alone["conf_low"] == whole.loc["sigma", "conf_low"]
    with pytest.raises(ValueError, match="there are sd_"):
        fn.confint(m, "sd_x|g", method="profile")


def dense_deviance(x, y, g, beta, sd, sigma):
    V = sigma**2 * np.eye(len(y)) + sd**2 * (g[:, None] == g)
    r = y - beta[0] - beta[1] * x
    return np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r) + len(y) * np.log(2 * np.pi)


@pytest.mark.parametrize("held", ["sd", "sigma", "slope"])
def test_at_an_end_the_least_deviance_is_one_quantile_above(held):
    # the textbook's likelihood, minimised over the other parameters by a general search
    from scipy.optimize import minimize

    m = fn.fit("y ~ x + (1|g)", DATA, estimator="ml")
    name = {"sd": "sd_(Intercept)|g", "sigma": "sigma", "slope": "x"}[held]
    x, y, g = (DATA[c].to_numpy() for c in "xyg")
    for end in fn.confint(m, name, method="profile")[["conf_low", "conf_high"]].iloc[0]:

        def deviance(free, end=end):
            b0, b1, sd, sigma = {
                "sd": [free[0], free[1], end, np.exp(free[2])],
                "sigma": [free[0], free[1], free[2], end],
                "slope": [free[0], end, free[1], np.exp(free[2])],
            }[held]
            return dense_deviance(x, y, g, (b0, b1), sd, sigma)

        start = {"sd": [1, 1, 0], "sigma": [1, 1, 1], "slope": [1, 1, 0]}[held]
        least = minimize(deviance, start, method="BFGS", options={"gtol": 1e-6}).fun
        assert least - m.criterion == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)


def test_a_wider_level_gives_a_wider_interval():
    m = fn.fit("y ~ x + (1|g)", DATA)
    a, b = (fn.confint(m, method="profile", conf_level=level) for level in (0.9, 0.99))
    assert (b["conf_low"] < a["conf_low"]).all() and (b["conf_high"] > a["conf_high"]).all()


def test_units_of_the_slope_variable_are_those_of_its_sd():
    a = fn.confint(fn.fit("y ~ x + (x|g)", DATA), "theta_", method="profile").set_index("term")
    b = fn.confint(fn.fit("y ~ x + (x|g)", DATA.assign(x=1000 * DATA["x"])), "theta_", method="profile")
    b = b.set_index("term")
    # ends are found to about 1e-7 of the interval, on deviances whose least value is known to 1e-8
    np.testing.assert_allclose(a.loc["sd_x|g", "conf_low"], 1000 * b.loc["sd_x|g", "conf_low"], rtol=1e-5)
    np.testing.assert_allclose(
        a.loc["cor_x.(Intercept)|g", "conf_low"], b.loc["cor_x.(Intercept)|g", "conf_low"], rtol=1e-5
    )


def test_ends_that_the_data_do_not_give_are_said_to_be_open():
    flat = grouped(slope=0.0)
    flat["y"] -= flat.groupby("g")["y"].transform("mean")
    table = fn.confint(fn.fit("y ~ x + (1|g)", flat), "sd_(Intercept)|g", method="profile")
    assert table["estimate"][0] == 0 == table["conf_low"][0] and 0 < table["conf_high"][0] < 1
    assert any("0 is not excluded" in text for text in table.attrs["messages"])


def test_a_correlation_of_1_is_an_end_and_one_without_variance_has_none():
    table = fn.confint(fn.fit("y ~ x + (x|g)", grouped(slope=0.0, seed=3)), "theta_", method="profile")
    row = table.set_index("term").loc["cor_x.(Intercept)|g"]
    assert row["conf_low"] == -1 or row["conf_high"] == 1


def test_profiles_of_counts_are_near_walds_and_not_the_same():
    m = fn.fit("n ~ x + (1|g)", DATA, family="poisson")
    wald, profile = (fn.confint(m, "beta_" if k == "profile" else None, method=k) for k in ("wald", "profile"))
    width = (wald["conf_high"] - wald["conf_low"]).to_numpy()[:, None]
    apart = np.abs(wald[["conf_low", "conf_high"]].to_numpy() - profile[["conf_low", "conf_high"]].to_numpy()) / width
    assert (apart < 0.1).all() and apart.max() > 1e-3


def test_quadrature_is_profiled_as_it_was_fitted():
    m = fn.fit("n ~ x + (1|g)", DATA, family="poisson", estimator="AGQ(9)")
    low, high = fn.confint(m, "sd_(Intercept)|g", method="profile")[["conf_low", "conf_high"]].iloc[0]
    profiler = m.engine.profiler(m)
    for end in (low, high):
        rise = profiler.held(Held(0), end, None)[0] - m.criterion
        assert rise == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)


def test_sigma_of_a_gamma_model_is_profiled_on_its_own_scale():
    rng = np.random.default_rng(2)
    table = DATA.assign(s=np.exp(0.3 * DATA["x"]) * rng.gamma(4, 0.25, len(DATA)))
    m = fn.fit("s ~ x + (1|g)", table, family="Gamma(log)")
    row = fn.confint(m, "sigma", method="profile").iloc[0]
    assert row["estimate"] == m.sigma and row["conf_low"] < 0.5 < row["conf_high"]  # 1 / sqrt(4)
    profiler = m.engine.profiler(m)
    assert profiler.held(Held(None), m.sigma, None)[0] == pytest.approx(m.criterion, abs=1e-6)
    rise = profiler.held(Held(None), row["conf_low"], None)[0] - m.criterion
    assert rise == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)


def test_a_correlation_beside_a_variance_of_0_has_no_interval_and_a_reason():
    m = fn.fit("y ~ x + (x|g)", DATA, estimator="ml")
    m = replace(m, random=(replace(m.random[0], covariance=np.diag([1.0, 0.0])),))
    table = fn.confint(m, "cor_x.(Intercept)|g", method="profile")
    row = table.set_index("term").loc["cor_x.(Intercept)|g"]
    assert np.isnan(row["conf_low"])
    assert any("a variance is estimated as 0" in text for text in table.attrs["messages"])


@pytest.mark.parametrize(
    ("formula", "family", "held"),
    [
        ("y ~ x + (1|g) + (1|h)", "gaussian", Held(1)),
        ("y ~ x + (1|g) + (1|h)", "gaussian", Held(None)),
        ("n ~ x + (1|g)", "poisson", Held(0)),
        ("n ~ x + (x|g)", "poisson", Held(0, 0, 1)),
    ],
)
def test_the_gradient_of_the_search_is_that_of_its_differences(formula, family, held):
    how = {"estimator": "ml"} if family == "gaussian" else {}
    m = fn.fit(formula, DATA.assign(h=np.arange(len(DATA)) % 5), family=family, **how)
    space = _Space(m.engine.profiler(m), held, 0.7)
    x = space.start() + 0.1 * np.cos(np.arange(len(space.start())))
    differences = np.array([space._difference(x, k) for k in range(len(x))])
    # central differences of step 1e-4 err by about 1e-8 of the third derivative
    np.testing.assert_allclose(space.slope(x)[1], differences, atol=1e-5 * np.abs(differences).max())


def test_other_structures_are_refused_by_name():
    m = fn.fit("y ~ x + (x|g)", DATA)
    design = replace(m.request.design, random=(replace(m.request.design.random[0], structure="cs"),))
    with pytest.raises(Unable, match="profiles of cs"):
        fn.confint(replace(m, request=replace(m.request, design=design)), method="profile")


def test_degrees_of_freedom_belong_to_wald():
    with pytest.raises(ValueError, match="df= is of Wald"):
        fn.confint(fn.fit("y ~ x + (1|g)", DATA), method="profile", df="satterthwaite")


# ---- lme4 -------------------------------------------------------------------------------------------
R_CODE = """
suppressMessages(library(lme4))
m <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
cat(format(as.vector(t(confint(m, oldNames = FALSE, quiet = TRUE))), digits = 12), "\\n")
"""


@pytest.mark.r
def test_intervals_are_those_of_lme4(rdata):
    done = subprocess.run(["Rscript", "-e", R_CODE], capture_output=True, text=True, check=True)
    theirs = np.array(done.stdout.split(), dtype=float)
    table = fn.confint(fn.fit("Reaction ~ Days + (Days | Subject)", rdata("lme4", "sleepstudy")), method="profile")
    # lme4 interpolates the profile by a spline
    np.testing.assert_allclose(table[["conf_low", "conf_high"]].to_numpy().ravel(), theirs, rtol=5e-5)


# What lme4 1.1-31's confint(..., oldNames = FALSE) prints, too slow to run each time (16 seconds for cbpp).
PASTES = [[2.15793371, 4.05358894], [0, 2.94659110], [0.65202336, 1.08544810], [58.66365038, 61.44301637]]
CBPP = [
    [0.3460732, 1.09997465], [-1.9012120, -0.94775401], [-1.6167833, -0.40776307], [-1.8010244, -0.51153607],
    [-2.5007506, -0.80075532],
]  # fmt: skip


@pytest.mark.r
def test_intervals_of_a_nested_model_are_those_of_lme4(rdata):
    table = fn.confint(fn.fit("strength ~ 1 + (1 | batch/cask)", rdata("lme4", "Pastes")), method="profile")
    # the spline errs by 2e-4 in the upper end of the first
    np.testing.assert_allclose(table[["conf_low", "conf_high"]], PASTES, atol=3e-4)


@pytest.mark.r
def test_intervals_of_a_glmm_are_those_of_lme4(rdata):
    cbpp = rdata("lme4", "cbpp").assign(rest=lambda t: t["size"] - t["incidence"])
    m = fn.fit("cbind(incidence, rest) ~ period + (1 | herd)", cbpp, family="binomial")
    # glmer's inner and outer searches stop at about 1e-4
    np.testing.assert_allclose(fn.confint(m, method="profile")[["conf_low", "conf_high"]], CBPP, atol=2e-4)
