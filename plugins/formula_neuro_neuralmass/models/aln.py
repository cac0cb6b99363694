"""The adaptive linear-nonlinear cascade: the mean field of adaptive exponential integrate-and-fire neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from formula_neuro.dynamics.mathematics import absolute, maximum, sqrt
from formula_neuro.dynamics.model import OU, Model, Own, Parameter, Tract, Uniform
from formula_neuro.dynamics.tables import Table

from ..cascade.neuron import Neuron
from ..cascade.tables import population
from .common import NETWORK, noise

VARIANCES = ("seev", "seiv", "siev", "siiv")


def drift_with(table: Table) -> Callable[[Any, Any], dict[str, Any]]:
    """The equations with the population's rate (kHz), time constant (ms) and mean voltage (mV) read from a table.

    Names are neurolib's: sabm and sabv are the mean and variance of the synapses on a from b, e or i; muf the filtered
    mean input; IA the adaptation current.
    """

    def drift(s: Any, p: Any) -> dict[str, Any]:
        r_e, r_i = 1e-3 * s.rates_exc_ago, 1e-3 * s.rates_inh_ago
        tau_m = p.C / p.gL
        c_ee, c_ie = p.cee * p.tau_se / p.Jee_max, p.cie * p.tau_se / p.Jie_max
        c_ei, c_ii = p.cei * p.tau_si / absolute(p.Jei_max), p.cii * p.tau_si / absolute(p.Jii_max)
        c_gl = p.c_gl * p.tau_se / p.Jee_max
        z1ee = c_ee * p.Ke * r_e + c_gl * p.Ke_gl * (1e-3 * s.arriving + p.ext_exc_rate)
        z1ie = c_ie * p.Ke * r_e + c_gl * p.Ke_gl * p.ext_inh_rate
        z1ei, z1ii = c_ei * p.Ki * r_i, c_ii * p.Ki * r_i
        z2ee = c_ee**2 * p.Ke * r_e + c_gl**2 * p.Ke_gl * (1e-3 * s.arriving_squared + p.ext_exc_rate)
        z2ie = c_ie**2 * p.Ke * r_e + c_gl**2 * p.Ke_gl * p.ext_inh_rate
        z2ei, z2ii = c_ei**2 * p.Ki * r_i, c_ii**2 * p.Ki * r_i

        def fluctuation(J: Any, v: Any, z1: Any, tau: Any) -> Any:
            return 2 * J**2 * v * tau * tau_m / ((1 + z1) * tau_m + tau)

        sigma_e = sqrt(fluctuation(p.Jee_max, s.seev, z1ee, p.tau_se)
                       + fluctuation(p.Jei_max, s.seiv, z1ei, p.tau_si) + p.sigmae_ext**2)  # fmt: skip
        sigma_i = sqrt(fluctuation(p.Jie_max, s.siev, z1ie, p.tau_se)
                       + fluctuation(p.Jii_max, s.siiv, z1ii, p.tau_si) + p.sigmai_ext**2)  # fmt: skip
        rate_e, tau_e, V_e = table(s.mufe - s.IA / p.C, sigma_e)
        rate_i, tau_i, _ = table(s.mufi, sigma_i)
        mu_e = p.Jee_max * s.seem + p.Jei_max * s.seim + s.mue_ou + p.ext_exc_current
        mu_i = p.Jie_max * s.siem + p.Jii_max * s.siim + s.mui_ou + p.ext_inh_current
        return {
            "rates_exc": 1e3 * rate_e,
            "rates_inh": 1e3 * rate_i,
            "mufe": (mu_e - s.mufe) / tau_e,
            "mufi": (mu_i - s.mufi) / tau_i,
            "IA": (p.a * (V_e - p.EA) - s.IA + p.tauA * p.b * rate_e) / p.tauA,
            "seem": mean_moves(s.seem, z1ee, p.tau_se),
            "seim": mean_moves(s.seim, z1ei, p.tau_si),
            "siem": mean_moves(s.siem, z1ie, p.tau_se),
            "siim": mean_moves(s.siim, z1ii, p.tau_si),
            "seev": variance_moves(s.seev, s.seem, z1ee, z2ee, p.tau_se),
            "seiv": variance_moves(s.seiv, s.seim, z1ei, z2ei, p.tau_si),
            "siev": variance_moves(s.siev, s.siem, z1ie, z2ie, p.tau_se),
            "siiv": variance_moves(s.siiv, s.siim, z1ii, z2ii, p.tau_si),
        }

    return drift


def mean_moves(m: Any, z1: Any, tau: Any) -> Any:
    """The synapses' mean per ms; at rest m = z1 / (1 + z1)."""
    return ((1 - m) * z1 - m) / tau


def variance_moves(v: Any, m: Any, z1: Any, z2: Any, tau: Any) -> Any:
    """The synapses' variance per ms; at rest v = (1 - m)^2 z2 / (2 tau (1 + z1) - z2)."""
    return ((1 - m) ** 2 * z2 + (z2 - 2 * tau * (z1 + 1)) * v) / tau**2


def finish(s: Any, p: Any) -> dict[str, Any]:
    return {name: maximum(getattr(s, name), 0.0) for name in VARIANCES}


def bold(s: Any) -> Any:
    return s.rates_exc


NEURON = {
    "C": Parameter(200.0, "pF", "capacitance"),
    "gL": Parameter(10.0, "nS", "leak conductance"),
    "EL": Parameter(-65.0, "mV", "leak reversal"),
    "DeltaT": Parameter(1.5, "mV", "sharpness of the spike's onset"),
    "VT": Parameter(-50.0, "mV", "threshold"),
    "Vr": Parameter(-70.0, "mV", "reset"),
    "Vs": Parameter(-40.0, "mV", "where a spike is counted"),
    "Tref": Parameter(1.5, "ms", "refractory time"),
}

PARAMETERS: Mapping[str, Parameter] = {
    "mue_ext_mean": Parameter(0.4, "mV/ms", "mean input to E"),
    "mui_ext_mean": Parameter(0.3, "mV/ms", "mean input to I"),
    **noise(unit="mV/ms/sqrt(ms)"),
    "ext_exc_rate": Parameter(0.0, "kHz", "rate of spikes that arrive at E from outside"),
    "ext_inh_rate": Parameter(0.0, "kHz", "rate of spikes that arrive at I from outside"),
    "ext_exc_current": Parameter(0.0, "mV/ms", "input to E"),
    "ext_inh_current": Parameter(0.0, "mV/ms", "input to I"),
    "sigmae_ext": Parameter(1.5, "mV/sqrt(ms)", "fluctuation of the input to E"),
    "sigmai_ext": Parameter(1.5, "mV/sqrt(ms)", "fluctuation of the input to I"),
    "c_gl": Parameter(0.3, "mV/ms", "strength of a spike that arrives over a tract"),
    "Ke_gl": Parameter(250.0, "", "synapses of a tract"),
    "signalV": NETWORK["signalV"],
    "Ke": Parameter(800.0, "", "synapses from E"),
    "Ki": Parameter(200.0, "", "synapses from I"),
    "de": Parameter(4.0, "ms", "delay from E"),
    "di": Parameter(2.0, "ms", "delay from I"),
    "tau_se": Parameter(2.0, "ms", "decay of synapses from E"),
    "tau_si": Parameter(5.0, "ms", "decay of synapses from I"),
    "cee": Parameter(0.3, "mV/ms", "strength of a spike, on E from E"),
    "cie": Parameter(0.3, "mV/ms", "on I from E"),
    "cei": Parameter(0.5, "mV/ms", "on E from I"),
    "cii": Parameter(0.5, "mV/ms", "on I from I"),
    "Jee_max": Parameter(2.43, "mV/ms", "drive with all synapses open, on E from E"),
    "Jie_max": Parameter(2.60, "mV/ms", "on I from E"),
    "Jei_max": Parameter(-3.3, "mV/ms", "on E from I, below 0"),
    "Jii_max": Parameter(-1.64, "mV/ms", "on I from I, below 0"),
    "a": Parameter(0.0, "nS", "adaptation to voltage"),
    "b": Parameter(0.0, "pA", "adaptation to spikes"),
    "EA": Parameter(-80.0, "mV", "adaptation's reversal"),
    "tauA": Parameter(200.0, "ms", "adaptation's time constant"),
    **NEURON,
}


def aln_of(neuron: Mapping[str, float], tables: str = "compatible") -> Model:
    """The model of such neurons; tables "compatible" or "accurate". Raises DataError."""
    return _made(Neuron(**neuron), tables)


@lru_cache(maxsize=8)
def _made(neuron: Neuron, tables: str) -> Model:
    return replace(aln_with(population(neuron, tables)), remade=aln_of)


def aln_with(table: Table) -> Model:
    """The model whose population function is the table of rate, time constant and mean voltage over (mu, sigma)."""
    return Model(
        name="aln",
        help="mean field of adaptive exponential integrate-and-fire neurons, E and I; rates in Hz",
        states=("mufe", "mufi", "IA", "seem", "seim", "siem", "siim", *VARIANCES),
        parameters=PARAMETERS,
        drift=drift_with(table),
        finish=finish,
        inputs={
            "arriving": Tract("rates_exc"),
            "arriving_squared": Tract("rates_exc", squared=True),
            "rates_exc_ago": Own("rates_exc", "de"),
            "rates_inh_ago": Own("rates_inh", "di"),
        },
        noise=(OU("mue_ou", "mue_ext_mean"), OU("mui_ou", "mui_ext_mean")),
        outputs=("rates_exc", "rates_inh", "IA"),
        initial={
            "mufe": Uniform(0.0, 3.0),
            "mufi": Uniform(0.0, 3.0),
            "seem": Uniform(0.0, 0.5),
            "seim": Uniform(0.0, 0.5),
            "seev": Uniform(0.0, 0.001),
            "seiv": Uniform(0.0, 0.001),
            "siim": Uniform(0.0, 0.5),
            "siem": Uniform(0.0, 0.5),
            "siiv": Uniform(0.0, 0.01),
            "siev": Uniform(0.0, 0.01),
            "rates_exc": Uniform(0.0, 0.01),
            "rates_inh": Uniform(0.0, 0.01),
            "IA": Uniform(0.0, 200.0),
        },
        bold=bold,
        external=("ext_exc_current", "ext_inh_current", "ext_exc_rate", "ext_inh_rate"),
        network=("signalV",),
        tables=(table,),
        fixed=tuple(NEURON),
        source="Augustin et al. 2017; Cakan & Obermayer 2020; neurolib's aln",
    )
