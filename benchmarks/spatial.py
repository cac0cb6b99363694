"""The spatial model on simulated lesions: processor time of its parts, and of the whole normal approximation.

Run with OMP_NUM_THREADS=1. Arguments are SUBJECTS:MILLIMETRES of the synthetic reference's grid, by default 250:8 250:6
250:4 1000:6 13680:8:parts; a brain of 232,000 voxels is 250:1.52. With a third part, `parts`, the whole is left out;
with `bits` also the simulator: each voxel's lesions are drawn by themselves, at the reference's incidence, into bits.
The floor of a step of conjugate gradients is to read its matrix twice and to read and write four vectors, at the speed
of a copy; that of a sweep is one exponential and two tails with their logarithms a proposal and node.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

import formula_neuro as fn
from formula_neuro_spatial.gibbs.chain import sampling
from formula_neuro_spatial.gibbs.streams import Streams
from formula_neuro_spatial.gibbs.sweep import Sampler
from formula_neuro_spatial.graph import MaskGraph
from formula_neuro_spatial.laplace import laplace
from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.model import Model
from formula_neuro_spatial.pieces import chosen, whole_mask
from formula_neuro_spatial.rows import Rows
from formula_neuro_spatial.system import TOGETHER, System, conjugate_gradients

SWEEPS = 3
AT_ONCE = 1000  # voxels whose masks are drawn
SOME = 2000  # voxels that all rows are summed in: the time of all is in proportion
COLUMNS = (
    "voxels", "subjects", "pass over all rows, s", "at nodes, s", "expected, s", "step of CG, ms", "its floor, ms",
    "sweep, s", "its floor, s", "whole approximation, s", "last EM steps", "peak, GB",
)  # fmt: skip


def model_of(subjects: int, spacing: float) -> Model:
    """A model of simulated masks, of an intercept and age."""
    s = fn.simulate_lesions(subjects, reference=fn.lesion_reference(spacing=spacing), seed=3)
    matrix = np.column_stack([np.ones(subjects), s.table["age"]])
    rows = Rows.of(matrix, np.zeros(subjects), ["(Intercept)", "age"])
    images, graph, _ = chosen(whole_mask(s.images), rows, "largest")
    return Model(Likelihood.of(rows, images.block, graph.size), graph, 3.0)


def model_of_bits(subjects: int, spacing: float) -> Model:
    """The same with masks that are drawn voxel by voxel, of which nothing but the bits is ever held."""
    reference, rng = fn.lesion_reference(spacing=spacing), np.random.default_rng(3)
    incidence = reference.incidence.astype(np.float32)
    bits = np.empty((len(incidence), (subjects + 7) // 8), dtype=np.uint8)
    for first in range(0, len(bits), AT_ONCE):
        p = incidence[first : first + AT_ONCE, None]
        bits[first : first + AT_ONCE] = np.packbits(rng.random((len(p), subjects), dtype=np.float32) < p, axis=1)

    def block(first: int, last: int) -> np.ndarray:
        return np.unpackbits(bits[first:last], axis=1, count=subjects)

    matrix = np.column_stack([np.ones(subjects), rng.normal(63, 7, subjects)])
    rows = Rows.of(matrix, np.zeros(subjects), ["(Intercept)", "age"])
    graph = MaskGraph.of(reference.voxels, reference.grid.shape)
    return Model(Likelihood.of(rows, block, graph.size), graph, 3.0)


def row(subjects: int, spacing: float, how: str) -> str:
    """Seconds of a pass, milliseconds of a step with its floor, seconds of a sweep with its floor, and of the whole."""
    model = (model_of_bits if how == "bits" else model_of)(subjects, spacing)
    b = np.broadcast_to([-3.0, 0.1], (model.graph.size, 2)).copy()
    passes = " | ".join(f"{s:.2f}" for s in pass_seconds(model, b))
    step, least = (1000 * s for s in step_seconds(model, b))
    sweep, floor_ = sweep_seconds(model)
    parts = f"{model.graph.size:,} | {subjects:,} | {passes} | {step:.1f} | {least:.1f} | {sweep:.2f} | {floor_:.2f}"
    seconds, steps = "", ""
    if not how:
        started = time.process_time()
        found = laplace(model)
        seconds, steps = f"{time.process_time() - started:.0f}", f"{found.diagnostics['steps'].iloc[0]}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return f"| {parts} | {seconds} | {steps} | {peak:.2f} |"


def seconds_of(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def pass_seconds(model: Model, b: np.ndarray) -> tuple[float, float, float]:
    """Of log-likelihood and derivatives: over all rows, at nodes, and their expectations there."""
    some = np.arange(min(SOME, len(b)))
    plain = replace(model.likelihood, nodes=None, held=None).part(some)
    covariance = np.broadcast_to(0.1 * np.eye(2), (len(b), 2, 2))
    return (
        seconds_of(lambda: plain.derivatives(b[some])) * len(b) / len(some),
        seconds_of(lambda: model.likelihood.derivatives(b)),
        seconds_of(lambda: model.likelihood.expected(b, covariance)),
    )


def step_seconds(model: Model, b: np.ndarray) -> tuple[float, float]:
    """A step of conjugate gradients for TOGETHER right-hand sides, and its floor."""
    M = System(model.likelihood.derivatives(b).A, np.array([[1.4, -2.7], [-2.7, 35.0]]), model.halves).coupling
    f, counted = np.random.default_rng(1).standard_normal((M.shape[1], TOGETHER)), Counted(M)
    seconds = seconds_of(lambda: conjugate_gradients(counted, f, np.zeros_like(f), 1e-10))  # type: ignore[arg-type]
    numbers = 2 * 1.5 * M.nnz + 8 * f.size  # an index is half a number
    one, two = np.ones(int(numbers) // 2), np.empty(int(numbers) // 2)
    np.copyto(two, one)  # the first touch of memory is slow
    copied = seconds_of(lambda: [np.copyto(two, one) for _ in range(20)]) / 20
    return seconds / counted.products, copied


@dataclass
class Counted:
    """A matrix that counts how often it is multiplied."""

    M: sparse.csr_array
    products: int = 0

    @property
    def T(self) -> sparse.csc_array:
        return self.M.T

    def __matmul__(self, x: np.ndarray) -> np.ndarray:
        self.products += 1
        return self.M @ x


def sweep_seconds(model: Model) -> tuple[float, float]:
    """Seconds of a sweep of the sampler, and of its floor: what two tails and their logarithms take at all proposals.

    A sweep proposes three times for every voxel: by itself, with its block, and with all others.
    """
    sampler, V = Sampler.of(model), model.graph.size
    with sampling():
        state = sampler.start(np.broadcast_to([-3.0, 0.0], (V, 2)), 10 * np.eye(2))
        started = time.process_time()
        for number in range(SWEEPS):
            state, _ = sampler.sweep(state, Streams(1, 0), number)
        sweep = (time.process_time() - started) / SWEEPS
        few = sampler.target.few or sampler.target.rows
        return sweep, floor(3 * V * len(few.X))


def floor(numbers: int) -> float:
    """Seconds for so many linear predictors, from a block that a cache holds."""
    eta = torch.linspace(-4, 1, 80_000, dtype=torch.float64)
    started = time.process_time()
    for _ in range(10):
        torch.special.erfc(eta).log_()
        torch.special.erfc(-eta).log_()
        torch.exp(-eta * eta)
    return (time.process_time() - started) / (10 * len(eta)) * numbers


def graph_seconds() -> tuple[int, float]:
    """Voxels of an ellipsoid of a brain's size at 2 mm, and the time that their graph takes."""
    i, j, k = np.indices((91, 109, 91))
    mask = ((i - 45) / 38) ** 2 + ((j - 54) / 45) ** 2 + ((k - 45) / 32) ** 2 < 1
    started = time.process_time()
    graph = MaskGraph.of(np.flatnonzero(mask.ravel()), mask.shape)
    return graph.size, time.process_time() - started


def main() -> None:
    voxels, seconds = graph_seconds()
    print(f"The graph of {voxels:,} voxels takes {seconds:.2f} s.\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for case in sys.argv[1:] or ["250:8", "250:6", "250:4", "1000:6", "13680:8:parts"]:
        subjects, spacing, *how = case.split(":")
        print(row(int(subjects), float(spacing), how[0] if how else ""), flush=True)


if __name__ == "__main__":
    main()
