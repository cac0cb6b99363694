"""The plain engine beside loops over nodes that are written out, and what must not change its numbers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from formula_neuro.dynamics.mathematics import exp, maximum, tanh
from formula_neuro.dynamics.model import OU, Model, Own, Parameter, Tract, Uniform, White
from formula_neuro.dynamics.tables import Table
from formula_neuro.errors import DataError
from formula_neuro_neuralmass import engine, noise, torch_engine
from formula_neuro_neuralmass.models import find
from formula_neuro_neuralmass.problem import Balloon, Noise, Problem
from formula_neuro_neuralmass.starting import begin

TIGHT = {"rtol": 0, "atol": 1e-12}  # rounding of a few hundred steps of numbers near 1

STEEP = Table("steep", np.random.default_rng(3).random((5, 4, 2)), -0.5, 0.25, 0.0, 0.5)


def busy_drift(s, p):
    rate, gain = STEEP(s.v + s.o, s.w)
    return {
        "v": (rate - s.v + 0.1 * s.arriving - 0.05 * s.arriving_squared * s.indegree + 0.2 * s.ago) / p.tau + p.push,
        "w": (gain * exp(-s.v) - s.w) / p.tau,
        "sent": tanh(s.v) + 0.1 * s.arriving,
    }


BUSY = Model(
    name="busy",
    help="every feature that a model may have",
    states=("v", "w"),
    parameters={"tau": Parameter(4.0), "push": Parameter(0.01), "lag": Parameter(0.7), "mean": Parameter(0.1),
                "tau_ou": Parameter(3.0), "sigma_ou": Parameter(0.2), "shake": Parameter(0.3)},
    drift=busy_drift,
    finish=lambda s, p: {"w": maximum(s.w, 0.3), "both": s.v + 10 * s.w},
    inputs={"arriving": Tract("sent"), "arriving_squared": Tract("v", squared=True), "ago": Own("sent", "lag")},
    noise=(White("w", lambda p: 2 * p.shake), OU("o", "mean")),
    outputs=("v", "both", "sent"),
    initial={"v": Uniform(0.0, 0.5), "w": Uniform(0.0, 1.0)},
    bold=lambda s: 5 * s.both,
    external=("push", "mean"),
    network=(),
    tables=(STEEP,),
)  # fmt: skip


def network(model="fhn", nodes=4, batch=3, steps=300, longest=20, seed=0, kind="stream", **params):
    """A made-up problem with random connections, delays and starts; parameters as numbers, (N, 1) or (1, B)."""
    model, rng = model if isinstance(model, Model) else find(model), np.random.default_rng(seed)
    nodes = nodes if model.connected else 1
    weights, delays = 0.3 * rng.random((nodes, nodes)), rng.integers(0, longest + 1, (nodes, nodes))
    for square in (weights, delays):
        np.fill_diagonal(square, 0)
    given = {name: np.asarray(params.get(name, p.value), dtype=float) for name, p in model.parameters.items()}
    given = {name: value.reshape(-1, 1) if value.ndim == 0 else value for name, value in given.items()}
    own = {
        how.delay: round(given[how.delay].item() / model.dt) for how in model.inputs.values() if isinstance(how, Own)
    }
    source = Noise(kind, 7, np.arange(batch))
    first = begin(model, given, weights, max([longest, *own.values()]), source, {})
    return Problem(
        model, model.dt, steps, given, weights, delays, own, first, source, batch, keep=model.outputs,
        bold=Balloon(tr=5.0) if model.bold else None,
    )  # fmt: skip


def run(problem):
    return engine.run(problem, engine="torch")


def same(one, other):
    """Whether two records hold the same bits."""
    pairs = [(one.outputs[name], other.outputs[name]) for name in one.outputs]
    pairs += [(one.t, other.t), (one.bold_t, other.bold_t), (one.failed, other.failed)]
    pairs += [(getattr(one.end, what)[name], getattr(other.end, what)[name])
              for what in ("states", "past", "ou") for name in getattr(one.end, what)]  # fmt: skip
    pairs += [(one.bold, other.bold), (one.end.bold, other.end.bold)] if one.bold is not None else []
    return one.end.step == other.end.step and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def normals(problem, b, variable):
    """(steps, N) of set b, stretch by stretch."""
    stretches = range(-(-problem.steps // noise.STRETCH))
    drawn = [noise.draws(problem.noise, variable, k, problem.nodes)[b].T for k in stretches]
    return np.concatenate(drawn)[: problem.steps]


def fhn_by_hand(problem, b):
    """x and y (steps, N) of set b, node by node and step by step."""
    p = {name: float(value[0, min(b, value.shape[1] - 1)]) for name, value in problem.params.items()}
    nodes, dt = problem.nodes, problem.dt
    x = [list(row) for row in problem.start.past["x"][:, :, b].T]
    y, ou = list(problem.start.states["y"][:, b]), np.zeros((2, nodes))
    xi = np.stack([normals(problem, b, variable) for variable in (0, 1)])
    ys = []
    for step in range(problem.steps):
        new_x, new_y = [0.0] * nodes, [0.0] * nodes
        for i in range(nodes):
            arriving = 0.0
            for j in range(nodes):
                arriving += problem.weights[i, j] * (x[-1 - problem.delays[i, j]][j] - x[-1][i])
            v, w = x[-1][i], y[i]
            cubic = -p["alpha"] * v**3 + p["beta"] * v**2 + p["gamma"] * v
            drive = problem.stimulus["x_ext"][step, i, b]
            new_x[i] = v + dt * (cubic - w + p["K_gl"] * arriving + ou[0, i] + drive)
            new_y[i] = w + dt * ((v - p["delta"] - p["epsilon"] * w) / p["tau"] + ou[1, i] + p["y_ext"])
            for variable in (0, 1):
                shock = p["sigma_ou"] * np.sqrt(dt) * xi[variable, step, i]
                ou[variable, i] += -ou[variable, i] * dt / p["tau_ou"] + shock
        x.append(new_x)
        y = new_y
        ys.append(new_y)
    return np.array(x[-problem.steps :]), np.array(ys)


def test_a_network_with_delays_noise_and_a_stimulus_is_what_a_loop_over_nodes_gives():
    problem = network(steps=100, K_gl=np.array([[0.2, 0.4, 0.6]]), sigma_ou=0.05)
    problem = replace(problem, stimulus={"x_ext": np.random.default_rng(1).random((100, 4, 3))})
    record = run(problem)
    for b in range(3):
        x, y = fhn_by_hand(problem, b)
        np.testing.assert_allclose(record.outputs["x"][:, :, b], x, **TIGHT)
        np.testing.assert_allclose(record.outputs["y"][:, :, b], y, **TIGHT)
    np.testing.assert_allclose(record.t, 0.1 * np.arange(1, 101))


def busy_by_hand(problem, b):
    """v, both and sent (steps, N) of set b of the model with every feature."""
    nodes, dt = problem.nodes, problem.dt
    p = {name: float(value[0, 0]) for name, value in problem.params.items()}
    sent = [list(row) for row in problem.start.past["sent"][:, :, b].T]
    v = [list(row) for row in problem.start.past["v"][:, :, b].T]
    w, o = list(problem.start.states["w"][:, b]), list(problem.start.ou["o"][:, b])
    white, shock = normals(problem, b, 0), normals(problem, b, 1)
    both, lag, start_of_run = [], problem.own_delays["lag"], len(v)
    for t in range(problem.steps):
        new_v, shaken, new_sent = [0.0] * nodes, [0.0] * nodes, [0.0] * nodes
        push, mean = problem.stimulus["push"][t, 0, 0], problem.stimulus["mean"][t, 0, 0]
        for i in range(nodes):
            C, d = problem.weights[i], problem.delays[i]
            arriving = sum(C[j] * sent[-1 - d[j]][j] for j in range(nodes))
            squared = sum(C[j] ** 2 * v[-1 - d[j]][j] for j in range(nodes))
            x = v[-1][i]
            rate, gain = STEEP(np.float64(x + o[i]), np.float64(w[i]))
            pulled = rate - x + 0.1 * arriving - 0.05 * squared * C.sum() + 0.2 * sent[-1 - lag][i]
            new_v[i] = x + dt * (pulled / p["tau"] + push)
            fall = w[i] + dt * (gain * np.exp(-x) - w[i]) / p["tau"]
            shaken[i] = fall + 2 * p["shake"] * np.sqrt(dt) * white[t, i]
            new_sent[i] = np.tanh(x) + 0.1 * arriving
            o[i] += (mean - o[i]) * dt / p["tau_ou"] + p["sigma_ou"] * np.sqrt(dt) * shock[t, i]
        v.append(new_v)
        sent.append(new_sent)
        w = [max(value, 0.3) for value in shaken]
        both.append([a + 10 * c for a, c in zip(new_v, shaken, strict=True)])  # finish sees what is not yet replaced
    return {"v": np.array(v[start_of_run:]), "both": np.array(both), "sent": np.array(sent[start_of_run:])}


def busy_problem(**changes):
    problem, rng = network(BUSY, steps=280), np.random.default_rng(5)
    stimulus = {"push": 0.1 * rng.random((280, 1, 1)), "mean": rng.random((280, 1, 1))}
    return replace(problem, stimulus=stimulus, **changes)


def test_a_model_with_every_feature_is_what_a_loop_over_nodes_gives():
    problem = busy_problem()
    record = run(problem)
    for b in range(3):
        for name, expected in busy_by_hand(problem, b).items():
            np.testing.assert_allclose(record.outputs[name][:, :, b], expected, **TIGHT)


def test_a_sent_value_that_is_no_state_starts_at_what_the_equations_give_without_input():
    problem = busy_problem()
    np.testing.assert_allclose(problem.start.past["sent"][:, -1], np.tanh(problem.start.states["v"]))


def test_the_share_of_look_ups_beyond_the_table_is_told():
    start_at = replace(busy_problem().start, states={"v": np.full((4, 3), 0.1), "w": np.array([[0.5, 2.0, 0.5]] * 4)})
    record = run(replace(busy_problem(start=start_at), steps=1))
    np.testing.assert_array_equal(record.clamped, [0.0, 1.0, 0.0])
    assert np.isnan(run(network(steps=1)).clamped).all()


MODELS = ["fhn", "hopf", "wc", "ww", "kuramoto", "thalamus", "aln", BUSY]
NOISY = {"sigma_ou": 0.02, "d_phi": 0.001}


@pytest.mark.parametrize(("model", "kind"), [*((m, "stream") for m in MODELS), ("fhn", "neurolib"), (BUSY, "neurolib")])
def test_a_run_in_parts_is_the_whole_run_to_the_last_bit(model, kind):
    whole = network(model, steps=270, kind=kind, **NOISY)
    whole = replace(whole, noise=replace(whole.noise, total=270))
    expected, parts = run(whole), []
    for steps in (130, 2, 138):
        first = parts[-1].end if parts else whole.start
        parts.append(run(replace(whole, start=first, steps=steps)))
    joined = replace(
        parts[-1],
        t=np.concatenate([p.t for p in parts]),
        outputs={name: np.concatenate([p.outputs[name] for p in parts]) for name in expected.outputs},
        bold_t=np.concatenate([p.bold_t for p in parts]),
        bold=None if expected.bold is None else np.concatenate([p.bold for p in parts]),
    )
    assert same(joined, expected)


@pytest.mark.parametrize("model", MODELS)
def test_a_batch_is_a_loop_over_its_sets(model):
    batch = network(model, steps=60, **NOISY)
    varied = next(iter(batch.params))
    spread = batch.params[varied] * np.array([[1.0, 1.01, 0.99]])
    batch = replace(batch, params={**batch.params, varied: spread})
    together = run(batch)
    for b in range(3):
        first = replace(
            batch.start,
            **{what: {name: x[..., b : b + 1] for name, x in getattr(batch.start, what).items()}
               for what in ("states", "past", "ou")},
        )  # fmt: skip
        alone = run(replace(batch, batch=1, start=first, params={**batch.params, varied: spread[:, b : b + 1]},
                            noise=replace(batch.noise, keys=batch.noise.keys[b : b + 1])))  # fmt: skip
        for name in batch.keep:
            # the sum over tracts is taken in another order where a batch has one set
            np.testing.assert_allclose(
                alone.outputs[name][..., 0], together.outputs[name][..., b], rtol=1e-9, atol=1e-12
            )


def nodes_of(problem, order):
    """The same problem with its nodes in another order, or only some of them."""

    def taken(values):
        return {name: x[order] for name, x in values.items()}

    first = replace(problem.start, states=taken(problem.start.states), past=taken(problem.start.past),
                    ou=taken(problem.start.ou))  # fmt: skip
    return replace(problem, weights=problem.weights[np.ix_(order, order)], delays=problem.delays[np.ix_(order, order)],
                   start=first)  # fmt: skip


@pytest.mark.parametrize("model", [m for m in MODELS if m != "thalamus"])
def test_the_order_of_nodes_does_not_matter(model):
    problem = network(model, steps=60)
    quiet = {name: 0 * problem.params[name] for name in ("sigma_ou", "shake") if name in problem.params}
    problem = replace(problem, params={**problem.params, **quiet})
    order = [2, 0, 3, 1]
    one, other = run(problem), run(nodes_of(problem, order))
    for name in problem.keep:
        np.testing.assert_allclose(other.outputs[name], one.outputs[name][:, order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", ["fhn", "wc", BUSY])
def test_nodes_without_connections_are_single_nodes(model):
    problem = network(model, steps=60, **NOISY)
    problem = replace(problem, weights=0 * problem.weights)
    record, first = run(problem), run(nodes_of(problem, [0]))
    for name in problem.keep:
        np.testing.assert_array_equal(first.outputs[name][:, 0], record.outputs[name][:, 0])


def test_without_delays_what_arrives_is_the_product_with_the_weights():
    problem = network(steps=40, longest=0)
    record, p = run(problem), SimpleNamespace(**problem.params)
    x, y = problem.start.states["x"], problem.start.states["y"]
    s = SimpleNamespace(x_ou=0.0, y_ou=0.0, indegree=problem.weights.sum(1)[:, None])
    for _ in range(40):
        move = problem.model.drift(SimpleNamespace(x=x, y=y, c=problem.weights @ x, **vars(s)), p)
        x, y = x + 0.1 * move["x"], y + 0.1 * move["y"]
    np.testing.assert_allclose(record.outputs["x"][-1], x, **TIGHT)


@pytest.mark.parametrize("model", MODELS)
def test_single_precision_is_near_double(model):
    problem = network(model, steps=50, **NOISY)
    double, single = run(problem), run(replace(problem, dtype="float32"))
    for name in problem.keep:
        scale = np.abs(double.outputs[name]).max()
        # the spec's bound on short runs: 2^-24 grows over steps and through steep tables
        np.testing.assert_allclose(single.outputs[name], double.outputs[name], rtol=0, atol=1e-4 * max(scale, 1))


def test_samples_are_means_or_last_values_of_their_bins_and_labelled_at_their_ends():
    problem = network(steps=103)
    full = run(problem).outputs["x"]
    mean = run(replace(problem, every=10, skip=20, binned="mean"))
    last = run(replace(problem, every=10, skip=20))
    np.testing.assert_allclose(mean.outputs["x"], full[20:100].reshape(8, 10, 4, 3).mean(1), **TIGHT)
    np.testing.assert_array_equal(last.outputs["x"], full[29:100:10])
    np.testing.assert_allclose(mean.t, np.arange(3, 11))


def test_the_replay_reads_the_stimulus_one_step_earlier_and_the_last_row_first():
    problem = network(steps=50)
    series = np.random.default_rng(1).random((50, 1, 1))
    earlier = np.roll(series, 1, axis=0)
    replayed = run(replace(problem, stimulus={"x_ext": series}, neurolib_inputs=True))
    expected = run(replace(problem, stimulus={"x_ext": earlier}))
    np.testing.assert_array_equal(replayed.outputs["x"], expected.outputs["x"])


def test_a_set_that_explodes_is_flagged_and_the_others_go_on():
    problem = network(steps=520, alpha=np.array([[3.0, -3.0, 3.0]]))
    record = run(problem)
    np.testing.assert_array_equal(np.isnan(record.failed), [True, False, True])
    after = record.t > record.failed[1]
    assert after.any() and np.isnan(record.outputs["x"][after][:, :, 1]).all()
    assert np.isnan(record.end.states["y"][:, 1]).all()
    sound = run(network(steps=520))
    np.testing.assert_array_equal(record.outputs["x"][:, :, 0], sound.outputs["x"][:, :, 0])


def test_a_division_by_a_parameter_of_zero_is_a_set_that_failed_and_no_error():
    assert not np.isnan(run(network("wc", steps=10, tau_exc=0.0)).failed).any()


def test_missing_values_in_a_look_up_stay_missing():
    problem = busy_problem(steps=300)
    first = replace(problem.start, states={**problem.start.states, "v": np.array([[np.nan, 0.1, 0.1]] * 4)})
    record = run(replace(problem, start=first, stimulus={}))
    np.testing.assert_array_equal(np.isnan(record.failed), [False, True, True])


def test_progress_is_told_up_to_the_end():
    told = []
    engine.run(network(steps=300), engine="torch", progress=lambda done, of: told.append((done, of)))
    assert told == [(256, 300), (300, 300)]


def test_the_number_of_threads_is_given_back():
    import torch

    before = torch.get_num_threads()
    engine.run(network(steps=5), engine="torch", workers=before + 1)
    assert torch.get_num_threads() == before


def test_numba_is_refused_on_a_graphics_processor():
    with pytest.raises(DataError, match="numba"):
        engine.run(replace(network(steps=5), device="cuda"), engine="numba")


@pytest.mark.parametrize(("model", "name"), [("fhn", "K_gl"), ("fhn", "tau"), ("wc", "c_excexc"), (BUSY, "tau")])
def test_gradients_by_parameters_are_those_of_finite_differences(model, name):
    import torch

    problem = network(model, steps=60, batch=1, **NOISY)
    value = torch.tensor(problem.params[name], requires_grad=True)
    output = problem.keep[0]
    square = (torch_engine.differentiable(problem, {name: value})[output] ** 2).mean()
    square.backward()

    def at(step):
        moved = run(replace(problem, params={**problem.params, name: problem.params[name] + step}))
        return np.mean(moved.outputs[output] ** 2)

    h = 1e-5 * problem.params[name].item()
    # a central difference: h^2 is 1e-10, and rounding by 1e-16 is divided by h
    assert np.isclose(value.grad.item(), (at(h) - at(-h)) / (2 * h), rtol=1e-5)


def test_gradients_by_a_stimulus_reach_every_step_and_node():
    import torch

    problem = network(steps=40, batch=1)
    series = torch.ones((40, 4, 1), dtype=torch.float64, requires_grad=True)
    last = torch_engine.differentiable(problem, stimulus={"x_ext": series})["x"][-1].sum()
    last.backward()
    pushed = np.ones((2, 40, 4, 1))
    pushed[0, 17, 2], pushed[1, 17, 2] = 1 + 1e-5, 1 - 1e-5
    up, down = (run(replace(problem, stimulus={"x_ext": one})).outputs["x"][-1].sum() for one in pushed)
    assert np.isclose(series.grad[17, 2, 0].item(), (up - down) / 2e-5, rtol=1e-5)
    assert (series.grad != 0).all()


def test_without_numba_torch_runs_and_a_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    record = engine.run(network(steps=5))
    assert record.engine == "torch" and "formula_neuro[simulate]" in record.messages[0]
    assert engine.run(network(steps=5), engine="torch").messages == ()
    with pytest.raises(DataError, match="simulate"):
        engine.run(network(steps=5), engine="numba")


def test_a_run_leaves_its_problem_as_it_was():
    problem = busy_problem()
    given = [x for part in (problem.start.states, problem.start.past, problem.start.ou) for x in part.values()]
    kept = [x.copy() for x in given]
    run(problem)
    for x, before in zip(given, kept, strict=True):
        np.testing.assert_array_equal(x, before)
