"""Words about groups whose numbers start anew within another factor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

CELLS = (5, 9, 4, 7, 6, 8, 5)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    mouse = np.repeat(np.arange(1, 8), [3 * k for k in CELLS])
    cell = np.concatenate([np.repeat(np.arange(1, k + 1), 3) for k in CELLS])
    table = pd.DataFrame({"mouse": mouse, "cell": cell, "day": np.resize([1, 2, 3], len(mouse))})
    table["name"] = "m" + table["mouse"].astype(str) + "c" + table["cell"].astype(str)
    table["drug"] = np.where(mouse < 4, "a", "b")
    table["number"] = np.where(mouse < 4, mouse, mouse - 3)
    return table.assign(y=rng.normal(size=8)[mouse] + rng.normal(size=len(mouse)))


def notes_of(formula, data):
    return fn.model_matrix(formula, data).messages


def test_cells_numbered_anew_in_each_mouse_are_asked_about(data):
    texts = notes_of("y ~ 1 + (1|mouse) + (1|cell)", data)
    assert any(text.startswith("cell: the numbers start again at 1 in every level of mouse (5, 9, 4") for text in texts)
    assert any(text.endswith("write (1 | mouse/cell)") for text in texts)


def test_animals_numbered_anew_in_each_treatment_are_asked_about(data):
    assert any(text.endswith("write (1 | drug:number)") for text in notes_of("y ~ drug + (1|number)", data))


@pytest.mark.parametrize(
    "formula", ["y ~ 1 + (1|mouse/cell)", "y ~ 1 + (1|mouse) + (1|name)", "y ~ drug + (1|mouse)", "y ~ 1 + (1|cell)"]
)
def test_groups_that_are_told_apart_are_not(formula, data):
    assert not any("start again" in text for text in notes_of(formula, data))


def test_a_balanced_crossing_of_numbers_is_doubted_in_the_summary_only(data):
    m = fn.fit("y ~ 1 + (1|mouse) + (1|day)", data)
    assert not any("start again" in text for text in m.messages)
    assert "mouse and day are crossed; if day is numbered anew in every mouse, write (1 | mouse/day)" in m.summary()


def test_names_that_cross_are_not_doubted(data):
    m = fn.fit("y ~ 1 + (1|mouse) + (1|day)", data.assign(day=data["day"].map({1: "a", 2: "b", 3: "c"})))
    assert "mouse and day are crossed\n" in m.summary() + "\n"


def test_repeated_terms_say_what_to_do(data):
    texts = notes_of("y ~ day + (1|mouse) + (day|mouse)", data)
    assert any("(Intercept) varies by mouse in more than one random term" in t and "keep one" in t for t in texts)
