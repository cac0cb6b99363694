from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro_neuralmass.models import find, names
from formula_neuro_neuralmass.models.ww import transfer

# Written by benchmarks/neuralmass/agreement.py: neurolib 0.6.2 on made-up networks, 200 ms, sub-sampled.
with np.load(Path(__file__).parent / "neural_masses.npz") as file:
    THEIRS = dict(file)
CASES = sorted({key.rsplit(".steps", 1)[0] for key in THEIRS if key.endswith(".steps")} - {"ww-as-it-is"})
NOISE = {"aln": {"sigma_ou": 0.1, "a": 15.0, "b": 40.0}, "ww": {"sigma_ou": 0.005}}


def network() -> fn.Connectome:
    rng = np.random.default_rng(5)
    weights, lengths = rng.uniform(0, 1, (2, 5, 5))
    lengths *= 120
    lengths[0, 1] = 0.4
    for matrix in (weights, lengths):
        np.fill_diagonal(matrix, 0)
    return fn.Connectome(weights, lengths)


def run(case: str, **options):
    name = case.split("-")[0]
    model, external = find(name), {"aln": "ext_exc_current", "wc": "exc_ext"}.get(name, "x_ext")
    params = NOISE.get(name, {"sigma_ou": 0.05}) if "noise" in case else {}
    stimulus = None
    if "stimulus" in case:
        params = {**params, external: 0.0}
        series = np.random.default_rng(6).uniform(0, 0.5, (5, round(200 / model.dt)))
        stimulus = {external: fn.stimuli.Array(series.T)}
    return fn.simulate(
        name, network() if "network" in case else None, params, stimulus=stimulus, seed=3,
        noise="neurolib", **options,
    )  # fmt: skip


def agrees(case: str, duration: float, engine: str) -> None:
    dt = find(case.split("-")[0]).dt
    n = run(case, engine=engine, every=dt, duration=duration)
    steps = THEIRS[f"{case}.steps"]
    steps = steps[steps < len(n.t)]
    for name in n.outputs:
        theirs = THEIRS[f"{case}.out.{name}"].T[: len(steps)]
        # aln's table is ours: rates differ from those in neurolib's file by 1e-11 of themselves
        np.testing.assert_allclose(n[name][steps], theirs, rtol=0, atol=1e-10 * np.abs(theirs).max())


@pytest.mark.parametrize("case", CASES)
def test_trajectories_are_neurolib_s_from_its_seed_on(case):
    agrees(case, 200, "numba")


@pytest.mark.parametrize("case", [case for case in CASES if case == "thalamus" or case.endswith("network")])
def test_trajectories_of_the_plain_engine_are_neurolib_s(case):
    agrees(case, 30 if case != "thalamus" else 11, "torch")


def test_start_values_are_drawn_as_neurolib_draws_them():
    n = run("aln-network", duration=1)
    drawn = fn.simulate("aln", network(), duration=0.1, seed=3, noise="neurolib", init={"seem": np.zeros(5)})
    again = {key.rsplit(".", 1)[1]: value for key, value in THEIRS.items() if key.startswith("aln-network.start.")}
    given = fn.simulate("aln", network(), duration=0.1, seed=4, noise="neurolib", init=again)
    np.testing.assert_allclose(given["rates_exc"], n["rates_exc"][:1], rtol=1e-12)
    np.testing.assert_array_equal(drawn["rates_inh"], n["rates_inh"][:1])  # one drawn value given changes no other


def test_the_inhibitory_synapse_of_ww_has_its_own_time_constant():
    theirs, steps = THEIRS["ww-as-it-is.out.r_exc"].T, THEIRS["ww-as-it-is.steps"]
    wrong = fn.simulate("ww", params={"tau_inh": 100.0}, duration=200, seed=3, noise="neurolib")
    np.testing.assert_allclose(wrong["r_exc"][steps], theirs, rtol=1e-10)
    right = fn.simulate("ww", duration=2000, seed=3)["r_exc"].mean()
    assert right > 4 * fn.simulate("ww", params={"tau_inh": 100.0}, duration=2000, seed=3)["r_exc"].mean()


def test_the_rate_of_ww_goes_through_its_removable_pole():
    u = np.array([-1e-5, -1e-9, 0.0, 1e-9, 1e-5])
    direct = 1 / 160 + u / 2 + 160 * u**2 / 12
    np.testing.assert_allclose(transfer(u, 160.0), direct, rtol=1e-13)
    edge = 5e-4 / 160
    below, above = transfer(np.array([edge * (1 - 1e-9), edge * (1 + 1e-9)]), 160.0)
    assert abs(above - below) < 1e-14


def test_the_thalamic_synapse_under_noise_stays_bounded():
    n = fn.simulate("thalamus", params={"d_phi": 0.5}, duration=1500, dt=0.01, seed=1, outputs=["V_t"])
    gamma, d_phi = 0.07, 0.5
    # a second-order low-pass of white noise: var s = gamma^4 d_phi^2 / (4 gamma^3)
    s = n.end.states["s_et"].item()
    assert abs(s) < 6 * np.sqrt(gamma * d_phi**2 / 4)
    still = fn.simulate("thalamus", init={"s_et": 0.1, "ds_et": 0.0}, duration=300, dt=0.01, seed=1, outputs=["V_t"])
    t = 300.0  # critically damped: s(t) = s0 (1 + gamma t) exp(-gamma t), by Euler's steps to 1 %
    assert still.end.states["s_et"].item() == pytest.approx(0.1 * (1 + gamma * t) * np.exp(-gamma * t), rel=0.01)


def test_phase_oscillators_agree_with_a_loop_over_pairs():
    connectome, dt, steps = network(), 0.1, 300
    delays = np.round(connectome.lengths_mm / 20 / dt).astype(int)
    n = fn.simulate("kuramoto", connectome, {"omega": 0.2}, duration=steps * dt, seed=2, dt=dt, every=dt)
    theta0 = fn.simulate("kuramoto", connectome, {"omega": 0.0, "k": 0.0}, duration=dt, seed=2)["theta"][0]
    past = [theta0] * (delays.max() + 1)
    for _ in range(steps):
        now = past[-1]
        pull = [
            sum(connectome.weights[i, j] * np.sin(past[-1 - delays[i, j]][j] - now[i]) for j in range(5))
            for i in range(5)
        ]
        past.append(np.mod(now + dt * (0.2 + 2 / 5 * np.array(pull)), 2 * np.pi))
    np.testing.assert_allclose(n["theta"], past[-steps:], rtol=0, atol=1e-10)


def test_reduced_ww_agrees_with_a_loop():
    n = fn.simulate("ww_reduced", init={"S": 0.1}, duration=50, seed=1)
    S, found = 0.1, []
    for _ in range(500):
        u = 0.27 * (0.6 * 0.2609 * S + 0.33) - 0.108
        rate = u / (1 - np.exp(-154 * u))
        S += 0.1 * (-S / 100 + (1 - S) * 0.641 * rate)
        found.append((S, rate))
    np.testing.assert_allclose(np.column_stack([n["S"], n["q_mean"]]), found, rtol=1e-12)


def test_synapses_of_aln_come_to_the_rest_that_their_equations_have():
    n = fn.simulate("aln", params={"mue_ext_mean": 2.5, "mui_ext_mean": 0.0}, duration=6000, seed=1)
    assert np.ptp(n["rates_exc"][-1000:]) < 1e-9  # a fixed point
    r, tau, K, p = 1e-3 * n["rates_exc"][-1, 0], 2.0, 800, n.params
    c = p["cee"] * tau / p["Jee_max"]
    z1, z2, end = c * K * r, c**2 * K * r, n.end.states
    assert end["seem"].item() == pytest.approx(z1 / (1 + z1), rel=1e-9)
    variance = (1 - end["seem"].item()) ** 2 * z2 / (2 * tau * (1 + z1) - z2)
    assert end["seev"].item() == pytest.approx(variance, rel=1e-9)


def test_a_limit_cycle_of_hopf_has_the_radius_and_frequency_of_its_parameters():
    n = fn.simulate("hopf", duration=2000, seed=1)
    x, y = n["x"][5000:, 0], n["y"][5000:, 0]
    # Euler's steps of .1 ms widen the circle: (1 + dt (a - r^2))^2 + (dt w)^2 = 1
    growth = (np.sqrt(1 - (0.1 * 0.2) ** 2) - 1) / 0.1
    np.testing.assert_allclose(np.hypot(x, y), np.sqrt(0.25 - growth), rtol=1e-9)
    turned = np.unwrap(np.arctan2(y, x))
    assert (turned[-1] - turned[0]) / (len(turned) - 1) / 0.1 == pytest.approx(0.2, rel=1e-3)


def test_a_name_that_is_no_model_is_told_with_those_there_are():
    with pytest.raises(
        DataError, match=r"no model is named 'alm'; did you mean 'aln'\? \(there are aln, fhn, hopf, kuramoto"
    ):
        find("alm")
    assert {"aln", "fhn", "hopf", "kuramoto", "thalamus", "wc", "ww", "ww_reduced"} <= set(names())


def test_parameters_that_fix_tables_are_one_number():
    with pytest.raises(DataError, match=r"C fixes the tables of aln and is one number"):
        fn.simulate("aln", network(), {"C": [200.0, 210.0, 200.0, 200.0, 200.0]}, duration=1)
    with pytest.raises(DataError, match=r"tables='exact'; 'compatible'"):
        fn.simulate("aln", duration=1, tables="exact")


def test_a_neuron_s_parameters_are_no_axis_of_an_exploration():
    with pytest.raises(DataError, match="C fixes the tables of aln: give it in params"):
        fn.explore("aln", {"C": [200.0, 210.0]}, duration=1)


def test_aln_reads_the_tables_of_the_neuron_and_of_the_kind_that_are_asked_for(monkeypatch):
    from formula_neuro_neuralmass.models import aln

    asked, population = [], aln.population

    def told(neuron, kind):
        asked.append((neuron.Tref, kind))
        return population()

    monkeypatch.setattr(aln, "population", told)
    fn.simulate("aln", params={"Tref": 2.25}, duration=1, tables="accurate")
    fn.simulate("aln", params={"Tref": 2.25}, duration=1)
    assert asked == [(2.25, "accurate"), (2.25, "compatible")]


def test_noise_of_aln_starts_at_the_mean_in_force_and_in_neurolib_s_replay_at_the_default():
    params = {"mue_ext_mean": 1.5, "tau_ou": 1e9}
    assert fn.simulate("aln", params=params, duration=1).end.ou["mue_ou"].item() == pytest.approx(1.5)
    replayed = fn.simulate("aln", params=params, duration=1, noise="neurolib")
    assert replayed.end.ou["mue_ou"].item() == pytest.approx(0.4)


def test_a_model_of_one_node_takes_no_connectome():
    with pytest.raises(DataError, match="thalamus is a model of one node"):
        fn.simulate("thalamus", network(), duration=1)


def test_the_name_of_a_shipped_model_is_not_given_away():
    with pytest.raises(DataError, match="'aln' is the name of a model that is shipped"):
        fn.register_model(find("aln"))


@pytest.mark.parametrize("name", names())
def test_every_shipped_model_drives_bold_in_hz_or_says_that_it_drives_none(name):
    model = find(name)
    if model.bold is None:
        with pytest.raises(DataError, match="drives no BOLD"):
            fn.simulate(name, duration="4 s", bold=True, outputs=[])
    else:
        n = fn.simulate(name, duration="2.1 s", bold={"tr": "1 s"}, outputs=[], seed=1)
        assert n.bold.shape == (3, 1) and np.isfinite(n.bold).all() and np.ptp(n.bold) > 1e-6


def test_a_model_of_one_s_own_has_delays_noise_bold_and_sweeps():
    def drift(s, p):
        return {"x": s.y + p.K_gl * s.c + s.noise, "y": p.mu * (1 - s.x**2) * s.y - s.x}

    own = fn.Model(
        name="van_der_pol",
        help="a relaxation oscillator",
        states=("x", "y"),
        parameters={
            "mu": fn.Parameter(1.0),
            "K_gl": fn.Parameter(0.1),
            "signalV": fn.Parameter(20.0, "mm/ms"),
            "mean": fn.Parameter(0.0),
            "tau_ou": fn.Parameter(5.0, "ms"),
            "sigma_ou": fn.Parameter(0.01),
        },
        drift=drift,
        outputs=("x",),
        initial={"x": fn.Uniform(-1.0, 1.0), "y": 0.0},
        inputs={"c": fn.Tract("x")},
        noise=(fn.OU("noise", "mean"),),
        bold=lambda s: s.x + 2,
    )
    fn.register_model(own)
    runs = [
        fn.simulate("van_der_pol", network(), duration="60 ms", bold={"tr": "20 ms"}, seed=1, engine=engine)
        for engine in ("numba", "torch")
    ]
    assert runs[0].bold.shape == (3, 5) and np.ptp(runs[0]["x"]) > 3
    # compiled and eager sums differ by rounding, which an oscillator keeps and does not amplify
    np.testing.assert_allclose(runs[0]["x"], runs[1]["x"], rtol=0, atol=1e-9)
    e = fn.explore("van_der_pol", {"mu": [0.5, 1.0]}, network(), duration="100 ms", seed=1)
    assert e.table["status"].tolist() == ["ok", "ok"]
