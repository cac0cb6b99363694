# %% [markdown]
# # One model for the whole brain: smooth maps of lesions
#
# A model fitted voxel by voxel knows nothing of the voxel beside it. Where few subjects have a lesion its maps are
# rough and its errors large. The spatial model (Ge et al. 2014) fits all voxels together: the same probit model in
# each, and a prior by which the coefficients of neighbours differ little. How little is estimated from the data, a
# covariance Sigma for the whole brain. What comes out is a posterior: means, standard deviations, and joint
# probabilities of many voxels, which no model of single voxels has.
#
# **The masks are simulated**, with more lesions around the ventricles and an effect of age that is known everywhere, so
# that this page can say what is right. `vignettes/lesions.py` goes from files to maps; here is what the prior changes.

# %%
from __future__ import annotations

import numpy as np
import pandas as pd

import formula_neuro as fn

reference = fn.lesion_reference(spacing=8)
simulated = fn.simulate_lesions(150, reference=reference, ell="3 mm", seed=5, min_count=0)
images = simulated.images
print(images)

# %% [markdown]
# ## The fit
# The formula and the call are those of every other model, and the maps have the same names.

# %%
v = fn.fit("lesion ~ I(age - 63)", images, family="binomial(probit)", estimator="spatial")
v

# %% [markdown]
# Voxels in which nobody has a lesion are analysed too, as their neighbours say something about them; a mask of the
# brain (`mask=`) is therefore part of the model. The table of level and smoothness, part of `v.summary()`, has for each
# coefficient its mean over the voxels, and by how much neighbours differ, on the scale of the data.

# %%
print(v.engine.tables[0])

# %%
v.plot("z", "I(age - 63)")

# %% [markdown]
# Beside it, bias-reduced estimates of each voxel alone: how certain they say they are, and how far from the truth they
# lie (root mean squares), by how many of the subjects have a lesion.

# %%
br = fn.fit("lesion ~ I(age - 63)", images, family="binomial(probit)", estimator="mean_br")
lesions = pd.cut(np.asarray(images.counts), [-1, 0, 2, 8, 150], labels=["none", "1-2", "3-8", "more"])
truth = simulated.truth(images).iloc[:, 1].to_numpy()
parts = {"voxels": pd.Series(1.0, range(len(truth))), "true effect": pd.Series(truth)}
for name, fit in (("spatial", v), ("mean BR", br)):
    parts[f"{name}: sd"] = pd.Series(fit.values["se"][:, 1])
    parts[f"{name}: error"] = pd.Series(fit.values["coef"][:, 1] - truth)
groups = pd.DataFrame(parts).groupby(lesions, observed=False)
table = np.sqrt((pd.DataFrame(parts) ** 2).groupby(lesions, observed=False).mean()).assign(
    voxels=groups["voxels"].sum()
)
table.round(4)

# %% [markdown]
# ## What stands out
# `z` is the posterior mean by the posterior standard deviation. A false discovery rate of such z is a convention: their
# tail probabilities are no p values, and the rate is not guaranteed. Two statements are the posterior's own. By voxel,
# the probability that the coefficient is above 0:

# %%
age = "I(age - 63)"
positive = v.maps.at_voxels(("positive", age))
print(f"{(positive > 0.975).sum()} of {v.n_voxels:,} voxels above 0 with a probability of more than 97.5 %")
print(fn.contrast(v, age).threshold("fdr", 0.05))

# %% [markdown]
# And of voxels together: `fn.excursions` draws whole maps from the posterior. The largest set in which **all** effects
# are above 0 with a probability of 95 % (Bolin and Lindgren 2015) answers what a family-wise threshold is used for:

# %%
maps = fn.excursions(v, age, n=300, alternative="greater")
sure = maps.threshold(0.05)
kept = sure.kept
print(maps)
print(f"truly above 0 in that set: {(truth[kept] > 0).sum()} of {kept.sum()}")

# %% [markdown]
# Clusters come with what the posterior says of them: the probability that all of a cluster is above 0, the share of it
# that is (mean, and the bound exceeded with 95 %), and how large the cluster is in maps drawn from the posterior and
# thresholded alike, with an interval (rather larger than the cluster itself, as voxels around it are often above too).

# %%
found = fn.contrast(v, age).threshold("fdr", 0.05)
beliefs = maps.clusters(found)
beliefs[["cluster", "voxels", "peak_z", "all_beyond", "beyond", "beyond_low", "size", "size_low", "size_high"]].round(2)

# %% [markdown]
# ## When which: three estimators where the truth is known
# The comparison of Kindalova, Kosmidis and Nichols (2021), small enough to run here: masks are simulated again and
# again, and each method's map is held against the truth. `underestimated` is the share of estimates below it, `false
# positives` the share of voxels with |z| > 1.96 where there is no effect.

# %%
methods = {"ML": "ml", "mean BR": "mean_br", "spatial": "spatial"}
small = {"n": 250, "replicates": 2, "methods": methods, "ell": "3 mm", "edges": (0.005, 0.05, 1.0)}
coarse = fn.lesion_reference(spacing=10)
study = fn.lesion_study(coarse, **small, largest=(16, 40), seed=1)
null = fn.lesion_study(coarse.without(age), **small, largest=(16, 40), seed=2)
shown = study.to_frame().drop(columns="beyond")
shown["false positives"] = null.to_frame()["beyond"].to_numpy()
shown.round(5)

# %%
study.overlaps().round(2)

# %% [markdown]
# Two repetitions of 821 voxels show the size of things, no more;
# [the benchmark](../benchmarks/lesion-study/README.md) has 3,784 voxels, 1,000 subjects too, and what of the paper's
# findings holds. In short: the spatial model has by far the smallest error, most of all where lesions are rare, and far
# fewer false positives; it pays with a bias, as strong effects spread to weak neighbours. The truth is smooth here, as
# the prior expects; of maps with sharp edges it would gain less. For the effect in one given voxel without what its
# neighbours say, and for p values that hold their level, there are bias reduction and permutation tests.
#
# ## How exact it is
# The default is a normal approximation of the posterior: quick, and the same numbers at every call. Where lesions are
# very rare posteriors are skew and it is rough; a message says so, and `v.engine.check()` holds it against exact
# chains in small pieces of your own mask.
# `estimator=fn.Spatial(method="gibbs")` samples the posterior itself and says whether its chains have met. No R package
# fits the model to a brain; `fn.refit(v, estimator="mean_br")` is the model of single voxels, which R does check.
#
# From a shell:
#
#     formula-neuro fit "lesion ~ age" participants.tsv --mask brain.nii.gz --family "binomial(probit)" \
#         --estimator spatial --out maps --report report.html
#     formula-neuro fit ... --estimator "spatial(gibbs, draws=2000, chains=4)" --seed 7
#
# ## What to write in a paper
# * the mask, whether it was in one piece, and the number of voxels without any lesion;
# * the prior: multivariate CAR on differences between neighbours that share a face, Wishart(P + 1, I) for standardised
#   covariates, a flat level; and the posterior of Sigma;
# * the normal approximation or sampling (Gibbs), with draws, seed and what was said of convergence;
# * z as posterior mean by standard deviation; whether a threshold is a convention (false discovery rate) or a joint
#   probability, and of how many draws.
