"""GEE against live geepack: estimates and san.se to 1e-6, corrections worked out in R by their definitions."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import NoBackend

pytestmark = pytest.mark.r


@pytest.fixture(scope="module")
def visits():
    """40 mice with some of 4 visits, in no order, a response of every kind."""
    rng = np.random.default_rng(2)
    mouse, visit = np.repeat(np.arange(40), 4), np.tile(np.arange(1, 5), 40)
    n, effect = len(mouse), rng.normal(size=40)[mouse]
    d = pd.DataFrame({"mouse": [f"m{i}" for i in mouse], "visit": visit, "x": rng.normal(size=n)})
    d["w"], d["trials"], d["shift"] = rng.integers(1, 4, n) * 1.0, rng.integers(2, 6, n), rng.normal(size=n) / 4
    chance = 1 / (1 + np.exp(-0.3 * d["x"] - effect))
    d["y"] = 1 + 0.5 * d["x"] + effect + rng.normal(size=n)
    d["hit"], d["hits"] = (rng.random(n) < chance) * 1, rng.binomial(d["trials"], chance)
    d["count"], d["time"] = rng.poisson(np.exp(0.3 * d["x"] + effect / 2)), rng.gamma(2, np.exp(0.3 * d["x"]) / 2)
    d["dose"] = rng.choice(["low", "mid", "high"], n)
    return d[rng.random(n) < 0.85].sample(frac=1, random_state=3).reset_index(drop=True)


MODELS = [
    ("y ~ x * dose", "gaussian", {}, "exchangeable", None),
    ("y ~ x", "gaussian", {}, "unstructured", "visit"),
    ("y ~ x", "gaussian", {"weights": "w"}, "ar1", "visit"),
    ("I(y + 9) ~ x", "gaussian(log)", {"subset": "y > -2"}, "exchangeable", None),
    ("hit ~ x + dose", "binomial", {}, "exchangeable", None),
    ("hit ~ x", "binomial", {}, "unstructured", "visit"),
    ("hit ~ x", "binomial(probit)", {}, "ar1", None),
    ("hit ~ x", "binomial(cloglog)", {}, "independence", None),
    ("cbind(hits, trials - hits) ~ x", "binomial", {}, "exchangeable", None),
    ("count ~ x + offset(shift)", "poisson", {}, "ar1", "visit"),
    ("count ~ poly(x, 2)", "poisson", {"weights": "w"}, "exchangeable", None),
    ("time ~ x", "Gamma(log)", {"offset": "shift"}, "exchangeable", None),
]


@pytest.mark.parametrize(("formula", "family", "options", "corr", "order"), MODELS)
def test_geepack_agrees(visits, formula, family, options, corr, order):
    for bias in ("none", "md"):
        m = fn.fit(formula, visits, family=family, estimator=fn.GEE("mouse", corr, order, bias), **options)
        check = fn.crosscheck(m)  # 1e-6: tolerances.GEE
        assert check.ok and check.reference.startswith("geepack"), check


def test_the_other_correction_agrees_too(visits):
    check = fn.crosscheck(fn.fit("hit ~ x", visits, family="binomial", estimator=fn.GEE("mouse", bias="kc")))
    assert check.ok, check


def test_geepack_itself_says_the_same_of_sorted_rows(visits):
    """Not by way of the bridge: its own summary, QIC and anova, in a run of R."""
    code = """
    suppressMessages(library(geepack))
    d <- read.csv(file("stdin")); d <- d[order(d$mouse, d$visit), ]
    m <- geeglm(hit ~ x + dose, binomial, d, id = factor(mouse), corstr = "exchangeable", std.err = "san.se",
                control = geese.control(epsilon = 1e-12, maxit = 500))
    show <- function(...) cat(format(c(...), digits = 17), "\\n")
    show(coef(m)); show(summary(m)$coefficients[, 2]); show(QIC(m)[c("QIC", "QICu")]); show(anova(m)$X2)
    """
    done = subprocess.run(["Rscript", "-e", code], input=visits.to_csv(), capture_output=True, text=True, check=True)
    coef, se, qic, x2 = (np.array(line.split(), dtype=float) for line in done.stdout.splitlines())
    m = fn.fit("hit ~ x + dose", visits, family="binomial", estimator=fn.GEE("mouse", bias="none"))
    assert np.allclose(m.coef, coef, rtol=1e-6) and np.allclose(m.se, se, rtol=1e-6)
    assert np.allclose(m.glance()[["qic", "qicu"]].iloc[0].to_numpy(float), qic, rtol=1e-6)
    # anova() fits smaller models by geepack's own defaults, which stop at changes of 1e-4
    assert np.allclose(fn.anova(m, test="Chisq")["statistic"], x2, rtol=1e-3)


def test_rows_out_of_order_are_split_by_geepack_and_not_here(visits):
    """Why the bridge sorts: geeglm takes each run of equal ids for a cluster, without a word."""
    code = """
    suppressMessages(library(geepack)); d <- read.csv(file("stdin"))
    cat(length(geeglm(y ~ x, data = d, id = factor(mouse), corstr = "exchangeable")$geese$clusz))
    """
    done = subprocess.run(["Rscript", "-e", code], input=visits.to_csv(), capture_output=True, text=True, check=True)
    m = fn.fit("y ~ x", visits, estimator=fn.GEE("mouse"))
    assert int(done.stdout) > 100 and m.glance()["clusters"][0] == visits["mouse"].nunique()


def test_what_geepack_has_not_is_refused_by_name(visits):
    textbook = fn.fit("y ~ x", visits, estimator=fn.GEE("mouse", denominators="n-p"))
    with pytest.raises(NoBackend, match="divides by numbers of rows and pairs"):
        fn.crosscheck(textbook)
