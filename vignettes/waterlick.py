# %% [markdown]
# # From a formula to an odds ratio: the water-lick task
#
# Eight mice learn to lick for water. In each trial we know how bright the imaged neurons were (`dff`, the mean
# dF/F) and whether the mouse licked correctly (`lick`). Does activity predict a correct lick? Trials of one
# mouse resemble one another, so every mouse gets an intercept of its own.
#
# **The trials are simulated**, to a published summary of such an experiment; they say nothing about real mice.

# %%
from __future__ import annotations

import formula_neuro as fn

trials = fn.datasets.waterlick()
trials.groupby("mouseID")["lick"].agg(["size", "mean"]).round(2)

# %% [markdown]
# ## The fit
# The formula is the one that you would give in R, `m <- lme4::glmer(lick ~ dff + (1 | mouseID), trials, binomial)`; so
# are the names in the summary.

# %%
model = fn.fit("lick ~ dff + (1|mouseID)", trials, family="binomial")
model.summary()

# %% [markdown]
# The response is on the scale of log odds. Exponentiated, the coefficient of `dff` is an odds ratio: the factor by
# which the odds of a correct lick rise with one unit of dF/F, for a given mouse.

# %%
model.tidy(exponentiate=True).round(3)

# %% [markdown]
# The odds of a correct lick rise by about 6 % with one unit of dF/F, *for a given mouse*: random effects and a
# curved link make that another number than the rise averaged over all mice. In R: `exp(fixef(m))` and
# `exp(confint(m, method = "Wald"))`. These trials were simulated to the published slope of .06235 with standard error
# .01986, that is 6.4 % with an interval from 2.4 to 10.7 %. Intervals by the profile of the likelihood, in log odds,
# take nothing to be normal:

# %%
fn.confint(model, method="profile").round(3)

# %% [markdown]
# ## What it looks like
# First the effect: the black curve is a mouse whose random effect is zero, with 95 % limits; each thin curve is one of
# the eight mice, circles are shares of licks in tenths of the trials. Residuals of single trials say little, so they
# are averaged in bins: all but one in twenty should lie in the grey band, and a bend would ask for another curve.
# Calibration has the shares that came beside those that were fitted. Last, how far each mouse is from the average one.

# %%
model.plot()

# %% [markdown]
# ## What if the mice are forgotten?
# The same model without them takes 512 trials for 512 strangers:

# %%
forgotten = fn.fit("lick ~ dff", trials, family="binomial")
fn.compare(forgotten, model, names=["mice forgotten", "mice kept"])

# %% [markdown]
# The slope is nearly the same, as dff varies mostly within mice. What is wrong is what varies between them: the
# intercept has little more than half of its standard error (.130 instead of .232), as if many more than eight mice had
# been seen, and the AIC is 17 higher. A treatment that is given to some mice and not to others lives between mice as
# the intercept does; [Cells of few mice](pooling.py) shows the discoveries that come of it.

# %% [markdown]
# ## Is dff needed at all?
# A likelihood-ratio test against the model without it (in R `anova(m, smaller)`, or `drop1(m, test = "Chisq")`):

# %%
without = fn.fit("lick ~ (1|mouseID)", trials, family="binomial")
fn.anova(without, model)[["model", "loglik", "statistic", "df", "p_value"]]

# %%
fn.drop1(model)

# %% [markdown]
# The chi-squared distribution is an approximation for many mice, and here are eight. So let the data be drawn anew
# from the smaller model, many times, and look where our statistic lies among those of a world without dff (in R
# `pbkrtest::PBmodcomp(m, smaller)`, which takes a minute or two). 1000 replicates leave a Monte-Carlo error of .002
# or so; the p value comes with it.

# %%
test = fn.bootstrap_test(without, model, n=1000, seed=1)
test

# %% [markdown]
# ## How much do mice differ?
# The standard deviation between mice, in log odds, and each mouse's own deviation from the average mouse:

# %%
model.varcorr()

# %%
model.ranef().round(3)

# %% [markdown]
# ## When the mixed model is fragile
# Generalized linear mixed models can fail to converge: too few rows, a variance of zero, a column that separates the
# response. The messages say which. What one tries then:
#
# | | here | in R |
# |---|---|---|
# | another search, from elsewhere; do all agree? | `fn.all_fit(m)` | `allFit(m)` |
# | a simpler model | `fn.refit(m, ". ~ . - x")` | `update(m, . ~ . - x)` |
# | more quadrature nodes | `fn.refit(m, estimator="AGQ(15)")` | `update(m, nAGQ = 15)` |
# | a weak prior | `fn.refit(m, estimator=fn.Laplace(prior=fn.Normal(2.5)))` | `blme::bglmer` |
# | another question | `estimator=fn.GEE(cluster="mouseID")` | `geepack::geeglm` |

# %%
searches = fn.all_fit(model)
print(searches.words)
searches.to_frame()[["optimizer", "start", "criterion", "above", "converged", "dff"]]

# %%
fn.compare(
    model,
    fn.refit(model, estimator="AGQ(15)"),
    fn.refit(model, estimator=fn.Laplace(prior=fn.Normal(2.5))),
    names=["Laplace", "15 nodes", "weak prior"],
)

# %% [markdown]
# The other question is that of estimating equations: they ask for the effect on the *average over mice*, need no model
# of how mice differ, and are hard to break. With eight mice their plain standard errors are too small; ours are
# corrected (Mancl and DeRouen 2001) and t tests take 8 - 2 degrees of freedom.

# %%
gee = fn.fit("lick ~ dff", trials, family="binomial", estimator=fn.GEE(cluster="mouseID"))
gee.tidy().round(4)

# %% [markdown]
# ## What R says
# The same model, refitted by `lme4` where R is installed: every number beside its counterpart, with the tolerance.

# %%
try:
    verdict = str(fn.crosscheck(model))
except fn.errors.RMissing as missing:
    verdict = f"not checked here: {missing}"
print(verdict)

# %% [markdown]
# `model.report("waterlick.html")` writes all of this, with pictures, into one page.
