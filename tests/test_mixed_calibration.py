"""Sizes of 5 % tests and coverage of 95 % intervals in small samples, by simulation with fixed seeds.

A share of N simulations is judged by the binomial distribution: its limits leave out 1e-4 on each side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.inference.precision import precision

N = 400
WORDS = ("satterthwaite", "kenward-roger", "none")


@dataclass(frozen=True)
class Simulated:
    """Shares of simulations, by the word for degrees of freedom."""

    size: dict  # of F tests of a term that does nothing
    coverage: dict  # of intervals of a coefficient


def animals(cells, arms):
    """Animals g of different numbers of cells, each in one arm; a covariate x that varies within animals."""
    g = np.repeat(np.arange(len(cells)), cells)
    x = np.random.default_rng(1).normal(size=len(g))
    t = pd.DataFrame({"g": g, "arm": g % arms, "x": x})
    return t.assign(g=t.g.map("m{}".format), arm=t.arm.map("t{}".format)), g


def simulate(formula, table, g, slope, seed):
    rng = np.random.default_rng(seed)
    groups, n, x = g.max() + 1, len(g), table["x"].to_numpy()

    def draw():
        own = rng.normal(size=groups)[g] + slope * rng.normal(size=groups)[g] * x
        return own + rng.normal(size=n)

    first = fn.fit(formula, table.assign(y=draw()), backend="native-lmm")
    term = next(t for t in first.request.design.terms if t.name == "arm")
    L = np.eye(len(first.names))
    rejected, covered = dict.fromkeys(WORDS, 0), dict.fromkeys(WORDS, 0)
    for _ in range(N):
        m = first.engine.refit(first.request.with_response(draw()))
        for word in WORDS:
            p = precision(m, word)
            rows = L[term.start : term.stop]
            rejected[word] += p.jointly(rows, rows @ m.beta).p_value < 0.05
            half = stats.t.isf(0.025, p.freedom(L[[term.start]])) * p.se[term.start]
            covered[word] += bool(np.abs(m.beta[term.start]) < half[0])
    return Simulated({w: r / N for w, r in rejected.items()}, {w: c / N for w, c in covered.items()})


@pytest.fixture(scope="module")
def between():
    table, g = animals([3, 8, 5, 6, 2, 9, 4, 7, 5], arms=3)
    return simulate("y ~ arm + x + (1|g)", table, g, slope=0.0, seed=3)


@pytest.fixture(scope="module")
def slopes():
    table, g = animals([5, 6, 5, 7, 4, 6, 5, 6], arms=2)
    return simulate("y ~ arm * x + (x|g)", table, g, slope=0.7, seed=4)


LOW, HIGH = (float(q) / N for q in stats.binom.ppf([1e-4, 1 - 1e-4], N, 0.05))  # 0.015 and 0.098


@pytest.mark.parametrize("word", ["satterthwaite", "kenward-roger"])
def test_tests_between_few_animals_have_their_size(between, word):
    assert LOW <= between.size[word] <= HIGH


@pytest.mark.parametrize("word", ["satterthwaite", "kenward-roger"])
def test_intervals_between_few_animals_cover(between, word):
    assert LOW <= 1 - between.coverage[word] <= HIGH


@pytest.mark.parametrize("word", ["satterthwaite", "kenward-roger"])
def test_tests_beside_random_slopes_have_their_size(slopes, word):
    assert LOW <= slopes.size[word] <= HIGH


@pytest.mark.parametrize("word", ["satterthwaite", "kenward-roger"])
def test_intervals_beside_random_slopes_cover(slopes, word):
    assert LOW <= 1 - slopes.coverage[word] <= HIGH


def test_the_normal_distribution_would_be_too_liberal(between):
    assert between.size["none"] > HIGH
