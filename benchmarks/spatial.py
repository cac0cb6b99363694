"""The spatial model on simulated lesions: processor time of Laplace's approximation and of a Gibbs sweep; a table.

Run with OMP_NUM_THREADS=1. Arguments are pairs SUBJECTS:MILLIMETRES of the synthetic reference's grid, by default
250:8 250:6 1000:6. The floor of a sweep is one exponential and two tails with their logarithms a proposal and node.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import torch

import formula_neuro as fn
from formula_neuro_spatial.fitting import in_one_piece
from formula_neuro_spatial.gibbs.chain import sampling
from formula_neuro_spatial.gibbs.streams import Streams
from formula_neuro_spatial.gibbs.sweep import Sampler
from formula_neuro_spatial.graph import MaskGraph
from formula_neuro_spatial.laplace import laplace
from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.model import Model
from formula_neuro_spatial.rows import Rows

SWEEPS = 3


def model_of(subjects: int, spacing: float) -> Model:
    """A model of simulated masks, of an intercept and age."""
    s = fn.simulate_lesions(subjects, reference=fn.lesion_reference(spacing=spacing), seed=3)
    images, graph, _ = in_one_piece(s.images)
    matrix = np.column_stack([np.ones(subjects), s.table["age"]])
    rows = Rows.of(matrix, np.zeros(subjects), ["(Intercept)", "age"])
    return Model(Likelihood(rows, images.block, graph.size), graph, 3.0)


def row(subjects: int, spacing: float) -> str:
    """Seconds of a sweep with its floor, seconds of Laplace's approximation, and the peak of memory."""
    model = model_of(subjects, spacing)
    V, (sweep, least) = model.graph.size, sweep_seconds(model)
    started = time.process_time()
    found = laplace(model)
    seconds = time.process_time() - started
    steps = int(found.diagnostics["steps"].iloc[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return f"| {V:,} | {subjects:,} | {sweep:.3f} | {least:.3f} | {seconds:.1f} | {steps} | {peak:.2f} |"


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
    print("| voxels | subjects | sweep, s | its floor, s | Laplace, s | last EM steps | peak, GB |")
    print("|---|---|---|---|---|---|---|")
    for case in sys.argv[1:] or ["250:8", "250:6", "1000:6"]:
        subjects, spacing = case.split(":")
        print(row(int(subjects), float(spacing)), flush=True)


if __name__ == "__main__":
    main()
