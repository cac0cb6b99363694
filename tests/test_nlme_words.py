"""from_nlme: nlme's random effects in lme4's bars, and what is said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import FormulaError
from formula_neuro.formula import parse
from formula_neuro.syntax.nlme_random import random_in_nlme


@pytest.mark.parametrize(
    ("random", "bars"),
    [
        ("~1 | g", "(1 | g)"),
        ("~ 1 + x|a/b", "(1 + x | a/b)"),
        ("~x - 1 | g", "(x - 1 | g)"),
        ("list(a = ~1, b = ~1)", "(1 | a) + (1 | a:b)"),
        ("list(midx=~1,cidx=~treatment)", "(1 | midx) + (treatment | midx:cidx)"),
        ({"midx": "~1", "cidx": "~treatment"}, "(1 | midx) + (treatment | midx:cidx)"),
        ("list(a = ~1, b = ~1, c = ~x)", "(1 | a) + (1 | a:b) + (x | a:b:c)"),
        ("list(g = pdDiag(~x))", "diag(x | g)"),
        ("list(g = pdDiag(form = ~ x))", "diag(x | g)"),
        ("list(g = pdSymm(~x))", "(x | g)"),
        ("list(g = nlme::pdIdent(~f - 1))", "diag(f - 1 | g, hom = TRUE)"),
        ("list(g = pdCompSymm(~f - 1))", "cs(f - 1 | g, hom = TRUE)"),
        ("list(g = pdBlocked(list(pdSymm(~1), pdIdent(~f - 1))))", "(1 | g) + diag(f - 1 | g, hom = TRUE)"),
    ],
)
def test_random_effects_become_bars(random, bars):
    assert fn.from_nlme("y ~ x", random).formula == f"y ~ x + {bars}"


def test_bars_of_the_translation_are_read_by_the_formula():
    parsed = parse(fn.from_nlme("y ~ x", "list(a = ~1, b = pdDiag(~x), c = pdCompSymm(~0 + f))").formula)
    assert [(bar.name, bar.structure, bar.hom) for bar in parsed.bars] == [
        ("a", "us", False), ("a:b", "diag", False), ("a:b:c", "cs", True),
    ]  # fmt: skip


def test_a_whole_call_is_read_as_it_stands_in_r():
    told = fn.from_nlme(
        """lme(res ~ treatment, data = d, random = list(midx = ~1, cidx = ~treatment),
               weights = varIdent(form = ~1 | treatment), correlation = corAR1(0.2, form = ~day | midx),
               method = "ML")"""
    )
    assert told.formula == "res ~ treatment + (1 | midx) + (treatment | midx:cidx)"
    assert told.estimator == fn.ML(residual=[fn.VarIdent("treatment"), fn.AR1("day", "midx")])
    assert "estimator=fn.ML(residual=[fn.VarIdent(group=" in str(told)


def test_arguments_of_a_call_go_by_place_as_in_r():
    assert fn.from_nlme("nlme::lme(y ~ x, d, ~1 | g)").formula == "y ~ x + (1 | g)"
    assert fn.from_nlme("y ~ x", "~1 | g").estimator == fn.REML()


@pytest.mark.parametrize(
    ("correlation", "structure"),
    [
        ("corAR1()", fn.AR1()),
        ("corAR1(form = ~1 | g)", fn.AR1(group="g")),
        ("corAR1(form = ~day)", fn.AR1("day")),
        ("corAR1(form = ~day | a/b)", fn.AR1("day")),  # the finest group, which is the default
    ],
)
def test_correlations_become_structures(correlation, structure):
    told = fn.from_nlme("y ~ x", "~1 | g", correlation=correlation)
    assert told.estimator == fn.REML(residual=structure)


# ---- words ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def before_after():
    """15 cells in each of 11 mice, their numbers starting anew, each seen before and after."""
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"midx": np.repeat(np.arange(11), 30), "cidx": np.tile(np.repeat(np.arange(15), 2), 11)})
    d["treatment"] = np.tile(["after", "before"], 165)
    cell = np.repeat(rng.normal(size=(165, 2)) @ [[1, 0.3], [0, 0.6]], 2, axis=0)
    d["res"] = rng.normal(size=11)[d["midx"]] + cell[:, 0] + (d["treatment"] == "after") * (0.5 + cell[:, 1])
    return d.assign(res=d["res"] + 0.5 * rng.normal(size=330))


def test_nesting_in_the_order_of_the_list_is_explained():
    words = fn.from_nlme("y ~ x", "list(midx = ~1, cidx = ~x)").explanation[0]
    assert "in the order of the list" in words and "(... | midx:cidx)" in words


def test_an_unidentified_residual_variance_is_said_where_it_is(before_after):
    told = fn.from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~treatment)", data=before_after)
    assert any("no midx:cidx has more rows (2) than effects (2)" in text for text in told.explanation)
    twice = pd.concat([before_after, before_after])
    enough = fn.from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~treatment)", data=twice)
    assert not any("not identified" in text for text in enough.explanation)
    assert not any("not identified" in text for text in fn.from_nlme("y ~ x", "~1 | a/b").explanation)


def test_the_fit_of_a_translation_says_it_too(before_after):
    told = fn.from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~treatment)", method="ML")
    m = fn.fit(told.formula, before_after, estimator=told.estimator)
    assert m.converged and any("not identified" in text for text in m.messages)


def test_the_order_of_the_list_matters(before_after):
    inside = fn.from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~1)").formula
    assert inside.endswith("(1 | midx) + (1 | midx:cidx)")
    assert fn.from_nlme("res ~ treatment", "list(cidx = ~1, midx = ~1)").formula.endswith(
        "(1 | cidx) + (1 | cidx:midx)"
    )


# ---- errors --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("random", "words"),
    [
        ("pdDiag(~x)", "says no grouping factor"),
        ("~1", "random effects are '~ columns | group'"),
        ("list(~1)", "named by its grouping factor"),
        ("list(g = pdFoo(~x))", "none of pdSymm"),
        ("list(g = ~1 | h)", "not right of a bar too"),
        ("list(g = pdDiag(3))", "takes a formula"),
        ("~1 | a + b", "nested by '/'"),
        ("list(g = ~1", "a bracket is not closed"),
        (None, "takes random effects"),
    ],
)
def test_what_cannot_be_translated_is_refused_in_words(random, words):
    with pytest.raises(FormulaError, match=words):
        fn.from_nlme("y ~ x", random)


def test_other_functions_of_nlme_are_refused_by_name():
    with pytest.raises(FormulaError, match="there is varIdent"):
        fn.from_nlme("y ~ x", "~1 | g", weights="varPower()")
    with pytest.raises(FormulaError, match="there is corAR1"):
        fn.from_nlme("y ~ x", "~1 | g", correlation="corExp(form = ~t)")
    with pytest.raises(FormulaError, match="subset= belongs to"):
        fn.from_nlme("lme(y ~ x, d, ~1 | g, subset = x > 0)")
    with pytest.raises(ValueError, match="method='PQL' is not known"):
        fn.from_nlme("y ~ x", "~1 | g", method="PQL")


# ---- the way back --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("formula", "random"),
    [
        ("y ~ x + (x | g)", "~1 + x | g"),
        ("y ~ x + (1 | a/b)", "list(a = ~1, b = ~1)"),
        ("y ~ x + (1 | a) + (x | a:b)", "list(a = ~1, b = ~1 + x)"),
        ("y ~ x + diag(x | g)", "list(g = pdDiag(~1 + x))"),
        ("y ~ x + (x || g)", "list(g = pdBlocked(list(pdSymm(~1), pdSymm(~0 + x))))"),
        ("y ~ x + (1 | a) + (1 | b)", None),
    ],
)
def test_nested_terms_have_a_way_back(formula, random):
    assert random_in_nlme(parse(formula)) == random


@pytest.mark.r
def test_lme_has_the_same_log_likelihood(before_after):
    """nlme by its own words against ours by the translation's."""
    import subprocess

    code = """
    library(nlme); d <- read.csv(file("stdin")); d$x <- d$cidx / 10
    show <- function(m) cat(format(as.double(logLik(m)), digits = 17), "\\n")
    control <- lmeControl(msMaxIter = 500, maxIter = 500)
    show(lme(res ~ treatment, d, random = list(midx = ~1, cidx = ~treatment), method = "ML", control = control))
    show(lme(res ~ treatment, d, ~1 | midx/cidx, control = control))
    show(lme(res ~ treatment, d, list(midx = pdDiag(~x)), control = control))
    show(lme(res ~ treatment, d, list(midx = ~1, cidx = ~1), weights = varIdent(form = ~1 | treatment),
             control = control))
    """
    done = subprocess.run(
        ["Rscript", "-e", code], input=before_after.to_csv(), capture_output=True, text=True, check=True
    )
    theirs = [float(line) for line in done.stdout.split()]
    told = [
        fn.from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~treatment)", method="ML"),
        fn.from_nlme("res ~ treatment", "~1 | midx/cidx"),
        fn.from_nlme("res ~ treatment", {"midx": "pdDiag(~x)"}),
        fn.from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~1)", weights="varIdent(form = ~1 | treatment)"),
    ]
    data = before_after.assign(x=before_after["cidx"] / 10)
    ours = [fn.fit(t.formula, data, estimator=t.estimator).loglik for t in told]
    # lme stops short of the maximum where variances trade for one another
    assert np.allclose(ours, theirs, atol=1e-5) and (np.array(ours) > np.array(theirs) - 1e-7).all()
