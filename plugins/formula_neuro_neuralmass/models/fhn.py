"""The FitzHugh-Nagumo oscillator."""

from __future__ import annotations

from typing import Any

from formula_neuro.dynamics.model import OU, Model, Parameter, Tract, Uniform

from .common import COUPLING, NETWORK, noise


def drift(s: Any, p: Any) -> dict[str, Any]:
    arriving = p.K_gl * (s.c - p.coupling * s.indegree * s.x)
    return {
        "x": -p.alpha * s.x**3 + p.beta * s.x**2 + p.gamma * s.x - s.y + arriving + s.x_ou + p.x_ext,
        "y": (s.x - p.delta - p.epsilon * s.y) / p.tau + s.y_ou + p.y_ext,
    }


def bold(s: Any) -> Any:
    return 50 * s.x


FHN = Model(
    name="fhn",
    help="FitzHugh-Nagumo oscillators",
    states=("x", "y"),
    parameters={
        "alpha": Parameter(3.0),
        "beta": Parameter(4.0),
        "gamma": Parameter(-1.5),
        "delta": Parameter(0.0),
        "epsilon": Parameter(0.5),
        "tau": Parameter(20.0, "ms"),
        "x_ext": Parameter(1.0, "", "input to x"),
        "y_ext": Parameter(0.0, "", "input to y"),
        **noise("x_ou_mean", "y_ou_mean"),
        **NETWORK,
        "coupling": COUPLING,
    },
    drift=drift,
    inputs={"c": Tract("x")},
    noise=(OU("x_ou", "x_ou_mean"), OU("y_ou", "y_ou_mean")),
    outputs=("x", "y"),
    initial={"x": Uniform(0.0, 0.05), "y": Uniform(0.0, 0.05)},
    bold=bold,
    external=("x_ext", "y_ext"),
    network=("K_gl", "signalV", "coupling"),
    source="neurolib's fhn (Cakan, Jajcay & Obermayer 2021)",
)
