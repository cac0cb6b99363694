"""BOLD beside a loop that is written out, its steady state, and when it is sampled."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from formula_neuro.dynamics.model import Model, Parameter
from formula_neuro.errors import DataError
from formula_neuro_neuralmass import balloon, engine
from formula_neuro_neuralmass.problem import Balloon, Noise, Problem, Start

RAMP = Model(
    name="ramp",
    help="a rate that rises at a constant speed",
    states=("z",),
    parameters={"speed": Parameter(0.0)},
    drift=lambda s, p: {"z": p.speed + 0 * s.z},
    outputs=("z",),
    initial={"z": 10.0},
    bold=lambda s: s.z,
    network=(),
)


def ramp(steps, bold, nodes=2, speed=0.0, z=10.0, **changes):
    square = np.zeros((nodes, nodes))
    begin = Start({"z": np.full((nodes, 1), z)}, {}, {})
    params = {"speed": np.full((1, 1), speed)}
    problem = Problem(RAMP, 0.1, steps, params, square, square.astype(int), {}, begin, Noise(), bold=bold)
    return replace(problem, **changes)


def run(problem):
    return engine.run(problem, engine="torch")


def by_hand(drives, h=1e-4, kappa=0.65, gamma=0.41, tau=0.98, rho=0.34, alpha=0.32, V0=0.02, X=1.0):
    """BOLD after every step of one region: each line uses what the lines above it have changed."""
    F = Q = V = 1.0
    found = []
    for Z in drives:
        X += h * (Z - kappa * X - gamma * (F - 1))
        Q += h / tau * (F / rho * (1 - (1 - rho) ** (1 / F)) - Q * V ** (1 / alpha - 1))
        V += h / tau * (F - V ** (1 / alpha))
        F = max(F + h * X, 1e-120)
        found.append(V0 * (7 * rho * (1 - Q) + 2 * (1 - Q / V) + (2 * rho - 0.2) * (1 - V)))
    return np.array(found)


def test_bold_is_what_a_loop_gives_and_is_sampled_after_steps_2_52_and_so_on():
    record = run(ramp(170, Balloon(tr=5.0), speed=3.0))
    expected = by_hand(10 + 0.3 * np.arange(1, 171))[1::50]
    # powers by logarithms: about 1e-16 of numbers near 1 in each step, and BOLD is a difference of such numbers
    np.testing.assert_allclose(record.bold[:, 1, 0], expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(record.bold_t, [0.1, 5.1, 10.1, 15.1])


def test_each_region_has_its_own_parameters():
    ours = Balloon(tr=5.0, kappa=np.array([0.65, 0.8]), alpha=np.array([0.32, 0.2]), gain=np.array([1.0, 0.5]))
    record = run(ramp(160, replace(ours, start="rest")))
    other = by_hand(np.full(160, 5.0), kappa=0.8, alpha=0.2, X=0.0)[1::50]
    np.testing.assert_allclose(record.bold[:, 0, 0], by_hand(np.full(160, 10.0), X=0.0)[1::50], rtol=0, atol=1e-14)
    np.testing.assert_allclose(record.bold[:, 1, 0], other, rtol=0, atol=1e-14)


def test_a_constant_drive_ends_in_the_steady_state():
    k = balloon.constants(Balloon(), 50.0)
    values, s = SimpleNamespace(**k), SimpleNamespace(X=0.0, F=1.0, Q=1.0, V=1.0, Z=2.0)
    for _ in range(2400):  # two minutes: the slowest mode falls by half in about two seconds
        s = SimpleNamespace(**balloon.advance(s, values), Z=2.0)
    F = 1 + 2.0 / 0.41
    V = F**0.32
    Q = V * (1 - (1 - 0.34) ** (1 / F)) / 0.34
    np.testing.assert_allclose([s.X, s.F, s.Q, s.V], np.reshape([0.0, F, Q, V], (4, 1, 1)), rtol=0, atol=1e-9)
    expected = balloon.steady(np.array([[2.0]]), k)
    np.testing.assert_allclose(balloon.signal(s.Q, s.V, values), expected, rtol=0, atol=1e-9)


def test_at_rest_without_drive_nothing_moves():
    record = run(ramp(60, Balloon(tr=5.0, start="rest"), z=0.0))
    np.testing.assert_array_equal(record.bold, 0.0)


@pytest.mark.parametrize("first", [1, 2, 50, 51, 52, 53])
def test_samples_of_parts_are_those_of_the_whole(first):
    whole = run(ramp(160, Balloon(tr=5.0), speed=3.0))
    one = run(ramp(first, Balloon(tr=5.0), speed=3.0))
    two = run(ramp(160 - first, Balloon(tr=5.0), speed=3.0, start=one.end))
    np.testing.assert_array_equal(np.concatenate([one.bold, two.bold]), whole.bold)
    np.testing.assert_array_equal(np.concatenate([one.bold_t, two.bold_t]), whole.bold_t)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_strong_negative_drive_leaves_bold_finite(dtype):
    record = run(ramp(3000, Balloon(tr=5.0), z=-1e5, dtype=dtype))
    assert np.isfinite(record.bold).all() and np.isfinite(record.end.bold).all()


def test_a_time_between_samples_that_is_no_multiple_of_dt_is_refused():
    with pytest.raises(DataError, match="multiple of dt"):
        run(ramp(10, Balloon(tr=0.25)))


def test_a_message_tells_where_more_drive_lowers_bold():
    assert not balloon.saturated(Balloon(), 1 + np.full(3, 7.0) / 0.41)
    (message,) = balloon.saturated(Balloon(), 1 + np.array([1.0, 20.0, 1.0]) / 0.41)
    assert "1 of 3 regions" in message and "7.2" in message and "20.0" in message and "gain" in message
