# %% [markdown]
# # Cells within mice, measured twice: nested random effects
#
# 622 cells of 11 mice were imaged before ketamine and 24 hours after; `res` is the integrated amplitude of their
# calcium events. Values of one cell resemble each other, and so do the cells of one mouse: measurements within cells
# within mice. **The table is simulated** to the shape and the p values of a published example (Yu et al. 2022,
# *Neuron* 110:21-35, example 3); no real mice are in it.

# %%
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import formula_neuro as fn

rows = fn.datasets.calcium_amplitude()
pairs = rows.pivot(index=["midx", "cidx"], columns="treatment", values="res").dropna()
pairs.columns = ["before", "after"]
rows.head(4)

# %% [markdown]
# ## Look first
# Four of the mice. Above, each line is a cell, before and after; below, the same cells as points: one that was bright
# before is bright after. On the right, the correlation of before and after within each of the 11 mice.

# %%
figure, axes = plt.subplot_mosaic(
    [["a", "b", "c", "d", "all"], ["e", "f", "g", "h", "all"]], figsize=(11, 5), layout="constrained"
)
correlations = pairs.groupby("midx").apply(lambda own: own["before"].corr(own["after"]))
axes["all"].boxplot(correlations, showfliers=False)
axes["all"].scatter(np.random.default_rng(1).uniform(0.93, 1.07, len(correlations)), correlations, s=12, color="C1")
axes["all"].set(xticks=[], title="correlation within mice", ylim=(0, 1))
axes["a"].set_ylabel("amplitude")
axes["e"].set_ylabel("after")
for mouse, above, below in zip((1, 3, 5, 9), "abcd", "efgh", strict=True):
    own = pairs.loc[mouse]
    axes[above].plot([0, 1], own.to_numpy().T, color="C0", linewidth=0.4, alpha=0.6)
    axes[above].set(title=f"mouse {mouse}", xticks=[0, 1], xticklabels=["before", "after"], ylim=(0, 16))
    axes[below].scatter(own["before"], own["after"], s=6)
    axes[below].axline((7, 7), slope=1, color="0.6", linewidth=0.8)
    axes[below].set(xlabel="before", xlim=(0, 16), ylim=(0, 16))

# %% [markdown]
# ## The t tests that are wrong
# The unpaired test ignores that values come in pairs; the paired one ignores that cells come in mice. Both treat
# cells as independent, and so does a linear model. In R: `t.test(after, before, var.equal = TRUE)`,
# `t.test(after, before, paired = TRUE)` and `summary(lm(res ~ treatment, rows))`.

# %%
before, after = (rows.loc[rows["treatment"] == time, "res"] for time in ("1", "2"))
pooled = fn.fit("res ~ treatment", rows)
wrong = {
    "unpaired t test": stats.ttest_ind(after, before, nan_policy="omit").pvalue,
    "paired t test": stats.ttest_rel(pairs["after"], pairs["before"]).pvalue,
    "linear model": pooled.tidy()["p_value"][1],
}
pd.DataFrame({"p": wrong}).round(5)

# %% [markdown]
# ## The model with both levels
# In R: `lmer(res ~ treatment + (1 | midx/cidx), rows)`, or `nlme::lme(res ~ treatment, rows, random = ~1 | midx/cidx,
# na.action = na.omit)`. LM beside LME:

# %%
nested = fn.fit("res ~ treatment + (1|midx/cidx)", rows)
fn.compare(pooled, nested, names=["LM", "LME"])

# %%
nested.tidy()

# %% [markdown]
# The estimates hardly differ, but this time the mixed model has the *smaller* standard error: within a cell, before
# and after are positively correlated, so their difference varies less than that of two strangers. Choose the model
# by how the data were collected, never by its p value: statistics is no hunt for the smallest one.
#
# Cell ids that repeat in other mice would be told apart by `midx/cidx`. Here every cell has an id of its own (in R:
# `length(unique(rows$cidx))`), so `(1|midx) + (1|cidx)` is the same model:

# %%
by_id = fn.fit("res ~ treatment + (1|midx) + (1|cidx)", rows)
{"ids": rows["cidx"].nunique(), "log-likelihoods": (round(nested.loglik, 6), round(by_id.loglik, 6))}

# %% [markdown]
# The whole summary says which factor lies in which, and how much of the variance is whose:

# %%
nested.summary()

# %% [markdown]
# ## Which random effects?
# Is there need for the cells, and does the effect of treatment itself differ between mice? Tests of variances are
# tests on the boundary (a variance cannot be negative), where the plain chi-squared p value is too large: R's
# `anova(m1, m2, refit = FALSE)` and `lmerTest::ranova(m2)` print that one.

# %%
mice_only = fn.fit("res ~ treatment + (1|midx)", rows)
fn.anova(mice_only, nested)[["model", "statistic", "df", "p_value"]]

# %%
slopes = fn.fit("res ~ treatment + (treatment|midx) + (1|midx:cidx)", rows)
fn.anova(nested, slopes)[["model", "statistic", "df", "p_value"]]

# %% [markdown]
# ## The published model, in nlme's words
# The authors chose `random = list(midx = ~1, cidx = ~treatment)`. `fn.from_nlme` translates such calls and says what
# they mean:

# %%
published = fn.from_nlme("res ~ treatment", "list(midx = ~1, cidx = ~treatment)")
published

# %%
chosen = fn.fit(published.formula, rows)
chosen.summary()

# %% [markdown]
# It improves on random intercepts substantially; adding a random effect of treatment between mice does not:

# %%
more = fn.fit("res ~ treatment + (treatment|midx) + (treatment|midx:cidx)", rows)
fn.anova(nested, chosen, more)[["model", "aic", "statistic", "df", "p_value"]]

# %% [markdown]
# Every cell has two rows and, in this model, two random effects: of the four parameters of a cell only three can
# be known, and the message says so. The log-likelihood and the effect of treatment are sound; the split between
# cells and residual is not. What the data do say is that cells scatter more after treatment, which a second residual
# standard deviation tells in one number (`unequal` below has the same likelihood):

# %%
unequal = fn.refit(nested, estimator=fn.REML(residual=fn.VarIdent("treatment")))
fn.compare(nested, chosen, unequal, names=["nested", "published", "VarIdent"])
