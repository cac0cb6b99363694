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
# The formula is the one that you would give to `lme4::glmer` in R; so are the names in the summary.

# %%
model = fn.fit("lick ~ dff + (1|mouseID)", trials, family="binomial")
model.summary()

# %% [markdown]
# The response is on the scale of log odds. Exponentiated, the coefficient of `dff` is an odds ratio: the factor by
# which the odds of a correct lick rise with one unit of dF/F, for a given mouse.

# %%
model.tidy(exponentiate=True).round(3)

# %% [markdown]
# ## Is dff needed at all?
# A likelihood-ratio test against the model without it:

# %%
without = fn.fit("lick ~ (1|mouseID)", trials, family="binomial")
fn.anova(without, model)

# %% [markdown]
# ## How much do mice differ?
# The standard deviation between mice, in log odds, and each mouse's own deviation from the average mouse:

# %%
model.varcorr()

# %%
model.ranef().round(3)

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
