"""Input that neural mass simulation cannot take is named before work starts."""

from __future__ import annotations

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError


def test_an_engine_that_is_none_is_refused():
    with pytest.raises(DataError, match="engine='jax'"):
        fn.simulate("fhn", duration=1, engine="jax")


@pytest.mark.parametrize("setting", [{"tau": -1}, {"alpha": 0}, {"rho": 1.2}, {"kappa": -0.5}])
def test_bold_settings_that_no_vessel_has_are_refused(setting):
    with pytest.raises(DataError, match=f"bold\\['{next(iter(setting))}'\\]"):
        fn.simulate("fhn", duration=10, bold={"tr": 5, **setting})


@pytest.mark.parametrize(
    "course", [fn.stimuli.Step(np.nan), fn.stimuli.Step(1.0) + fn.stimuli.Sinusoid(np.inf, 10), fn.stimuli.OU(0, 1, 0)]
)
def test_stimuli_without_finite_values_are_refused(course):
    with pytest.raises(DataError, match="infinite or missing"), np.errstate(all="ignore"):
        fn.simulate("fhn", duration=10, stimulus={"x_ext": course}, seed=1)


def test_only_parameters_that_take_a_stimulus_are_sent_there():
    with pytest.raises(DataError, match=r"stimulus=.*x_ext"):
        fn.simulate("fhn", params={"x_ext": np.zeros(10)}, duration=1)
    for wrong in ({"params": {"alpha": np.zeros(10)}}, {"init": {"x": np.zeros(10)}}):
        with pytest.raises(DataError, match="has the shape") as refused:
            fn.simulate("fhn", duration=1, **wrong)
        assert "stimulus" not in str(refused.value)


def test_a_mask_selects_no_nodes():
    with pytest.raises(DataError, match=r"np\.flatnonzero"):
        fn.Connectome.simulate(2).select([True, False])


def test_a_file_that_is_no_simulation_is_named(tmp_path):
    (tmp_path / "text.npz").write_text("nothing of the kind")
    whole = fn.simulate("fhn", duration=5, seed=1).save(tmp_path / "run").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("text.npz", "cut.npz"):
        with pytest.raises(DataError, match=f"{name} is no simulation"):
            fn.load_simulation(tmp_path / name)


def test_a_damaged_file_of_an_exploration_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    fn.explore("fhn", {"alpha": [2.0, 3.0]}, duration=5, seed=1, out=tmp_path / "kept")
    damaged = next((tmp_path / "kept").glob("rows_*.parquet"))
    damaged.write_bytes(b"x")
    with pytest.raises(DataError, match=f"{damaged.name} cannot be read"):
        fn.load_exploration(tmp_path / "kept")


def test_more_repetitions_than_have_random_numbers_of_their_own_are_refused():
    with pytest.raises(DataError, match="another seed"):
        fn.explore("fhn", {"alpha": [3.0]}, duration=1, replicates=2**16 + 1)


def test_an_objective_of_runs_says_that_the_error_is_its_own():
    with pytest.raises(ZeroDivisionError) as own:
        fn.evolve(lambda n: 1 / 0, {"alpha": (2, 3)}, simulate={"model": "fhn", "duration": 1}, population=4, seed=1)
    assert "the objective's own error, of individual 0" in own.value.__notes__[0]
