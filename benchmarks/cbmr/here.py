"""One fit of benchmarks/cbmr.py by formula_neuro, in a process of its own; its last line says what it took."""

from __future__ import annotations

import json
import resource
import sys
import time

from corpus import corpus, covariates, mask

import formula_neuro as fn


def main(task: dict[str, str]) -> None:
    """Read, fit, covariance and all tests."""
    foci = fn.read_foci(corpus())
    foci = foci.with_studies(covariates(foci.studies))
    read = time.process_time()
    how = fn.Splines(spacing=f"{task['spacing']} mm", smooth=task["smooth"], basis=task["basis"], snap="voxel")
    fit = fn.fit(task["formula"], foci, family=task["family"], mask=mask(), estimator=how)
    fitted = time.process_time()
    fit.tidy()
    fn.homogeneity(fit)
    difference = f"`{fit.cells[0]}` - `{fit.cells[1]}`"
    fn.contrast(fit, difference, test="wald")
    tested = time.process_time()
    fn.contrast(fit, difference, test="score")
    scored = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    said = {
        "read": read,
        "fit": fitted - read,
        "tests": tested - fitted,
        "score": scored - tested,
        "peak": peak,
        "cut": False,
    }
    steps = sum(part.steps for part in fit.convergence if part.part != "totals")
    print(json.dumps({**said, "loglik": fit.loglik, "steps": steps}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
