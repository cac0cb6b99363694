"""Designs from a table of events: responses, regressors beside nilearn's, drifts, confounds, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError
from formula_neuro.hrf import GLOVER, SPM
from formula_neuro_design.event_designs import event_run
from formula_neuro_design.events import Run, read_events
from formula_neuro_design.shapes import half_cosine, kernels

FORMULA = "~ hrf(trial_type) + cosine(128)"
RNG = np.random.default_rng(1)
ONSETS = np.sort(RNG.uniform(0, 270, 24)).round(2)
EVENTS = pd.DataFrame({"onset": ONSETS, "duration": 1.0, "trial_type": ["go", "go", "stop"] * 8})
CALL: dict[str, Any] = {"contrast": "go", "columns": 3, "tr": 2.0, "volumes": 150}
ONE = fn.Shapes({"ramp": [0.0, 1.0, 0.0]}, step=1.0)  # a triangle from 0 to 2 s


def go(events: Any = EVENTS, text: str = FORMULA, **changes: Any) -> Any:
    return fn.optimize_design(text, events, **CALL | {"hrf": fn.DoubleGamma(n=7)} | changes)


def one_event(onset: float, duration: float, tr: float = 0.5, volumes: int = 20, hrf: Any = ONE, **run: Any) -> Any:
    table = pd.DataFrame({"onset": [onset], "duration": [duration], "trial_type": ["a"]})
    return event_run("~ hrf(trial_type)", table, Run(tr, volumes, **run)).regressors("a", hrf)[:, 0]


# ---- responses -------------------------------------------------------------------------------------
def test_half_cosines_are_continuous_and_peak_at_1_after_h1_and_h2():
    h = (2.0, 4.0, 5.0, 6.0, 0.3)
    knots = np.cumsum(h[:4])
    np.testing.assert_allclose(half_cosine(knots, *h), [0, 1, -0.3, 0], atol=1e-12)
    # slopes are below pi, so values a nanosecond apart differ by less than 1e-8 where nothing jumps
    np.testing.assert_allclose(half_cosine(knots - 1e-9, *h), half_cosine(knots + 1e-9, *h), atol=1e-8)
    assert half_cosine(np.array([0.0, 1.9, 17.1]), *h).tolist() == [0, 0, 0]


def test_half_cosines_are_drawn_from_their_ranges_and_again_by_the_seed():
    drawn = kernels(fn.HalfCosine(n=500, seed=4)).table
    limits = {"h1": (1, 3), "h2": (3, 7), "h3": (3, 7), "h4": (3, 9), "f": (0, 0.5)}
    for name, (low, high) in limits.items():
        values = drawn[name]
        assert low <= values.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < values.max() <= high
    assert kernels(fn.HalfCosine(n=500, seed=4)).table.equals(drawn)
    assert not kernels(fn.HalfCosine(n=500, seed=5)).table.equals(drawn)


@pytest.mark.parametrize("name", ["spm", "glover"])
def test_double_gammas_are_nilearns(name: str):
    theirs = pytest.importorskip("nilearn.glm.first_level.hemodynamic_models")
    own = kernels({"spm": SPM, "glover": GLOVER}[name])
    fine = getattr(theirs, f"{name}_hrf")(1.0, oversampling=1000, time_length=32.0)
    h = np.interp(own.start + own.step * np.arange(300), np.arange(len(fine)) / 1000, fine / fine.max())
    np.testing.assert_allclose(own.h[:300, 0], h, atol=2e-3)  # theirs starts one of 1000 steps late


def test_a_latency_moves_the_response_and_a_dispersion_keeps_the_peak_at_1():
    own = kernels(fn.DoubleGamma(latency=(-2, 4), n=4))
    t = own.start + own.step * np.arange(len(own.h))
    np.testing.assert_allclose(t[own.h.argmax(axis=0)], [3, 5, 7, 9], atol=own.step)
    assert own.table["latency"].tolist() == [-2, 0, 2, 4]
    wide = kernels(fn.DoubleGamma(latency=(0, 1), dispersion=(0.8, 1.5), n=3))
    assert wide.h.shape[1] == 9 and wide.h.max(axis=0) == pytest.approx(1, abs=2e-3)  # the grid misses the peak


# ---- regressors ------------------------------------------------------------------------------------
def test_an_event_without_duration_is_the_response_at_the_times_after_it():
    found = one_event(2.0, 0)
    assert found[:10].tolist() == [0, 0, 0, 0, 0, 0.5, 1, 0.5, 0, 0]  # volume 4 is at 2 s: not a volume late


def test_onsets_need_not_lie_on_the_grid_nor_at_volumes():
    np.testing.assert_allclose(one_event(2.13, 0)[[4, 5, 6, 7]], [0, 0.37, 0.87, 0.63], atol=1e-12)


@pytest.mark.parametrize("duration", [0.3, 1.0, 3.7])
def test_a_lasting_event_is_the_integral_over_its_duration(duration: float):
    def triangle(t: float) -> float:
        return max(0.0, 1 - abs(t - 1))

    times = 0.5 * np.arange(20)
    wanted = [integrate.quad(triangle, t - 1.2 - duration, t - 1.2, points=(0, 1, 2), limit=200)[0] for t in times]
    np.testing.assert_allclose(one_event(1.2, duration), wanted, atol=1e-9)  # quad's own error


def test_the_reference_slice_moves_the_times_of_the_volumes():
    later = one_event(2.0, 0, slice_time=0.5)
    np.testing.assert_allclose(later[[4, 5, 6]], [0.25, 0.75, 0.75], atol=1e-12)  # at 2.25, 2.75 and 3.25 s


def test_modulations_are_the_events_sizes():
    table = EVENTS.assign(modulation=np.where(EVENTS["onset"] < 100, 2.0, -1.0))
    run = Run(2.0, 150)
    parts = [
        event_run(FORMULA, part, run).canonical("go")
        for part in (EVENTS[EVENTS.onset < 100], EVENTS[EVENTS.onset > 100])
    ]
    found = event_run(FORMULA, table, run).canonical("go")
    np.testing.assert_allclose(found, 2 * parts[0] - parts[1], atol=1e-12)


@pytest.mark.parametrize(("name", "slice_time"), [("glover", 0.0), ("glover", 0.5), ("spm", 0.0)])
def test_regressors_and_drifts_are_nilearns(name: str, slice_time: float):
    first_level = pytest.importorskip("nilearn.glm.first_level")
    events = EVENTS.assign(duration=RNG.uniform(0.5, 6, len(EVENTS)))
    run = Run(2.0, 150, slice_time)
    theirs = first_level.make_first_level_design_matrix(
        run.times, events, hrf_model=name, drift_model="cosine", high_pass=1 / 128, oversampling=1000
    )
    own = event_run(FORMULA, events, run)
    for kind in ("go", "stop"):
        x, y = own.regressors(kind, {"spm": SPM, "glover": GLOVER}[name])[:, 0], theirs[kind].to_numpy()
        scale = (x @ y) / (y @ y)  # theirs has area 1, ours peak 1
        np.testing.assert_allclose(x / scale, y, atol=2e-3 * y.max())  # they round times to a 1000th of a scan
    np.testing.assert_allclose(own.nuisance, theirs[own.nuisance.columns], atol=1e-12)


# ---- the call --------------------------------------------------------------------------------------
def test_a_path_of_events_gives_the_same_design(tmp_path: Path):
    EVENTS.to_csv(tmp_path / "sub-01_task-stop_events.tsv", sep="\t", index=False)
    pd.testing.assert_frame_equal(go(tmp_path / "sub-01_task-stop_events.tsv").design, go().design)


def test_columns_are_free_ones_then_other_types_drifts_and_the_constant():
    d = go()
    drifts = [f"drift_{k}" for k in range(1, 5)]
    assert list(d.design.columns) == ["free1", "free2", "free3", "stop", *drifts, "constant"]
    assert d.contrast.tolist() == [1, *[0] * 8]
    own = event_run(FORMULA, EVENTS, Run(2.0, 150))
    assert (d.design["stop"] == own.canonical("stop")).all() and (d.design["constant"] == 1).all()


def test_a_fixed_type_has_the_canonical_response():
    d = go(fix="go")
    own = event_run(FORMULA, EVENTS, Run(2.0, 150))
    assert list(d.design.columns)[:3] == ["go", "free1", "free2"] and (d.design["go"] == own.canonical("go")).all()
    assert go(fix=["go", "stop"]).design.columns[:3].tolist() == ["go", "stop", "free1"]


def test_a_late_response_is_estimated_with_the_bias_that_is_told():
    d = go(phi=0.05)
    late = event_run(FORMULA, EVENTS, Run(2.0, 150)).regressors("go", fn.DoubleGamma(latency=4.0))[:, 0]
    y = 3 * late + 100 + 2 * d.design["drift_2"].to_numpy() - d.design["stop"].to_numpy()
    estimate = d.contrast @ np.linalg.lstsq(d.design.to_numpy(), y, rcond=None)[0]
    assert d.table["latency"].iloc[-1] == 4
    assert estimate / 3 - 1 == pytest.approx(d.bias[-1], abs=1e-9)  # least squares, without noise


def test_responses_of_ones_own_are_functions_or_arrays():
    def canonical(t: np.ndarray) -> np.ndarray:
        return t**5 * np.exp(-t)

    t = 0.1 * np.arange(321)
    d, e = go(hrf={"mine": canonical}, columns=1), go(hrf=[canonical(t)], columns=1)
    np.testing.assert_allclose(d.design, e.design, atol=1e-12)
    assert go(hrf=canonical, columns=1).objective == go(hrf=canonical(t), columns=1).objective == e.objective
    assert d.table["response"].tolist() == ["mine"] and np.abs(d.bias).max() < 0.2


def test_confounds_are_fixed_columns(tmp_path: Path):
    table = pd.DataFrame({"trans_x": RNG.standard_normal(150), "rot_y": RNG.standard_normal(150), "csf": 0.0})
    table.to_csv(tmp_path / "confounds.tsv", sep="\t", index=False)
    d = go(text=FORMULA + " + trans_x + scale(rot_y)", confounds=tmp_path / "confounds.tsv")
    np.testing.assert_allclose(d.design["trans_x"], table["trans_x"], atol=1e-12)
    assert d.design["rot_y"].std() == pytest.approx(1) and "csf" not in d.design
    assert d.contrast[d.design.columns.get_loc("trans_x")] == 0


def test_a_type_whose_amplitude_is_not_known_varies_with_the_response():
    fixed, known = go(columns=5), go(columns=5, snr={"go": 1}, nuisance={"stop": 1.0})
    assert "stop" in fixed.design and "stop" not in known.design
    late = event_run(FORMULA, EVENTS, Run(2.0, 150)).regressors("stop", fn.DoubleGamma(latency=4.0))[:, 0]

    def read(d: Any) -> float:
        return abs(float(d.contrast @ np.linalg.lstsq(d.design.to_numpy(), late, rcond=None)[0]))

    assert read(known) < 0.5 * read(fixed)  # a late response to the other events leaks less


def test_a_difference_of_types_needs_no_column_of_either():
    pairs = [{"go": 1.0, "stop": 0.0}, {"go": 0.0, "stop": 1.0}, {"go": 1.0, "stop": 1.0}]
    d = go(contrast="go - stop", snr=pairs, columns=4)
    truth = d.to_frame().groupby("block")["contrast"].first().tolist()
    assert truth == [1, -1, 0] and d.name == "go - stop"
    assert go(contrast={"go": 1, "stop": -1}, snr=pairs, columns=4).objective == pytest.approx(d.objective)
    assert go(contrast=[1, -1], snr=pairs, columns=4).objective == pytest.approx(d.objective)


@pytest.mark.parametrize("fix", [[], ["go"]])
def test_a_free_contrast_reads_no_drift_no_level_and_no_other_event(fix: list[str]):
    d = go(free_contrast=True, fix=fix)
    assert (d.contrast[3:] == 0).all() and d.contrast[:3].any()
    Z, own = d.design.to_numpy(), event_run(FORMULA, EVENTS, Run(2.0, 150))
    a = Z @ np.linalg.solve(Z.T @ Z, d.contrast)
    aside = np.column_stack([own.canonical("stop"), own.nuisance])
    np.testing.assert_allclose(a @ aside / np.linalg.norm(aside, axis=0), 0, atol=1e-12 * np.linalg.norm(a) * 1e3)
    assert d.objective <= go(fix=fix).objective * (1 + 1e-9)
    assert go(free_contrast=True, fix="go", columns=1).design.shape == (150, 7)


def test_nilearn_fits_the_design_to_the_end():
    nibabel = pytest.importorskip("nibabel")
    first_level = pytest.importorskip("nilearn.glm.first_level")
    d = go(columns=3, phi=0.05, hrf=fn.DoubleGamma(latency=(0, 4), n=9))
    late = event_run(FORMULA, EVENTS, Run(2.0, 150)).regressors("go", fn.DoubleGamma(latency=3.0))[:, 0]
    rng = np.random.default_rng(3)
    bold = 1000 + np.outer([4.0, 0.0], late)[:, None, None] + rng.standard_normal((2, 1, 1, 150))
    mask = nibabel.Nifti1Image(np.ones((2, 1, 1), np.int8), np.eye(4))
    model = first_level.FirstLevelModel(mask_img=mask, noise_model="ols", signal_scaling=False, minimize_memory=False)
    model.fit(nibabel.Nifti1Image(bold.astype(np.float64), np.eye(4)), design_matrices=d.design)
    found = {
        kind: model.compute_contrast(d.contrast, output_type=kind).get_fdata().ravel()
        for kind in ("effect_size", "stat")
    }
    sd = np.sqrt(d.contrast @ np.linalg.inv(d.design.T @ d.design) @ d.contrast)
    truth = 4 * (1 + d.bias[np.argmin(np.abs(d.table["latency"] - 3.0))])
    assert abs(found["effect_size"][0] - truth) < 4 * sd and abs(found["effect_size"][1]) < 4 * sd  # of the noise
    assert found["stat"][0] > 5 and abs(found["stat"][1]) < 4


# ---- what is told ----------------------------------------------------------------------------------
def test_events_before_and_beyond_the_run_are_told():
    early = pd.concat([EVENTS, pd.DataFrame({"onset": [-3.0], "duration": [1.0], "trial_type": ["go"]})])
    assert any("1 of 25 events start before the first volume" in text for text in go(early).messages)
    late = EVENTS.assign(duration=np.where(EVENTS.index == 23, 100, 1))
    assert any("1 of 24 events last beyond the run of 300 s" in text for text in go(late).messages)
    assert not any("events" in text for text in go().messages)


def test_events_that_start_together_are_told():
    runs = pd.concat([EVENTS, EVENTS.iloc[:2]])
    assert any("2 of 26 events start when another of their type does" in text for text in go(runs).messages)


def test_types_with_the_canonical_response_alone_are_told():
    assert any("stop: one column, by SPM's response" in text for text in go().messages)
    known = go(snr={"go": 1}, nuisance={"stop": 1.0})
    assert not any("one column" in text for text in known.messages)


def test_onsets_that_look_like_volumes_are_told():
    scans = EVENTS.assign(onset=(EVENTS["onset"] / 2).round())
    assert any("seconds, not volumes" in text for text in go(scans).messages)


def test_a_run_that_ends_before_the_responses_is_told():
    short = {"onset": [285.0, 290.0], "duration": 1.0, "trial_type": "go"}
    assert any("before the response to 2 of 2 events" in text for text in go(pd.DataFrame(short)).messages)


# ---- what is refused -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tr": None}, "needs the run's times: give tr= in seconds and volumes="),
        ({"tr": 0}, "tr is 0; the seconds from volume to volume"),
        ({"tr": -2.0}, "tr is -2.0"),
        ({"tr": np.nan}, "tr is nan"),
        ({"tr": 2000}, "tr is 2000 s; seconds are expected: is it in milliseconds"),
        ({"volumes": 150.5}, "volumes is 150.5"),
        ({"slice_time": 1.0}, "slice_time is 1.0"),
        ({"tr": 1.0}, r"[0-9]+ of 24 events start after the run's end, 150 s \(150 volumes of 1 s\)"),
        ({"contrast": "nogo"}, "contrast names 'nogo'; the formula's variables are go, stop"),
        ({"contrast": [1, 2, 3]}, "one weight a variable"),
        ({"contrast": {"go": 0}}, "no weight but 0"),
        ({"contrast": "go = 1"}, "a number on the right of ="),
        ({"snr": {"go": 1, "nogo": 1}}, "'nogo' is no type of event; there are go, stop"),
        ({"nuisance": {"stop": -1.0}}, "the standard deviation of its amplitude"),
        ({"nuisance": {"stop": 1.0}, "snr": {"go": 1, "stop": 1}}, "stands in snr and in nuisance"),
        ({"fix": "nogo"}, "fix names 'nogo'"),
        ({"contrast": "go - stop", "fix": "go"}, "fix all or none"),
        ({"columns": 150}, "columns is 150 besides 6 of nuisance and the data has 150 scans"),
        ({"hrf": "canonical"}, "hrf is 'canonical'; 'half-cosine'"),
        ({"hrf": [lambda t: "?"]}, "the response 1 is no function of seconds"),
        ({"hrf": [lambda t: t[:5]]}, r"the response 1 has the shape \(5,\)"),
        ({"hrf": [np.zeros(30)]}, "none but 0"),
        ({"confounds": pd.DataFrame({"x": [1.0, 2.0]})}, "confounds have 2 rows and the run 150 volumes"),
        (
            {"confounds": pd.DataFrame({"x": np.arange(150.0)})},
            r"names none of the confounds; add those to use, as \+ x",
        ),
        ({"text": FORMULA + " + x", "confounds": pd.DataFrame({"x": np.full(150, 3.0)})}, "x is 0 or follows from"),
        ({"text": FORMULA + " + x", "confounds": pd.DataFrame({"x": np.zeros(150)})}, "x is 0 or follows from"),
        ({"text": "~ hrf(trial_type) + cosine(3)"}, r"cosine\(3\): the shortest period in seconds"),
        (
            {"text": FORMULA + " + x", "confounds": pd.DataFrame({"x": [np.nan, *range(149)]})},
            "x is missing or infinite",
        ),
    ],
)
def test_runs_and_settings_that_make_no_sense_are_refused(changes: dict[str, Any], said: str):
    with pytest.raises(DataError, match=said):
        go(**changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"onset": np.nan}, "onset is nan in row 1 of the events; a number, in seconds, is expected"),
        ({"duration": "n/a"}, "duration is n/a in row 1"),
        ({"duration": -1.0}, "duration is -1 s in row 1"),
        ({"trial_type": None}, "trial_type is missing in row 1"),
        ({"trial_type": ["n/a", *EVENTS["trial_type"][1:]]}, "trial_type is missing in row 1"),
        ({"modulation": 0.0}, "all events of go have the modulation 0"),
        ({"onset": 400.0}, "24 of 24 events start after the run's end"),
        ({"onset": 299.9}, "are collinear or 0"),
        ({"trial_type": "constant"}, "constant is a type of event and a nuisance column"),
    ],
)
def test_events_that_make_no_sense_are_refused(change: dict[str, Any], said: str):
    with pytest.raises(DataError, match=said):
        go(EVENTS.assign(**change), contrast="constant" if change.get("trial_type") == "constant" else "go")


def test_events_of_several_runs_are_refused():
    with pytest.raises(DataError, match="a list of 2 is given for the events; a design is of one run"):
        go([EVENTS, EVENTS])


def test_events_without_times_are_refused():
    with pytest.raises(DataError, match="events have the columns onset, trial_type; duration, in seconds"):
        go(EVENTS.drop(columns="duration"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("~ hrf(condition)", "condition is not a column of the events, which have onset, duration, trial_type"),
        ("~ hrf(go)", r"go is not a column of .*; it is a value of trial_type: write hrf\(trial_type\)"),
        ("~ hrf(trial_type) + hrf(onset)", "one hrf"),
        ("~ hrf(trial_type, 2)", "hrf takes the column of the events' types"),
        ("~ hrf(trial_type) + cosine(x)", "cosine takes the shortest period in seconds"),
        ("~ center(hrf(trial_type))", "is a term of its own"),
        ("~ cosine(128)", "is a term of its own"),
        ("~ hrf(trial_type) + motion", "motion is no hrf.* give confounds="),
        ("~ 1 + hrf(trial_type)", "a design gets no intercept"),
    ],
)
def test_formulas_of_events_that_make_no_design_are_refused(text: str, said: str):
    with pytest.raises(FormulaError, match=said):
        go(text=text)


def test_a_contrast_of_unknown_types_is_refused_with_those_that_there_are():
    with pytest.raises(FormulaError, match=r"expected a variable here \(there are go, stop\)"):
        go(contrast="go - wait")


@pytest.mark.parametrize("name", ["tr", "volumes", "hrf", "confounds", "slice_time"])
def test_what_belongs_to_events_is_refused_for_a_table_of_scans(name: str):
    value = {"hrf": "spm", "confounds": {"x": [1]}, "slice_time": 0.5}.get(name, 2)
    with pytest.raises(DataError, match=f"{name} belongs to events"):
        fn.optimize_design("~ x", {"x": np.arange(20.0)}, contrast="x", **{name: value})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: fn.HalfCosine(n=0), "n is 0"),
        (lambda: fn.HalfCosine(h2=(0, 3)), "h2, h3, h4 above 0"),
        (lambda: fn.HalfCosine(h1=(3, 1)), r"HalfCosine: h1 is \(3, 1\); a range"),
        (lambda: fn.HalfCosine(f=(0, 1)), r"the undershoot's depth lies in \[0, 1\)"),
        (lambda: fn.HalfCosine(seed=-1), "seed is -1"),
        (lambda: fn.HalfCosine(step=0), "step is 0"),
        (lambda: fn.DoubleGamma(latency=(4, -2)), "latency is"),
        (lambda: fn.DoubleGamma(dispersion=0.0), "dispersion is 0"),
        (lambda: fn.DoubleGamma(delay=0.0), "delay is 0"),
        (lambda: fn.DoubleGamma(ratio=1.0), "ratio is 1"),
        (lambda: fn.Shapes([]), "a list or dict of functions or arrays"),
        (lambda: fn.Shapes([np.ones(3)], length=0), "length is 0"),
    ],
)
def test_responses_that_make_no_sense_are_refused(make: Any, said: str):
    with pytest.raises(DataError, match=said):
        make()


def test_types_that_are_numbers_are_named_as_written():
    table = EVENTS.assign(trial_type=[1.0, 2.0] * 12)
    assert list(read_events(table, "trial_type", Run(2.0, 150))) == ["1", "2"]
