"""How often tests of moderators reject at .05 where there is nothing to find: fixed seeds, few simulations.

The full tables are in benchmarks/README.md (cbmr_calibration.py). Bounds are binomial limits of the tables' rates.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from formula_neuro_cbmr import quasi
from formula_neuro_cbmr.clustered import clustered_level
from formula_neuro_cbmr.jackknife import jackknife, of_level
from formula_neuro_cbmr.totals import Totals, frailty_units, poisson_level, robust

N = 300
NAMES = ("a", "b", "of study", "of analysis")


def drawn(seed: int, studies: int, each: int, between: float, within: float) -> Totals:
    """Totals of 10 foci on average in two groups, which no moderator changes; gamma factors by study and analysis."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rng.integers(1, each + 1, studies))
    M = len(study)
    mean = np.full(M, 10.0)
    mean *= rng.gamma(1 / between, between, studies)[study] if between else 1.0
    mean *= rng.gamma(1 / within, within, M) if within else 1.0
    Z = np.column_stack([rng.normal(size=studies)[study], rng.normal(size=M)])
    group = (np.arange(studies) % 2)[study]
    return Totals(rng.poisson(mean).astype(float), group, Z, np.zeros(M), study, np.arange(M), NAMES)


def by_fisher(one, level):
    return tails(level, level.fisher, np.inf)


def by_quasi(one, level):
    phi = quasi.dispersion(one.t, level.means, 4)
    return tails(level, phi.phi * level.fisher, phi.df)


def by_robust(one, level):
    return tails(level, robust(one, level), one.study.max() + 1 - 4)


def by_jackknife(one, level):
    return tails(level, jackknife(of_level(one, level)), one.study.max() + 1 - 4)


def by_studies(one, level):
    shared = Totals(one.t, one.group, one.Z, one.offset, one.study, frailty_units(one.group, one.study, True), NAMES)
    level = clustered_level(shared)
    return tails(level, level.fisher, np.inf)


def tails(level, covariance, df):
    return 2 * stats.t.sf(np.abs(level.gamma) / np.sqrt(np.diagonal(covariance)[2:]), df)


def rejected(*tests, n=N, **data) -> list[np.ndarray]:
    """How many of n simulations each test rejects, by moderator."""
    counts = np.zeros((len(tests), 2), dtype=int)
    for seed in range(n):
        one = drawn(seed, **data)
        level = poisson_level(one)
        counts += np.array([test(one, level) < 0.05 for test in tests])
    return list(counts)


def limit(rate: float, n: int = N) -> float:
    """What a binomial of this rate exceeds once in a thousand times."""
    return float(stats.binom.ppf(0.999, n, rate))


POISSON = {"studies": 60, "each": 1, "between": 0.0, "within": 0.0}
OVERDISPERSED = {"studies": 100, "each": 1, "between": 0.0, "within": 1.4}
SHARED = {"studies": 40, "each": 4, "between": 1.4, "within": 0.0}


def test_fisher_and_quasi_keep_the_size_under_poisson():
    for counts in rejected(by_fisher, by_quasi, **POISSON):
        assert (counts <= limit(0.055)).all()


def test_fisher_rejects_half_of_true_nulls_where_totals_are_overdispersed():
    assert (rejected(by_fisher, n=100, **OVERDISPERSED)[0] > 40).all()


def test_quasi_keeps_the_size_where_totals_are_overdispersed():
    assert (rejected(by_quasi, **OVERDISPERSED)[0] <= limit(0.06)).all()


@pytest.fixture(scope="module")
def shared():
    """Rejections of quasi, robust and jackknife where the analyses of a study share a factor."""
    return rejected(by_quasi, by_robust, by_jackknife, **SHARED)


def test_quasi_rejects_too_often_where_studies_share_what_their_analyses_have_too_many_of(shared):
    assert shared[0][0] > limit(0.1)


def test_jackknife_keeps_the_size_there(shared):
    assert (shared[2] <= limit(0.07)).all()


def test_jackknife_rejects_less_than_the_sandwich(shared):
    assert shared[2].sum() < shared[1].sum()


def test_frailties_of_studies_do_not_reject_half_of_true_nulls_there():
    counts = rejected(by_studies, n=100, **SHARED)[0]
    assert (counts <= limit(0.1, 100)).all()  # maximum likelihood: liberal by some percent
