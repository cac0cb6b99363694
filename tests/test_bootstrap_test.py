"""fn.bootstrap_test: the p value and its company, the stream of replicates, failures, interruptions, workers."""

from __future__ import annotations

import pickle
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, FitError, Unable
from formula_neuro.inference.bootstrap.bootstrap_test import Ratios
from formula_neuro.inference.bootstrap.ratio import clear_of, corrected
from formula_neuro.inference.bootstrap.running import run


def table(groups: int = 12, each: int = 6, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), each)
    x = rng.standard_normal(len(g))
    y = 1 + 0.3 * x + 0.7 * rng.standard_normal(groups)[g] + rng.standard_normal(len(g))
    return pd.DataFrame({"y": y, "x": x, "g": g, "k": rng.poisson(np.exp(0.2 * y)), "b": (y > 1).astype(int)})


DATA = table()


def pair(small: str, large: str, **options) -> tuple:
    return fn.fit(small, DATA, **options), fn.fit(large, DATA, **options)


@pytest.fixture(scope="module")
def lmm() -> tuple:
    return pair("y ~ 1 + (1|g)", "y ~ x + (1|g)", estimator="ml")


@pytest.fixture(scope="module")
def glm() -> tuple:
    return pair("b ~ 1", "b ~ x", family="binomial")


@dataclass(frozen=True)
class Flaky:
    """An engine whose refits fail, or are interrupted, at given calls."""

    inner: object
    fails: frozenset[int] = frozenset()
    interrupted: int = -1
    calls: list[int] = field(default_factory=list)

    def refit(self, request):
        self.calls.append(len(self.calls))
        if self.calls[-1] == self.interrupted:
            raise KeyboardInterrupt
        if self.calls[-1] in self.fails:
            raise FitError("it broke\nin two lines")
        return self.inner.refit(request)


def flaky(fit, **options):
    return replace(fit, engine=Flaky(fit.engine, **options))


# ---- the numbers ---------------------------------------------------------------------------------
def test_the_p_value_counts_extreme_replicates_and_the_data(lmm):
    test = fn.bootstrap_test(*lmm, n=60, seed=1)
    assert test.p_value == (1 + (test.draws >= test.statistic).sum()) / 61


def test_the_monte_carlo_error_is_that_of_a_share(lmm):
    test = fn.bootstrap_test(*lmm, n=60, seed=1)
    assert test.mc_error == pytest.approx(np.sqrt(test.p_value * (1 - test.p_value) / 60), rel=1e-12)


def test_the_statistic_is_that_of_the_likelihood_ratio(lmm):
    assert fn.bootstrap_test(*lmm, n=1, seed=1).statistic == pytest.approx(fn.anova(*lmm).statistic[1], rel=1e-9)


def test_a_linear_model_gives_the_p_value_of_its_exact_f_test():
    small, large = pair("y ~ 1", "y ~ x")
    exact = fn.anova(small, large).p_value[1]
    test = fn.bootstrap_test(small, large, n=400, seed=2)
    # the likelihood ratio is a function of F alone; 4 Monte-Carlo standard errors at the true p
    assert abs(test.p_value - exact) < 4 * np.sqrt(exact * (1 - exact) / 400) + 1 / 401


def test_the_order_of_the_fits_does_not_matter(glm):
    a, b = fn.bootstrap_test(*glm, n=20, seed=1), fn.bootstrap_test(*glm[::-1], n=20, seed=1)
    assert np.array_equal(a.draws, b.draws)


def test_corrections_follow_the_moments_of_all_replicates():
    draws = np.array([0.0, 0.5, 1.0, 2.0, 4.0])
    rows = {name: values for name, *values in corrected(3.0, 1, draws)}
    E, variance = 1.5, draws.var(ddof=1)
    assert rows["Bartlett"][:1] == [pytest.approx(3 / E)]
    assert rows["gamma"][3] == pytest.approx(stats.gamma.sf(3, E**2 / variance, scale=variance / E))
    assert rows["F"][2] == pytest.approx(2 * E / (E - 1))


def test_the_f_test_is_not_defined_where_the_mean_does_not_exceed_the_degrees_of_freedom():
    rows = {name: values for name, *values in corrected(3.0, 2, np.array([0.5, 1.0, 2.0]))}
    assert np.isnan(rows["F"][2:]).all()


def test_an_undefined_f_test_is_said_in_words(lmm):
    test = replace(fn.bootstrap_test(*lmm, n=5, seed=1), draws=np.array([0.1, 0.2, 0.3]), reasons=("",) * 3)
    assert "F test is not defined" in str(test)


def test_variances_are_tested_by_the_bootstrap_alone():
    small, large = pair("y ~ x", "y ~ x + (1|g)", estimator="ml")
    test = fn.bootstrap_test(small, large, n=30, seed=1)
    assert test.of_variances
    assert test.to_frame()["test"].tolist() == ["bootstrap"]


def test_half_of_the_statistics_of_a_variance_are_zero_under_no_variance():
    small, large = pair("y ~ x", "y ~ x + (1|g)", estimator="ml")
    draws = fn.bootstrap_test(small, large, n=200, seed=1).draws
    # a variance of 12 groups is estimated as 0 in a little more than half of the samples: 4 standard errors around .6
    assert 0.46 < (draws < 1e-6).mean() < 0.74


def test_reml_fits_are_refitted_by_maximum_likelihood_and_told(lmm):
    by_reml = fn.bootstrap_test(*pair("y ~ 1 + (1|g)", "y ~ x + (1|g)"), n=20, seed=1)
    assert by_reml.statistic == pytest.approx(fn.bootstrap_test(*lmm, n=1, seed=1).statistic, rel=1e-9)
    assert any("refitted by maximum likelihood" in message for message in by_reml.messages)


@pytest.mark.parametrize("family, response", [("poisson", "k"), ("binomial", "b"), ("gaussian", "y")])
def test_every_kind_of_fit_can_be_tested(family, response):
    small, large = pair(f"{response} ~ 1", f"{response} ~ x", family=family)
    assert fn.bootstrap_test(small, large, n=20, seed=1).n_used == 20


def test_ties_of_discrete_responses_count_as_extreme():
    d = pd.DataFrame({"b": [0, 1] * 4, "x": [0, 0, 1, 1] * 2})
    small, large = (fn.fit(f, d, family="binomial") for f in ("b ~ 1", "b ~ x"))
    assert fn.bootstrap_test(small, large, n=50, seed=1).p_value == 1  # the observed statistic is 0


# ---- the stream ----------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_numbers(lmm):
    a, b = fn.bootstrap_test(*lmm, n=30, seed=3), fn.bootstrap_test(*lmm, n=30, seed=3)
    assert np.array_equal(a.draws, b.draws)


def test_other_seeds_give_other_numbers(lmm):
    assert not np.array_equal(fn.bootstrap_test(*lmm, n=9, seed=3).draws, fn.bootstrap_test(*lmm, n=9, seed=4).draws)


@pytest.mark.parametrize("models", ["lmm", "glm"])
def test_a_test_continued_equals_one_run_in_one_go(models, request):
    fits = request.getfixturevalue(models)
    whole = fn.bootstrap_test(*fits, n=137, seed=5)
    part = fn.bootstrap_test(*fits, n=64, seed=5)
    assert np.array_equal(fn.bootstrap_test(*fits, n=137, resume=part).draws, whole.draws)


@pytest.mark.parametrize("models", ["lmm", "glm"])
def test_numbers_do_not_depend_on_how_many_are_asked_for_at_a_time(models, request):
    small, large = request.getfixturevalue(models)
    task = Ratios(small, large, 7)
    whole = run(task, 0, 130).rows
    pieces = [run(task, first, last).rows for first, last in ((0, 1), (1, 99), (99, 130))]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_processes_give_the_same_numbers_as_this_one(glm):
    assert np.array_equal(
        fn.bootstrap_test(*glm, n=25, seed=1, workers=2).draws, fn.bootstrap_test(*glm, n=25, seed=1).draws
    )


def test_any_executor_can_do_the_work(lmm):
    with ThreadPoolExecutor(2) as pool:
        test = fn.bootstrap_test(*lmm, n=120, seed=1, workers=pool)
    assert np.array_equal(test.draws, fn.bootstrap_test(*lmm, n=120, seed=1).draws)


def test_a_clients_submit_is_all_that_is_asked_of_it(glm):
    class Client:
        """What a dask client shares with an executor, its work pickled on the way."""

        def submit(self, function, *arguments):
            future = Future()
            future.set_result(pickle.loads(pickle.dumps(function))(*pickle.loads(pickle.dumps(arguments))))
            return future

    test = fn.bootstrap_test(*glm, n=15, seed=1, workers=Client())
    assert np.array_equal(test.draws, fn.bootstrap_test(*glm, n=15, seed=1).draws)


def test_a_generator_is_a_seed_too(glm):
    a = fn.bootstrap_test(*glm, n=10, seed=np.random.default_rng(1))
    assert np.array_equal(a.draws, fn.bootstrap_test(*glm, n=10, seed=a.seed).draws)


def test_a_result_survives_pickling(glm):
    test = fn.bootstrap_test(*glm, n=10, seed=1)
    assert np.array_equal(pickle.loads(pickle.dumps(test)).draws, test.draws)


# ---- what goes wrong -----------------------------------------------------------------------------
def test_failing_replicates_are_counted_with_their_reason_and_stop_nothing(glm):
    small, large = glm
    test = fn.bootstrap_test(small, flaky(large, fails=frozenset({2, 5, 11})), n=20, seed=1)
    assert (test.n_used, test.n_failed, test.failures) == (17, 3, {"FitError: it broke": 3})


def test_the_replicates_that_do_not_fail_are_those_of_a_run_without_failures(glm):
    small, large = glm
    test = fn.bootstrap_test(small, flaky(large, fails=frozenset({2, 5})), n=20, seed=1)
    kept = np.delete(fn.bootstrap_test(small, flaky(large), n=20, seed=1).draws, [2, 5])
    assert np.array_equal(test.used, kept)


def test_the_print_says_what_failures_could_mean(glm):
    small, large = glm
    shown = str(fn.bootstrap_test(small, flaky(large, fails=frozenset({2, 5, 11})), n=20, seed=1))
    assert "3 failed" in shown and "3 x FitError: it broke" in shown and "had all that failed been extreme" in shown


def test_fits_that_do_not_converge_are_not_used(glm):
    @dataclass(frozen=True)
    class Stopping:
        inner: object

        def refit(self, request):
            found = self.inner.refit(request)
            return replace(found, converged=found.beta[1] > 0)

    small, large = glm
    test = fn.bootstrap_test(small, replace(large, engine=Stopping(large.engine)), n=30, seed=1)
    assert 0 < test.n_failed < 30
    assert set(test.failures) == {"the fit did not converge"}


def test_a_bootstrap_of_which_nothing_is_left_is_an_error_with_the_reason(glm):
    small, large = glm
    with pytest.raises(FitError, match=r"none of 10 replicates could be fitted.*it broke"):
        fn.bootstrap_test(small, flaky(large, fails=frozenset(range(10))), n=10, seed=1)


def test_an_interrupted_test_keeps_what_is_done_and_can_go_on(glm):
    small, large = glm
    test = fn.bootstrap_test(small, flaky(large, interrupted=25), n=40, seed=1)
    assert len(test.draws) == 20  # whole tiles of ten
    assert any("interrupted after 20 of 40" in message for message in test.messages)
    calm = small, flaky(large)
    whole = fn.bootstrap_test(*calm, n=40, seed=1)
    assert np.array_equal(fn.bootstrap_test(*calm, n=40, resume=test).draws, whole.draws)


def test_an_interruption_before_anything_is_done_is_one(glm):
    small, large = glm
    with pytest.raises(KeyboardInterrupt):
        fn.bootstrap_test(small, flaky(large, interrupted=3), n=40, seed=1)


# ---- stopping early ------------------------------------------------------------------------------
def test_a_clear_answer_stops_early_and_says_so():
    d = table(seed=3).assign(z=np.arange(72) % 2)
    small, large = (fn.fit(f, d, family="poisson") for f in ("k ~ z", "k ~ z + x"))
    small, large = (fn.refit(m, family="gaussian") for m in (small, large))
    test = fn.bootstrap_test(small, large, n=1000, seed=1, stop_alpha=0.5)
    assert len(test.draws) < 1000 and len(test.draws) % 100 == 0
    assert any("stopped early" in message and "clear of 0.5" in message for message in test.messages)


def test_stopping_looks_at_the_same_places_whatever_the_workers(lmm):
    alone = fn.bootstrap_test(*lmm, n=1000, seed=1, stop_alpha=0.2)
    with ThreadPoolExecutor(3) as pool:
        shared = fn.bootstrap_test(*lmm, n=1000, seed=1, stop_alpha=0.2, workers=pool)
    assert np.array_equal(alone.draws, shared.draws)


def test_an_interval_that_holds_alpha_does_not_stop():
    draws = np.concatenate([np.full(5, 9.0), np.zeros(95)])[:, None]
    assert clear_of(0.05, 4.0, np.empty(0), draws) == ""
    assert "clear of 0.3" in clear_of(0.3, 4.0, np.empty(0), draws)


# ---- what is refused -----------------------------------------------------------------------------
def test_models_that_are_not_nested_are_refused():
    d = DATA.assign(z=DATA.x**2, u=np.sin(DATA.x))
    with pytest.raises(DataError, match="not nested"):
        fn.bootstrap_test(fn.fit("y ~ z", d), fn.fit("y ~ x + u", d), n=5)


def test_random_effects_that_the_larger_model_lacks_are_refused():
    d = DATA.assign(h=np.tile(np.arange(6), 12))
    with pytest.raises(DataError, match="random effects of h, the larger one has not"):
        fn.bootstrap_test(fn.fit("y ~ 1 + (1|h)", d), fn.fit("y ~ x + I(x^2) + (1|g)", d), n=5)


def test_quasi_families_have_no_likelihood_to_test():
    with pytest.raises(Unable, match="quasipoisson has none"):
        fn.bootstrap_test(*pair("k ~ 1", "k ~ x", family="quasipoisson"), n=5)


def test_estimates_under_a_prior_do_not_maximise_the_likelihood():
    options = {"family": "binomial", "estimator": fn.Laplace(prior=fn.Normal(2.5))}
    with pytest.raises(Unable, match="has a prior; refit it without"):
        fn.bootstrap_test(*pair("b ~ 1 + (1|g)", "b ~ x + (1|g)", **options), n=5)


def test_bias_reduced_fits_are_refused_with_what_to_do():
    with pytest.raises(Unable, match="different penalties"):
        fn.bootstrap_test(*pair("b ~ 1", "b ~ x", family="binomial", estimator="mean_br"), n=5)


def test_fits_of_other_rows_are_refused():
    with pytest.raises(DataError, match="different rows"):
        fn.bootstrap_test(fn.fit("y ~ 1", DATA), fn.fit("y ~ x", DATA.iloc[1:]), n=5)


def test_a_test_of_other_models_cannot_be_continued(lmm, glm):
    with pytest.raises(ValueError, match="resume= is a test of"):
        fn.bootstrap_test(*lmm, n=30, resume=fn.bootstrap_test(*glm, n=10, seed=1))


def test_a_stream_is_continued_with_its_own_seed(glm):
    with pytest.raises(ValueError, match="stream of seed 1"):
        fn.bootstrap_test(*glm, n=30, seed=2, resume=fn.bootstrap_test(*glm, n=10, seed=1))


@pytest.mark.parametrize(
    "options, said",
    [
        ({"n": 0}, "1 or more"),
        ({"seed": -1}, "seed is a whole number"),
        ({"stop_alpha": 2}, "between 0 and 1"),
        ({"workers": 0}, "workers is a number"),
    ],
)
def test_senseless_arguments_are_refused(glm, options, said):
    with pytest.raises(ValueError, match=said):
        fn.bootstrap_test(*glm, **{"n": 5, **options})


# ---- words ---------------------------------------------------------------------------------------
def test_the_print_names_models_counts_and_error(lmm):
    shown = str(fn.bootstrap_test(*lmm, n=30, seed=1))
    for part in ("y ~ 1 + (1|g)", "y ~ x + (1|g)", "30 used, 0 failed", "seed 1", "Monte-Carlo standard error"):
        assert part in shown


def test_the_tables_have_their_columns(lmm):
    test = fn.bootstrap_test(*lmm, n=30, seed=1)
    assert test.to_frame().columns.tolist() == ["test", "statistic", "df", "df_resid", "p_value"]
    assert test.glance().loc[0, ["n_used", "n_failed", "seed"]].tolist() == [30, 0, 1]


def test_progress_goes_to_standard_error_only_when_asked_for_or_at_a_terminal(glm, capfd):
    fn.bootstrap_test(*glm, n=12, seed=1)
    assert capfd.readouterr().err == ""
    fn.bootstrap_test(*glm, n=12, seed=1, progress=True)
    assert "bootstrap" in capfd.readouterr().err
