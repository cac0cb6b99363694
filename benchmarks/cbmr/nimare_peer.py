"""One fit of benchmarks/cbmr.py by NiMARE, in a process of its own, its optimiser stopped after a limit."""

from __future__ import annotations

import json
import resource
import sys
import time

from corpus import corpus, covariates, mask


class Late(Exception):
    """The optimiser's time is over."""


def main(task: dict[str, str], limit: float) -> None:
    """Read, fit on the whole mask, test; the best log-likelihood seen where it was stopped."""
    from nimare.meta.cbmr import CBMR
    from nimare.meta.cbmr.model import CBMRModel
    from nimare.studyset.studyset import Studyset
    from scipy.special import gammaln

    studies = Studyset.from_parquet(str(corpus()))
    frame = studies.annotations_df
    keys = frame[["id", "study_id", "contrast_id"]]
    studies = studies.with_annotations_df(keys.assign(**covariates(frame)), replace=True)
    read = time.process_time()
    best, inner, began = [float("inf")], CBMRModel.forward, [0.0]

    def watched(self):
        began[0] = began[0] or time.process_time()
        if time.process_time() - began[0] > limit:
            raise Late
        loss = inner(self)
        best[0] = min(best[0], float(loss.detach()))
        return loss

    CBMRModel.forward = watched
    estimator = CBMR(
        "~ " + task["formula"].partition("~")[2],
        distribution=task["family"].replace("_", ""),
        mask=str(mask()),
        incidence_threshold=None,
        spline_spacing=int(task["spacing"]) // 2,
        random_state=1,
    )
    cut, tests = False, 0.0
    try:
        result = estimator.fit(studies)
        fitted = time.process_time()
        result.test("flanker = nback")
        tests = time.process_time() - fitted
    except Late:
        cut, fitted = True, time.process_time()
    counts = estimator.inputs_["foci"].data
    loglik = -best[0] - float(gammaln(counts + 1).sum())  # NiMARE leaves out this constant
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    said = {
        "read": read,
        "fit": fitted - read,
        "tests": tests,
        "score": 0.0,
        "peak": peak,
        "cut": cut,
        "loglik": loglik,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), float(sys.argv[2]))
