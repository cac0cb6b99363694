"""Contrasts of an optimal design in what they estimate: told apart or refused, and what is told of a trap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro_design.event_designs import event_run
from formula_neuro_design.events import Run

FORMULA = "~ hrf(trial_type) + cosine(128)"
ONSETS = np.sort(np.random.default_rng(1).uniform(0, 270, 24)).round(2)
EVENTS = pd.DataFrame({"onset": ONSETS, "duration": 1.0, "trial_type": ["go", "stop", "stop"] * 8})
RESPONSES = fn.DoubleGamma(n=7)
APART = [{"go": 1.0, "stop": 0.0}, {"go": 0.0, "stop": 1.0}]


def designed(contrast: Any, **changes: Any) -> Any:
    settings: dict[str, Any] = {"columns": 4, "tr": 2.0, "volumes": 150, "hrf": RESPONSES, "phi": 0.01, **changes}
    return fn.optimize_design(FORMULA, EVENTS, contrast=contrast, **settings)


def estimates(d: Any, go: float, stop: float) -> Any:
    """What least squares make of scans without noise, a row a contrast, a column a response."""
    found = event_run(FORMULA, EVENTS, Run(2.0, 150))
    y = go * found.regressors("go", RESPONSES) + stop * found.regressors("stop", RESPONSES) + 7.0
    return np.atleast_2d(d.contrast) @ np.linalg.lstsq(d.design.to_numpy(), y, rcond=None)[0]


def test_contrasts_of_one_block_each_are_told_apart():
    d = designed(["go", "stop"], snr=APART)
    for go, stop in ((2.0, 0.0), (0.0, 2.0), (1.0, 1.0)):
        # each response is off by its own bias, which is what is allowed here
        allowed = 1.01 * np.abs(d.bias).max() * (go + stop) + 1e-9
        assert np.abs(estimates(d, go, stop) - np.array([[go], [stop]])).max() < allowed


@pytest.mark.parametrize("snr", [1.0, {"go": 1.0, "stop": 0.5}, [1.0, 2.0, -1.0]])
def test_contrasts_in_one_proportion_in_all_designs_are_refused(snr: Any):
    with pytest.raises(
        DataError, match=r"'go', 'stop' follow from one another in the same way .* \[{'go': 1.0, 'stop': 0.0}"
    ):
        designed(["go", "stop"], snr=snr)


def test_contrasts_in_one_proportion_are_refused_where_they_are_free():
    with pytest.raises(DataError, match="follow from one another"):
        designed(["go", "stop"], fix=["go", "stop"], free_contrast=True)


def test_fixed_columns_tell_contrasts_in_one_proportion_apart():
    assert designed(["go", "stop"], fix=["go", "stop"]).bias.shape == (2, 7)


def test_amplitudes_of_either_sign_tell_contrasts_apart():
    d = designed(["go", "go + stop"], snr={"go": 1}, nuisance={"stop": 1.0})
    assert d.contrast[:, :2].tolist() == [[1, 0], [0, 1]]


def test_what_leaks_into_one_of_several_contrasts_is_told_with_it():
    d = designed(["go", "go + stop"], snr={"go": 1}, nuisance={"stop": 1.0})
    for label in d.labels:
        own = d.of(label).to_frame()
        assert (own["leak"] == d.table[f"leak into {label}"]).all() and not any("into" in name for name in own.columns)
        assert own["contrast"].tolist() == [1] * 7


def test_each_of_several_contrasts_needs_a_null_design_of_its_own():
    table = EVENTS.assign(trial_type=["go", "stop", "cue"] * 8)
    settings: dict[str, Any] = {"nuisance": {"cue": 1.0}, "columns": 4, "tr": 2.0, "volumes": 150, "hrf": RESPONSES}

    def told(contrast: list[str]) -> bool:
        d = fn.optimize_design(FORMULA, table, contrast=contrast, snr=[*APART, {"go": 1.0, "stop": 1.0}], **settings)
        return any("no design is without the contrast" in text for text in d.messages)

    assert told(["go", "go + stop"]) and not told(["go", "go - stop"])


def test_a_difference_of_equal_amplitudes_is_refused_with_what_to_give():
    with pytest.raises(DataError, match="give amplitudes in snr, one for each variable or a list"):
        designed("go - stop")


def test_a_difference_in_one_proportion_is_told_to_be_right_for_that_one_only():
    trap = designed("go - stop", snr={"go": 1.0, "stop": 0.5})
    said = "go, stop have no other proportion in any design"
    assert any(said in text for text in trap.messages)
    assert np.abs(estimates(trap, 1.0, 1.0)).min() > 0.3  # of a difference of 0
    apart = designed("go - stop", snr=APART)
    assert not any(said in text for text in apart.messages)
    assert np.abs(estimates(apart, 1.0, 1.0)).max() < 2.02 * np.abs(apart.bias).max()
