"""The fast engine beside the plain one and a loop over nodes, and what must not change a bit of its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.dynamics.model import Model, Parameter
from formula_neuro.errors import DataError
from formula_neuro_neuralmass import engine
from formula_neuro_neuralmass.groups import part, split
from formula_neuro_neuralmass.problem import Balloon, Noise

from .test_neural_engine import BUSY, fhn_by_hand, network, same

pytest.importorskip("numba")

# The engines multiply by 1 / tau where the other divides by tau, and add connections in another order: a few 1e-16 in
# each of some hundred steps, which the models' own dynamics may enlarge.
ROUNDING = 1e-11
MODELS = ["fhn", "hopf", "wc", "ww", "kuramoto", "thalamus", "aln", BUSY]


def name(model):
    return model if isinstance(model, str) else model.name


def fast(problem, **more):
    return engine.run(problem, engine="numba", **more)


def assert_agrees(found, expected, tolerance=ROUNDING):
    pairs = {name: (found.outputs[name], x) for name, x in expected.outputs.items()}
    if expected.bold is not None:
        pairs["bold"] = (found.bold, expected.bold)
    pairs |= {f"end {name}": (found.end.states[name], x) for name, x in expected.end.states.items()}
    pairs |= {f"past {name}": (found.end.past[name], x) for name, x in expected.end.past.items()}
    pairs |= {f"noise {name}": (found.end.ou[name], x) for name, x in expected.end.ou.items()}
    for name, (one, other) in pairs.items():
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.nanmax(np.abs(other)), err_msg=name)
    np.testing.assert_array_equal(found.t, expected.t)
    np.testing.assert_array_equal(found.bold_t, expected.bold_t)
    np.testing.assert_array_equal(found.failed, expected.failed)
    np.testing.assert_allclose(found.clamped, expected.clamped, rtol=1e-12)


def noisy(model, **more):
    """A network of the model with noise in every variable that may have it, and a set whose coupling differs."""
    problem = network(model, **{"nodes": 5, "steps": 270, "longest": 30, **more})  # the stretch of noise ends within
    loud = {name: np.full((1, 1), 0.05) for name in ("sigma_ou", "d_phi") if name in problem.params}
    return replace(problem, params={**problem.params, **loud})


@pytest.mark.parametrize("model", MODELS, ids=name)
@pytest.mark.parametrize("batch", [1, 3])
def test_every_model_is_what_the_plain_engine_gives(model, batch):
    problem = noisy(model, batch=batch)
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))


def test_a_network_with_delays_noise_and_a_stimulus_is_what_a_loop_over_nodes_gives():
    problem = network(steps=100, K_gl=np.array([[0.2, 0.4, 0.6]]), sigma_ou=0.05)
    problem = replace(problem, stimulus={"x_ext": np.random.default_rng(1).random((100, 4, 3))})
    record = fast(problem)
    for b in range(3):
        x, y = fhn_by_hand(problem, b)
        np.testing.assert_allclose(record.outputs["x"][:, :, b], x, rtol=0, atol=1e-12)  # rounding of 100 steps
        np.testing.assert_allclose(record.outputs["y"][:, :, b], y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(270, 1, 1), (270, 5, 1), (270, 1, 9), (270, 5, 9)])
def test_a_stimulus_may_be_shared_by_nodes_and_by_sets(shape):
    problem = noisy(BUSY, batch=9)
    problem = replace(problem, stimulus={"push": np.random.default_rng(2).random(shape)}, neurolib_inputs=shape[2] == 1)
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))


def test_parameters_may_differ_from_node_to_node_and_from_set_to_set():
    rng = np.random.default_rng(4)
    problem = noisy(BUSY, batch=9)
    params = {
        **problem.params,
        "tau": rng.uniform(3, 5, (5, 1)),
        "sigma_ou": rng.random((1, 9)),
        "push": rng.random((5, 9)),
    }
    problem = replace(problem, params=params)
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))


def test_means_over_bins_begin_after_the_skipped_steps():
    problem = replace(noisy("fhn", batch=3), every=7, binned="mean", skip=11)
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))


def test_samples_are_taken_at_the_ends_of_bins():
    problem = replace(noisy("fhn", batch=3), every=7, skip=11)
    np.testing.assert_array_equal(
        fast(problem).outputs["x"], fast(replace(problem, every=1, skip=0)).outputs["x"][17::7]
    )


def test_without_delays_all_connections_are_close_by():
    problem = network("fhn", nodes=5, batch=3, longest=0)
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))


def test_nodes_without_connections_are_many_single_nodes():
    problem = replace(noisy("fhn", batch=3), weights=np.zeros((5, 5)), delays=np.zeros((5, 5), dtype=int))
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))


def test_single_precision_is_near():
    problem = noisy(BUSY, batch=9)
    single = fast(replace(problem, dtype="float32"))
    for name, x in fast(problem).outputs.items():
        np.testing.assert_allclose(single.outputs[name], x, rtol=0, atol=2e-4)  # 270 steps of 6e-8, in numbers up to 30


def test_neurolibs_draws_are_read_in_its_order():
    problem = replace(noisy("fhn", batch=1), noise=Noise("neurolib", 5, np.zeros(1, dtype=np.int64)))
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))


# ---- not a bit differs ---------------------------------------------------------------------------
@pytest.mark.parametrize("model", ["aln", BUSY], ids=name)
def test_a_set_has_the_same_bits_alone_and_among_others(model):
    # Every operation is rounded by itself and sums run in the order of connections, whatever the width of a group.
    problem = noisy(model, batch=19)
    whole = fast(problem)
    for b in (0, 8, 18):
        alone = fast(part(problem, np.array([b])))
        for name in whole.outputs:
            np.testing.assert_array_equal(alone.outputs[name][..., 0], whole.outputs[name][..., b])
        np.testing.assert_array_equal(alone.bold[..., 0], whole.bold[..., b])


def test_threads_change_no_bit():
    problem = noisy(BUSY, batch=19)
    assert len(split(problem)) == 3
    assert same(fast(problem), fast(problem, workers=3))


@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("model", ["aln", BUSY], ids=name)
def test_a_run_in_parts_is_the_run_to_the_bit(model, batch):
    problem = noisy(model, batch=batch)
    whole, at, records = fast(problem), 0, []
    for steps in (3, 126, 141):  # within, across and after the end of a stretch of noise
        start = records[-1].end if records else problem.start
        records.append(fast(replace(problem, steps=steps, start=start)))
        at += steps
    for name in whole.outputs:
        np.testing.assert_array_equal(np.concatenate([r.outputs[name] for r in records]), whole.outputs[name])
    np.testing.assert_array_equal(np.concatenate([r.bold for r in records]), whole.bold)
    assert same(replace(whole, outputs={}, bold=None, t=records[-1].t, bold_t=records[-1].bold_t),
                replace(records[-1], outputs={}, bold=None))  # fmt: skip


# ---- failures, progress and what is refused ------------------------------------------------------
def test_a_set_that_explodes_is_flagged_and_the_others_go_on():
    problem = noisy("fhn", batch=9, steps=600)
    wild = replace(problem, params={**problem.params, "beta": np.where(np.arange(9) == 4, 1e4, 4.0)[None]})
    found, sound = fast(wild), fast(problem)
    np.testing.assert_array_equal(found.failed, engine.run(wild, engine="torch").failed)
    assert np.isfinite(found.failed).tolist() == [b == 4 for b in range(9)]
    others = np.arange(9) != 4
    np.testing.assert_array_equal(found.outputs["x"][..., others], sound.outputs["x"][..., others])
    assert np.isnan(found.outputs["x"][found.t > found.failed[4], :, 4]).all()


def test_progress_is_told_for_all_groups_together():
    told = []
    fast(noisy("fhn", batch=19), progress=lambda done, steps: told.append((done, steps)))
    assert told == sorted(told) and told[-1] == (270, 270)


def test_equations_that_cannot_be_traced_are_refused_before_the_run():
    branching = Model("branching", "", ("x",), {"a": Parameter(1.0)}, lambda s, p: {"x": p.a if s.x > 1 else -s.x},
                      ("x",), {"x": 0.1}, network=())  # fmt: skip
    with pytest.raises(DataError, match=r"where\(condition, x, y\)"):
        fast(network(branching, nodes=1, batch=1, longest=0))


def test_bold_is_sampled_in_every_step_where_tr_is_one():
    problem = replace(noisy("fhn", batch=2), bold=Balloon(tr=0.1))
    assert_agrees(fast(problem), engine.run(problem, engine="torch"))
