"""Our trajectories beside neurolib's: python agreement.py, with neurolib 0.6.2 here or in NEUROLIB_PYTHON.

Every model on one node and on a made-up network of five with delays, without and with noise (neurolib's draws), and
under a stimulus, 200 ms in steps of each model's dt. Prints the largest difference relative to the output's largest
value. `python agreement.py write` renews tests/neural_masses.npz, which the tests read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import peer

import formula_neuro as fn
from formula_neuro_neuralmass.cascade.tables import as_table
from formula_neuro_neuralmass.models import find
from formula_neuro_neuralmass.models.aln import aln_with

REFERENCE = Path(__file__).parents[2] / "tests" / "neural_masses.npz"
KINDS = ("one node", "network", "noise", "stimulus")  # in peer's order; a run is of the last that is on
SHOWN = {"ww": "ww, its integrator given tau_inh", "aln": "aln, with neurolib's table"}
EVERY, LAST = 100, 3  # what the tests keep: every so many steps, and so many of the last


def neurolib() -> dict[str, np.ndarray]:
    """What peer.py writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "peer.npz"
        command = [os.environ.get("NEUROLIB_PYTHON", sys.executable), str(Path(peer.__file__)), str(file)]
        subprocess.run(command, check=True)
        with np.load(file) as found:
            return dict(found)


def ours(case: tuple[str, bool, bool, bool], theirs: dict[str, np.ndarray], engine: str) -> dict[str, float]:
    """The largest relative difference of every output."""
    name, connected, noisy, stimulated = case
    _, _, init, sigma, external = peer.MODELS[name]
    label = peer.label(*case)
    model = find(name)
    if name == "aln":
        model = aln_with(as_table(np.stack([theirs[f"tables.{t}"] for t in ("rate", "tau", "voltage")], axis=-1)))
    steps = round(peer.DURATION / model.dt)
    run = fn.simulate(
        model,
        connectome=fn.Connectome(*peer.network()) if connected else None,
        params={
            **({"sigma_ou": sigma, **peer.OTHER.get(name, {})} if noisy else {}),
            **({external: 0.0} if stimulated else {}),
        },
        init={key: theirs[f"{label}.start.{key}"] for key in init},
        stimulus={external: fn.stimuli.Array(peer.stimulus(steps).T)} if stimulated else None,
        duration=peer.DURATION,
        seed=peer.SEED,
        noise="neurolib",
        engine=engine,
    )
    found = {}
    for output in model.outputs:
        reference = theirs[f"{label}.out.{output}"].T
        found[output] = float(np.abs(run[output] - reference).max() / np.abs(reference).max())
    return found


def table(theirs: dict[str, np.ndarray]) -> None:
    """The largest of all outputs and both engines, a line a model."""
    worst: dict[tuple[str, str], float] = {}
    for case in peer.cases():
        name, *on = case
        kind = next((word for word, asked in zip(KINDS[:0:-1], on[::-1], strict=True) if asked), KINDS[0])
        largest = max(max(ours(case, theirs, engine).values()) for engine in ("torch", "numba"))
        worst[name, kind] = max(worst.get((name, kind), 0.0), largest)
    print(f"| model | {' | '.join(KINDS)} |\n|---|{'---|' * len(KINDS)}")
    for name in peer.MODELS:
        cells = [f"{worst[name, kind]:.0e}" if (name, kind) in worst else "-" for kind in KINDS]
        print(f"| {SHOWN.get(name, name)} | {' | '.join('0' if cell == '0e+00' else cell for cell in cells)} |")


def write(theirs: dict[str, np.ndarray]) -> None:
    kept = {}
    for key, value in theirs.items():
        if ".out." in key:
            steps = np.unique(
                [
                    *range(0, value.shape[1], EVERY * value.shape[1] // 2000),
                    *range(-LAST % value.shape[1], value.shape[1]),
                ]
            )
            value = value[:, steps]
            kept[key.replace(".out.", ".steps.").rsplit(".", 1)[0]] = steps
        if not key.startswith("tables."):
            kept[key] = value
    np.savez_compressed(REFERENCE, **kept)
    print(f"{REFERENCE}: {REFERENCE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    (write if "write" in sys.argv[1:] else table)(neurolib())
