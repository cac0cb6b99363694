"""Effective draws of the spatial model's sampler beside those of one with latent variables (Ge et al. 2014); a table.

Run with OMP_NUM_THREADS=1. Arguments are intercepts, by default -0.5 -1.8 -2.6; masks of 250 subjects in a ball.
Effective draws are of one chain from the same start, over its last nine tenths; seconds are of the processor.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from formula_neuro.family import Array
from formula_neuro_spatial.gibbs.chain import sampling
from formula_neuro_spatial.gibbs.diagnostics import effective_size
from formula_neuro_spatial.gibbs.streams import Streams
from formula_neuro_spatial.gibbs.sweep import Sampler
from formula_neuro_spatial.graph import MaskGraph
from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.model import Model
from formula_neuro_spatial.newton import level
from formula_neuro_spatial.plain import latent
from formula_neuro_spatial.rows import Rows

RADIUS, SUBJECTS, SOME = 7.5, 250, 50
SWEEPS = {"sampler": 700, "latent variables": 1400}
START = 10.0
States = Iterator[tuple[Array, Array]]


def model_of(intercept: float) -> tuple[Model, float]:
    """Masks whose probability varies over a ball and with age in a part of it, and the share of events."""
    side = int(2 * RADIUS)
    at = np.argwhere(((np.indices((side,) * 3) - RADIUS + 0.5) ** 2).sum(axis=0) < RADIUS**2)
    voxels = np.ravel_multi_index(at.T, (side,) * 3)
    rng = np.random.default_rng(1)
    rows = Rows.of(
        np.column_stack([np.ones(SUBJECTS), rng.uniform(45, 80, SUBJECTS)]), np.zeros(SUBJECTS), ["(Intercept)", "age"]
    )
    b = np.column_stack([intercept + 0.4 * np.sin(at[:, 0] / 2), 0.3 * np.cos(at[:, 1] / 3)])
    Y = (b @ rows.X[rows.group].T + rng.standard_normal((len(at), SUBJECTS)) > 0).astype(np.uint8)
    likelihood = Likelihood.of(rows, lambda first, last: Y[first:last], len(at))
    return Model(likelihood, MaskGraph.of(voxels, (side,) * 3), 3.0), float(Y.mean())


def ours(model: Model, b: Array, Q: Array) -> States:
    sampler = Sampler.of(model)
    state = sampler.start(b, Q)
    for number in range(SWEEPS["sampler"]):
        state, _ = sampler.sweep(state, Streams(1, 0), number)
        yield state.b, state.Q


def theirs(model: Model, b: Array, Q: Array) -> States:
    sampler, state, rng = latent.Sampler.of(model), latent.State(b, Q), np.random.default_rng(1)
    for _ in range(SWEEPS["latent variables"]):
        state = sampler.sweep(state, rng)
        yield state.b, state.Q


def row(model: Model, share: float, name: str, states: Callable[[Model, Array, Array], States]) -> str:
    """Milliseconds of a sweep; effective draws of 100 sweeps and of a second: of Sigma, level and voxels."""
    b, Q = np.broadcast_to(level(model), model.shape).copy(), START * np.eye(2)
    some, kept = np.random.default_rng(2).choice(len(b), SOME, replace=False), []
    started = time.process_time()
    for b_now, Q_now in states(model, b, Q):
        S = np.linalg.inv(Q_now)
        kept.append(np.r_[np.log(np.diag(S)), b_now.mean(axis=0), b_now[some].ravel()])
    seconds = (time.process_time() - started) / len(kept)
    x = np.array(kept)[len(kept) // 10 :]
    each = effective_size(x[None]) / len(x)
    parts = [each[:2].min(), each[2:4].min(), float(np.median(each[4:]))]
    told = " | ".join(f"{100 * part:.1f}" for part in parts) + " | " + " | ".join(f"{p / seconds:.1f}" for p in parts)
    return f"| {share:.3f} | {name} | {1000 * seconds:.1f} | {told} |"


def main() -> None:
    print("| incidence | | sweep, ms | in 100 sweeps: Sigma | level | voxels | in a second: Sigma | level | voxels |")
    print("|---|---|---|---|---|---|---|---|---|")
    for intercept in sys.argv[1:] or ["-0.5", "-1.8", "-2.6"]:
        model, share = model_of(float(intercept))
        with sampling():
            for name, states in (("sampler", ours), ("latent variables", theirs)):
                print(row(model, share, name, states), flush=True)


if __name__ == "__main__":
    main()
