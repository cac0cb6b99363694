"""What runs must give by closed forms and by another solver: variances, delays, haemodynamics, synchrony."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import brentq

import formula_neuro as fn

QUIET = {"progress": False}
LINEAR = fn.Model(
    name="linear",
    help="",
    states=("x",),
    outputs=("x",),
    initial={"x": 0.0},
    parameters={
        "tau": fn.Parameter(5.0, "ms"),
        "g": fn.Parameter(0.0),
        "sigma": fn.Parameter(0.0),
        "ext": fn.Parameter(0.0),
        "signalV": fn.Parameter(20.0, "mm/ms"),
    },
    inputs={"c": fn.Tract("x")},
    noise=(fn.White("x", lambda p: p.sigma),),
    external=("ext",),
    drift=lambda s, p: {"x": -s.x / p.tau + p.g * s.c + p.ext},
)


def test_noise_in_a_coupled_linear_network_has_the_covariance_of_lyapunovs_equation():
    """x[t + 1] = A x[t] + e, Cov e = sigma^2 dt: S = A S A' + sigma^2 dt. Without delays a tract is one step late."""
    dt, n, g, tau = 0.5, 4, 0.02, 5.0
    C = np.random.default_rng(0).random((n, n)) * (1 - np.eye(n))
    params = {"g": g, "sigma": 1.0, "signalV": 0.0}
    run = fn.simulate(LINEAR, fn.Connectome(C), params, duration="200 s", dt=dt, every=dt, skip="1 s", seed=1, **QUIET)
    expected = solve_discrete_lyapunov(np.eye(n) * (1 - dt / tau) + dt * g * C, dt * np.eye(n))
    # 400,000 samples, each independent of what is 10 steps away: a standard error of sqrt(2 / 40,000) = 0.7 %
    np.testing.assert_allclose(np.diag(np.cov(run["x"].T)), np.diag(expected), rtol=0.035)
    fc = expected / np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(run.fc().to_numpy(), fc, atol=0.025)  # five of 1 / sqrt(40,000)


@pytest.mark.parametrize("ou", ["euler", "exact"])
def test_the_ornstein_uhlenbeck_process_has_its_variance_and_its_memory(ou):
    model = fn.Model(
        name="only_ou", help="", states=("x",), outputs=("o",), initial={"x": 0.0}, noise=(fn.OU("n", "mean"),),
        parameters={"mean": fn.Parameter(3.0), "tau_ou": fn.Parameter(5.0), "sigma_ou": fn.Parameter(0.7)},
        drift=lambda s, p: {"x": 0 * s.x, "o": s.n},
    )  # fmt: skip
    dt, tau, sigma = 0.5, 5.0, 0.7
    o = fn.simulate(model, duration="400 s", dt=dt, every=dt, skip="1 s", seed=1, ou=ou, **QUIET)["o"][:, 0] - 3.0
    a = 1 - dt / tau if ou == "euler" else np.exp(-dt / tau)
    variance = sigma**2 * dt / (1 - a * a) if ou == "euler" else sigma**2 * tau / 2
    assert np.mean(o**2) == pytest.approx(variance, rel=0.04)  # five standard errors, as above
    assert np.mean(o[10:] * o[:-10]) / np.mean(o**2) == pytest.approx(a**10, abs=0.03)


def test_a_pulse_arrives_where_and_when_its_tract_says():
    """Asymmetric lengths; the pulse of step k is at node i in step k + 1 + d_ij, with C_ij from j to i."""
    rng = np.random.default_rng(1)
    lengths, dt = rng.uniform(0, 60, (4, 4)), 0.1
    for i, j in ((0, 1), (1, 0), (2, 3), (3, 2)):
        weights = np.zeros((4, 4))
        weights[i, j] = 2.0
        pulse = np.zeros((400, 4))
        pulse[3, j] = 1.0
        run = fn.simulate(LINEAR, fn.Connectome(weights, lengths), {"g": 1.0, "signalV": 7.0}, dt=dt, every=dt,
                          stimulus={"ext": fn.stimuli.Array(pulse)}, duration=40, **QUIET)["x"]  # fmt: skip
        arrived = 3 + 1 + int(np.rint(lengths[i, j] / 7.0 / dt))
        assert np.argmax(run[:, i] > 0) == arrived
        assert run[arrived, i] == pytest.approx(2.0 * dt * dt)  # g C x dt, of a pulse of dt
        assert not run[:, [k for k in range(4) if k not in (i, j)]].any()


@pytest.mark.parametrize(
    "other", [{}, {"kappa": 0.5, "gamma": 0.3, "tau": 1.2, "rho": 0.4, "alpha": 0.25, "gain": 0.5}]
)
def test_the_answer_of_bold_to_a_pulse_is_that_of_an_adaptive_solver(other):
    driven = fn.Model(
        name="driven", help="", states=("x",), outputs=("z",), initial={"x": 0.0}, external=("ext",),
        parameters={"ext": fn.Parameter(0.0)}, drift=lambda s, p: {"x": 0 * s.x, "z": p.ext}, bold=lambda s: s.z,
    )  # fmt: skip
    pulse = {"ext": fn.stimuli.Step(2.0, start="1 s", end="2 s")}
    run = fn.simulate(driven, stimulus=pulse, duration="25 s", dt=1.0, every=100,
                      bold={"tr": 500, "start": "rest", **other}, **QUIET)  # fmt: skip
    k = {"kappa": 0.65, "gamma": 0.41, "tau": 0.98, "rho": 0.34, "alpha": 0.32, "gain": 1.0, **other}
    rho, alpha = k["rho"], k["alpha"]

    def flow(t, y):
        s, f, v, q = y
        extracted = f / rho * (1 - (1 - rho) ** (1 / f))
        volume = v ** (1 / alpha)
        drive = k["gain"] * 2.0 * (1 < t <= 2)
        return [drive - k["kappa"] * s - k["gamma"] * (f - 1), s, (f - volume) / k["tau"],
                (extracted - q * volume / v) / k["tau"]]  # fmt: skip

    solved = solve_ivp(flow, (0, 25), [0, 1, 1, 1], max_step=0.02, rtol=1e-8, dense_output=True)
    _, _, v, q = solved.sol(run.bold_t / 1000)
    expected = 0.02 * (7 * rho * (1 - q) + 2 * (1 - q / v) + (2 * rho - 0.2) * (1 - v))
    # Euler's steps of 1 ms are off by about dt over the time constant of a second
    np.testing.assert_allclose(run.bold[:, 0], expected, atol=2e-3 * np.abs(expected).max())


def test_uncoupled_phases_keep_their_order_parameter():
    brain = fn.Connectome(np.ones((30, 30)) - np.eye(30), delays_ms=0.0)
    params = {"k": 0.0, "omega": 0.05}
    run = fn.simulate("kuramoto", brain, params, duration="2 s", dt=1.0, every=1.0, sampling="sample", seed=4, **QUIET)
    order = np.abs(np.exp(1j * run["theta"]).mean(axis=1))
    assert np.ptp(order) < 1e-12  # rounding of 2,000 sums


def test_two_delayed_oscillators_lock_at_the_frequency_that_theory_has():
    """Omega = omega - k / N sin(Omega tau), tau with the one step that every tract takes beside its delay."""
    pair = fn.Connectome([[0, 1], [1, 0]], lengths_mm=[[0, 300], [300, 0]])
    run = fn.simulate("kuramoto", pair, {"k": 0.02, "omega": 0.08}, init={"theta": [0.3, 0.35]}, duration="8 s",
                      dt=0.1, every=1.0, sampling="sample", skip="5 s", **QUIET)  # fmt: skip
    theta = np.unwrap(run["theta"], axis=0)
    found = (theta[-1] - theta[0]) / (run.t[-1] - run.t[0])
    expected = brentq(lambda f: f - 0.08 + 0.01 * np.sin(f * (15.0 + 0.1)), 0.05, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_hopfs_oscillator_has_its_radius_and_its_line_in_the_spectrum():
    run = fn.simulate("hopf", params={"a": 0.25, "w": 0.2}, duration="12 s", dt=0.05, every=1.0, sampling="sample",
                      skip="2 s", seed=1, **QUIET)  # fmt: skip
    spectrum = fn.measures.power_spectrum(run["x"], 1.0, window="10 s")
    peak = spectrum.loc[spectrum["power"].idxmax(), "frequency"]
    assert abs(peak - 1000 * 0.2 / (2 * np.pi)) <= 0.05  # half of a bin of 0.1 Hz
    # Euler's growth |1 + i w dt| per step raises the radius^2 by w^2 dt / 2 = 0.001 of 0.25
    assert np.hypot(run["x"], run["y"]).mean() == pytest.approx(0.5, rel=4e-3)
