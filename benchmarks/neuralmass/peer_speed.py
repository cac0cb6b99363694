"""neurolib's runs, timed one by one as speed.py asks for them: a Python that has neurolib 0.6.2 runs it.

python peer_speed.py NETWORK.npz; then one request a line, as {"model": "aln", "nodes": 80, "duration": 1000.0,
"sigma": 0.0, "bold": false}, answered by a line with the seconds of one core and the process's peak memory in MB. The
first line says versions. A model is compiled before its first reading.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

CLASSES = {"aln": "ALNModel", "fhn": "FHNModel", "hopf": "HopfModel", "wc": "WCModel", "ww": "WWModel"}


def model(name: str, nodes: int, network: Any) -> Any:
    """The model, compiled."""
    make = getattr(import_module(f"neurolib.models.{name}"), CLASSES[name])
    made = make(seed=1) if nodes == 1 else make(Cmat=network["weights"], Dmat=network["lengths"], seed=1)
    made.params["duration"] = 20.0
    made.run()
    return made


def run(made: Any, duration: float, sigma: float, bold: bool) -> dict[str, float]:
    made.params["duration"], made.params["sigma_ou"] = duration, sigma
    before = time.process_time()
    if bold:
        made.run(chunkwise=True, chunksize=100_000, bold=True, append_outputs=False)
    else:
        made.run()
    seconds = time.process_time() - before
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # neurolib prints
    network, models = dict(np.load(sys.argv[1])), {}
    print(json.dumps({name: version(name) for name in ("neurolib", "numba", "numpy")}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        key = (asked["model"], asked["nodes"])
        if key not in models:
            models[key] = model(*key, network)
        print(json.dumps(run(models[key], asked["duration"], asked["sigma"], asked["bold"])), file=out, flush=True)


if __name__ == "__main__":
    main()
