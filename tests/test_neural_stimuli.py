"""Stimuli: neurolib's courses, sums, concatenations, and what does not fit a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError

s = fn.stimuli
T = 0.125 * np.arange(1, 769)  # as in benchmarks/neuralmass/peer_measures.py, which made these numbers
NEUROLIB = dict(np.load(Path(__file__).parent / "neural_measures.npz"))
MADE = {
    "step": s.Step(2.0, start=10, end=50),
    "sinusoid": s.Sinusoid(1.5, 40.0, start=20),
    "sinusoid_bias": s.Sinusoid(1.5, 40.0, dc_bias=True, end=70),
    "square": s.Square(0.5, 35.0),
    "ramp": s.LinearRamp(3.0, 30.0, start=15.5, end=90),
    "rise": s.Exponential(2.0, start=10),
    "decay": s.Exponential(2.0, k=5.0, kind="decay"),
    "rectified": s.Rectified(0.7),
    "sum": s.Step(1.0, start=30) + s.Sinusoid(1.0, 20.0),
    "appended": s.Step(1.0) & s.Zero() & s.LinearRamp(1.0, 10.0) & s.Step(-1.0),
}


@pytest.mark.parametrize("name", MADE)
def test_courses_are_neurolibs(name):
    # the same formulas in float64
    np.testing.assert_allclose(MADE[name].sample(T)[:, 0], NEUROLIB[f"stimulus.{name}"], rtol=0, atol=1e-12)


def test_a_start_between_two_sums_of_a_decimal_step_is_not_moved_by_rounding():
    found = s.Step(1.0, start=20).sample(0.1 * np.cumsum(np.ones(1000)))[:, 0]
    assert found[198:202].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_an_ou_process_has_its_mean_and_variance():
    t = 0.1 * np.arange(1, 100_001)
    x = s.OU(mu=2.0, sigma=0.3, tau=5.0).sample(t, 4, np.random.default_rng(1))
    stationary = 0.3**2 * 0.1 / (1 - (1 - 0.1 / 5.0) ** 2)
    # 4 x 10,000 ms are about 4,000 independent values of correlation time 5 ms: 4 standard errors
    assert x.mean() == pytest.approx(2.0, abs=4 * np.sqrt(stationary / 4000))
    assert x.var() == pytest.approx(stationary, rel=4 * np.sqrt(2 / 4000))


def test_wiener_steps_have_the_variance_dt():
    x = s.Wiener().sample(0.1 * np.arange(1, 20_001), 2, np.random.default_rng(1))
    assert x.var() == pytest.approx(0.1, rel=4 * np.sqrt(2 / 40_000))  # 4 standard errors


def test_a_longer_run_begins_with_the_same_random_numbers():
    noise = s.OU(0.0, 1.0, 5.0, start=2.0)
    short, long = (noise.sample(0.1 * np.arange(1, n), 3, np.random.default_rng(7)) for n in (101, 301))
    np.testing.assert_array_equal(short, long[:100])


def test_a_stimulus_can_be_for_some_nodes():
    found = s.Step(1.0).at("b", 0).sample(T, ["a", "b", "c"])
    np.testing.assert_array_equal(found[5], [1.0, 1.0, 0.0])
    with pytest.raises(DataError, match="'d', which the run has not"):
        s.Step(1.0).at("d").sample(T, ["a", "b", "c"])


def test_a_factor_scales_a_stimulus():
    np.testing.assert_allclose((3 * s.Sinusoid(1.0, 10.0)).sample(T), s.Sinusoid(3.0, 10.0).sample(T))


def test_durations_may_be_texts():
    np.testing.assert_array_equal(s.Step(1.0, start="0.05 s").sample(T), s.Step(1.0, start=50).sample(T))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: s.Step(1.0, start=50, end=20), "starts at 50.0 ms and ends at 20.0 ms"),
        (lambda: s.Exponential(1.0, kind="fall"), "'rise' or 'decay'"),
        (lambda: s.Array([1.0, np.nan]), "finite"),
        (lambda: s.Array(np.ones(5)).sample(T), "has 768 steps"),
        (lambda: s.Array(np.ones((768, 2))).sample(T, 3), "3 nodes"),
        (lambda: s.OU(0.0, 1.0, 5.0).sample(T), "give rng="),
        (lambda: s.Step(1.0).sample([0.1, 0.3, 0.4]), "equidistant"),
        (lambda: s.Step(1.0) + 1.0, "a stimulus is expected"),
        (lambda: s.Step(1.0, start="2 minutes"), "did you mean min"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, told):
    with pytest.raises(DataError, match=told):
        make()
