"""Voxels beside brglm2's fits of the same responses, live."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from formula_neuro.estimator import as_estimator
from formula_neuro.family import as_family
from formula_neuro_glm.voxels.problem import Problem

pytestmark = pytest.mark.r

TYPES = {"mean_br": "AS_mean", "median_br": "AS_median", "jeffreys": "MPL_Jeffreys"}
SCRIPT = """
suppressPackageStartupMessages(library(brglm2))
folder <- commandArgs(TRUE)[1]
d <- read.csv(file.path(folder, "X.csv")); Y <- read.csv(file.path(folder, "Y.csv"))
rows <- list()
for (link in c("probit", "logit", "cloglog")) for (type in c("AS_mean", "AS_median", "MPL_Jeffreys"))
  for (v in seq_along(Y)) {
    d$y <- Y[[v]]
    control <- list(type = type, epsilon = 1e-10, maxit = 500)
    family <- do.call(binomial, list(link))
    fit <- function() glm(y ~ ., family, d, method = "brglmFit", control = control)
    m <- suppressWarnings(tryCatch(fit(), error = function(e) NULL))
    if (is.null(m)) next
    rows[[length(rows) + 1]] <- data.frame(link, type, voxel = v, converged = m$converged, j = seq_along(coef(m)),
      coef = coef(m), se = sqrt(diag(vcov(m))), loglik = as.numeric(logLik(m)))
  }
write.csv(do.call(rbind, rows), file.path(folder, "brglm2.csv"), row.names = FALSE)
"""


@pytest.fixture(scope="module")
def maps() -> tuple[np.ndarray, np.ndarray]:
    """A design of 120 subjects, and voxels from frequent to rare: some separated, one empty, one full."""
    rng = np.random.default_rng(2)
    age, sex = rng.uniform(45, 80, 120), np.arange(120) % 2
    X = np.column_stack([np.ones(120), age, sex])
    Y = (rng.random((14, 120)) < ndtr(np.linspace(-0.2, -2.2, 14)[:, None] + 0.02 * (age - 60))).astype(np.uint8)
    Y[9, sex == 1], Y[12], Y[13] = 0, 0, 1
    return X, Y


@pytest.fixture(scope="module")
def brglm2(maps, tmp_path_factory) -> pd.DataFrame:
    folder: Path = tmp_path_factory.mktemp("brglm2")
    X, Y = maps
    pd.DataFrame(X[:, 1:], columns=["age", "sex"]).to_csv(folder / "X.csv", index=False, float_format="%.17g")
    pd.DataFrame(Y.T).add_prefix("v").to_csv(folder / "Y.csv", index=False)
    (folder / "fit.R").write_text(SCRIPT)
    subprocess.run(["Rscript", folder / "fit.R", folder], check=True, capture_output=True)
    return pd.read_csv(folder / "brglm2.csv")


@pytest.mark.parametrize("estimator", TYPES)
@pytest.mark.parametrize("link", ["probit", "logit", "cloglog"])
def test_every_voxel_that_brglm2_can_fit_agrees_with_it(maps, brglm2, link, estimator):
    X, Y = maps
    answer = Problem.of(X, as_family(f"binomial({link})"), as_estimator(estimator)).fit(Y)
    theirs = brglm2[(brglm2["link"] == link) & (brglm2["type"] == TYPES[estimator]) & brglm2["converged"]]
    assert theirs["voxel"].nunique() >= 12
    for voxel, m in theirs.groupby("voxel"):
        i = int(voxel) - 1
        assert answer["converged"][i]
        # brglm2 stops within 1e-10 of its last step, whose contraction is near 1 where one event decides
        assert (np.abs(answer["coef"][i] - m["coef"]) / m["se"]).max() < 1e-7
        assert np.abs(answer["se"][i] / m["se"] - 1).max() < 1e-7
        assert abs(answer["loglik"][i] - m["loglik"].iloc[0]) < 1e-6
