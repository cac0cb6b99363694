# %% [markdown]
# # A drug response that comes late
#
# A drug is infused while the brain is scanned, and the signal follows the dose: at once in some regions, minutes later
# in others. One regressor is fitted everywhere. Where the response is late the regressor misses it; its temporal
# derivative is meant to help, but covers a delay of a second or so. Below, the *t* of the derivative's design turns
# **negative** where the response is positive and late. `fn.optimize_design` finds a design whose one signed amplitude
# has little bias for every delay in a range that you give, and says what that costs.
#
# **All signals here are simulated.** The set-up is that of the 2010 manuscript on optimal design matrices for fMRI.

# %%
from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.glm.first_level import FirstLevelModel

import formula_neuro as fn

scan = np.arange(598)  # of 2.5 s: 25 minutes
frame = pd.DataFrame({"infusion": np.clip((scan - 116) / 168, 0, 1), "drift": scan / 598})

# %% [markdown]
# The dose rises for seven minutes and stays. Which delays are plausible is prior knowledge: say from none to 179
# scans, seven and a half minutes. The formula says both, and each shift is one design that could be the true one. The
# amplitude is 3 standard deviations of the noise here, beside a drift of half of one.

# %%
d = fn.optimize_design(
    "~ center(shift(infusion, 0, 179)) + center(drift)",
    frame,
    contrast="infusion",
    fix=["infusion", "drift"],
    columns=3,
    snr={"infusion": 3, "drift": 0.5},
    max_bias=0.05,
)
d

# %% [markdown]
# The first two columns are those that you would have used. The third was found, and replaces the derivative. The
# contrast is still 1 at `infusion`: the estimate is an amplitude, in the unit of the dose, with a sign.

# %%
d.plot()

# %% [markdown]
# ## What it costs
# The third column is nearly collinear with the first two, as any column that frees the estimate from the delay must
# be. So the variance grows. This is the path from little bias to little variance; take the point that your study
# needs.

# %%
d.pareto([0.01, 0.1, 1, 10, 100]).round(3)

# %%
d.plot("pareto")

# %% [markdown]
# If you know that there is no delay, do not use this design: the plain regressor has a far larger *t* then. The
# columns of this table are averages over all delays, and the rivals are rescaled so that they are right on average.
# The first two principal components of the family find a little more on average, with a bias of up to 70 % of the
# amplitude; a larger `max_bias` buys the same.

# %%
d.compare()

# %%
by_delay = d.power().set_index("shift")[["power", "best_power"]].iloc[[0, 60, 120, 179]]
by_delay.round(3)

# %% [markdown]
# ## In nilearn
# 200 voxels, 40 for each of five delays, all with a positive response; and 200 voxels of noise and drift. The design
# is a DataFrame, which `FirstLevelModel` takes as it is. Beside it the usual design: regressor, derivative, drift.

# %%
rng = np.random.default_rng(1)
delays = [0, 60, 100, 150, 179]
centred = frame - frame.mean()


def late(by: int) -> np.ndarray:
    raw = np.concatenate([np.zeros(by), frame["infusion"].to_numpy()[: len(frame) - by]])
    return raw - raw.mean()


signal = np.column_stack([3 * late(by) for by in delays for _ in range(40)] + [np.zeros(598)] * 200)
y = signal + 0.5 * centred[["drift"]].to_numpy() + rng.standard_normal(signal.shape)
image = nib.Nifti1Image(y.T.reshape(20, 20, 1, 598).astype(np.float32), np.eye(4))
mask = nib.Nifti1Image(np.ones((20, 20, 1), np.int8), np.eye(4))

usual = centred.assign(derivative=np.gradient(centred["infusion"].to_numpy()))[["infusion", "derivative", "drift"]]


def t_values(design: pd.DataFrame) -> np.ndarray:
    model = FirstLevelModel(mask_img=mask, noise_model="ols", signal_scaling=False)
    fitted = model.fit(image, design_matrices=design)
    return fitted.compute_contrast(np.eye(design.shape[1])[0], output_type="stat").get_fdata().ravel()


t = pd.DataFrame({"optimal": t_values(d.design), "with derivative": t_values(usual)})
t["delay"] = [str(by) for by in np.repeat(delays, 40)] + ["no response"] * 200
means = t.groupby("delay", sort=False).mean()
means.round(2)

# %% [markdown]
# The responses of all 200 voxels are positive and of one size. The usual design finds the early ones with a large *t*,
# and calls the late ones *deactivations*; the optimal one has the same moderate *t* at any delay: less than the usual
# one where there is no delay, and the right sign where there is one. Without a response both are Student's *t*, since
# drift is a column of both:

# %%
null = t[t["delay"] == "no response"]
(null[["optimal", "with derivative"]].abs() > 1.96).mean()

# %% [markdown]
# ## Read this before you use it
# - Choose the range of delays by what is known, or on other data. A range chosen by looking at the data that it is then
#   fitted to biases inference.
# - `max_bias` holds for the family. For a delay outside it nothing is promised.
# - The noise is white here. For autocorrelated scans give `noise="ar1"`, and prewhiten in the fit too.
# - `d.report("infusion.html")` writes all of this on one page; `d.to_fsl("infusion")` writes FSL's files.
