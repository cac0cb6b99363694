"""The Wilson-Cowan model of an excitatory and an inhibitory population."""

from __future__ import annotations

from typing import Any

from formula_neuro.dynamics.mathematics import exp
from formula_neuro.dynamics.model import OU, Model, Parameter, Tract, Uniform

from .common import NETWORK, noise


def drift(s: Any, p: Any) -> dict[str, Any]:
    to_exc = p.c_excexc * s.exc - p.c_inhexc * s.inh + p.K_gl * s.c + p.exc_ext
    to_inh = p.c_excinh * s.exc - p.c_inhinh * s.inh + p.inh_ext
    return {
        "exc": (-s.exc + (1 - s.exc) * sigmoid(to_exc, p.a_exc, p.mu_exc) + s.exc_ou) / p.tau_exc,
        "inh": (-s.inh + (1 - s.inh) * sigmoid(to_inh, p.a_inh, p.mu_inh) + s.inh_ou) / p.tau_inh,
    }


def sigmoid(z: Any, a: Any, mu: Any) -> Any:
    """The share that is active at the input z: gain a, threshold mu."""
    return 1 / (1 + exp(-a * (z - mu)))


def bold(s: Any) -> Any:
    return 50 * s.exc


WC = Model(
    name="wc",
    help="Wilson-Cowan: an excitatory and an inhibitory population",
    states=("exc", "inh"),
    parameters={
        "tau_exc": Parameter(2.5, "ms"),
        "tau_inh": Parameter(3.75, "ms"),
        "c_excexc": Parameter(16.0, "", "strength from E to E"),
        "c_excinh": Parameter(15.0, "", "strength from E to I"),
        "c_inhexc": Parameter(12.0, "", "strength from I to E"),
        "c_inhinh": Parameter(3.0, "", "strength from I to I"),
        "a_exc": Parameter(1.5, "", "gain of E"),
        "a_inh": Parameter(1.5, "", "gain of I"),
        "mu_exc": Parameter(3.0, "", "threshold of E"),
        "mu_inh": Parameter(3.0, "", "threshold of I"),
        "exc_ext": Parameter(0.0, "", "input to E"),
        "inh_ext": Parameter(0.0, "", "input to I"),
        **noise("exc_ou_mean", "inh_ou_mean", unit="1/sqrt(ms)"),
        **NETWORK,
    },
    drift=drift,
    inputs={"c": Tract("exc")},
    noise=(OU("exc_ou", "exc_ou_mean"), OU("inh_ou", "inh_ou_mean")),
    outputs=("exc", "inh"),
    initial={"exc": Uniform(0.0, 0.05), "inh": Uniform(0.0, 0.05)},
    bold=bold,
    external=("exc_ext", "inh_ext"),
    source="neurolib's wc (Cakan, Jajcay & Obermayer 2021); Wilson & Cowan 1972",
)
