# %% [markdown]
# # R and formula_neuro side by side
#
# The commonest things that one does with R's models, each as R's code with what R prints, and below it the same thing
# here. Where R is installed, its part is run while this page is made; elsewhere the code alone is shown. The table is
# simulated: reaction times, hits out of trials and error counts of 12 subjects on three kinds of cue.

# %%
from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import formula_neuro as fn

rng = np.random.default_rng(11)
n = 96
d = pd.DataFrame(
    {
        "subject": np.repeat([f"s{i:02d}" for i in range(12)], 8),
        "cue": np.tile(["none", "tone", "light", "tone"], 24),
        "load": rng.uniform(1, 7, n).round(2),
        "minutes": rng.uniform(5, 20, n).round(1),
        "trials": 20,
    }
)
of_subject = np.repeat(rng.normal(0, 25, 12), 8)
d["rt"] = (380 + 18 * d["load"] - 30 * (d["cue"] == "light") + of_subject + rng.normal(0, 30, n)).round(1)
d["hits"] = rng.binomial(20, 1 / (1 + np.exp(-(2 - 0.35 * d["load"] + 0.5 * (d["cue"] == "light")))))
d["errors"] = rng.negative_binomial(3, 3 / (3 + d["minutes"] * np.exp(-2 + 0.15 * d["load"])))
folder = tempfile.TemporaryDirectory()
d.to_csv(Path(folder.name) / "d.csv", index=False)


def r(code: str) -> None:
    """Print R code, and what R says to it where R and the packages that it names are installed."""
    print("\n".join(f"> {line}" for line in code.strip().splitlines()))
    if shutil.which("Rscript") is None:
        return print("(R is not installed here)")
    lines = ["options(width = 110, digits = 5)", 'd <- read.csv("d.csv", stringsAsFactors = TRUE)', code]
    run = subprocess.run(
        ["Rscript", "-e", "\n".join(lines)], cwd=folder.name, capture_output=True, text=True, check=False
    )
    missing = "there is no package called" in run.stderr
    print(run.stdout.rstrip() if run.returncode == 0 else "(a package is missing here)" if missing else run.stderr)


d.head(3)

# %% [markdown]
# ## 1. A linear model and its summary

# %%
r("summary(lm(rt ~ load * cue, data = d))")

# %%
lm = fn.fit("rt ~ load * cue", d)
lm.summary()

# %% [markdown]
# ## 2. Contrasts, and columns as R makes them

# %%
r('coef(lm(rt ~ cue, data = d, contrasts = list(cue = "contr.sum")))')

# %%
fn.fit("rt ~ cue", d, contrasts={"cue": "contr.sum"}).coef

# %% [markdown]
# Contrasts of one's own are matrices, one row a level, in the order of the levels (light, none, tone); columns with
# names name the coefficients:

# %%
r("own <- cbind(any = c(1, -2, 1), kind = c(1, 0, -1))\ncoef(lm(rt ~ cue, data = d, contrasts = list(cue = own)))")

# %%
fn.fit("rt ~ cue", d, contrasts={"cue": {"any": [1, -2, 1], "kind": [1, 0, -1]}}).coef

# %%
r('head(model.matrix(~ poly(load, 2) + relevel(cue, "none"), d), 3)')

# %%
fn.model_matrix('~ poly(load, 2) + relevel(cue, "none")', d).X.head(3)

# %% [markdown]
# ## 3. Tests of terms: `anova(m)`, `drop1(m)`, `anova(small, large)`

# %%
r("anova(lm(rt ~ load * cue, data = d))")

# %%
fn.anova(lm)

# %%
r('drop1(lm(rt ~ load + cue, data = d), test = "F")')

# %%
additive = fn.fit("rt ~ load + cue", d)
fn.drop1(additive)

# %%
r("anova(lm(rt ~ load + cue, data = d), lm(rt ~ load * cue, data = d))")

# %%
fn.anova(additive, lm)

# %% [markdown]
# ## 4. Predictions for new data, with intervals

# %%
r(
    'new <- data.frame(load = c(2, 6), cue = c("tone", "light"))\n'
    'predict(lm(rt ~ load + cue, data = d), new, interval = "prediction")'
)

# %%
new = pd.DataFrame({"load": [2, 6], "cue": ["tone", "light"]})
additive.predict(new, interval="prediction")

# %% [markdown]
# A level that the model has not seen is an error in both:

# %%
r(
    "m <- lm(rt ~ load + cue, data = d)\n"
    'tryCatch(predict(m, data.frame(load = 2, cue = "smell")), error = function(e) cat(conditionMessage(e)))'
)

# %%
try:
    additive.predict(pd.DataFrame({"load": [2], "cue": ["smell"]}))
except fn.errors.NewLevels as error:
    print(error)

# %% [markdown]
# ## 5. Robust standard errors
# R's packages sandwich and lmtest, or by hand; here a word in `tidy`, after the fit. A cluster may be any column of the
# data.

# %%
r(
    "m <- lm(rt ~ load + cue, data = d); X <- model.matrix(m); XtX <- solve(crossprod(X))\n"
    "meat <- crossprod(X * (residuals(m) / (1 - hatvalues(m))))    # HC3\n"
    "sqrt(diag(XtX %*% meat %*% XtX))"
)

# %%
additive.tidy(vcov="HC3").set_index("term")["std_error"]

# %%
fn.compare(additive, additive, additive, vcov=[None, "HC3", {"cluster": "subject"}])

# %% [markdown]
# ## 6. Influence
# Rows keep the labels of the table: Python's count from 0, R's from 1.

# %%
r("head(sort(cooks.distance(lm(rt ~ load + cue, data = d)), decreasing = TRUE), 3)")

# %%
additive.influence()["cooks_distance"].nlargest(3)

# %% [markdown]
# ## 7. Marginal means: `emmeans`

# %%
r('library(emmeans)\nemmeans(lm(rt ~ load + cue, data = d), "cue", contr = "pairwise")$contrasts')

# %%
fn.emmeans(additive, "cue", contrast="pairwise").contrasts

# %% [markdown]
# ## 8. Successes out of trials, profile intervals

# %%
r("m <- glm(cbind(hits, trials - hits) ~ load + cue, binomial, d)\ncoef(summary(m))\nsuppressMessages(confint(m))")

# %%
hits = fn.fit("cbind(hits, trials - hits) ~ load + cue", d, family="binomial")
hits.tidy()

# %%
fn.confint(hits, method="profile")

# %% [markdown]
# ## 9. Counts with an offset: Poisson, quasi-Poisson, negative binomial

# %%
r(
    "f <- errors ~ load + cue + offset(log(minutes))\n"
    "coef(summary(glm(f, poisson, d)))\ncoef(summary(glm(f, quasipoisson, d)))\n"
    "nb <- MASS::glm.nb(f, d)\ncoef(summary(nb))\nc(theta = nb$theta, se = nb$SE.theta)"
)

# %%
families = ["poisson", "quasipoisson", "nbinom2"]
counts = [fn.fit("errors ~ load + cue + offset(log(minutes))", d, family=f) for f in families]
fn.compare(*counts)

# %% [markdown]
# ## 10. Bias-reduced estimates

# %%
r('library(brglm2)\ncoef(summary(glm((hits > 17) ~ load + cue, binomial, d, method = "brglmFit", type = "AS_median")))')

# %%
fn.fit("(hits > 17) ~ load + cue", d, family="binomial", estimator="median_br").tidy()

# %% [markdown]
# ## 11. A mixed model

# %%
r("suppressMessages(library(lmerTest))\ncoef(summary(lmer(rt ~ load + cue + (1 | subject), d)))")

# %%
mixed = fn.fit("rt ~ load + cue + (1 | subject)", d)
mixed.tidy()

# %%
mixed.varcorr()

# %% [markdown]
# ## 12. The same model by R, from here
# `backend=` sends a model to R and returns the same kind of fit; `fn.crosscheck` refits a native one in R and compares
# every number.

# %%
try:
    verdict = str(fn.crosscheck(mixed))
except fn.errors.RMissing as missing:
    verdict = f"not checked here: {missing}"
print(verdict)
