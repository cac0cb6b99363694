# %% [markdown]
# # When a coefficient has no estimate: separation, and what bias reduction does about it
#
# A logistic regression can be asked a question that its data answer with "infinitely much". It happens with rare
# events, small samples and nearly empty cells: lesion studies, single-trial choices, side effects. Software then
# prints a huge number with a huger standard error and a p value near 1, for what may be the strongest effect of the
# study. This page shows how to see it, what it means, and which estimators stay finite.
#
# **The table is simulated.** It copies the shape of a published one, 79 endometrial tumours (Heinze and Schemper 2002):
# grade `HG` (0 low, 1 high), neovascularisation `NV` (0/1), pulsatility index `PI`, endometrium height `EH`. The real
# table comes at the end, where R and its package brglm2 are installed.

# %%
from __future__ import annotations

import numpy as np
import pandas as pd

import formula_neuro as fn


def tumours(seed: int, n: int = 79) -> pd.DataFrame:
    """A table of the study's shape, drawn from a logistic model whose NV effect is 2.9."""
    rng = np.random.default_rng(seed)
    nv = (rng.uniform(size=n) < 13 / 79).astype(int)
    pi, eh = rng.gamma(3, 6, n).round(), rng.gamma(6.3, 0.26, n).round(2)
    probability = 1 / (1 + np.exp(-(4.3 + 2.9 * nv - 0.04 * pi - 2.9 * eh)))
    return pd.DataFrame({"NV": nv, "PI": pi, "EH": eh, "HG": (rng.uniform(size=n) < probability).astype(int)})


table = tumours(38)
pd.crosstab(table["NV"], table["HG"])

# %% [markdown]
# Every tumour with `NV = 1` is of high grade: one cell is empty.
#
# ## What maximum likelihood says

# %%
ml = fn.fit("HG ~ NV + PI + EH", table, family="binomial")
ml.summary()

# %% [markdown]
# The likelihood grows for ever as the coefficient of `NV` grows: no finite number is its maximum. What software prints
# is where its iterations stopped. For the real table below, R 4.2's `glm` says 18.2 with a standard error of 1716 and
# p = 0.99, without a warning. Here the coefficient is named as infinite, with its sign, and the kind of separation:

# %%
print(ml.separation, dict(ml.separated))

# %% [markdown]
# The other coefficients are fine: their estimates and standard errors are those of the rows that separation leaves.
#
# How is it found? Not from large numbers, which a steep effect gives too, but by a linear programme (Konis 2007): is
# there a direction of the coefficients along which no row gets a worse fit and some row a better one? If there is, the
# maximum is at infinity in that direction; if not, it is finite.
#
# ## Estimators that stay finite

# %%
estimators = ["ml", "mean_br", "median_br", "jeffreys"]
fits = [fn.fit("HG ~ NV + PI + EH", table, family="binomial", estimator=e) for e in estimators]
side_by_side = fn.compare(*fits)
side_by_side

# %%
side_by_side.plot()

# %% [markdown]
# * **`mean_br`** (Firth 1993) solves the score equations with an adjustment that removes the leading term of the
#   estimates' bias. For the logit link it is the same as `jeffreys`: the mode of the likelihood times Jeffreys' prior.
# * **`median_br`** (Kenne Pagui, Salvan and Sartori 2017) makes an estimate too large as often as too small. That
#   property survives a change of scale: it holds for the odds ratio as it does for the log odds.
# * **`jeffreys(power)`** maximises the likelihood times Jeffreys' prior to a power (Kosmidis and Firth 2021); any power
#   above 0 keeps the estimates finite, and larger ones shrink more.
#
# ## Is there an effect of NV at all?
# The Wald test cannot tell under maximum likelihood: it divides infinity by infinity. The likelihood-ratio test can. It
# compares the maxima with and without `NV`, and the likelihood's limit is finite even where the coefficient is not.

# %%
with_likelihood = {e: m for e, m in zip(estimators, fits, strict=True) if e != "median_br"}
tests = {e: fn.drop1(m).set_index("term").loc["NV", ["statistic", "p_value"]] for e, m in with_likelihood.items()}
pd.DataFrame(tests).T.astype(float)

# %% [markdown]
# For `mean_br` and `jeffreys` the ratio is of penalised likelihoods, as in Heinze and Schemper; `median_br` maximises
# no likelihood, penalised or not, so it has no such test and says so when asked. (`m.tidy(test="lr")` gives the test of
# every coefficient, with its interval.) The values of the coefficient that the
# test does not reject make the profile interval. Under maximum likelihood it is open on one side, which is the honest
# answer: the data bound the effect from below only.

# %%
intervals = pd.concat([fn.confint(m, "NV", method="profile").assign(estimator=e) for e, m in with_likelihood.items()])
intervals[["estimator", "conf_low", "conf_high"]].round(2)

# %% [markdown]
# Compare the Wald interval of `mean_br`, which is symmetric on the log-odds scale and so says too little about large
# effects and too much about small ones:

# %%
fits[1].tidy().set_index("term").loc["NV", ["estimate", "conf_low", "conf_high"]].astype(float).round(2)

# %% [markdown]
# ## What bias means, in a small simulation
# Twenty trials, one predictor with a true coefficient of 1.5. Maximum likelihood is too far from zero
# on average, even in the tables where it is finite; in the others it is infinite.

# %%
true, n = 1.5, 20


def draw(rng: np.random.Generator) -> pd.DataFrame:
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": (rng.uniform(size=n) < 1 / (1 + np.exp(1 - true * x))).astype(int)})


rng = np.random.default_rng(1)
samples = [sample for sample in (draw(rng) for _ in range(80)) if 0 < sample["y"].sum() < n]
found = {
    e: [fn.fit("y ~ x", sample, family="binomial", estimator=e) for sample in samples]
    for e in ("ml", "mean_br", "median_br")
}
finite = np.array([not m.infinite for m in found["ml"]])
slopes = pd.DataFrame({e: [m.coef["x"] for m in ms] for e, ms in found.items()})
slopes.loc[~finite, "ml"] = np.inf
error = np.sqrt(slopes[finite].var() / finite.sum())
pd.DataFrame(
    {
        "mean": slopes[finite].mean(),
        "error": error,
        "median": slopes.median(),
        "too_large": (slopes > true).mean(),
        "infinite": (~np.isfinite(slopes)).mean(),
    }
).round(2)

# %% [markdown]
# `mean`, with its Monte Carlo `error`, is over the tables where maximum likelihood is finite, which flatters it;
# `median`, the share of tables in which the estimate is `too_large` (the goal is a half) and the share in which it is
# `infinite` are over all. With 80 tables the figures are rough.
#
# ## Which one when
#
# | you have | take |
# |---|---|
# | large samples, no separation | `"ml"`: the bias is far below the standard error |
# | small samples or rare events, effects as log odds | `"mean_br"`, with `tidy(test="lr")` and profile intervals |
# | effects that will be read as odds ratios, or asymmetric estimates | `"median_br"` |
# | predictions, or strong shrinkage wanted | `"jeffreys(power)"` |
# | a voxel-wise map in which some voxels separate | one bias-reduced estimator for all voxels |
#
# Look at the cause first. A cell that is empty by design, a predictor that is the response under another name, or a
# dummy for a single subject calls for another model, not for another estimator.
#
# ## The real table
# Heinze and Schemper (2002, *Statistics in Medicine* 21, 2409-2419) report for the penalised likelihood an `NV` of 2.93
# with a profile interval from 0.61 to 7.85. With R and brglm2 here, the same numbers come out, and `fn.crosscheck`
# compares every one of them with brglm2's.

# %%
try:
    from formula_neuro_r import data

    real = fn.fit("HG ~ NV + PI + EH", data("brglm2", "endometrial"), family="binomial", estimator="mean_br")
    published = (
        fn.confint(real, "NV", method="profile")[["estimate", "conf_low", "conf_high"]].iloc[0].round(2).tolist()
    )
    verdict = f"NV: {published}\n{fn.crosscheck(real)}"
except fn.errors.RMissing as missing:
    verdict = f"not shown here: {missing}"
print(verdict)
