"""Parameters that several models share."""

from __future__ import annotations

from formula_neuro.dynamics.model import Parameter

COUPLING = Parameter(
    "diffusive", "", "how tracts act: on the difference, or added", {"diffusive": 1.0, "additive": 0.0}
)
NETWORK = {
    "K_gl": Parameter(0.6, "", "coupling over tracts"),
    "signalV": Parameter(20.0, "mm/ms", "speed of signals; 0 or less: no delays"),
}


def noise(*means: str, unit: str = "1/ms/sqrt(ms)") -> dict[str, Parameter]:
    """The parameters of Ornstein-Uhlenbeck inputs with these means.

    >>> list(noise("x_ou_mean"))
    ['tau_ou', 'sigma_ou', 'x_ou_mean']
    """
    return {
        "tau_ou": Parameter(5.0, "ms", "noise's time constant"),
        "sigma_ou": Parameter(0.0, unit, "noise's strength"),
        **{name: Parameter(0.0, "", "noise's mean") for name in means},
    }
