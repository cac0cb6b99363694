# %% [markdown]
# # Foci of a thousand studies: a meta-regression by formula
#
# Papers report where brains responded as lists of coordinates, *foci*. Coordinate-based meta-regression (Yu and others
# 2024) models how many foci an analysis is expected to have in every voxel: a smooth map for each group of studies,
# times factors for what changes their number in the whole brain. This page walks through the steps of NiMARE's tutorial
# of CBMR with formulas, on data simulated as there: 1,000 studies of 10 foci each, at the same ten places whatever the
# group. **Nothing differs between the groups and no moderator has an effect**, so every comparison below should come
# out empty, and does. (The tutorial's own p values of `4.9e-324` come from its optimiser; see below.)

# %%
from __future__ import annotations

import numpy as np
import pandas as pd
from nilearn.datasets import load_mni152_brain_mask

import formula_neuro as fn

n, rng = 1000, np.random.default_rng(1)
studies = pd.DataFrame(
    {
        "diagnosis": ["schizophrenia", "depression"] * (n // 2),
        "drug_status": rng.permutation(["Yes", "No"] * (n // 2)),
        "avg_age": np.arange(n),
        "subtype": rng.permutation([f"type{i}" for i in range(1, 6)] * (n // 5)),
    }
)
foci = fn.simulate_foci(table=studies, peaks=10, fwhm=10, sample_size=(20, 40), seed=1)
foci

# %% [markdown]
# `foci.foci` has a row a focus and `foci.studies` a row an analysis; own data come from `fn.read_foci`, which takes
# NiMARE's studysets and datasets, Sleuth's text files and plain tables, brings Talairach coordinates to MNI and says
# so.

# %%
foci.studies.head(3)

# %% [markdown]
# ## One formula
# Terms in `s(...)` have a map of their own: `s(diagnosis:drug_status)` is a map for each of the four cells. All other
# terms act on the whole brain: they are log ratios of the *number* of foci. `scale()` standardises, and `subtype` is
# compared with its first level, as in R. (Without `mask=`, maps have the 235,375 voxels of nilearn's 2 mm brain mask;
# its 4 mm mask keeps this page quick.)

# %%
c = fn.fit(
    "foci ~ s(diagnosis:drug_status) + scale(sample_size) + scale(avg_age) + subtype",
    foci,
    family="poisson",
    mask=load_mni152_brain_mask(resolution=4),
)
c

# %%
c.plot()

# %% [markdown]
# What can be asked for: the terms, each with a map for every cell or a coefficient.

# %%
c.terms

# %% [markdown]
# ## Where a group has more foci than chance
# The test of homogeneity compares the map of each group with an even brain, voxel by voxel. By default it asks about
# the *shape* of the map, which no moderator can shift, and takes studies as the independent units. False discovery
# rates over the voxels are Benjamini and Hochberg's (`method="by"` is Benjamini and Yekutieli's).

# %%
h = fn.homogeneity(c)
h

# %%
h["schizophrenia:Yes"].threshold(method="fdr", alpha=0.05).to_frame().head(10)

# %% [markdown]
# ## Comparisons of groups
# Contrasts are written with the names of the cells; several named ones go in one call. A contrast of *intensity* mixes
# two questions, how many foci and where; `what="shape"` asks only where. z and p come from score tests, which hold
# their level where few studies reach a voxel; `test="wald"` divides estimates by their standard errors, as NiMARE does.

# %%
pairs = {
    "drug, schizophrenia": "schizophrenia:Yes - schizophrenia:No",
    "diagnosis, without drug": "schizophrenia:No - depression:No",
    "drug, depression": "depression:Yes - depression:No",
}
fn.contrast(c, pairs)

# %% [markdown]
# Several rows are tested jointly by a chi-squared statistic in every voxel. Rejecting it says that *at least one* row
# is not zero, not that all are. The matrix comes back with names.

# %%
joint = fn.contrast(
    c,
    [
        "depression:No - depression:Yes",
        "depression:No - schizophrenia:No",
        "schizophrenia:No - schizophrenia:Yes",
    ],
)
print(joint)
joint.weights

# %% [markdown]
# Familywise error over the brain comes from permuting the labels of the studies: the null model is fitted once, and
# each study contributes a map of scores (no refits).

# %%
fn.permutation_test(c, "schizophrenia:Yes - schizophrenia:No", n=199, seed=1)

# %% [markdown]
# ## Moderators
# With a map for every group, a Poisson model splits in two: the shapes of the maps, and a regression of each analysis's
# *number* of foci. Inference about moderators is that of a count regression of as many rows as there are analyses. Here
# every analysis has exactly 10 foci, so all estimates are 0 to rounding, and so they come out.

# %%
c.tidy().round(4)

# %%
fn.contrast(c, "scale(sample_size) - scale(avg_age)")

# %% [markdown]
# ## What a loose tolerance did
# The tutorial prints p = 4.9e-324 for both moderators and 4.7e-121 for their difference. It asks for `tol=1e3`, "for
# speed", and its optimiser stops next to its start. Run again with NiMARE 0.20.0, on data simulated with its own
# generator: the fitted intensity is .994 foci in every *voxel*, 227,000 an analysis where 10 were reported; the
# coefficients of sample size and age are -.0077 and .0128, where the search happened to be; their z are -98 and 162
# (from another of its random starts .0001 and .0071, z 1.3 and 90; all are 0 at the optimum).
# Standard errors come from the information, which counts the foci that the model expects, so that they are too small by

# %%
print(f"a factor of {np.sqrt(227_000 / 10):.0f}")

# %% [markdown]
# Every fit here says how many Newton steps it took, and how far below the optimum its log-likelihood can still be (the
# `decrement`):

# %%
pd.DataFrame([vars(part) for part in c.convergence])

# %% [markdown]
# ## Real foci are not Poisson
# Numbers of foci vary far more than Poisson's between papers: some report 3, some 60. A Poisson model with the standard
# errors of its likelihood then finds moderators everywhere. Twenty-five data sets of 100 studies whose numbers follow a
# negative binomial, with two moderators that do nothing:


# %%
def p_values(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([seed, 5])
    table = pd.DataFrame({"group": ["a", "b"] * 50, "age": rng.normal(size=100), "size": rng.normal(size=100)})
    data = fn.simulate_foci(table=table, peaks=10, counts="negative_binomial", dispersion=1.4, seed=seed)
    fits = {
        family: fn.fit("foci ~ s(group) + age + size", data, family=family, mask=data.truth.brain)
        for family in ("poisson", "clustered_negative_binomial")
    }
    return {
        "Poisson, its own standard errors": fits["poisson"].tidy(vcov="fisher")["p_value"],
        "Poisson, the default (quasi-Poisson, t)": fits["poisson"].tidy()["p_value"],
        "clustered negative binomial": fits["clustered_negative_binomial"].tidy()["p_value"],
    }


drawn = pd.DataFrame([{name: (p < 0.05).mean() for name, p in p_values(seed).items()} for seed in range(25)])
drawn.mean().rename("share of p < 0.05 where nothing acts").to_frame().round(3)

# %% [markdown]
# Who is off, and when? More data sets, of 100 and of 40 studies, drawn by `benchmarks/cbmr_calibration.py`; all cases
# and columns are in `benchmarks/README.md`. Share of p < .05 where nothing acts, for a moderator that is a number of
# each study (400 data sets; standard error .011 at .05; "overdispersed" numbers have gamma factors of variance 1.4):
#
# | numbers of foci | studies | Poisson's own | default | clustered negative binomial |
# |---|---|---|---|---|
# | Poisson | 100 | .040 | .045 | .037 |
# | | 40 | .065 | .052 | .058 |
# | overdispersed | 100 | **.585** | .037 | .060 |
# | | 40 | **.570** | .052 | **.110** |
# | overdispersed studies of 1 to 4 analyses | 100 | **.743** | .080 | **.287**; one level a study: .075 |
# | | 40 | **.715** | .065 | **.318**; one level a study: **.102** |
#
# The default is quasi-Poisson, and where studies have several analyses it leaves out one study at a time.
#
# Mean share of voxels below .05 where two groups do not differ, and where one is as even as chance (24 data sets;
# standard errors .003 to .027):
#
# | foci | studies | homogeneity, model's | default | comparison, Wald, model's | Wald, by study | default (score) |
# |---|---|---|---|---|---|---|
# | Poisson | 100 | .048 | .055 | .048 | .050 | .044 |
# | | 40 | .039 | .049 | .059 | .082 | .053 |
# | overdispersed | 100 | .052 | .065 | .081 | .059 | .042 |
# | | 40 | .042 | .069 | .080 | **.096** | .043 |
# | the same in clumps of 3 | 100 | **.130** | .071 | **.200** | .084 | .047 |
# | | 40 | **.111** | .071 | **.194** | **.169** | .044 |
# | overdispersed studies of 1 to 4 analyses | 100 | .039 | .057 | **.159** | .081 | .059 |
# | | 40 | .039 | .066 | **.160** | **.103** | .057 |
