"""Mixed models in every voxel beside lme4 in a loop over voxels, and beside BLMM's iteration; prints a markdown table.

50 subjects with 10 images each, 3 fixed columns. R is timed inside one R process by its formula calls, on few voxels
drawn from the same ones; processor time on both sides. BLMM's iteration is pseudo simplified Fisher scoring
(Maullin-Sapey & Nichols 2021) written here from the paper for one random effect a level, all voxels at once, by maximum
likelihood, to the change of 1e-6 in log-likelihood at which BLMM stops; of its answers only the coefficients and
variances are made.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread on both sides

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import nibabel as nib
import numpy as np
import pandas as pd

import formula_neuro as fn
from formula_neuro.images.stack import Images
from formula_neuro.maps.fit import MapFit

SUBJECTS, IMAGES = 50, 10
REPEATS = 3


@dataclass(frozen=True)
class Case:
    name: str
    formula: str
    voxels: int
    in_r: int
    family: str = "gaussian"

    @property
    def r_call(self) -> str:
        text = self.formula.replace("bold", "y")
        return f"lmer({text}, d)" if self.family == "gaussian" else f"glmer({text}, d, family = binomial)"


CASES = [
    Case("(1|site), REML", "bold ~ x + group + (1|site)", 10_000, 60),
    Case("(1 + t|site), REML", "bold ~ x + group + (1 + t|site)", 2_000, 30),
    Case("binomial, (1|site)", "bold ~ x + group + (1|site)", 1_000, 15, "binomial"),
]


def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    site = np.repeat(np.arange(SUBJECTS), IMAGES)
    t = np.tile(np.linspace(-1, 1, IMAGES), SUBJECTS)
    return pd.DataFrame({"x": rng.normal(size=len(site)), "t": t, "group": site % 2, "site": site})


def responses(d: pd.DataFrame, case: Case) -> np.ndarray:
    """(n, voxels): standard deviations between subjects from 0 to 1."""
    rng = np.random.default_rng(2)
    n, V = len(d), case.voxels
    sd = rng.uniform(0, 1, V)
    eta = 0.5 * d["x"].to_numpy()[:, None] + (rng.normal(size=(SUBJECTS, V)) * sd)[d["site"]]
    eta += (0.5 * rng.normal(size=(SUBJECTS, V)) * sd)[d["site"]] * d["t"].to_numpy()[:, None]
    if case.family == "gaussian":
        return 10 + eta + rng.normal(size=(n, V))
    return (rng.random((n, V)) < 1 / (1 + np.exp(1 - eta))).astype("u1")


def images_of(d: pd.DataFrame, Y: np.ndarray) -> Images:
    volumes = [nib.Nifti1Image(row.reshape(-1, 1, 1), np.eye(4)) for row in Y]
    d = d.assign(bold=volumes, group=d["group"].astype(str), site=[f"s{g}" for g in d["site"]])
    return fn.read_images(d, "bold", progress=False)


def ours(case: Case, images: Images) -> tuple[float, MapFit]:
    """Seconds of the fit with its design, the images being read."""
    took = []
    for _ in range(REPEATS):
        began = time.process_time()
        fit = fn.fit(case.formula, images, family=case.family, progress=False)
        took.append(time.process_time() - began)
    assert isinstance(fit, MapFit)
    return median(took), fit


def lme4(case: Case, d: pd.DataFrame, Y: np.ndarray, folder: Path) -> tuple[float, np.ndarray]:
    """Seconds a voxel, and the criteria."""
    d.to_csv(folder / "design.csv", index=False)
    pd.DataFrame(Y[:, : case.in_r]).to_csv(folder / "responses.csv", index=False, float_format="%.17g")
    script = Path(__file__).with_name("voxel_mixed.R")
    done = subprocess.run(
        ["Rscript", str(script), str(folder), case.r_call, str(folder / "out.txt")], check=True, capture_output=True
    )
    print(done.stdout.decode().strip())
    lines = (folder / "out.txt").read_text().split()
    return float(lines[0]), np.array(lines[1:], dtype=float)


def scoring(d: pd.DataFrame, Y: np.ndarray) -> tuple[float, np.ndarray, int]:
    """BLMM's iteration for one random intercept: seconds, the ratio of variances (V,), and iterations."""
    X = np.column_stack([np.ones(len(d)), d["x"], d["group"]])
    Z = (d["site"].to_numpy()[:, None] == np.arange(SUBJECTS)).astype(float)
    n, ZZ, ZX, XX = len(d), Z.sum(axis=0), Z.T @ X, X.T @ X
    began = time.process_time()
    ZY, XY, YY = Z.T @ Y, X.T @ Y, np.einsum("nv,nv->v", Y, Y)
    b = np.linalg.solve(XX, XY)
    s2 = (YY - np.einsum("pv,pv->v", b, XY)) / n
    D = np.zeros(Y.shape[1])
    last, active, count = np.full(len(D), -np.inf), np.arange(len(D)), 0
    outer = (ZX[:, :, None] * ZX[:, None, :]).reshape(SUBJECTS, -1)
    while len(active) and count < 200:
        count += 1
        zy, xy, yy = ZY[:, active], XY[:, active], YY[active]
        c = D[active] / (1 + ZZ[:, None] * D[active])
        XVX = XX - (c.T @ outer).reshape(-1, 3, 3)
        XVY = xy - ZX.T @ (c * zy)
        b = np.linalg.solve(XVX, XVY.T[:, :, None])[:, :, 0].T
        e2 = yy - 2 * np.einsum("pv,pv->v", b, xy) + np.einsum("pv,pv->v", b, XX @ b)
        Ze = zy - ZX @ b
        s2 = (e2 - (c * Ze**2).sum(axis=0)) / n
        ratio = 1 / (1 + ZZ[:, None] * D[active])
        T, H = ratio * Ze, ratio * ZZ[:, None]
        score, information = ((T**2 / s2) - H).sum(axis=0) / 2, (H**2).sum(axis=0) / 2
        D[active] = np.maximum(D[active] + score / information, 0.0)
        loglik = -(n * np.log(s2) - np.log(ratio).sum(axis=0) + n) / 2
        left = np.abs(loglik - last[active]) > 1e-6
        last[active] = loglik
        active = active[left]
    return time.process_time() - began, D, count


BAR = "\\|"  # inside a table
HEADS = (
    "model", "voxels", "seconds", "microseconds a voxel", "lme4, ms a voxel", "lme4 / here", "-2 log-likelihoods apart",
)  # fmt: skip


def main() -> None:
    d = table()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for case in CASES:
            Y = responses(d, case)
            seconds, fit = ours(case, images_of(d, Y))
            each, values = lme4(case, d, Y, Path(place))
            gap = float(np.abs(-2 * fit.values["loglik"][: len(values)] - values).max())
            micro = 1e6 * seconds / case.voxels
            rows.append([case.name, case.voxels, seconds, micro, 1e3 * each, 1e6 * each / micro, gap])
            if case is CASES[0]:
                other, D, count = scoring(d, Y)
                by_ml = fn.fit(case.formula, images_of(d, Y), estimator="ml", progress=False)
                apart = float(np.abs(np.sqrt(D) - by_ml.values["theta"][:, 0]).max())
                said = f"BLMM's iteration: {other:.2f} s ({count} iterations), theta off by up to {apart:.1g}"
    print(f"| {' | '.join(HEADS)} |\n|---|{'---:|' * (len(HEADS) - 1)}")
    for name, voxels, seconds, micro, each, ratio, gap in rows:
        cells = f"{voxels:,} | {seconds:.2f} | {micro:.0f} | {each:.1f} | {ratio:.0f} | {gap:.1e}"
        print(f"| {name.replace('|', BAR)} | {cells} |")
    print(said)


if __name__ == "__main__":
    main()
