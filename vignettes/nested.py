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
from scipy import stats

import formula_neuro as fn

rows = fn.datasets.calcium_amplitude()
pairs = rows.pivot(index=["midx", "cidx"], columns="treatment", values="res").dropna()
pairs.columns = ["before", "after"]
rows.head(4)

# %% [markdown]
# ## Look first
# Before against after for four mice: a cell that was bright before is bright after.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", width_ratios=[1.2, 2, 0.9])
for k, mouse in enumerate((1, 3, 5, 9)):
    own = pairs.loc[mouse]
    axes[0].scatter(own["before"], own["after"], s=8, color=f"C{k}", label=f"mouse {mouse}")
    lines = np.array([np.full(len(own), 3 * k), np.full(len(own), 3 * k + 2)])
    axes[1].plot(lines, own.to_numpy().T, color=f"C{k}", linewidth=0.4, alpha=0.6)
axes[0].axline((7, 7), slope=1, color="0.6", linewidth=0.8)
axes[0].set(xlabel="before", ylabel="after")
axes[0].legend(frameon=False, fontsize=8)
axes[1].set_xticks(np.ravel([[3 * k, 3 * k + 2] for k in range(4)]), ["before", "after"] * 4, fontsize=8)
axes[1].set_title("each line a cell")
correlations = pairs.groupby("midx").apply(lambda own: own["before"].corr(own["after"]))
axes[2].boxplot(correlations)
axes[2].set(xticks=[], title="correlation within mice")

# %% [markdown]
# ## The t tests that are wrong
# The unpaired test ignores that values come in pairs; the paired one ignores that cells come in mice. Both treat
# cells as independent.

# %%
{
    "unpaired": round(float(stats.ttest_ind(pairs["after"], pairs["before"]).pvalue), 5),
    "paired": round(float(stats.ttest_rel(pairs["after"], pairs["before"]).pvalue), 5),
}

# %% [markdown]
# ## The model with both levels
# In R: `lmer(res ~ treatment + (1 | midx/cidx))`, or `nlme::lme(res ~ treatment, random = ~1 | midx/cidx)`. Cell ids
# that repeat in other mice would be told apart by this formula; here every cell has an id of its own, so
# `(1|midx) + (1|cidx)` is the same model.

# %%
pooled = fn.fit("res ~ treatment", rows)
nested = fn.fit("res ~ treatment + (1|midx/cidx)", rows)
fn.compare(pooled, nested)

# %% [markdown]
# The estimates hardly differ, but this time the mixed model has the *smaller* standard error: within a cell, before
# and after are positively correlated, so their difference varies less than that of two strangers. Choose the model
# by how the data were collected, never by its p value.

# %%
nested.summary()

# %% [markdown]
# ## Which random effects?
# Is there need for the cells, and does the effect of treatment itself differ between mice? Tests of variances are
# tests on the boundary (a variance cannot be negative), where the plain chi-squared p value is too large.

# %%
mice_only = fn.fit("res ~ treatment + (1|midx)", rows)
table = fn.anova(mice_only, nested)
print("\n".join(table.attrs["messages"]))
table[["model", "statistic", "df", "p_value"]]

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
# Every cell has two rows and, in this model, two random effects: of the four parameters of a cell only three can
# be known, and the message says so. The log-likelihood and the effect of treatment are sound; the split between
# cells and residual is not. What the data do say is that cells scatter more after treatment, which a second residual
# standard deviation tells in one number (`unequal` below has the same likelihood):

# %%
unequal = fn.refit(nested, estimator=fn.REML(residual=fn.VarIdent("treatment")))
fn.compare(nested, chosen, unequal, names=["nested", "published", "VarIdent"])
