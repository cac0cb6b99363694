"""Bootstrap tests beside pbkrtest's PBmodcomp, distributions beside lme4's bootMer, intervals beside boot's boot.ci.

The random numbers differ, so distributions agree within their Monte-Carlo errors only.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.inference.bootstrap.distributions import bootstrap
from formula_neuro.inference.bootstrap.interval_kinds import limits

pytestmark = [pytest.mark.r, pytest.mark.slow]

REPLICATES = 60  # of R's, which takes 20 to 60 ms for a pair of fits
OURS = 1000
T = np.random.default_rng(7).gamma(3, size=999)
T0, L = 3.0, np.random.default_rng(8).gamma(2, size=999)  # influence values, for the acceleration

TESTS = {
    "sleepstudy": ("Reaction ~ Days + (1|Subject)", "Reaction ~ Days + I(Days^2) + (1|Subject)", {}),
    "beets": (
        "sugpct ~ block + sow + (1|block:harvest)",
        "sugpct ~ block + sow + harvest + (1|block:harvest)",
        {},
    ),
    "cbpp": (
        "cbind(incidence, size - incidence) ~ 1 + (1|herd)",
        "cbind(incidence, size - incidence) ~ period + (1|herd)",
        {"family": "binomial"},
    ),
}


@pytest.fixture(scope="module")
def r(tmp_path_factory) -> dict:
    given = tmp_path_factory.mktemp("bootstrap") / "draws.json"
    given.write_text(json.dumps({"t": T.tolist(), "t0": T0, "L": (L - L.mean()).tolist()}))
    script = Path(__file__).with_name("bootstrap_in_r.R")
    done = subprocess.run(["Rscript", script, given, str(REPLICATES)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=TESTS)
def both(request, r, rdata):
    small, large, options = TESTS[request.param]
    table = rdata("pbkrtest" if request.param == "beets" else "lme4", request.param)
    fits = [fn.fit(formula, table, **options) for formula in (small, large)]
    return fn.bootstrap_test(*fits, n=OURS, seed=1), r["tests"][request.param]


def test_statistics_equal_pbkrtests(both):
    ours, theirs = both
    # glmer's likelihoods are good to 3e-4, lmer's to 1e-6
    assert ours.statistic == pytest.approx(theirs["statistic"], abs=2e-3)


def test_p_values_agree_with_pbkrtests_within_monte_carlo_error(both):
    ours, theirs = both
    p = ours.p_value
    error = np.sqrt(p * (1 - p) * (1 / OURS + 1 / REPLICATES))
    # and one replicate more or less, by which the two counts differ where p is near 0
    assert abs(p - theirs["p_value"]) < 4 * error + 2 / REPLICATES


def test_reference_distributions_are_those_of_pbkrtest(both):
    ours, theirs = both
    reference = np.array(theirs["reference"])
    # pbkrtest leaves out statistics that are not above 0
    p = stats.ks_2samp(ours.used[ours.used > 0], reference[reference > 0]).pvalue
    assert p > 1e-3


def test_the_table_has_pbkrtests_tests(both):
    ours, theirs = both
    names = {"LRT": "LRT", "PBtest": "bootstrap", "Gamma": "gamma", "Bartlett": "Bartlett", "F": "F"}
    assert {names[name] for name in theirs["names"]} == set(ours.to_frame()["test"])


SPREADS = {
    "new": ("Days", ["(Intercept)", "Days", "sd_(Intercept)", "cor_Days.(Intercept)", "sd_Days", "sigma"]),
    "fitted": ("1", ["(Intercept)", "Days", "sd_(Intercept)", "sigma"]),
}


@pytest.mark.parametrize("effects", SPREADS)
def test_spreads_of_all_parameters_are_bootmers(r, rdata, effects):
    term, names = SPREADS[effects]
    fit = fn.fit(f"Reaction ~ Days + ({term}|Subject)", rdata("lme4", "sleepstudy"), estimator="ml")
    draws = bootstrap(fit, fn.Bootstrap(n=1000, seed=1, effects=effects)).to_frame()
    names = [f"{name}|Subject" if name.startswith(("sd_", "cor_")) else name for name in names]
    # a standard deviation of 60 draws has an error of 9 %, more with a correlation's long tails: four of them
    np.testing.assert_allclose(draws[names].std(), r["spread"][effects], rtol=0.4)


@pytest.mark.parametrize("ours, theirs", [("normal", "norm"), ("basic", "basic"), ("percentile", "perc")])
def test_intervals_of_given_draws_equal_boots(r, ours, theirs):
    # 25th and 975th of 999: no interpolation
    assert limits(ours, T, T0, 0.0, 0.95) == pytest.approx(r["intervals"][theirs], rel=1e-10)


def test_bca_of_given_draws_equals_boots(r):
    centred = L - L.mean()
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    # between two order statistics boot interpolates on the normal scale, we on a straight line: less than a gap
    assert limits("bca", T, T0, acceleration, 0.95) == pytest.approx(r["intervals"]["bca"], rel=2e-3)
