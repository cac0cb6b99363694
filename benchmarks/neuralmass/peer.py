"""neurolib's trajectories on made-up networks: python peer.py FILE, with a Python that has neurolib 0.6.2.

Needs neurolib alone. agreement.py compares them with ours; tests/data/neural_masses.npz is a shorter copy.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np

NODES, SEED, DURATION = 5, 3, 200.0  # ms
MODELS = {  # ours: module, class, the initial values' names there by ours, strength of noise, stimulated parameter
    "fhn": ("fhn", "FHNModel", {"x": "xs_init", "y": "ys_init"}, 0.05, "x_ext"),
    "hopf": ("hopf", "HopfModel", {"x": "xs_init", "y": "ys_init"}, 0.05, "x_ext"),
    "wc": ("wc", "WCModel", {"exc": "exc_init", "inh": "inh_init"}, 0.05, "exc_ext"),
    "ww": ("ww", "WWModel", {"se": "ses_init", "si": "sis_init"}, 0.005, None),
    "aln": ("aln", "ALNModel", {name: f"{name}_init" for name in (
        "mufe mufi IA seem seim seev seiv siim siem siiv siev rates_exc rates_inh".split())}, 0.1, "ext_exc_current"),
    "thalamus": ("thalamus", "ThalamicMassModel", {name: f"{name}_init" for name in ("V_t", "V_r")}, 0.0, None),
}  # fmt: skip
OTHER = {"aln": {"a": 15.0, "b": 40.0}}  # parameters of the noisy runs


def network() -> tuple[np.ndarray, np.ndarray]:
    """Weights and lengths in mm of five nodes; not symmetric, one pair without delay."""
    rng = np.random.default_rng(5)
    weights, lengths = rng.uniform(0, 1, (2, NODES, NODES))
    lengths *= 120
    lengths[0, 1] = 0.4  # less than half a step at 20 mm/ms
    for matrix in (weights, lengths):
        np.fill_diagonal(matrix, 0)
    return weights, lengths


def stimulus(steps: int) -> np.ndarray:
    """(nodes, steps)."""
    return np.random.default_rng(6).uniform(0, 0.5, (NODES, steps))


def run(name: str, connected: bool, noisy: bool, stimulated: bool) -> dict[str, np.ndarray]:
    """Outputs (nodes, steps) and initial values (nodes,) of one run."""
    module, cls, init, sigma, external = MODELS[name]
    make = getattr(import_module(f"neurolib.models.{module}"), cls)
    weights, lengths = network()
    model: Any = make(Cmat=weights, Dmat=lengths, seed=SEED) if connected else make(seed=SEED)
    model.params["duration"] = DURATION
    if noisy:
        model.params["sigma_ou"] = sigma
        model.params.update(OTHER.get(name, {}))
    if stimulated:
        model.params[external] = stimulus(round(DURATION / model.params["dt"]))
    found = {f"start.{ours}": np.ravel(model.params[theirs]).astype(float) for ours, theirs in init.items()}
    if name == "ww":
        corrected_ww(model)
    model.run()
    return {**found, **{f"out.{output}": np.asarray(model.outputs[output]) for output in model.output_vars}}


def corrected_ww(model: Any) -> None:
    """neurolib 0.6.2 integrates the inhibitory synapse with tau_exc; give its integrator tau_inh."""
    ti = import_module("neurolib.models.ww.timeIntegration")
    kernel = getattr(ti, "kernel", ti.timeIntegration_njit_elementwise)
    ti.kernel = kernel
    names = kernel.py_func.__code__.co_varnames
    place = names.index("tau_inh")

    def corrected(*arguments: Any) -> Any:
        return kernel(*arguments[:place], model.params["tau_inh"], *arguments[place + 1 :])

    ti.timeIntegration_njit_elementwise = corrected


def cases() -> list[tuple[str, bool, bool, bool]]:
    """(model, on the network, with noise, with a stimulus)."""
    found = []
    for name, (_, _, _, _sigma, external) in MODELS.items():
        found.append((name, False, False, False))
        if name != "thalamus":
            found += [(name, True, False, False), (name, True, True, False)]
        if external is not None:
            found.append((name, True, True, True))
    return found


def label(name: str, connected: bool, noisy: bool, stimulated: bool) -> str:
    return "-".join(
        [name, *(word for word, on in (("network", connected), ("noise", noisy), ("stimulus", stimulated)) if on)]
    )


def everything() -> dict[str, np.ndarray]:
    """Every run's values by case.what.name, and aln's tables."""
    found = {f"{label(*case)}.{key}": value for case in cases() for key, value in run(*case).items()}
    tables = import_module("neurolib.models.aln.loadDefaultParams").loadDefaultParams()
    for ours, theirs in (("rate", "precalc_r"), ("tau", "precalc_tau_mu"), ("voltage", "precalc_V")):
        found[f"tables.{ours}"] = np.asarray(tables[theirs])
    found["ww-as-it-is.out.r_exc"] = wrong_ww()
    return found


def wrong_ww() -> np.ndarray:
    """r_exc of a node of neurolib's ww as it is."""
    ti = import_module("neurolib.models.ww.timeIntegration")
    if hasattr(ti, "kernel"):
        ti.timeIntegration_njit_elementwise = ti.kernel
    model: Any = import_module("neurolib.models.ww").WWModel(seed=SEED)
    model.params["duration"] = DURATION
    model.run()
    return np.asarray(model.outputs["r_exc"])


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1], **everything())
