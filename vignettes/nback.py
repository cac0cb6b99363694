# %% [markdown]
# # n-back and flanker: 906 published analyses
#
# Working memory (n-back) and interference (flanker) tasks both call on the front of the brain. Where do they differ,
# and do larger samples report more foci? This page needs an installed [NiMARE](https://nimare.readthedocs.io), which
# carries the corpus (320 papers, 906 analyses, 9,492 foci); nothing else of it is used.

# %%
from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

import formula_neuro as fn

resources = Path(find_spec("nimare").origin).parent / "resources"
foci = fn.read_foci(next(resources.glob("nback_vs_flanker_studyset*")))
foci

# %% [markdown]
# What was found on the way is said, not hidden: spaces, conversions, odd coordinates.

# %%
print("\n".join(foci.messages))

# %% [markdown]
# ## Covariates
# The task comes from annotations that a language model wrote, as do sample sizes and ages. Missing ones take the median
# here, as simple as it is arguable; without that, the fit would drop those analyses and say how many.

# %%
table = foci.studies
tasks = [name for name in table.columns if name.endswith("TaskName")]
text = table[tasks].astype(object).where(table[tasks].notna(), "").agg(" | ".join, axis=1)
demographics = "ParticipantDemographicsExtractor.groups[0]."
count, age = (pd.to_numeric(table[demographics + name], errors="coerce") for name in ("count", "age_mean"))
foci = foci.with_studies(
    {
        "task": np.where(text.str.contains("flanker|eriks[eo]n", case=False), "flanker", "nback"),
        "log_n": np.log(count.fillna(count.median())),
        "age": age.fillna(age.median()),
    }
)
foci.studies["task"].value_counts()

# %% [markdown]
# ## Two maps and two moderators
# A map for each task; sample size and age change the number of foci. Several analyses come from one paper, so standard
# errors count papers, not analyses.

# %%
mask = resources / "templates" / "tpl-MNI152NLin6Asym_res-02_desc-brain_mask.nii.gz"
c = fn.fit("foci ~ s(task) + scale(log_n) + scale(age)", foci, family="poisson", mask=mask)
c

# %%
c.plot("relative")

# %% [markdown]
# ## Who believes what about sample size
# The numbers of foci vary 15 times as much as Poisson's. The same estimate of `log_n` looks like anything from a
# triumph to nothing, depending on what one takes as independent:

# %%
rows = {
    "Poisson's own (foci independent)": c.tidy(vcov="fisher"),
    "times the dispersion (analyses independent)": c.tidy(vcov="quasi"),
    "by paper (the default here)": c.tidy(),
}
pd.DataFrame(
    {
        name: one.set_index("term").loc["scale(log_n)", ["estimate", "std_error", "statistic", "p_value"]]
        for name, one in rows.items()
    }
).T

# %% [markdown]
# A clustered negative binomial gives each paper a random level instead. Its log-likelihood is on the same scale as
# Poisson's, so the two compare:

# %%
nb = fn.refit(c, family="clustered_negative_binomial", estimator=fn.Splines(cluster="study"))
pd.DataFrame({"Poisson": c.glance().iloc[0], "clustered negative binomial": nb.glance().iloc[0]}).loc[["loglik", "aic"]]

# %%
nb.tidy().round(4)

# %% [markdown]
# ## Where the tasks differ
# In shape: where, not how many. The model without a difference is fitted once, each paper says how it departs from it
# in every voxel, and z compares the tasks by these scores.

# %%
difference = fn.contrast(c, "nback - flanker", what="shape")
print(difference)
found = difference.threshold(method="fdr", alpha=0.05)
found.to_frame().head(10)

# %% [markdown]
# Which papers drive each cluster? `change` is what the log ratio at the peak would lose without a paper; `z_without` is
# the z that Wald's test would leave, the estimate over its standard error, where `peak_z` is one of scores.

# %%
difference.studies(found).head(6)

# %% [markdown]
# ## Above chance at all

# %%
fn.homogeneity(c)
