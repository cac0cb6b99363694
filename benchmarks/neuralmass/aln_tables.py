"""Write the tables that are shipped with aln: python aln_tables.py [FILE] (16 minutes on two busy cores).

`python aln_tables.py compare FILE` compares the shipped tables with those of neurolib in a FILE of peer.py.
`python aln_tables.py accurate` shows what their definition and step cost, against the accurate ones.
Nothing is read of neurolib's to compute them.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from formula_neuro_neuralmass.cascade import constant, tables
from formula_neuro_neuralmass.cascade.neuron import COMPATIBLE, Neuron


def write(path: Path) -> None:
    before = time.perf_counter()
    values = tables.computed(
        Neuron(), COMPATIBLE, *constant.neurolib_frequencies(), workers=os.cpu_count() or 1, progress=told
    )
    tables.write(path, values)
    print(f"\n{path}: {path.stat().st_size / 1e3:.0f} kB in {time.perf_counter() - before:.0f} s")
    compared(values, tables.population().values, "the shipped ones")


def told(done: int, total: int) -> None:
    print(f"\r{done} of {total} blocks", end="", flush=True)


def compared(ours: np.ndarray, theirs: np.ndarray, whose: str) -> None:
    rate, tau, voltage = np.moveaxis(np.abs(ours - theirs), -1, 0)
    print(
        f"largest differences from {whose}: rate {rate.max():.2g} kHz ({(rate / theirs[..., 0]).max():.2g} relative),"
    )
    print(f"tau {tau.max():.2g} ms ({(tau > 1e-9).sum()} of {tau.size} points), voltage {voltage.max():.2g} mV")


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else str(tables.SHIPPED)
    if asked == "compare":
        with np.load(sys.argv[2]) as file:
            theirs = np.stack([file[f"tables.{name}"] for name in ("rate", "tau", "voltage")], axis=-1)
        compared(tables.population().values, theirs, "neurolib's")
    elif asked == "accurate":
        compared(tables.population().values, tables.population(None, "accurate").values, "the accurate ones")
    else:
        write(Path(asked))
