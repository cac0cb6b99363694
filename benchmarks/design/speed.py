"""Optimal designs: the exact solver beside the paper's Algorithm 1 and L-BFGS; processor time of one thread.

All start at the paper's II-B start, except the exact solver, which starts at its ridge solution and whose time includes
the basis. Algorithm 1 runs until a step gains less than 1e-12, with at most 20,000 steps. L-BFGS moves the free entries
of Z in the coordinates of the basis, which it is given. Run with OMP_NUM_THREADS=1. `--quick` leaves out Algorithm 1 on
the case study, which takes minutes.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from scipy import optimize
from setups import Setup, case_study, responses, validation

import formula_neuro as fn
from formula_neuro.family import Array
from formula_neuro_design.paper import algorithm_1, initial_design
from formula_neuro_design.reduced import Reduced, coordinates, reduced
from formula_neuro_design.solver import Solution, solve

STEPS, FALL = 20_000, 1e-12


def main() -> None:
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    print(f"{versions}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    searches()
    shapes()
    call()


def searches() -> None:
    print("| set-up | solver | seconds | times exact | G less exact G | steps |\n|---|---|---:|---:|---:|---:|")
    for name, own, p in (
        ("Validation A, p = 4", validation(), 4),
        ("Validation B, p = 4", validation(free=True), 4),
        ("723 designs, k = 1000, p = 6", case_study(), 6),
    ):
        constraints = own.constraints(p)
        solve(own.family, constraints)  # the first call loads what scipy loads late
        exact, least = timed(lambda own=own, c=constraints: solve(own.family, c))
        print(f"| {name} | exact | {least:.4f} | 1 | {exact.objective:.7f} | {exact.iterations} |", flush=True)
        value, seconds, steps = by_lbfgs(own, p)
        row("L-BFGS on Z in the basis", seconds, least, value - exact.objective, steps)
        if "--quick" in sys.argv and len(own.family.w) > 50:
            continue
        slow, seconds = timed(lambda own=own, c=constraints: descent(own, c))
        row("Algorithm 1 to 1e-12", seconds, least, slow.objective - exact.objective, slow.iterations)
    print()


def row(solver: str, seconds: float, least: float, excess: float, steps: int) -> None:
    ended = f"{steps} (all allowed)" if steps == STEPS else str(steps)
    print(f"|  | {solver} | {seconds:.2f} | {seconds / least:.0f} | {excess:.1e} | {ended} |", flush=True)


def timed(run: Callable[[], Solution]) -> tuple[Solution, float]:
    start = time.process_time()
    found = run()
    return found, time.process_time() - start


def descent(own: Setup, constraints: Any) -> Solution:
    start = initial_design(own.signal, own.family.l, constraints)
    return algorithm_1(own.family, constraints, *start, least_fall=FALL, most_steps=STEPS)


# ---- L-BFGS --------------------------------------------------------------------------------------
def by_lbfgs(own: Setup, p: int) -> tuple[float, float, int]:
    """G, seconds and steps of L-BFGS in the free columns of Q'Z, and in c where it is free."""
    constraints = own.constraints(p)
    space = coordinates(own.family, own.B)
    problem, B = reduced(space, own.family, p), space.Q.T @ own.B
    Z, c = initial_design(own.signal, own.family.l, constraints)
    q, free = B.shape[1], own.free

    def value(x: Array) -> tuple[float, Array]:
        X, rest = x[: len(B) * (p - q)].reshape(len(B), -1), x[len(B) * (p - q) :]
        G, dX, dc = compact(np.hstack([B, X]), rest if free else c, problem)
        return G / problem.const, np.concatenate([dX[:, q:].ravel(), dc if free else []]) / problem.const

    start = np.concatenate([(space.Q.T @ Z[:, q:]).ravel(), c if free else []])
    began = time.process_time()
    options: Any = {"maxcor": 20, "gtol": 1e-12, "ftol": 1e-16, "maxiter": 20_000, "maxfun": 40_000}
    found = optimize.minimize(value, start, jac=True, method="L-BFGS-B", options=options)
    return float(found.fun * problem.const), time.process_time() - began, int(found.nit)


def compact(X: Array, c: Array, r: Reduced) -> tuple[float, Array, Array]:
    """G = tau |a|^2 + a'M_B a - 2 a'h + const at Z = QX, with its slopes by X and c."""
    Q, R = np.linalg.qr(X)
    ZK = np.linalg.solve(R, Q.T).T
    a = ZK @ c
    M_V, M_B = r.M_V[0], r.M_B[0]
    tau = r.kappa[0] + np.trace(M_V) - np.einsum("ij,ij->", M_V @ Q, Q)
    g = 2 * (tau * a + M_B @ a - r.h[0])
    spread = M_V @ ZK
    slope = np.outer(g - Q @ (Q.T @ g), ZK.T @ a) - np.outer(a, ZK.T @ g)
    slope -= 2 * (a @ a) * (spread - Q @ (Q.T @ spread))
    return float(tau * (a @ a) + a @ M_B @ a - 2 * (a @ r.h[0]) + r.const), slope, ZK.T @ g


# ---- many responses ------------------------------------------------------------------------------
def shapes() -> None:
    print("| points | HRF shapes | directions | basis, s | solution, s | steps |\n|---:|---:|---:|---:|---:|---:|")
    for n, m in ((300, 200), (300, 1000), (300, 5000), (300, 20_000), (1200, 5000)):
        own = responses(n, m)
        start = time.process_time()
        space = coordinates(own.family, own.B)
        basis = time.process_time() - start
        found, seconds = timed(lambda own=own, space=space: solve(own.family, own.constraints(5), space=space))
        print(f"| {n} | {m:,} | {space.Q.shape[1]} | {basis:.3f} | {seconds:.3f} | {found.iterations} |", flush=True)


def call() -> None:
    """The whole public call: 25 events in 200 scans, 128 s cosines and a constant, 20,000 half-cosine responses."""
    onsets = np.sort(np.random.default_rng(1).uniform(0, 380, 25))
    events = {"onset": onsets, "duration": [1.0] * 25, "trial_type": ["go"] * 25}
    settings: Any = {"contrast": "go", "columns": 8, "tr": 2.0, "volumes": 200}
    fn.optimize_design("~ hrf(trial_type) + cosine(128)", events, hrf=fn.HalfCosine(n=20), **settings)  # loads scipy
    start = time.process_time()
    fn.optimize_design("~ hrf(trial_type) + cosine(128)", events, hrf=fn.HalfCosine(n=20_000), **settings)
    print(f"\nfn.optimize_design with 20,000 responses, 200 scans: {time.process_time() - start:.1f} s")


if __name__ == "__main__":
    main()
