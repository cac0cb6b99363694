"""The pictures of the front page and of README, made anew: python docs/images/make.py"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import formula_neuro as fn

HERE = Path(__file__).parent

m = fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial")
m.plot().savefig(HERE / "waterlick.png", dpi=100)
m.plot("effects").savefig(HERE / "waterlick-effect.png", dpi=150)

masks = fn.simulate_lesions(250, reference=fn.lesion_reference(spacing=4), seed=7, progress=False).images
v = fn.fit("lesion ~ age", masks, family="binomial(probit)", estimator="mean_br")
v.plot("z", "age").savefig(HERE / "lesion-map.png", dpi=110, bbox_inches="tight")
