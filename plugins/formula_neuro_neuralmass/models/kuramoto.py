"""Kuramoto's phase oscillators, coupled over tracts with delays."""

from __future__ import annotations

from typing import Any

import numpy as np

from formula_neuro.dynamics.mathematics import cos, remainder, sin
from formula_neuro.dynamics.model import OU, Model, Parameter, Tract, Uniform

from .common import NETWORK, noise


def drift(s: Any, p: Any) -> dict[str, Any]:
    # sin(a - b) = sin a cos b - cos a sin b: the sum over tracts needs the others' sine and cosine alone
    own_sin, own_cos = sin(s.theta), cos(s.theta)
    pull = p.k / s.nodes * (s.arriving_sin * own_cos - s.arriving_cos * own_sin)
    return {
        "theta": p.omega + pull + s.theta_ou + p.theta_ext,
        "sin_theta": own_sin,
        "cos_theta": own_cos,
    }


def finish(s: Any, p: Any) -> dict[str, Any]:
    return {"theta": remainder(s.theta, 2 * np.pi), "sin_theta": sin(s.theta), "cos_theta": cos(s.theta)}


KURAMOTO = Model(
    name="kuramoto",
    help="phase oscillators",
    states=("theta",),
    parameters={
        "k": Parameter(2.0, "rad/ms", "coupling over tracts, divided by the number of nodes"),
        "omega": Parameter(np.pi, "rad/ms", "own frequency; pi is 500 Hz, as in neurolib"),
        "theta_ext": Parameter(0.0, "rad/ms", "input"),
        **noise("theta_ou_mean", unit="rad/ms/sqrt(ms)"),
        "signalV": NETWORK["signalV"],
    },
    drift=drift,
    finish=finish,
    inputs={"arriving_sin": Tract("sin_theta"), "arriving_cos": Tract("cos_theta")},
    noise=(OU("theta_ou", "theta_ou_mean"),),
    outputs=("theta",),
    initial={"theta": Uniform(0.0, 2 * np.pi)},
    external=("theta_ext", "omega"),
    network=("k", "signalV"),
    source="Kuramoto 1984 with delays, as neurolib 0.7's kuramoto; delays are rounded to steps, not to whole ms",
)
