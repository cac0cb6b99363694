# %% [markdown]
# # Cells of few mice: why pooling them misleads
#
# Most recordings are clustered: many cells of one mouse, many trials of one animal. Cells of one mouse resemble one
# another, so a thousand cells of four mice are not a thousand independent observations. This page shows on two
# examples what goes wrong when that is ignored, and what a linear mixed model does about it. It follows the teaching
# of Yu et al. (2022, *Neuron* 110:21-35) and the slides *LM, LME, GLM and GLMM in neuroscience*.
#
# **Both tables are simulated** so that the fits below are those that were published; no real mice are in them.

# %%
from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from scipy import stats

import formula_neuro as fn

cells = fn.datasets.calcium_frequency()
cells["day"] = cells["treatment_idx"].cat.rename_categories(["24h", "48h", "72h", "1wk"])
cells.head(3)

# %% [markdown]
# ## Four models
# - **LM**, the linear model: the mean is Xβ, and around it are independent errors of one variance. `fn.fit("y ~ x",
#   d)`; in R `lm(y ~ x, d)`.
# - **LME**, the linear mixed-effects model: Xβ + Zu, where random effects u ~ N(0, G) say which rows belong together
#   and how much they share. `fn.fit("y ~ x + (1|mouse)", d)`; in R `lme4::lmer` with the same formula.
# - **GLM**, the generalized linear model: a link function of the mean is Xβ, and the response has a distribution of
#   its own (binomial, Poisson, ...). `fn.fit("y ~ x", d, family="binomial")`; in R `glm(y ~ x, binomial, d)`.
# - **GLMM**: both, a link of the mean given u is Xβ + Zu. `fn.fit("y ~ x + (1|mouse)", d, family="binomial")`; in R
#   `lme4::glmer` with the same formula and family.
#
# β are the *fixed* effects, what one asks about. That errors are normal matters for t and F tests of small samples
# only; that they are independent matters always.
#
# ## One question, 1724 cells, four mice
# How often do the calcium events of PV cells come 24 hours, 48 hours, 72 hours and a week after ketamine? The pooled
# answer is a linear model (or an ANOVA, or t tests: they are the same thing).

# %% [markdown]
# In R: `summary(lm(res ~ day, cells))`

# %%
pooled = fn.fit("res ~ day", cells)
pooled.tidy().round(4)

# %% [markdown]
# Less activity at 48 hours with p below .00001, more after a week with p = .002: two discoveries. Now with an
# intercept for every mouse.

# %% [markdown]
# In R: `summary(lmerTest::lmer(res ~ day + (1 | midx), cells))`

# %%
mixed = fn.fit("res ~ day + (1|midx)", cells)
mixed.tidy().round(4)

# %% [markdown]
# Both have gone. Side by side, as one would print it; then with everything else that there is to compare:

# %%
columns = {}
for day in ("48h", "72h", "1wk"):
    rows = [m.tidy().set_index("term").loc[f"day{day}"] for m in (pooled, mixed)]
    columns[day, "estimate"] = [f"{row['estimate']:.3f} ± {row['std_error']:.3f}" for row in rows]
    columns[day, "p"] = [f"{row['p_value']:.2g}" for row in rows]
pd.DataFrame(columns, index=["LM", "LME"])

# %%
fn.compare(pooled, mixed, names=["LM", "LME"])

# %% [markdown]
# A t test of the pooled cells of 24 and 48 hours makes the same mistake. In R:
# `t.test(res ~ day, cells, subset = day == "24h" | day == "48h", var.equal = TRUE)`.

# %%
first, second = (cells.loc[cells["day"] == day, "res"] for day in ("24h", "48h"))
print(f"t test, wrong: p = {stats.ttest_ind(second, first).pvalue:.1e}")


# %% [markdown]
# ## Look at every mouse
# What the pooled boxes show is not what the mice show.


# %%
def boxes(axis: plt.Axes, table: pd.DataFrame, title: str) -> None:
    groups = [values.to_numpy() for _, values in table.groupby("day", observed=False)["res"]]
    axis.boxplot(groups, tick_labels=list(table["day"].cat.categories), showfliers=False, medianprops={"color": "C1"})
    axis.set_title(title)


figure, axes = plt.subplots(1, 5, figsize=(11, 3), sharey=True, layout="constrained")
boxes(axes[0], cells, "all cells, pooled")
axes[0].set_ylabel("event frequency")
for axis, (mouse, own) in zip(axes[1:], cells.groupby("midx"), strict=True):
    boxes(axis, own, f"mouse {mouse}")

# %% [markdown]
# From 24 to 48 hours only mouse 2 goes down. Mouse 1 stays where it was; mice 3 and 4 go up, if anything. Why do the
# pooled boxes follow mouse 2? Count the cells:

# %%
counts = pd.crosstab(cells["midx"], cells["day"], margins=True, margins_name="Total")
counts["share"] = (counts["Total"] / len(cells)).map("{:.0%}".format)
counts

# %% [markdown]
# Mouse 2 gave 43 % of all cells. And the mice are unevenly spread over the days: at 48 hours 60 % of the cells are of
# mouse 1, the mouse with the lowest frequencies, at 24 hours 21 %. The pooled "reduction" is mostly a change of mice.
#
# ## Which mouse carries the effect?
# With few animals, analyse them one by one as well, and see whether they agree. With only two monkeys this is the
# analysis to show; a random effect of two levels says nothing. In R: `lapply(split(cells, cells$midx), function(own)
# summary(lm(res ~ day, own)))`.

# %%
one_by_one = {f"mouse {mouse}": fn.fit("res ~ day", own) for mouse, own in cells.groupby("midx")}
fn.compare(*one_by_one.values(), names=list(one_by_one), stars=True)

# %% [markdown]
# ## Four levels are few for a random effect
# There is no agreed least number. An intercept for each mouse as a *fixed* effect is an honest alternative (in R:
# `lm(res ~ day + midx, cells)`); here it says the same as the mixed model. Neither is the same as pooling.

# %%
fixed = fn.fit("res ~ day + factor(midx)", cells)
fn.compare(mixed, fixed, names=["random mice", "fixed mice"])

# %% [markdown]
# ## Example 1: five treatments, 24 mice
# pCREB was measured in 1200 cells of 24 mice; each mouse had one treatment: none, or ketamine 24, 48, 72 hours or a
# week before.

# %%
pcreb = fn.datasets.pcreb()
by_mouse = [
    (t, [v.to_numpy() for _, v in own.groupby("midx")["res"]])
    for t, own in pcreb.groupby("treatment_idx", observed=False)
]
figure, axis = plt.subplots(figsize=(10, 3), layout="constrained")
axis.set(ylabel="pCREB", title="one box a mouse")
at, middles = 0, []
for k, (_, mice) in enumerate(by_mouse):
    places = range(at, at + len(mice))
    drawn = axis.boxplot(mice, positions=list(places), widths=0.7, showfliers=False, patch_artist=True)
    for box in drawn["boxes"]:
        box.set_facecolor(f"C{k}")
    middles.append(sum(places) / len(places))
    at += len(mice) + 1
    axis.set_xticks(middles, ["none", "24 h", "48 h", "72 h", "1 week"][: len(middles)])

# %% [markdown]
# How much do cells of one mouse resemble one another? The intraclass correlation of each treatment, what it makes of
# the number of cells (the design effect), and how many independent cells the sample is worth (published of the real
# data: .62, .33, .02, .63, .54):

# %%
fn.icc(pcreb, "res", "midx", by="treatment_idx").round(2)

# %% [markdown]
# The pooled model treats 1200 cells as 1200 animals; its standard errors are a fifth of what they should be. In R:
# `lm(res ~ treatment_idx, pcreb)` and `lmer(res ~ treatment_idx + (1 | midx), pcreb)`.

# %%
wrong = fn.fit("res ~ treatment_idx", pcreb)
right = fn.fit("res ~ treatment_idx + (1|midx)", pcreb)
fn.compare(wrong, right, names=["LM, wrong", "LME"])

# %% [markdown]
# The real data are public (they come with the book), so that their fit can be quoted: it is what the simulated cells
# were made to give.

# %%
ours = right.tidy().set_index("term")[["estimate", "std_error", "df"]]
published = pd.DataFrame(
    {
        "published": [1.0006729, 0.8194488, 0.8429473, 0.1898432, -0.3199877],
        "std_error of it": [0.1963782, 0.2890372, 0.3588556, 0.3586083, 0.3043369],
        "df of it": [18.9893, 18.9831, 19.0571, 19.0046, 19.0164],
    },
    index=ours.index,
)
ours.join(published).round(4)

# %% [markdown]
# Do treatments differ at all? Of the real data F(4, 19.01) = 4.69, p = .0084 by Kenward and Roger's method; pooled,
# F(4, 1195) = 108 with p around 10^-78. In R: `anova(m, ddf = "Kenward-Roger")` after `library(lmerTest)`. Here:

# %%
fn.anova(wrong)

# %%
fn.anova(right, df="kenward-roger")

# %% [markdown]
# By the likelihood ratio of the two fits by maximum likelihood the real data have 16.48 on 4 degrees of freedom,
# p = .0024. In R: `drop1(m, test = "Chisq")`, or `anova()` of the models with and without the treatment.

# %%
fn.drop1(right, test="Chisq")

# %% [markdown]
# Which treatments differ? All pairs by Tukey's method, then each against none by Dunnett's. In R:
# `emmeans(m, pairwise ~ treatment_idx)` and `emmeans(m, trt.vs.ctrl ~ treatment_idx)`. Published of the real data: a
# week differs from 24 h (p = .0138) and from 48 h (.0447), and no treatment from none, by all pairs; against none alone
# 24 h does (.0364; the others .0965, .9219, .6613).

# %%
fn.emmeans(right, "treatment_idx", contrast="pairwise")

# %%
fn.emmeans(right, "treatment_idx", contrast="trt.vs.ctrl")

# %% [markdown]
# ## Do all treatments scatter alike?
# The model gives cells one residual standard deviation. The real cells have not one, nor have these: at 24 and 48
# hours they scatter twice as much within their mice as without ketamine, so **these data need `VarIdent`**, a standard
# deviation for each treatment. In R: `nlme::lme(res ~ treatment_idx, pcreb, ~1 | midx, weights = varIdent(form = ~1 |
# treatment_idx))`.

# %%
unequal = fn.refit(right, estimator=fn.REML(residual=fn.VarIdent("treatment_idx")))
unequal.varcorr()

# %% [markdown]
# The log-likelihood rises by 117 for four parameters (as it does with the real data), which no test is needed to see.
# The treatments' tests hardly change here, because they live between mice; predictions of single cells, and tests
# within mice, would.

# %%
fn.anova(right, unequal)[["model", "loglik", "statistic", "df", "p_value"]]

# %%
fn.anova(unequal)
