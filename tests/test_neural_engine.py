"""The plain engine beside a loop over nodes that is written out, and what must not change its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from formula_neuro_neuralmass import engine, noise
from formula_neuro_neuralmass.models import find
from formula_neuro_neuralmass.problem import Noise, Problem, Start

TIGHT = {"rtol": 0, "atol": 1e-12}  # rounding of a few hundred steps of numbers near 1


def network(model="fhn", nodes=4, batch=3, steps=300, longest=20, seed=0, sigma=0.05, **changes):
    """A made-up problem with random connections, delays, parameters and starts."""
    model, rng = find(model), np.random.default_rng(seed)
    weights, delays = rng.random((nodes, nodes)), rng.integers(0, longest + 1, (nodes, nodes))
    for square in (weights, delays):
        np.fill_diagonal(square, 0)
    params = {name: np.full((1, 1), float(p.value)) for name, p in model.parameters.items()}
    params["sigma_ou"] = np.full((1, 1), sigma)
    params["K_gl"] = np.linspace(0.2, 0.6, batch)[None]
    states = {name: 0.5 * rng.random((nodes, batch)) for name in model.states}
    past = {name: 0.5 * rng.random((nodes, delays.max() + 1, batch)) for name in model.transmitted}
    for name in past:
        past[name][:, -1] = states[name]
    start = Start(states, past, {source.name: np.zeros((nodes, batch)) for source in model.noise})
    problem = Problem(
        model, 0.1, steps, params, weights, delays, {}, start, Noise(seed=7, keys=np.arange(batch)), batch,
        keep=model.outputs,
    )  # fmt: skip
    return replace(problem, **changes)


def run(problem):
    return engine.run(problem, engine="torch")


def fhn_by_hand(problem, b):
    """x and y (steps, N) of set b, node by node and step by step."""
    p = {name: float(value[0, min(b, value.shape[1] - 1)]) for name, value in problem.params.items()}
    nodes, dt = problem.nodes, problem.dt
    x = [list(row) for row in problem.start.past["x"][:, :, b].T]
    y, ou = list(problem.start.states["y"][:, b]), np.zeros((2, nodes))
    xs, ys = [], []
    for step in range(problem.steps):
        stretch, place = divmod(step, noise.STRETCH)
        new_x, new_y = [0.0] * nodes, [0.0] * nodes
        for i in range(nodes):
            drive = float(problem.stimulus["x_ext"][step, i, b]) if problem.stimulus else p["x_ext"]
            arriving = 0.0
            for j in range(nodes):
                arriving += problem.weights[i, j] * (x[-1 - problem.delays[i, j]][j] - x[-1][i])
            v, w = x[-1][i], y[i]
            cubic = -p["alpha"] * v**3 + p["beta"] * v**2 + p["gamma"] * v
            new_x[i] = v + dt * (cubic - w + p["K_gl"] * arriving + ou[0, i] + drive)
            new_y[i] = w + dt * ((v - p["delta"] - p["epsilon"] * w) / p["tau"] + ou[1, i] + p["y_ext"])
            for variable in (0, 1):
                generator = noise.generator(problem.noise.seed, int(problem.noise.keys[b]), stretch, variable)
                xi = generator.standard_normal((nodes, noise.STRETCH))[i, place]
                ou[variable, i] += -ou[variable, i] * dt / p["tau_ou"] + p["sigma_ou"] * np.sqrt(dt) * xi
        x.append(new_x)
        y = new_y
        xs.append(new_x)
        ys.append(new_y)
    return np.array(xs), np.array(ys)


def test_a_network_with_delays_noise_and_a_stimulus_is_what_a_loop_over_nodes_gives():
    problem = network(steps=270)
    stimulus = {"x_ext": np.random.default_rng(1).random((270, 4, 3))}
    problem = replace(problem, stimulus=stimulus)
    record = run(problem)
    for b in range(3):
        x, y = fhn_by_hand(problem, b)
        np.testing.assert_allclose(record.outputs["x"][:, :, b], x, **TIGHT)
        np.testing.assert_allclose(record.outputs["y"][:, :, b], y, **TIGHT)
    np.testing.assert_allclose(record.t, 0.1 * np.arange(1, 271))
