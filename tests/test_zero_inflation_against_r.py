"""Zero-inflated mixed models beside glmmTMB, which maximises the same approximation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

sys.path.insert(0, str(Path(__file__).parent))
from zero_inflated_counts import inflated, zip_of

pytestmark = pytest.mark.r

MODELS = {  # formula, family, zeros, seed
    "poisson": ("y ~ x + (1|g)", "poisson", "~ 1", 1),
    "poisson-slope": ("y ~ x + (1|g)", "poisson", "~ z", 2),
    "poisson-random-slopes": ("y ~ x + (x|g)", "poisson", "~ z", 3),
    "poisson-crossed": ("y ~ x + (1|g) + (1|h)", "poisson", "~ 1", 14),
    "poisson-factor": ("y ~ x + (1|g)", "poisson", "~ factor(h)", 5),
    "poisson-offset": ("y ~ x + offset(z / 9) + (1|g)", "poisson", "~ x + offset(z)", 6),
    "nbinom2": ("y ~ x + (1|g)", "nbinom2", "~ 1", 7),
    "nbinom2-slope": ("y ~ x + (1|g)", "nbinom2", "~ z", 8),
    "nbinom2-random-slopes": ("y ~ x + (x||g)", "nbinom2", "~ z", 9),
    "nbinom1": ("y ~ x + (1|g)", "nbinom1", "~ 1", 10),
    "nbinom1-slope": ("y ~ x + (1|g)", "nbinom1", "~ z + x", 11),
    "binomial": ("part ~ x + (1|g)", "binomial", "~ z", 12),
    "binomial-cloglog": ("part ~ x + (1|g)", "binomial(cloglog)", "~ 1", 13),
}


def both(name, **options):
    formula, family, zeros, seed = MODELS[name]
    data = inflated(seed=seed, family=family, levels=25)
    weights = "m" if "binomial" in family else None
    how = {"family": family, "zeros": zeros, "weights": weights}
    return tuple(zip_of(data, formula, backend=backend, **how) for backend in ("native-glmm", "glmmTMB"))


@pytest.mark.parametrize("name", list(MODELS))
def test_likelihood_estimates_and_errors_are_glmmtmbs(name):
    m, r = both(name)
    assert m.converged
    assert m.loglik == pytest.approx(r.loglik, rel=1e-6)
    assert m.loglik > r.loglik - 1e-8 * abs(r.loglik)
    assert m.n_parameters == r.n_parameters
    # nlminb stops early: where its likelihood is 1e-8 lower, coefficients are off by some 1e-4 standard errors
    np.testing.assert_allclose((m.coef - r.coef) / r.se, 0, atol=3e-4)
    np.testing.assert_allclose((m.inflation.gamma - r.inflation.gamma) / r.inflation.se, 0, atol=3e-4)
    np.testing.assert_allclose(m.se, r.se, rtol=1e-4)
    np.testing.assert_allclose(m.inflation.se, r.inflation.se, rtol=1e-4)
    np.testing.assert_allclose(m.fitted, r.fitted, rtol=1e-3)
    if m.family.shape:
        np.testing.assert_allclose(m.shape_parameter().iloc[0, 1:3].tolist(), list(r.family.shape[1:]), rtol=1e-3)


def test_the_crosscheck_compares_both_parts():
    formula, family, zeros, seed = MODELS["nbinom2-slope"]
    check = fn.crosscheck(zip_of(inflated(seed=seed, family=family, levels=25), formula, family, zeros))
    assert check.ok
    assert {"zero-inflation coefficients", "zero-inflation standard errors"} <= set(check.to_frame().quantity)


def test_predictions_of_every_type_are_rs(tmp_path):
    data = inflated(seed=8, family="nbinom2", levels=25)
    data.to_csv(tmp_path / "d.csv", index=False)
    script = """
        d <- read.csv("d.csv")
        m <- glmmTMB::glmmTMB(y ~ x + (1 | g), d, ziformula = ~ z, family = glmmTMB::nbinom2)
        types <- c("response", "conditional", "zprob", "zlink", "link")
        write.csv(sapply(types, function(type) predict(m, type = type)), "p.csv", row.names = FALSE)
        p <- predict(m, type = "response", re.form = NA, se.fit = TRUE)
        write.csv(data.frame(fit = p$fit, se = p$se.fit), "s.csv", row.names = FALSE)
        write.csv(data.frame(pearson = residuals(m, "pearson"), response = residuals(m, "response")), "r.csv")
    """
    subprocess.run(["Rscript", "-e", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    m, theirs = zip_of(data, family="nbinom2"), pd.read_csv(tmp_path / "p.csv")
    for kind in theirs:
        # as far as R's estimates are from the maximum
        np.testing.assert_allclose(m.predict(type=kind), theirs[kind], atol=2e-4 * np.abs(theirs[kind]).max())
    ours, theirs = m.predict(random=False, se=True), pd.read_csv(tmp_path / "s.csv")
    np.testing.assert_allclose(ours.fitted, theirs.fit, rtol=1e-3)
    np.testing.assert_allclose(ours.std_error, theirs.se, rtol=1e-3)
    theirs = pd.read_csv(tmp_path / "r.csv")
    np.testing.assert_allclose(m.residuals("response"), theirs.response, atol=1e-3)
