# %% [markdown]
# # From a folder of lesion masks to a reported map
#
# One mask a subject, one table of covariates, and the question where in the brain lesions go with age, sex or a score.
# The masks are 0 and 1, so the model of a voxel is a probit or logistic regression, and a whole map is thousands of
# them. Two things go wrong with ordinary tools: rare lesions *separate* (the estimate is infinite, and software prints
# a large number), and linear models of 0 and 1 predict probabilities outside their range. This page goes from files to
# a map with both under control, and ends with R's verdict.
#
# **The masks are simulated.** They follow a synthetic reference with lesions around the ventricles, more of them with
# age; sex has no effect at all in it. The setting is that of Kindalova, Kosmidis and Nichols (2021), who fitted
# `lesion ~ sbp + age*sex + headsize` to 13,680 subjects of UK Biobank and found the estimate of sex infinite in 32 % of
# the voxels.

# %%
from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import formula_neuro as fn

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(7)
n = 250
people = pd.DataFrame({"age": rng.uniform(45, 82, n).round(1), "sex": rng.choice(["F", "M"], n)})
simulated = fn.simulate_lesions(table=people, reference=fn.lesion_reference(spacing=4), seed=7)
subjects = simulated.to_nifti(folder / "masks")
pd.read_csv(subjects, sep="\t").head(3)

# %% [markdown]
# ## Reading
# `read_images` looks at every header first (shape, affine, values), names what does not fit, reads each file once and
# packs the masks to bits, a voxel after the other. What it keeps in `store` is where the next session starts. A mask of
# the brain is given with `mask=`; without one, the voxels are taken that are 1 in any image. `min_count` is the least
# number of lesions that a voxel needs.

# %%
images = fn.read_images(subjects, "lesion", store=folder / "store")
print(images)
print("\n".join(images.messages))

# %% [markdown]
# ## The fit
# The formula is R's, and every coefficient becomes a map. `mean_br` is mean bias reduction (Firth 1993), whose
# estimates are finite in every voxel. (`fn.fit("lesion ~ age + sex", "participants.tsv", mask="brain.nii.gz", ...)`
# reads and fits in one call.)

# %%
br = fn.fit("lesion ~ age + sex", images, family="binomial(probit)", estimator="mean_br")
br

# %%
br.plot("incidence")

# %%
br.plot("z", "age")

# %% [markdown]
# ## Where maximum likelihood is infinite
# The same model by maximum likelihood. It is not the size of a number that tells an infinite estimate, but a linear
# programme in every voxel (Konis 2007): is there a direction of the coefficients that predicts its lesions perfectly?

# %%
ml = fn.fit("lesion ~ age + sex", images, family="binomial(probit)")
ml.tidy()[["term", "voxels", "separated", "to_plus_infinity", "to_minus_infinity", "beyond_1.96", "discoveries"]]

# %%
ml.plot("separated", "sexM")

# %% [markdown]
# The reason is plain: where only a few subjects have a lesion, they are easily all women or all men. The share of
# voxels with an infinite effect of sex falls with the number of lesions:

# %%
j = ml.names.index("sexM")
by_voxel = pd.DataFrame(
    {
        "lesions": pd.cut(images.counts, [0, 1, 2, 4, 8, 16, n], labels=["1", "2", "3-4", "5-8", "9-16", "more"]),
        "infinite": ml.values["separated"][:, j] != 0,
        "ml": np.abs(ml.values["coef"][:, j]),
        "mean_br": np.abs(br.values["coef"][:, j]),
    }
)
finite = by_voxel[~by_voxel["infinite"]].groupby("lesions", observed=False)[["ml", "mean_br"]].median()
shares = by_voxel.groupby("lesions", observed=False)["infinite"].agg(["size", "mean"])
by_count = shares.set_axis(["voxels", "infinite"], axis=1).join(finite)
by_count.round(2)

# %% [markdown]
# The last two columns are the median sizes of the estimates where both are finite: the truth is 0, and bias reduction
# is closer to it where lesions are rare. Here is one such voxel as a table, and what the two estimators make of it.
# `v.at` gives the fit of one voxel, by its number or by its millimetres, with everything that a fit on a table
# answers.

# %%
number = int(np.argmax(np.where(by_voxel["infinite"], images.counts, 0)))  # the one with the most lesions
print(pd.crosstab(images.table["sex"], pd.Series(images.block(number, number + 1)[0], name="lesion")), "\n")
print("maximum likelihood:", ml.coef.iloc[number].round(3).to_dict())
print("mean bias reduction:", br.coef.iloc[number].round(3).to_dict(), "\n")
print(br.at(number).tidy()[["term", "estimate", "std_error", "p_value"]].round(3).to_string(index=False))

# %% [markdown]
# ## What stands out
# Thousands of tests need an error rate for all of them together. `threshold` takes the false discovery rate (Benjamini
# and Hochberg, or `"by"` for any dependence) or Bonferroni's bound, and the voxels that stand out are gathered to
# clusters. Voxels without a z take no part.

# %%
age = fn.contrast(br, "age").threshold("fdr", 0.05)
age.to_frame().round({"peak_z": 2})

# %% [markdown]
# The reference has an effect of age everywhere, and none of sex:

# %%
sex = fn.contrast(br, "sexM").threshold("fdr", 0.05)
truth = simulated.truth(images)
print(f"age: {age.kept.sum():,} of {br.n_voxels:,} voxels; sex: {sex.kept.sum():,}")
common = images.counts >= 13  # an incidence of 5 %
slope = truth.iloc[:, 1].to_numpy()
print("mean of the true slopes where lesions are common:", round(float(slope[common].mean()), 4))
print("mean of the estimates there:", round(float(br.coef["age"].to_numpy()[common].mean()), 4))

# %%
br.plot("histogram")

# %% [markdown]
# `|z| > 1.96` holds in fewer than 5 % of the voxels for sex: Wald's test is careful where lesions are rare. A shift of
# a histogram is no proof by itself, because neighbouring voxels are alike.
#
# ## R beside it
# The same voxel in R; its table is the subjects' with the voxel's values as `lesion`:
#
# ```r
# library(brglm2)
# d <- read.delim("participants.tsv")
# d$lesion <- sapply(d$lesion, function(file) RNifti::readNifti(file)[i, j, k])
# m <- glm(lesion ~ age + sex, family = binomial("probit"), data = d, method = "brglmFit", type = "AS_mean")
# ```
#
# `fn.crosscheck` does that for a random sample of voxels, and shows where the numbers differ most:

# %%
try:
    verdict = str(fn.crosscheck(br, voxels=20))
except fn.errors.RMissing as missing:
    verdict = f"not shown here: {missing}"
print(verdict)

# %% [markdown]
# ## Out
# Maps go to NIfTI, by default under the names that BIDS derivatives have (`layout="fsl"` and `"spm"` for those
# programs), each with a JSON file that says formula, versions and counts; the report is one HTML page.

# %%
paths = br.to_nifti(folder / "maps")
print("\n".join(sorted(Path(path).name for path in paths if path.endswith(".nii.gz"))))
page = br.report(folder / "report.html")
print(f"{Path(page).name}: {Path(page).stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# From a shell, all of it in one line:
#
#     formula-neuro fit "lesion ~ age + sex" participants.tsv --mask brain.nii.gz --family "binomial(probit)" \
#         --estimator mean_br --out maps --report report.html --crosscheck
#
# ## What to write in a paper
# * which voxels were analysed: the mask, `min_count`, and how many voxels that left;
# * the model, its link and its estimator, and in how many voxels maximum likelihood was infinite for each coefficient;
# * the error rate over voxels and its method, the number of voxels tested, and both tails;
# * versions: they stand in every sidecar.
