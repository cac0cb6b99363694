"""The examples of the manuscript on optimal design matrices (2010) by the exact solver, beside the figures it prints.

Its design X0 is not stated and was identified from four of the figures (G of the validations and two entries of B's
contrast); the others are independent of it. Bounds are printed rounded there, so a tenth more or less is agreement.
Example 5's block is not stated either: the one here shows the structure alone. Example 6 draws other responses, so it
agrees in distribution. `--quick` leaves out the case study.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator

import numpy as np
import scipy
from setups import Setup, case_study, design, example_4, example_5, example_6, validation

from formula_neuro.family import Array
from formula_neuro_design.measures import phi_by_squared_bias
from formula_neuro_design.objective import estimator, misfit
from formula_neuro_design.paper import algorithm_1, initial_design
from formula_neuro_design.solver import Solution, solve
from formula_neuro_design.sweep import sweep
from formula_neuro_design.t_statistic import tail

Row = tuple[str, str, str, str]
K = 2450.0  # the k of choice A at which p = 3 gives the four summaries that the paper prints


def main() -> None:
    print(f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}\n")
    print("| set-up | quantity | paper | here |\n|---|---|---|---|")
    parts = [validations, examples_1_to_3, example_of_signs, example_of_blocks, example_of_responses]
    for part in [*parts, *([] if "--quick" in sys.argv else [cases, roc])]:
        for row in part():
            print("| " + " | ".join(row) + " |", flush=True)


def solved(setup: Setup, p: int) -> Solution:
    return solve(setup.family, setup.constraints(p))


def validations() -> Iterator[Row]:
    fixed, free = validation(), validation(free=True)
    yield "Validation A", "G, exact", "2.693467", f"{solved(fixed, 4).objective:.7f}"
    yield "", "G, Algorithm 1", "2.693490", f"{by_descent(fixed):.6f}"
    found = solved(free, 4)
    yield "Validation B", "G, exact", "0.265484", f"{found.objective:.7f}"
    yield "", "G, Algorithm 1", "0.265502", f"{by_descent(free):.6f}"
    yield "", "c on the fixed columns", ".73519 .47890", " ".join(f"{x:.5f}"[1:] for x in found.c[:2])
    columns = sweep(fixed.family, fixed.constraints, range(2, 8))
    yield "Validation A, p = 2..7", "p_opt at R = .95", "3", str(columns.by_reduction())
    yield "", "p of least F(p)/(n - p)", "not in the paper", str(columns.by_gain())


def by_descent(setup: Setup) -> float:
    """Algorithm 1 from the start of II-B; the paper does not say from where its own started."""
    constraints = setup.constraints(4)
    return algorithm_1(setup.family, constraints, *initial_design(setup.signal, setup.family.l, constraints)).objective


def examples_1_to_3() -> Iterator[Row]:
    choices = {
        "Example 1": (0.5, ("≤ .05 to i = 36, ~.12", ".096 to .002 at 20, < 0 from 21", "≤ 2e-4"), 36, 20),
        "Example 2": (phi_by_squared_bias, ("≤ .01 to i = 36, .03", ".345 to .07 at 50", "≤ 4e-3"), 36, 50),
        "Example 3": (0.1, ("≤ .02 to i = 41, .055", ".195 to .003 at 38, < 0 from 39", "≤ 1e-3"), 41, 38),
    }
    for name, (phi, told, low, at) in choices.items():
        own = validation(phi=phi)
        seen = own.measures(solved(own, 3))
        bias, change = np.abs(seen.bias), seen.variance_change
        below = np.flatnonzero(change < 0)
        first = f", < 0 from {below[0] + 1}" if len(below) else ""
        yield name, "abs(C_b), at 50", told[0], f"≤ {bias[:low].max():.3f} to i = {low}, {bias[-1]:.3f}"
        yield "", "CV", told[1], f"{change[0]:.3f} to {change[at - 1]:.3f} at {at}{first}"
        yield "", "V_b", told[2], f"≤ {seen.variance_bias.max():.1e}"


def example_of_signs() -> Iterator[Row]:
    own = example_4()
    seen = own.measures(solved(own, 3))
    ends = [seen.variance_change[[50 * i, 50 * i + 49]] for i in range(4)]
    yield "Example 4", "abs(C_b)", "≤ .02", f"≤ {np.abs(seen.bias).max():.3f}"
    yield "", "CV in each block", ".32 to .05", ", ".join(f"{a:.2f} to {b:.2f}" for a, b in ends)
    yield "", "V_b", "≤ 2e-3", f"≤ {seen.variance_bias.max():.1e}"


def example_of_blocks() -> Iterator[Row]:
    own = example_5()
    seen = own.measures(solved(own, 4))
    half = np.abs(seen.variance_change[:6] - seen.variance_change[6:]).max()
    yield "Example 5, structure only", "abs(C_b)", "≤ .0042", f"≤ {np.abs(seen.bias).max():.4f} (another block)"
    yield "", "CV of the two signs", "equal", f"equal to {half:.0e}"


def example_of_responses() -> Iterator[Row]:
    rows = []
    for seed in range(20):
        own = example_6(seed)
        columns = sweep(own.family, own.constraints, range(1, 11))
        seen = own.measures(columns.solution(5))
        bias, change = np.abs(seen.bias), seen.variance_change
        rows.append([bias[:200].mean(), change[:200].mean(), change[200:].mean(), bias[200:].max(),
                     seen.variance_bias.max(), columns.by_reduction()])  # fmt: skip
    seen = np.array(rows)
    names = ["mean abs(C_b)", "mean CV", "mean CV, null", "abs(C_b), null", "V_b", "p_opt, p = 1..10"]
    told = ["≤ .075", "≤ .107", "≤ .106", "0", "≤ 8e-3", "5"]
    for i, (name, paper) in enumerate(zip(names, told, strict=True)):
        low, high = seen[:, i].min(), seen[:, i].max()
        here = f"{low:.0f} to {high:.0f}" if i in (3, 5) else f"{low:.2g} to {high:.2g}"
        yield ("Example 6, 20 draws" if not i else ""), name, paper, here


def cases() -> Iterator[Row]:
    told = {"mean abs(C_b), 1 to 720": ".0057", "mean CV": "5.70", "mean CV, null": "7.28", "abs(C_b), null": "0",
            "largest abs(C_b)": "~.063 at shift 180", "V_b": "≤ 1.7e-2"}  # fmt: skip
    own = case_study(K)
    yield (
        f"723 designs, k = {K:.0f}",
        "p_opt, p = 2..10",
        "6",
        str(sweep(own.family, own.constraints, range(2, 11)).by_reduction()),
    )
    for k, p in ((1000.0, 6), (K, 6), (K, 3)):
        own = case_study(k)
        seen = own.measures(solved(own, p))
        bias, change = np.abs(seen.bias), seen.variance_change
        here = [f"{bias[:720].mean():.4f}", f"{change[:720].mean():.2f}", f"{change[720:].mean():.2f}",
                f"{bias[720:].max():.0e}", f"{bias.max():.3f} at number {bias.argmax() % 180 + 1}",
                f"≤ {seen.variance_bias.max():.1e}"]  # fmt: skip
        for i, (name, paper) in enumerate(told.items()):
            yield ("" if i else f"723 designs, k = {k:.0f}, p = {p}"), name, paper, here[i]


def roc() -> Iterator[Row]:
    """Sensitivity for the most delayed design at the paper's specificity, by the law of T and by 10,000 runs each."""
    own = case_study(K)
    found = solved(own, 3)
    rng = np.random.default_rng(1)
    for snr, specificity, told in ((2.0, 0.942, "93.5 %"), (3.0, 0.987, "98.8 %")):
        v = np.column_stack([design(0) @ [0, 0.5], design(179) @ [snr, 0.5]])
        a, nu = estimator(found.Z, found.c), len(v) - 3
        eta, D = a @ v / np.sqrt(a @ a), misfit(found.Z, v)
        grid = np.linspace(-1, 6, 7001)
        false, true = tail(grid, eta, D, nu)
        exact, at = np.interp(specificity, 1 - false, true), np.interp(specificity, 1 - false, grid)
        null, active = (100 * float((simulated(found, own, rng) > at).mean()) for own in v.T)
        yield (
            f"ROC, SNR {snr:.0f}, k = {K:.0f}, p = 3",
            f"sensitivity at specificity {100 * specificity:.1f} %",
            told,
            f"{100 * exact:.1f} % (10,000 runs: {active:.1f} % at {100 - null:.1f} %)",
        )
    passed = tail(np.array([2.3]), eta, D, nu)[:, 0]
    told = "spec ~99 %, sens > 98 %"
    yield "", "T > 2.3 at SNR 3", told, f"spec {100 * (1 - passed[0]):.1f} %, sens {100 * passed[1]:.1f} %"


def simulated(found: Solution, v: Array, rng: np.random.Generator) -> Array:
    """T of 10,000 runs of the signal v (n,) and white noise."""
    n, p = found.Z.shape
    y = v[:, None] + rng.standard_normal((n, 10_000))
    Q = np.linalg.qr(found.Z)[0]
    a = estimator(found.Z, found.c)
    left = y - Q @ (Q.T @ y)
    return np.asarray((a @ y) / np.sqrt((left**2).sum(axis=0) / (n - p) * (a @ a)))


if __name__ == "__main__":
    main()
