"""What a batch of runs is said to need is what it takes."""

from __future__ import annotations

import numpy as np

import formula_neuro as fn
from formula_neuro_neuralmass.asking import Timing, ask
from formula_neuro_neuralmass.batches import batches
from formula_neuro_neuralmass.building import build
from formula_neuro_neuralmass.models import find


def test_a_stimulus_to_a_parameter_that_varies_is_counted_for_every_set():
    course = {"x_ext": fn.stimuli.Step(1.0).at(0)}
    timing = Timing(duration=100, every=10)
    asked = ask(find("fhn"), fn.Connectome.simulate(6), timing, params={}, init={}, stimulus=course, bold=False, seed=1)
    sets = [{"x_ext": value} for value in np.linspace(0, 1, 9)]
    (batch,) = batches(asked, sets)
    assert batch.bytes > build(asked, sets).stimulus["x_ext"].nbytes
    (other,) = batches(asked, [{"alpha": value} for value in np.linspace(2, 3, 9)])
    assert batch.bytes - other.bytes == 8 * asked.steps * 6 * (len(sets) - 1)  # there, one course serves all sets
