"""Inputs that vary in time: steps, ramps, waves and noise, summed by `+` and put one after the other by `&`.

    fn.simulate("fhn", duration="2 s", stimulus={"x_ext": fn.stimuli.Step(0.5, start=500, end=1000)})

A stimulus adds to the parameter's value. Times are ms of the run. `.at(...)` names the nodes that get it.
"""

from __future__ import annotations

from .courses import OU, Array, Exponential, LinearRamp, Rectified, Sinusoid, Square, Step, Wiener, Zero
from .stimulus import Appended, Scaled, Stimulus, Sum

__all__ = [
    "OU",
    "Appended",
    "Array",
    "Exponential",
    "LinearRamp",
    "Rectified",
    "Scaled",
    "Sinusoid",
    "Square",
    "Step",
    "Stimulus",
    "Sum",
    "Wiener",
    "Zero",
]


def __dir__() -> list[str]:
    return sorted(__all__)
