# %% [markdown]
# # A brain model and its table
#
# A simulation study ends in a table, and a table is what a formula reads. Here a single node of `aln` (a mean field of
# excitatory and inhibitory neurons) is explored over its two inputs; then a small network is fitted to the functional
# connectivity of six people, with a mixed model for what differs between them; last, the BOLD responses that a model
# gives become the family of an optimal design. **All connectomes and measurements are simulated**: no real brain is
# in it.

# %%
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import formula_neuro as fn

# %% [markdown]
# ## One node, many parameters
# 21 x 21 inputs, each run for 2 s, the first second left out: one call, one batch. The rate is low, or high, or
# oscillates (a maximum of about 80 Hz), and the borders between these states are sharp.

# %%
inputs = np.linspace(0, 3, 21)
grid = fn.explore(
    "aln",
    {"mue_ext_mean": inputs, "mui_ext_mean": inputs},
    duration="2 s",
    skip="1 s",
    measure={"max_rate": lambda n: n["rates_exc"].max(), "mean_rate": lambda n: n["rates_exc"].mean()},
    seed=1,
    progress=False,
)
grid.plot("max_rate", x="mue_ext_mean", y="mui_ext_mean")

# %% [markdown]
# ## What a formula may say of it
# `fn.fit` reads the exploration as it is. But these runs have no noise: run them again and every number is the same.
# There is no sampling error, so the standard errors and p values of a regression mean nothing here, and the fit says
# so. R squared says how well the formula describes the surface, which is all that may be asked.

# %%
plane = fn.fit("max_rate ~ mue_ext_mean * mui_ext_mean", grid)
curved = fn.fit("max_rate ~ poly(mue_ext_mean, 3) * poly(mui_ext_mean, 3)", grid)
print(plane.messages[0])
{name: round(float(fn.r2(fit)["r_squared"][0]), 2) for name, fit in {"plane": plane, "cubic": curved}.items()}

# %% [markdown]
# With noise (`sigma_ou`) and repetitions that have random numbers of their own there is something to infer: how far
# the mean of such runs moves with an input, in the part of the plane where the rate is low.

# %%
noisy = fn.explore(
    "aln",
    {"mue_ext_mean": [0.0, 0.1, 0.2, 0.3], "mui_ext_mean": [0.5, 1.0]},
    params={"sigma_ou": 0.1},
    replicates=8,
    duration="2 s",
    skip="1 s",
    measure={"mean_rate": lambda n: n["rates_exc"].mean()},
    seed=1,
    progress=False,
)
low = fn.fit("log(mean_rate) ~ mue_ext_mean + mui_ext_mean", noisy)
low.tidy()[["term", "estimate", "std_error", "p_value"]].round(4)

# %% [markdown]
# ## Six people
# Each has a connectome of 12 areas. The truth is simulated too: three minutes of noisy oscillators (`hopf`) coupled
# with a strength of each person's own, about 0.4. Then one minute is simulated at seven strengths, twice for each
# person, and compared with that person's functional connectivity in two ways: by the correlation of the two matrices
# (Fisher's z of it), and by the root mean square of their difference.

# %%
people = {f"s{i}": fn.Connectome.simulate(12, seed=i) for i in range(1, 7)}
true_strength = dict(zip(people, np.random.default_rng(1).normal(0.4, 0.05, 6), strict=True))
network = {"a": -0.02, "w": 0.06, "sigma_ou": 0.02}
timing = {"dt": 0.5, "every": "5 ms", "bold": {"tr": 1000.0}, "progress": False}
measured = {}
for number, (person, connectome) in enumerate(people.items()):
    given = {**network, "K_gl": true_strength[person]}
    run = fn.simulate("hopf", connectome, given, duration="3 min", seed=100 + number, **timing)
    measured[person] = run.fc("10 s")


def apart(run, fc):
    here = run.fc("10 s")
    upper = np.triu_indices(len(fc), 1)
    return {
        "fc_fit": np.arctanh(fn.measures.matrix_correlation(here, fc)),
        "difference": np.sqrt(((np.asarray(here) - np.asarray(fc))[upper] ** 2).mean()),
    }


strengths = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
fits = fn.explore(
    "hopf", {"K_gl": strengths}, people, network, targets=measured, measure=apart, replicates=2, duration="1 min",
    seed=1, **timing
)  # fmt: skip
fits.to_frame().head(3)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for axis, name in zip(axes, ("fc_fit", "difference"), strict=True):
    for person, own in fits.to_frame().groupby("subject"):
        axis.plot(strengths, own.groupby("K_gl")[name].mean(), label=person, linewidth=1)
    axis.set(xlabel="K_gl", ylabel=name)
axes[0].legend(fontsize="small", ncols=2)
plt.show()

# %% [markdown]
# ## The formula
# People differ in how well any model fits them, so each has a level of its own: `(1|subject)`. The parabola of the
# correlation keeps rising beyond the truth, because a correlation of matrices does not see how strong the connections
# are: **a good correlation says little about the coupling**, and the structural matrix alone has about 0.6 here. The
# difference sees it: its lowest point lies near the strengths that made the data.

# %%
by_fit = fn.fit("fc_fit ~ poly(K_gl, 2) + (1|subject)", fits)
by_difference = fn.fit("difference ~ poly(K_gl, 2) + (1|subject)", fits)
print(by_fit.tidy()[["term", "estimate", "std_error", "df", "p_value"]].round(4))
fine = {"K_gl": np.linspace(0.1, 0.7, 301), "subject": ["s1"] * 301}
answers = {
    "best by correlation": fine["K_gl"][np.argmax(by_fit.predict(fine, random=False))],
    "best by difference": fine["K_gl"][np.argmin(by_difference.predict(fine, random=False))],
    "true mean": np.mean(list(true_strength.values())),
    "structure alone correlates": np.mean(
        [fn.measures.matrix_correlation(people[p].weights, measured[p]) for p in people]
    ),
}
{name: round(float(value), 2) for name, value in answers.items()}

# %% [markdown]
# Two cautions. Each run is compared with one person here, so its noise is nobody else's; where one simulation is
# compared with many people, they share its noise and the model needs `(1|subject) + (1|run)`. And a fit of one person
# has the noise of that person's measurement in every row, which the residuals do not show.
#
# ## From the model to the design of an experiment
# How does BOLD answer a flash? The model says: a short pulse into a Wilson-Cowan node, its BOLD minus that without
# the pulse, for vessels of several speeds (`tau`, `kappa`, `gamma` of the BOLD model).

# %%
pulse = {"exc_ext": fn.stimuli.Step(1.0, start="5 s", end="5.5 s")}


def response(**vessels):
    bold = {"tr": 100.0, "start": "rest", "gain": 0.2, **vessels}
    common = {"params": {"exc_ext": 0.45}, "duration": "35 s", "dt": 0.5, "every": "10 ms", "progress": False}
    runs = [fn.simulate("wc", stimulus=given, bold=bold, seed=1, **common) for given in (pulse, None)]
    change = (np.asarray(runs[0].bold) - np.asarray(runs[1].bold))[50:, 0]
    return change / change.max()


vessels = [{"tau": t, "kappa": k, "gamma": g} for t in (0.7, 1.3) for k in (0.5, 0.8) for g in (0.2, 0.4)]
shapes = [response(**one) for one in vessels]
plt.plot(np.arange(len(shapes[0])) / 10, np.column_stack(shapes), linewidth=1)
plt.xlabel("seconds after the flash")
plt.show()

# %% [markdown]
# These shapes are the family of `fn.optimize_design`: one design matrix whose contrast has a small bias for all of
# them.

# %%
onsets = np.cumsum(np.random.default_rng(2).uniform(8, 16, 22))
events = {"onset": onsets, "duration": np.full(22, 0.5), "trial_type": ["flash"] * 22}
d = fn.optimize_design(
    "~ hrf(trial_type) + cosine(128)", events, tr=2.0, volumes=150, contrast="flash", columns=3,
    hrf=fn.Shapes(shapes, step=0.1), phi=0.1
)  # fmt: skip
d.compare()
