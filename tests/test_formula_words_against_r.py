"""The words of R's formulas: names, values and their use on new data equal R's, from one run of R."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r

# Where R's predict() makes the same columns of new data as we do.
ALIKE = [
    "ns(x)", "ns(x, 1)", "ns(x, 3)", "ns(x, df = 4)", "ns(x, 4, intercept = TRUE)", "ns(x, knots = c(-0.5, 0, 0.7))",
    "ns(x, df = 3, Boundary.knots = c(-1, 1))", "ns(x, knots = 0, Boundary.knots = c(-3, 3))", "ns(log(n + 1), 3)*f",
    "bs(x)", "bs(x, 5)", "bs(x, df = 4, degree = 1)", "bs(x, degree = 1)", "bs(x, knots = c(-1, 0.3), degree = 2)",
    "bs(x, 5, intercept = TRUE)", "bs(x, 6, Boundary.knots = c(-2, 2))", "bs(x, knots = c(0, 0))",
    "ns(x, knots = c(0, 0, 0))",
    "bs(x, degree = 5)", "0 + bs(x, 4):f", "ns(x, 2):ns(z, 2)", "ns(n, 3)", "bs(n, 4)", "ns(missing, 3)",
    "bs(missing, 5)", "ns(x, knots = quantile(z, c(0.3, 0.6)))",
    "cut(x, c(-10, 0, 0.5, 10))", "cut(x, c(-Inf, 0, Inf))", "cut(x, c(-Inf, 0, Inf), labels = c('down', 'up'))",
    "cut(x, c(-10, 0, 10), right = FALSE)", "cut(n, c(0, 2, 4, 9), include.lowest = TRUE)",
    "cut(n, c(0, 2, 4, 9), right = FALSE, include.lowest = TRUE)", "cut(n, 0:9)", "cut(n, seq(0, 9, by = 3))",
    "cut(n, seq(-1, 11, 4), labels = FALSE)", "cut(x, c(-10, 0, 1, 10), ordered_result = TRUE)",
    "cut(x, c(-10.12345, 0.333333, 10), dig.lab = 5)", "cut(x, c(-10, 0.1234567, 0.1234568, 10))",
    "cut(1e6*x, c(-1e9, 123456.7, 1e9))", "cut(x, c(-10, 0, 1, 10), labels = c('a', 'b', 'a'))",
    "cut(missing, c(-10, 0, 10))*z",
    "ifelse(x > 0, 'up', 'down')", "ifelse(x > 0, x, 0)", "ifelse(flag, 1, z)", "ifelse(x > 0, TRUE, FALSE)",
    "ifelse(x > 0, flag, x > 1)", "ifelse(is.na(missing), 0, missing)", "ifelse(n > 6, NA, n)",
    "ifelse(missing > 0, 'a', 'b')", "ifelse(x > 1, 'high', ifelse(x > 0, 'mid', 'low'))",
    "is.na(missing)", "is.na(missing) + x:is.na(missing)", "I(is.na(missing) & x > 0)", "I(!is.na(missing))",
    "interaction(f, g)", "interaction(f, g, sep = '_')", "interaction(f, g, lex.order = TRUE)",
    "interaction(f, g, o)", "interaction(f, flag)", "interaction(f, n > 3, drop = TRUE)", "interaction(g, f):x",
    "ordered(f)", "as.ordered(f)", "ordered(f, levels = c('r', 'p', 'q'))", "as.ordered(n)", "ordered(n)",
    "factor(n)", "factor(f, levels = c('r', 'q', 'p'))", "factor(f, levels = c('r', 'q'))",
    "factor(f, levels = c('p', 'q', 'r'), labels = c('P', 'Q', 'R'))",
    "factor(f, levels = c('p', 'q', 'r'), labels = 'L')",
    "factor(f, levels = c('p', 'q', 'r'), labels = c('u', 'v', 'u'))", "factor(n, levels = 0:4)", "factor(o)",
    "factor(o, ordered = FALSE)", "factor(f, ordered = TRUE)", "factor(n > 3, labels = c('few', 'many'))",
    "factor(flag, levels = c(TRUE, FALSE))", "droplevels(f)", "as.factor(n)", "as.character(f)", "as.character(n)",
    "relevel(f, ref = 'q')", "relevel(f, 'r')", "relevel(f, 2)", "relevel(factor(n), ref = 3)",
    "relevel(factor(n), '3')",
    "C(f, contr.treatment)", "C(f, 'contr.treatment')", "C(f, treatment)", "C(f, contr.treatment, base = 2)",
    "C(f, base = 3)", "C(f, contr.sum)", "C(f, sum)", "C(f, 'contr.sum')", "C(f, contr.helmert)", "C(f, helmert)",
    "C(f, contr.SAS)", "C(f, SAS)", "C(f, contr.poly)", "C(f, poly)", "C(o, contr.treatment)", "C(o)", "C(f)",
    "C(o, poly, 1)", "C(o, contr.poly, how.many = 1)", "C(f, contr.poly, scores = c(1, 2, 5))", "C(f, contr.sum, 1)",
    "C(f, contr.treatment, 1)", "C(f, contr.treatment(3, base = 2))", "C(f, contr.treatment(3))", "C(f, contr.sum(3))",
    "C(f, contr.SAS(3))", "C(f, contr.helmert(3))", "C(f, contr.poly(3))", "C(relevel(f, 'r'), treatment)",
    "0 + C(f, contr.treatment, base = 2)", "x:C(f, contr.sum)", "C(f, sum)*C(g, sum)", "C(factor(n), sum)",
    "poly(x, 1)", "poly(x, 3)", "poly(x, 2, raw = TRUE)", "poly(x, degree = 2, raw = T)", "poly(x, z, degree = 2)",
    "poly(x, z, degree = 3, raw = TRUE)", "poly(x, z, n, degree = 2)", "poly(x, z)", "poly(degree = 2, x)",
    "scale(x)", "scale(x, center = FALSE)", "scale(x, scale = FALSE)", "scale(x, center = 2, scale = 3)",
    "scale(missing)", "scale(x, F)",
    "round(x)", "round(x, 1)", "round(100*x, -1)", "round(x, digits = 3)", "signif(x, 2)", "signif(100*x)",
    "trunc(3*x)", "as.integer(3*x)", "as.integer(flag)", "as.numeric(x > 0)", "as.logical(n)", "as.logical(x > 0)",
    "sinh(x) + cosh(x) + tanh(x)", "asin(u) + acos(u) + atan(x)", "gamma(n + 1) + lgamma(n + 1)",
    "plogis(x) + qlogis(u)", "pnorm(x) + qnorm(u)", "exp(x) + expm1(x) + log1p(n) + log2(n + 1) + log10(n + 1)",
    "floor(x) + ceiling(x) + sign(x)", "log(n + 1, base = 2)", "log(base = 10, n + 1)", "pmin(x, 0) + pmax(x, z)",
    "cbind(a = x, b = z)", "cbind(a = x, log(n + 1))", "cbind(x)", "cbind(log(n + 1), z^2)",
    "I(f %in% c('p', 'q'))", "I(n %in% 1:3)", "I(n %in% c(1, 5))*x", "x %in% f", "f + g %in% f", "I(o == 'lo')",
    "I(o > 'lo')", "I(o <= 'mid')", "I('mid' < o)", "I(o > 'lo' & x > 0)", "I(factor(n) == 2)", "I(factor(n) != 2)",
    "I(as.character(f) == as.character(g))*x + I(f != f2)", "I(factor(n) %in% 1:3)", "I(flag == (x > 0))",
    "I(o < o2)",
    "x + offset(log(n + 1)) + offset(ns(z, 1))",
    # names of arguments cut short, as R matches them
    "poly(x, deg = 2)", "ns(x, d = 3)", "bs(x, kn = 0, deg = 2)", "scale(x, cent = FALSE)", "scale(x, s = FALSE)",
    "factor(n, lev = 0:4)", "factor(f, lev = c('p', 'q', 'r'), lab = c('P', 'Q', 'R'))", "factor(f, o = TRUE)",
    "relevel(f, r = 'q')", "cut(x, br = c(-10, 0, 10), lab = c('low', 'high'))", "cut(n, c(0, 2, 9), inc = TRUE)",
    "ifelse(x > 0, y = 1, n = z)", "round(x, dig = 1) + log(n + 1, b = 2) + signif(x, d = 2)",
    "C(f, con = contr.sum)", "C(f, contr.treatment, b = 2)", "C(f, contr.sum, how = 1)",
    # contrasts as matrices
    "C(f, c(1, 0, -1))", "C(f, c(-2, 1, 1))*x", "C(f, cbind(c(1, 0, -1), c(0, 1, -1)))", "C(f, 1:3)",
    "C(f, cbind(u = c(1, 0, -1)))", "C(f, cbind(u = c(1, 0, -1), v = c(1, -2, 1)))", "0 + C(f, c(1, 0, -1)) + g",
    "C(o, cbind(c(1, 0, -1), middle = c(1, -2, 1)))*f",
]  # fmt: skip
# Where R makes the columns of new data from its own range, mean or values, and we from training's.
OWN = [
    "cut(x, 3)", "cut(x, breaks = 5, labels = FALSE)", "cut(x, 3, dig.lab = 2)", "cut(n, 4, right = FALSE)",
    "cut(x, 2, labels = c('low', 'high'))", "cut(missing, 3)", "cut(1000*x, 3)", "cut(n, 20)", "cut(1e-5*x, 3)",
    "cut(x, quantile(x))", "cut(x, quantile(x, c(0, 0.5, 1)), include.lowest = TRUE)",
    "cut(missing, quantile(missing, na.rm = TRUE))", "cut(x, c(min(x), 0, max(x)))",
    "I(x - mean(x))", "I((x - mean(x))/sd(x))", "I(x > median(x))", "I(missing - mean(missing, na.rm = TRUE))",
    "I(x/max(x)) + I(x - min(x))", "I(x/sum(x)) + I(x/var(x))", "ifelse(x > mean(x), 'high', 'low')",
    "factor(f, labels = c('P', 'Q', 'R'))", "ordered(n, labels = 'n')", "I(scale(x)^2) + I(poly(x, 1)^2)",
    "I(ns(x, 1)^2)", "I(x > quantile(x, 0.9))", "I(missing - mean(missing, na = TRUE))", "I(x > quantile(x, pr = 0.9))",
]  # fmt: skip


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 60
    table = pd.DataFrame(
        {
            "y": rng.standard_normal(n),
            "x": rng.standard_normal(n),
            "z": rng.standard_normal(n).round(2),
            "u": rng.uniform(0.05, 0.95, n),
            "n": rng.integers(0, 9, n),
            "f": rng.choice(list("pqr"), n),
            "f2": rng.choice(list("pqr"), n),
            "g": rng.choice(list("vwp"), n),
            "o": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi"], ordered=True),
            "o2": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi"], ordered=True),
            "flag": rng.random(n) < 0.5,
            "missing": np.where(rng.random(n) < 0.15, np.nan, rng.standard_normal(n)),
        }
    )
    return table


def new() -> pd.DataFrame:
    """Rows beyond the range of training's, and levels of training only."""
    table = frame().drop(columns="y").iloc[[5, 3, 17, 40, 41, 8, 9, 30]].reset_index(drop=True)
    beyond = [-4.0, -2.5, -0.3, 0.1, 0.9, 1.7, 3.0, 5.0]
    return table.assign(x=beyond, z=beyond[::-1], missing=[np.nan, -3.0, 0.2, 0.3, 1.0, 2.0, 4.0, np.nan])


@pytest.fixture(scope="module")
def from_r(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("words")
    frame().to_csv(folder / "frame.csv", index=False, float_format="%.17g")
    new().to_csv(folder / "new.csv", index=False, float_format="%.17g")
    (folder / "formulas.txt").write_text("".join(f"y ~ {word}\n" for word in ALIKE + OWN), encoding="utf-8")
    script = Path(__file__).with_name("formula_words.R")
    subprocess.run(["Rscript", "--vanilla", script, folder], check=True, capture_output=True, timeout=120)
    return {word: folder / str(i + 1) for i, word in enumerate(ALIKE + OWN)}


def close(ours, theirs):
    # splines and orthogonal polynomials are sums in another order than R's: a few units in the last place
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("word", ALIKE + OWN)
def test_names_and_values_equal_rs(from_r, word):
    D = fn.model_matrix(f"y ~ {word}", frame())
    names = from_r[word].with_suffix(".names").read_text(encoding="utf-8").splitlines()
    assert list(D.names) == names
    close(D.matrix, np.fromfile(from_r[word].with_suffix(".X")).reshape(-1, len(names), order="F"))


@pytest.mark.parametrize("word", ALIKE)
def test_new_data_gets_the_columns_that_r_predicts_from(from_r, word):
    D = fn.model_matrix(f"y ~ {word}", frame())
    theirs = np.fromfile(from_r[word].with_suffix(".new"))
    assert len(theirs), "R could not make the columns"
    close(D.apply(new()).matrix, theirs.reshape(-1, len(D.names), order="F"))


@pytest.mark.parametrize("word", ALIKE + OWN)
def test_some_rows_of_training_get_their_columns_again(word):
    table = frame()
    D = fn.model_matrix(f"y ~ {word}", table)
    place = {row: i for i, row in enumerate(D.rows)}
    some = [row for row in (30, 3, 4, 59, 11) if row in place]
    np.testing.assert_array_equal(D.apply(table.iloc[some]).matrix, D.matrix[[place[row] for row in some]])
