"""Fits whose formulas use R's functions are the same fits in R, where rows are lost on the way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 160
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "f": rng.choice(list("abc"), n),
            "target": rng.choice(list("abd"), n),
            "g": rng.choice(list("uv"), n),
            "h": rng.integers(1, 9, n),
        }
    )
    data["y"] = data["x"] + rng.normal(size=8)[data["h"] - 1] + rng.normal(size=n)
    data["k"] = rng.poisson(np.exp(0.3 * data["x"]))
    # the rows without z hold the largest x and a level's first row, so that a call would learn otherwise without them
    data.loc[[data["x"].idxmax(), data["x"].idxmin(), 0], "z"] = np.nan
    data.loc[[3, 4], "x"] = np.nan
    data.loc[7, "f"] = None
    data.loc[[3, 4, 7], "h"] = 1
    return data


LINEAR = [
    "ns(x, 3)", "bs(x, df = 5)", "ns(x, knots = quantile(x, c(0.3, 0.7), na.rm = TRUE))", "cut(x, 3)",
    "cut(x, 3, labels = FALSE)", "cut(x, c(-Inf, 0, Inf))", "cut(x, quantile(x, na.rm = T), include.lowest = TRUE)",
    "ifelse(x > 0, 'p', 'q')", "ifelse(g == 'u', f, 'other')", "interaction(f, g)", "poly(z, 2)*f",
    "C(f, contr.treatment, base = 2)", "C(f, sum)*x", "relevel(f, 'c')*relevel(g, 2)", "is.na(x) + is.na(f)",
    "I(x - mean(x, na.rm = TRUE))", "I(x/sd(x, na.rm = TRUE)) + I(x > median(x, na.rm = TRUE))",
    "factor(f, labels = c('A', 'B', 'C'))", "factor(f, levels = c('c', 'a', 'b'))", "ordered(f)", "as.character(f)",
    "round(x, 1) + signif(x, 1)", "I(f %in% c('a', 'b'))", "as.logical(g == 'u')", "factor(h, labels = 'lab')",
    "I(f == target)*x", "I(factor(h) != 2)", "I(ordered(f) > 'a')",
]  # fmt: skip


@pytest.mark.parametrize("word", LINEAR)
def test_a_linear_model_agrees(word):
    fit = fn.fit(f"y ~ {word} + z", table(), subset="h != 3")
    assert len(fit.request.design.rows) < 140
    assert fn.crosscheck(fit).ok


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ z + (1|interaction(f, g)) + (1|h)",
        "y ~ z + (1|cut(x, 4))",
        "y ~ ns(x, 2) + z + (1|factor(h)/g)",
        "y ~ x + z + (ns(x, 2)|h)",
        "y ~ z + (ifelse(g == 'u', 1, 0)|h)",
        "y ~ z + (1|h:cut(x, 2))",
    ],
)
def test_a_mixed_model_agrees_with_calls_on_both_sides_of_a_bar(formula):
    assert fn.crosscheck(fn.fit(formula, table())).ok


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("k ~ ns(x, 2)*g + cut(z, 3) + offset(log(h))", "poisson"),
        ("ifelse(k > 1, 'many', 'few') ~ ns(x, 2)*g + z", "binomial"),
        ("cbind(pmin(k, 5), 5 - pmin(k, 5)) ~ relevel(f, 'c') + C(f, contr.sum):x + z", "binomial"),
    ],
)
def test_a_generalized_model_agrees(formula, family):
    assert fn.crosscheck(fn.fit(formula, table(), family=family)).ok
