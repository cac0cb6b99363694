"""The Stuart-Landau oscillator: the normal form of a Hopf bifurcation."""

from __future__ import annotations

from typing import Any

from formula_neuro.dynamics.model import OU, Model, Parameter, Tract, Uniform

from .common import COUPLING, NETWORK, noise


def drift(s: Any, p: Any) -> dict[str, Any]:
    arriving = p.K_gl * (s.c - p.coupling * s.indegree * s.x)
    growth = p.a - s.x**2 - s.y**2
    return {
        "x": growth * s.x - p.w * s.y + arriving + s.x_ou + p.x_ext,
        "y": growth * s.y + p.w * s.x + s.y_ou + p.y_ext,
    }


def bold(s: Any) -> Any:
    return 4 * (s.x + 1)


HOPF = Model(
    name="hopf",
    help="Stuart-Landau oscillators near a Hopf bifurcation",
    states=("x", "y"),
    parameters={
        "a": Parameter(0.25, "1/ms", "above 0 it oscillates with the radius sqrt(a)"),
        "w": Parameter(0.2, "rad/ms", "angular frequency; 0.2 is 32 Hz"),
        "x_ext": Parameter(0.0, "", "input to x"),
        "y_ext": Parameter(0.0, "", "input to y"),
        **noise("x_ou_mean", "y_ou_mean"),
        **NETWORK,
        "coupling": COUPLING,
    },
    drift=drift,
    inputs={"c": Tract("x")},
    noise=(OU("x_ou", "x_ou_mean"), OU("y_ou", "y_ou_mean")),
    outputs=("x", "y"),
    initial={"x": Uniform(-0.5, 0.5), "y": Uniform(-0.5, 0.5)},
    bold=bold,
    external=("x_ext", "y_ext"),
    network=("K_gl", "signalV", "coupling"),
    source="neurolib's hopf (Cakan, Jajcay & Obermayer 2021)",
)
