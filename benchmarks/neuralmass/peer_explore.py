"""neurolib's exploration and evolution, timed: python peer_explore.py FILE, with a Python that has neurolib 0.6.2.

README's grid of 21 x 21 single nodes as a plain loop of runs, its BoxSearch on a corner of 3 x 3 (seconds a run), and
the toy evolution of 550 evaluations. Needs neurolib alone; explore_evolve.py runs ours beside it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

import numpy as np

for old, new in (("string_", "bytes_"), ("unicode_", "str_"), ("float_", "float64"), ("complex_", "complex128")):
    if not hasattr(np, old):  # names that numpy 2 dropped and pypet still asks for
        setattr(np, old, getattr(np, new))

GRID = np.linspace(0, 3, 21)
DURATION = 2000.0  # ms


def plain_loop() -> dict[str, object]:
    """Seconds of 441 runs of one compiled model, and the largest rate of each run's last second."""
    from neurolib.models.aln import ALNModel

    model = ALNModel(seed=1)
    model.params["duration"] = 10.0
    model.run()  # compiles
    model.params["duration"] = DURATION
    highest, before = [], time.perf_counter()
    for mue in GRID:
        for mui in GRID:
            model.params["mue_ext_mean"], model.params["mui_ext_mean"] = mue, mui
            model.run()
            highest.append(float(model.output[0, -10_000:].max()))
    return {"seconds": time.perf_counter() - before, "max_rate": highest}


def box_search() -> dict[str, float]:
    """Seconds a run of BoxSearch, over nine runs."""
    from neurolib.models.aln import ALNModel
    from neurolib.optimize.exploration import BoxSearch
    from neurolib.utils.parameterSpace import ParameterSpace

    model = ALNModel()
    model.params["duration"] = DURATION
    space = ParameterSpace({"mue_ext_mean": GRID[:3].tolist(), "mui_ext_mean": GRID[:3].tolist()}, kind="grid")
    search = BoxSearch(model=model, parameterSpace=space, filename="box.hdf")
    before = time.perf_counter()
    search.run()
    return {"seconds_a_run": (time.perf_counter() - before) / 9}


def evolution() -> dict[str, float]:
    """Seconds of README's toy."""
    from neurolib.optimize.evolution import Evolution
    from neurolib.utils.parameterSpace import ParameterSpace

    space = ParameterSpace(["x", "y"], [[-5.0, 5.0], [-5.0, 5.0]])

    def objective(traj):
        p = toy.getIndividualFromTraj(traj)
        return ((p.x**2 + p.y**2 - 1) ** 2,), {"result": []}

    toy = Evolution(objective, space, weightList=[-1.0], POP_INIT_SIZE=100, POP_SIZE=50, NGEN=10, filename="toy.hdf")
    before = time.perf_counter()
    toy.run(verbose=False)
    return {"seconds": time.perf_counter() - before}


def main(path: str) -> None:
    found: dict[str, object] = {}
    path = os.path.abspath(path)
    os.chdir(tempfile.mkdtemp())
    for name, part in (("loop", plain_loop), ("evolution", evolution), ("box", box_search)):
        try:
            found[name] = part()
        except Exception as error:  # a part that no longer runs is told, and the others go on
            found[name] = {"error": repr(error)}
        with open(path, "w") as file:
            json.dump(found, file)


if __name__ == "__main__":
    main(sys.argv[1])
