"""Trials of the water-lick task (example 4)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Trials of mouse 1 to 8. The published quartiles of mouseID (1, 2, 4.5, 6, 8) and its mean 4.527 leave only
# a few such splits of 512.
TRIALS = (58, 73, 66, 59, 55, 77, 49, 75)
CORRECT = 216
SEED = 33153  # of 140 000 tried, one whose fit lies nearest to the published one: .06235 (.01989)


def waterlick() -> pd.DataFrame:
    """512 SIMULATED trials of 8 mice: mouseID (1 to 8), dff (mean dF/F of the trial), lick (1: correct).

    The trials of the water-lick task in the slides "LM, LME, GLM, and GLMM in neuroscience" (example 4) are not
    public as a file; these are drawn anew and tuned to what the slides print of them: the six-number summaries
    of mouseID and dff, 216 correct licks, and a log odds ratio of dff near .06235 with standard error .01986 in
    lick ~ dff + (1|mouseID). They say nothing about real mice. `attrs["note"]` says so in the table itself.

    >>> trials = waterlick()
    >>> len(trials), int(trials["lick"].sum()), trials["mouseID"].nunique()
    (512, 216, 8)
    >>> [round(float(q), 3) for q in trials["dff"].quantile([0, .25, .5, .75, 1])]
    [-8.838, 1.24, 4.702, 8.426, 20.456]
    """
    mouse, dff, lick = _trials(SEED)
    trials = pd.DataFrame({"mouseID": mouse, "dff": dff, "lick": lick})
    trials.attrs["note"] = "SIMULATED water-lick trials, tuned to a published summary; no real mice"
    return trials


def _trials(seed: int) -> tuple[NDArray[np.intp], Array, NDArray[np.intp]]:
    """mouse (n,), dff (n,) and lick (n,): a latent logistic model, cut so that exactly CORRECT licks are 1."""
    rng = np.random.Generator(np.random.PCG64(seed))
    mouse = np.repeat(np.arange(1, len(TRIALS) + 1), TRIALS).astype(np.intp)
    shift, bias = rng.standard_normal((2, len(TRIALS)))
    activity = 0.35 * shift[mouse - 1] + rng.standard_normal(len(mouse))
    dff = _published_quantiles(activity)
    uniform = rng.random(len(mouse))
    latent = 0.062 * dff + 0.5 * bias[mouse - 1] + np.log(uniform / (1 - uniform))
    lick = np.zeros(len(mouse), dtype=np.intp)
    lick[np.argsort(-latent, kind="stable")[:CORRECT]] = 1
    return mouse, dff, lick


def _published_quantiles(activity: Array) -> Array:
    """dff (512,): the activity moved, in its own order, onto the published quartiles and mean, to 3 digits."""
    # A quartile of 512 values lies between two of them, a quarter, a half or three quarters of the way.
    knots = np.sort(activity)[[0, 127, 128, 255, 256, 383, 384, 511]]
    onto = np.array([-8.838, 1.234, 1.242, 4.698, 4.706, 8.424, 8.432, 20.456])
    dff = np.interp(activity, knots, onto)
    segment = np.clip(np.searchsorted(onto, dff, side="right") - 1, 0, len(onto) - 2)
    room = (dff - onto[segment]) * (onto[segment + 1] - dff)  # zero at the knots: they stay, the mean moves
    moved: Array = np.round(dff + (4.810 - dff.mean()) / room.mean() * room, 3)
    return moved
