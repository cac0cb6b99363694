"""Random numbers of a run: their law, and that chunk, batch and worker do not change them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from formula_neuro.dynamics.model import OU, Model, Parameter, White
from formula_neuro_neuralmass import engine, noise, philox
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
    drawn = noise.draws(Noise(seed=1, keys=np.array([3, 8, 3])), 0, 0, 2)
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.any(drawn[0] == drawn[1])
    assert noise.draws(Noise(seed=1, keys=np.array([3, 3])), 0, 0, 2).shape == (1, 2, noise.STRETCH)


def philox_by_hand(counter, key):
    """Ten rounds of Philox4x32, word by word (Salmon et al. 2011)."""
    a, b, c, d = counter
    k, l = key
    for _ in range(10):
        one, two = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (two >> 32) ^ b ^ k, two % 2**32, (one >> 32) ^ d ^ l, one % 2**32
        k, l = (k + 0x9E3779B9) % 2**32, (l + 0xBB67AE85) % 2**32
    return a, b, c, d


# the known answers that are published with the algorithm (Random123, kat_vectors)
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
         (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)  # fmt: skip
def test_random_words_are_philox_s(counter, key, answer):
    assert philox_by_hand(counter, key) == answer
    found = philox.philox(tuple(np.array([w]) for w in counter), tuple(np.array([w]) for w in key))
    assert tuple(int(word[0]) for word in found) == answer


@pytest.mark.parametrize("module", ["philox", "drawing"])
@pytest.mark.parametrize(("seed", "key"), [(5, 3), (2**64 - 2, 2**63 - 5), (0, -1)])
def test_normals_are_box_and_muller_s_of_their_own_words(module, seed, key):
    draw = pytest.importorskip(f"formula_neuro_neuralmass.{module}").normals
    keys, stretch, variable = np.array([key, 0]), 2**26 - 1, 2
    drawn = draw(seed, keys, variable, 3, stretch, 256)
    for step, node in ((0, 0), (63, 2), (64, 1), (130, 2), (255, 0)):
        j, q = divmod(step, 64)
        counter = ((stretch * 64 + q) % 2**32, node + variable * 2**24, key % 2**32, key % 2**64 >> 32)
        words = philox_by_hand(counter, (seed % 2**32, seed >> 32))
        u, turn = (words[j // 2 * 2] + 0.5) / 2**32, words[j // 2 * 2 + 1] / 2**32
        part = math.sin(2 * math.pi * turn) if j % 2 else math.cos(2 * math.pi * turn)
        # an angle of up to 2 pi is rounded to 4e-16 and multiplied by a radius of up to 6.8
        assert math.isclose(drawn[0, node, step], math.sqrt(-2 * math.log(u)) * part, rel_tol=0, abs_tol=1e-14)


def test_the_compiled_normals_are_the_plain_ones_to_rounding():
    drawing = pytest.importorskip("formula_neuro_neuralmass.drawing")
    keys = np.arange(40)
    plain, compiled = (draw(9, keys, 1, 20, 4, 256) for draw in (philox.normals, drawing.normals))
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-14)


def test_start_values_have_numbers_of_their_own():
    names = [(seed, key, 0, variable) for seed in (1, 2) for key in (0, 1, 2**62) for variable in (0, 1, noise.STARTS)]
    drawn = np.concatenate([noise.generator(*name).standard_normal(500) for name in names])
    assert len(np.unique(drawn)) == len(drawn)


def test_numbers_are_independent_standard_normals():
    drawn = np.stack(whole(still(2048, nodes=4, batch=8)))  # 131,072 numbers
    n = drawn.size
    # four standard errors of moments and correlations of so many normals; the seed is fixed
    assert abs(drawn.mean()) < 4 / np.sqrt(n)
    assert abs(drawn.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((drawn**3).mean()) < 4 * np.sqrt(15 / n) and abs((drawn**4).mean() - 3) < 4 * np.sqrt(96 / n)
    assert abs((drawn[:, 1:] * drawn[:, :-1]).mean()) < 4 / np.sqrt(n)
    assert abs((drawn[0] * drawn[1]).mean()) < 4 / np.sqrt(n / 2)
    assert abs((drawn[..., 0] * drawn[..., 1]).mean()) < 4 / np.sqrt(n / 8)
    assert scipy.stats.kstest(drawn.ravel(), "norm").pvalue > 1e-4


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


def test_without_numba_the_numbers_are_the_same_to_rounding(monkeypatch):
    problem = still(300)
    expected = whole(problem)
    monkeypatch.setattr(noise, "_normals", lambda: philox.normals)
    for plain, compiled in zip(whole(problem), expected, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=0, atol=1e-14)


@pytest.mark.parametrize("place", [0, 32, 48])
def test_sets_repetitions_and_connectomes_have_independent_noise(place):
    """Sums over all keys have the variance of independent normals, so that no exploration has runs that correlate."""
    keys = np.arange(200, dtype=np.int64) << place
    z = np.concatenate([noise.draws(Noise(seed=3, keys=keys), 0, stretch, 2) for stretch in range(40)], axis=-1)
    sums = z.sum((0, 1)) / np.sqrt(z.shape[0] * z.shape[1])
    # 4.5 standard errors of a variance of so many normals; a correlation of 1e-3 between any two runs gives 28
    assert abs(sums.var() - 1) < 4.5 * np.sqrt(2 / sums.size)
