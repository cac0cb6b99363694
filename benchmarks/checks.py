"""What the page "How we check ourselves" shows: models beside live R, and the tests counted by kind.

    python benchmarks/checks.py        # writes checks.json beside this file, which the page reads; needs R and pytest

Prints the tables too. No figure of the page is typed.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro_r import data as rdata

HERE = Path(__file__).parent
KEPT = HERE / "checks.json"

# data, formula, settings of fn.fit
MODELS: list[tuple[str, str, dict[str, Any]]] = [
    ("lme4 sleepstudy", "Reaction ~ Days", {}),
    ("brglm2 endometrial", "HG ~ PI + EH", {"family": "binomial"}),
    ("brglm2 endometrial", "HG ~ NV + PI + EH", {"family": "binomial", "estimator": "mean_br"}),
    ("brglm2 endometrial", "HG ~ NV + PI + EH", {"family": "binomial", "estimator": "median_br"}),
    ("brglm2 endometrial", "HG ~ NV + PI + EH", {"family": "binomial(probit)", "estimator": "jeffreys"}),
    ("lme4 grouseticks", "TICKS ~ YEAR + HEIGHT", {"family": "nbinom2"}),
    ("lme4 sleepstudy", "Reaction ~ Days + (Days|Subject)", {}),
    ("lme4 Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)", {}),
    ("lme4 Pastes", "strength ~ 1 + (1|batch/cask)", {}),
    ("nlme Orthodont", "distance ~ age*Sex + (age|Subject)", {"estimator": "ml"}),
    ("lme4 cbpp", "cbind(incidence, size - incidence) ~ period + (1|herd)", {"family": "binomial"}),
    ("lme4 grouseticks", "TICKS ~ YEAR + (1|BROOD) + (1|LOCATION)", {"family": "poisson"}),
    ("waterlick", "lick ~ dff + (1|mouseID)", {"family": "binomial"}),
    ("waterlick", "lick ~ dff", {"family": "binomial", "estimator": fn.GEE(cluster="mouseID", corr="exchangeable")}),
    ("calcium_amplitude", "res ~ treatment + (1|midx/cidx)", {}),
]


def beside_r(name: str, formula: str, settings: dict[str, Any]) -> dict[str, Any]:
    """One row: the verdict of fn.crosscheck, and how far apart the two are where they are furthest."""
    package, _, table = name.partition(" ")
    frame = rdata(package, table) if table else getattr(fn.datasets, name)()
    check = fn.crosscheck(fn.fit(formula, frame, **settings))
    apart = {c.quantity: [float(c.difference), c.tolerance.unit] for c in check.worst}
    words = [getattr(value, "word", value) for value in settings.values()]
    return {
        "data": name, "formula": formula, "settings": ", ".join(words), "reference": check.reference,
        "numbers": len(check.compared), "verdict": check.verdict, "apart": apart,
    }  # fmt: skip


class Kinds:
    """Counts the tests that pytest collects, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.counts.update(kind(item) for item in session.items)


def kind(item: pytest.Item) -> str:
    if isinstance(item, pytest.DoctestItem):
        return "examples in docstrings and README, with what they print"
    if item.get_closest_marker("r") or item.get_closest_marker("rpy2"):
        return "beside R, which runs in the test"
    if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return "properties that hold for generated input (hypothesis), one counted each"
    stem = item.path.stem
    if "calibration" in stem:
        return "calibration: how often tests reject what is true, intervals hold the truth"
    if any(word in stem for word in ("bad", "hostile", "hard", "rough", "separation")):
        return "bad and hard input: what is refused in which words, what is found"
    if any(word in stem for word in ("pages", "vignettes", "arrows", "packaging", "cli", "report", "plugin")):
        return "the product: pages, vignettes, command line, reports, packaging"
    return "numbers beside closed forms, independent computations and kept results of peers; behaviour"


def main() -> None:
    rows = [beside_r(*model) for model in MODELS]
    for row in rows:
        print(row["data"], row["formula"], row["settings"], row["reference"], row["numbers"], row["verdict"], sep=" | ")
    kinds = Kinds()
    pytest.main(["--collect-only", "-qq", "--rootdir", str(HERE.parent)], plugins=[kinds])
    answer = {
        "date": date.today().isoformat(), "python": platform.python_version(), "numpy": np.__version__,
        "formula_neuro": fn.__version__, "models": rows, "tests": dict(kinds.counts.most_common()),
    }  # fmt: skip
    KEPT.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    print(answer["tests"])


if __name__ == "__main__":
    main()
