"""Kenward and Roger's method and containment: dense textbook formulas, exact cases, and what must not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import Unable
from formula_neuro_mixed.lmm.kenward_roger import scale_and_df

# yields of the dye of six batches: Davies & Goldsmith (1972, table 6.3); Box & Tiao (1973), where batches do not vary
DYESTUFF = """
    1545 1440 1440 1520 1580 1540 1555 1490 1560 1495 1595 1550 1605 1510 1560
    1445 1440 1595 1465 1545 1595 1630 1515 1635 1625 1520 1455 1450 1480 1445"""
DYESTUFF2 = """
    7.298 3.846 2.434 9.566 7.99 5.22 6.556 0.608 11.788 -0.892 0.11 10.386 13.434 5.51 8.166
    2.212 4.852 7.092 9.288 4.98 0.282 9.014 4.458 9.446 7.198 1.722 4.782 8.106 0.758 3.758"""


def mice(seed=0, n=70):
    """Unbalanced: slopes that vary by mouse, crossed with days, weights."""
    rng = np.random.default_rng(seed)
    t = pd.DataFrame({"g": rng.integers(0, 8, n), "k": rng.integers(0, 5, n), "x": rng.normal(2, 1, n)})
    t["f"], t["w"] = rng.choice(["a", "b", "c"], n), rng.uniform(0.4, 2.5, n)
    y = t.x + rng.normal(size=8)[t.g] * (1 + t.x) + rng.normal(size=5)[t.k] + rng.normal(size=n) / np.sqrt(t.w)
    return t.assign(y=y, g=t.g.map("g{}".format), k=t.k.map("k{}".format))


def batches(values):
    return pd.DataFrame({"y": np.array(values.split(), dtype=float), "batch": np.repeat(list("ABCDEF"), 5)})


MODELS = [
    ("y ~ x + f + (1|g)", {}),
    ("y ~ x * f + (x|g)", {"weights": "w"}),
    ("y ~ x + f + (x|g) + (1|k)", {"weights": "w"}),
    ("y ~ f + (x||g) + (1|k)", {}),
]


# ---- the textbook: everything with n x n matrices ------------------------------------------------
def dense(fit):
    """Phi, Phi_A, P, W of Kenward & Roger (1997) from the covariance components and their derivatives, all n x n."""
    X, w = fit.request.design.matrix, fit.request.weights
    G, gamma = [np.diag(1 / w)], [fit.sigma**2]
    for term, effect in zip(fit.request.design.random, fit.random, strict=True):
        Z, K = term.Z.toarray(), len(term.columns)
        for i in range(K):
            for j in range(i + 1):
                E = np.zeros((K, K))
                E[i, j] = E[j, i] = 1.0
                G.append(Z @ np.kron(np.eye(len(term.levels)), E) @ Z.T)
                gamma.append(effect.covariance[i, j])
    V = np.linalg.inv(sum(g * M for g, M in zip(gamma, G, strict=True)))
    Phi = np.linalg.inv(X.T @ V @ X)
    P = np.array([-X.T @ V @ M @ V @ X for M in G])
    Q = np.array([[X.T @ V @ A @ V @ B @ V @ X for B in G] for A in G])
    traces = np.array([[np.trace(V @ A @ V @ B) for B in G] for A in G])
    I = (traces - 2 * np.einsum("xy,ijyx->ij", Phi, Q) + np.einsum("xy,iyz,zw,jwx->ij", Phi, P, Phi, P)) / 2
    W = np.linalg.inv(I)
    inner = np.einsum("ij,ijxy->xy", W, Q) - np.einsum("ij,ixy,yz,jzw->xw", W, P, Phi, P)
    return Phi, Phi + 2 * Phi @ inner @ Phi, P, W


def dense_f(fit, L, e):
    Phi, adjusted, P, W = dense(fit)
    Theta = L.T @ np.linalg.inv(L @ Phi @ L.T) @ L
    one = np.array([np.trace(Theta @ Phi @ p @ Phi) for p in P])
    two = np.array([[np.trace(Theta @ Phi @ p @ Phi @ Theta @ Phi @ r @ Phi) for r in P] for p in P])
    scale, df = scale_and_df(one @ W @ one, float((W * two).sum()), len(L))
    return scale * e @ np.linalg.solve(L @ adjusted @ L.T, e) / len(L), df


@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_standard_errors_are_those_of_the_dense_formulas(formula, options):
    m = fn.fit(formula, mice(), **options)
    expected = np.sqrt(np.diag(dense(m)[1]))
    np.testing.assert_allclose(m.tidy(df="kenward-roger")["std_error"], expected, rtol=1e-8)  # 70 x 70 inverses


@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_f_and_its_degrees_of_freedom_are_those_of_the_dense_formulas(formula, options):
    m = fn.fit(formula, mice(), **options)
    L = np.eye(len(m.names))[[list(m.names).index("fb"), list(m.names).index("fc")]]
    joint = fn.contrast(m, L, df="kenward-roger").joint.iloc[0]
    np.testing.assert_allclose([joint["statistic"], joint["df_resid"]], dense_f(m, L, L @ m.beta), rtol=1e-8)


@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_one_row_has_the_degrees_of_freedom_of_the_general_formula(formula, options):
    m = fn.fit(formula, mice(), **options)
    L = np.array([np.linspace(-1, 2, len(m.names))])
    F, df = dense_f(m, L, L @ m.beta)
    row = fn.contrast(m, L, df="kenward-roger").table.iloc[0]
    np.testing.assert_allclose([row["statistic"] ** 2, row["df"]], [F, df], rtol=1e-7)  # lambda is 1 up to rounding


# ---- exact cases ---------------------------------------------------------------------------------
def test_a_balanced_one_way_layout_has_the_exact_test():
    table = fn.fit("y ~ 1 + (1|batch)", batches(DYESTUFF)).tidy(df="kenward-roger").iloc[0]
    means = np.array(DYESTUFF.split(), dtype=float).reshape(6, 5).mean(axis=1)
    assert table["df"] == pytest.approx(5, abs=1e-8)
    assert table["std_error"] == pytest.approx(means.std(ddof=1) / np.sqrt(6), rel=1e-9)


def test_a_singular_fit_counts_its_variance_as_known_or_as_estimated():
    m = fn.fit("y ~ 1 + (1|batch)", batches(DYESTUFF2))
    assert m.theta[0] == 0
    # theta = 0 has no slope, the variance has one: 30 - 1 by Satterthwaite, 6 - 1 by Kenward and Roger, as in R
    assert m.tidy(df="satterthwaite")["df"][0] == pytest.approx(29, abs=1e-6)
    assert m.tidy(df="kenward-roger")["df"][0] == pytest.approx(5, abs=1e-6)


def split_plots(seed=1):
    rng = np.random.default_rng(seed)
    t = pd.DataFrame([(p, "abc"[p % 3], s) for p in range(12) for s in "uvwx"], columns=["plot", "a", "b"])
    y = rng.normal(size=12)[t["plot"]] * 2 + rng.normal(size=48) + (t["a"] == "b")
    return t.assign(y=y, plot=t["plot"].map("p{}".format))


@pytest.mark.parametrize("df", ["kenward-roger", "satterthwaite"])
def test_balanced_split_plots_have_the_f_tests_of_the_analysis_of_variance(df):
    t = split_plots()
    table = fn.anova(fn.fit("y ~ a * b + (1|plot)", t), df=df).set_index("term")
    cube = t.sort_values(["a", "plot", "b"])["y"].to_numpy().reshape(3, 4, 4)  # a, plot, b
    plots = 4 * ((cube.mean(axis=2) - cube.mean(axis=(1, 2))[:, None]) ** 2).sum() / 9
    whole = 16 * cube.mean(axis=(1, 2)).var(ddof=1) / plots
    assert table.loc["a", ["df", "df_resid"]].tolist() == pytest.approx([2, 9], rel=1e-7)
    assert table.loc["a", "statistic"] == pytest.approx(whole, rel=1e-7)
    assert table.loc["b", "df_resid"] == pytest.approx(27, rel=1e-7)
    assert table.loc["a", "p_value"] == pytest.approx(stats.f.sf(whole, 2, 9), rel=1e-6)


def test_where_nothing_is_to_be_matched_f_is_chi_squared():
    assert scale_and_df(0.0, 0.0, 3) == (1.0, np.inf)


# ---- what must not matter ------------------------------------------------------------------------
def test_units_and_origin_of_a_covariate_do_not_matter():
    t = mice()
    m = fn.fit("y ~ x + f + (x|g)", t)
    moved = fn.fit("y ~ x + f + (x|g)", t.assign(x=1e3 * t.x + 1e5))
    one, other = (fit.tidy(df="kenward-roger").set_index("term") for fit in (m, moved))
    np.testing.assert_allclose(other["df"].iloc[1:], one["df"].iloc[1:], rtol=1e-6)  # a shift of 100 sds: 2 digits
    assert other.loc["x", "std_error"] * 1e3 == pytest.approx(one.loc["x", "std_error"], rel=1e-6)


def test_contrasts_of_the_fit_do_not_matter_to_type_three():
    t = mice()
    one = fn.anova(fn.fit("y ~ f * x + (1|g)", t), df="kenward-roger")
    other = fn.anova(fn.fit("y ~ f * x + (1|g)", t, contrasts={"f": "contr.helmert"}), df="kenward-roger")
    np.testing.assert_allclose(other["statistic"], one["statistic"], rtol=1e-8)
    np.testing.assert_allclose(other["df_resid"], one["df_resid"], rtol=1e-8)


def test_a_variance_written_twice_is_estimated_once():
    t = mice()
    one, twice = fn.fit("y ~ x + (1|g)", t), fn.fit("y ~ x + (1|g) + (1|j)", t.assign(j=t.g))
    tables = [fit.tidy(df="kenward-roger")[["std_error", "df"]] for fit in (one, twice)]
    np.testing.assert_allclose(tables[1], tables[0], rtol=1e-5)  # the two share it at a flat optimum


def test_an_aliased_column_changes_nothing_else():
    t = mice()
    one = fn.fit("y ~ x + f + (1|g)", t).tidy(df="kenward-roger").set_index("term")
    more = fn.fit("y ~ x + twice + f + (1|g)", t.assign(twice=2 * t.x)).tidy(df="kenward-roger").set_index("term")
    assert more.loc["twice", ["std_error", "df"]].isna().all()
    np.testing.assert_allclose(more.drop("twice")[["std_error", "df"]], one[["std_error", "df"]], rtol=1e-9)


def test_repeated_rows_of_a_hypothesis_add_nothing():
    m = fn.fit("y ~ x + f + (1|g)", mice())
    one = fn.contrast(m, ["fb", "fc"], df="kenward-roger").joint
    more = fn.contrast(m, ["fb", "fc", "fb - fc"], df="kenward-roger").joint
    np.testing.assert_allclose(more.iloc[0, 1:].astype(float), one.iloc[0, 1:].astype(float), rtol=1e-7)


# ---- every verb ----------------------------------------------------------------------------------
def test_every_verb_takes_the_adjusted_standard_errors():
    m = fn.fit("y ~ x + f + (x|g)", mice())
    table = m.tidy(df="kenward-roger").set_index("term")
    assert (table["std_error"] > m.se * (1 + 1e-4)).any()
    assert fn.contrast(m, "fb", df="kenward-roger").table["std_error"][0] == pytest.approx(table.loc["fb", "std_error"])
    pairs = fn.emmeans(m, "f", "trt.vs.ctrl", df="kenward-roger").contrasts
    assert pairs["std_error"].tolist() == pytest.approx(table.loc[["fb", "fc"], "std_error"].tolist())
    assert pairs["df"].tolist() == pytest.approx(table.loc[["fb", "fc"], "df"].tolist())
    ends = fn.confint(m, "fb", df="kenward-roger").iloc[0]
    assert ends["conf_high"] == pytest.approx(table.loc["fb", "conf_high"])


def test_fits_by_maximum_likelihood_are_refused_in_a_sentence():
    m = fn.fit("y ~ x + (1|g)", mice(), estimator="ml")
    for ask in (m.tidy, lambda df: fn.anova(m, df=df), lambda df: fn.contrast(m, "x", df=df)):
        with pytest.raises(Unable, match="this fit is by maximum likelihood; refit with estimator='reml'"):
            ask(df="kenward-roger")


def test_other_models_have_no_such_degrees_of_freedom():
    with pytest.raises(Unable, match="df='kenward-roger' is for linear mixed models; this is a lm"):
        fn.fit("y ~ x", mice()).tidy(df="kenward-roger")


# ---- containment ---------------------------------------------------------------------------------
def test_containment_counts_groups_and_rows_less_what_is_estimated_there():
    t = split_plots()
    table = fn.fit("y ~ a * b + (1|plot)", t).tidy(df="containment").set_index("term")["df"]
    # 12 plots less the intercept's one and two of a; 48 rows less 12 plots and 9 of b and a:b
    assert table["ab"] == 12 - (1 + 2) and table["bv"] == table["ab:bv"] == 48 - (12 + 9)
    assert table["(Intercept)"] == 48 - (12 + 9)


def test_a_term_is_tested_by_containment_with_the_fewest_of_its_columns():
    table = fn.anova(fn.fit("y ~ a * b + (1|plot)", split_plots()), df="containment").set_index("term")
    assert table["df_resid"].tolist() == [9, 27, 27]


def test_containment_of_crossed_groups_is_refused():
    m = fn.fit("y ~ x + (1|g) + (1|k)", mice())
    with pytest.raises(Unable, match="is for nested groups, and g is crossed with k"):
        m.tidy(df="containment")


def test_columns_that_vary_in_one_group_only_are_inner():
    t = split_plots().assign(z=lambda d: (d["a"] == "b") * 1.0)
    t.loc[0, "z"] = 5.0
    assert fn.fit("y ~ z + (1|plot)", t).tidy(df="containment")["df"].tolist() == [35, 35]
