"""What the maps of a fit are called, and what lies beside them: BIDS, FSL and SPM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from .output import INTENTS, SAID, Written, alphanumeric, alphanumerics

if TYPE_CHECKING:
    from ...family import Array
    from ..fit import MapFit

EFFECTS = {"coef": "effect", "se": "variance", "t": "t", "z": "z", "p": "p", "df": "df", "separated": "separated"}
EFFECTS |= {"positive": "positive"}
OF_VOXELS = {
    "incidence": "share of the images with an event",
    "fitted_incidence": "share of the images with an event that the model expects",
    "class": "0 overlap, 1 quasi-complete and 2 complete separation, 3 all zero, 4 all one, 5 undefined",
    "converged": "1 where the search ended well",
    "iterations": "iterations of the search",
    "loglik": "log-likelihood",
    "deviance": "deviance",
    "sigma": "residual standard deviation",
}


# ---- BIDS ----------------------------------------------------------------------------------------
def bids(fit: MapFit) -> Iterator[Written]:
    """Names of the derivatives that fitlins and nilearn write: contrast-age_stat-z_statmap.nii.gz."""
    labels = dict(zip(fit.names, alphanumerics(fit.names), strict=True))
    for key in fit.maps:
        values = fit.maps.at_voxels(key)
        if isinstance(key, tuple):
            statistic, name = EFFECTS[key[0]], key[1]
            about = {"Description": f"{name}: {SAID[statistic]}", "Statistic": statistic, "Contrast": name}
            yield Written(
                f"contrast-{labels[name]}_stat-{statistic}_statmap.nii.gz",
                values**2 if key[0] == "se" else values,
                about,
                _intent(fit, statistic),
            )
        else:
            about = {"Description": OF_VOXELS.get(key, key), "Statistic": key}
            yield Written(f"stat-{alphanumeric(key)}_statmap.nii.gz", values, about)


def _intent(fit: MapFit, statistic: str) -> tuple[str, tuple[float, ...]]:
    if statistic == "t" and "df" not in fit.values:
        return "t test", (fit.df_resid,)
    return INTENTS.get(statistic, ("none", ()))


def beside_bids(fit: MapFit, place: Path) -> list[str]:
    """The mask, the design, the counts by coefficient and the description of the folder."""
    about = {"Name": "Maps of formula_neuro", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    generated = [{"Name": "formula_neuro", "Version": fit.provenance["Software"]["formula_neuro"]}]
    description = place / "dataset_description.json"
    description.write_text(json.dumps(about | {"GeneratedBy": generated}, indent=2) + "\n", encoding="utf-8")
    fit.request.design.X.to_csv(place / "design.tsv", sep="\t", index=False)
    return [_mask(fit, place / "mask.nii.gz"), _counts(fit, place), str(place / "design.tsv"), str(description)]


# ---- FSL -----------------------------------------------------------------------------------------
def fsl(fit: MapFit) -> Iterator[Written]:
    """FSL's names, numbered from 1 in the order of the coefficients; 0 where there is no finite number."""
    letter = "t" if fit.finite_df else "z"
    for number, name in enumerate(fit.names, start=1):
        variance, z = fit.maps.at_voxels(("se", name)) ** 2, fit.maps.at_voxels(("z", name))
        yield _numbered(f"cope{number}.nii.gz", fit.maps.at_voxels(("coef", name)), name, "effect")
        yield _numbered(f"varcope{number}.nii.gz", variance, name, "variance")
        if fit.finite_df:
            yield _numbered(f"tstat{number}.nii.gz", fit.maps.at_voxels(("t", name)), name, "t")
        yield _numbered(f"zstat{number}.nii.gz", z, name, "z")
        said = f"{name}: 1 - p, of one side, as randomise writes it"
        about = {"Description": said, "Contrast": name}
        yield Written(f"vox_p_{letter}stat{number}.nii.gz", special.ndtr(z), about, missing=0.0)
    yield from _of_voxels(fit, ".nii.gz", 0.0)


def _numbered(file: str, values: Array, name: str, statistic: str) -> Written:
    about = {"Description": f"{name}: {SAID[statistic]}", "Statistic": statistic, "Contrast": name}
    return Written(file, values, about, INTENTS.get(statistic, ("none", ())), 0.0)


def _of_voxels(fit: MapFit, ending: str, missing: float) -> Iterator[Written]:
    """What no other program has a name for: incidence, where the search ended, infinite estimates."""
    for name in ("incidence", "converged", "class"):
        if name in fit.words:
            values = np.asarray(fit.words[name], dtype=float)
            yield Written(f"{name}{ending}", values, {"Description": OF_VOXELS[name]}, missing=missing)
    for number, name in enumerate(fit.names, start=1):
        if "separated" in fit.values:
            about = {"Description": f"{name}: {SAID['separated']}", "Contrast": name}
            yield Written(f"separated{number}{ending}", fit.maps.at_voxels(("separated", name)), about, missing=missing)


def beside_fsl(fit: MapFit, place: Path) -> list[str]:
    """The mask, design.mat and design.con as FSL's Glm writes them, the degrees of freedom, and the counts."""
    X, names = fit.request.design.matrix, fit.names
    heights = " ".join(f"{height:.6e}" for height in np.ptp(X, axis=0))
    waves = f"/NumWaves {len(names)}\n"
    (place / "design.mat").write_text(
        f"{waves}/NumPoints {len(X)}\n/PPheights {heights}\n\n/Matrix\n{_matrix(X)}", encoding="utf-8"
    )
    called = "".join(f"/ContrastName{k} {name}\n" for k, name in enumerate(names, start=1))
    ones = " ".join("1" for _ in names)
    (place / "design.con").write_text(
        f"{called}{waves}/NumContrasts {len(names)}\n/PPheights {ones}\n/RequiredEffect {ones}\n\n"
        f"/Matrix\n{_matrix(np.eye(len(names)))}",
        encoding="utf-8",
    )
    paths = [_mask(fit, place / "mask.nii.gz"), _counts(fit, place)]
    paths += [str(place / "design.mat"), str(place / "design.con")]
    if np.isfinite(fit.df_resid):
        (place / "dof").write_text(f"{fit.df_resid:g}\n", encoding="utf-8")
        paths.append(str(place / "dof"))
    return paths


def _matrix(X: Array) -> str:
    return "".join(" ".join(f"{value:.10e}" for value in row) + "\n" for row in X)


# ---- SPM -----------------------------------------------------------------------------------------
def spm(fit: MapFit) -> Iterator[Written]:
    """SPM's names, uncompressed; NaN where there is no finite number. z is SPM's T with infinite degrees of freedom."""
    df = "Inf" if not np.isfinite(fit.df_resid) else f"{fit.df_resid:.1f}"
    letter = "t" if fit.finite_df else "z"
    for number, name in enumerate(fit.names, start=1):
        estimates, about = fit.maps.at_voxels(("coef", name)), {"Contrast": name}
        beta = about | {"Description": f"beta ({number:04d}) - {name}"}
        con = about | {"Description": f"Contrast {number}: {name}"}
        told = about | {"Description": f"SPM{{T_[{df}]}} - contrast {number}: {name}"}
        yield Written(f"beta_{number:04d}.nii", estimates, beta, missing=np.nan)
        yield Written(f"con_{number:04d}.nii", estimates, con, missing=np.nan)
        values = fit.maps.at_voxels((letter, name))
        freedom = ("t test", (fit.df_resid,)) if np.isfinite(fit.df_resid) else ("z score", ())
        yield Written(f"spmT_{number:04d}.nii", values, told, freedom, np.nan)
    if "sigma" in fit.values:
        about = {"Description": "residual variance"}
        yield Written("ResMS.nii", np.asarray(fit.values["sigma"]) ** 2, about, missing=np.nan)
    yield from _of_voxels(fit, ".nii", np.nan)


def beside_spm(fit: MapFit, place: Path) -> list[str]:
    """The mask, the design and the counts; SPM.mat, which only SPM can write, is not among them."""
    fit.request.design.X.to_csv(place / "design.tsv", sep="\t", index=False)
    return [_mask(fit, place / "mask.nii"), _counts(fit, place), str(place / "design.tsv")]


# ---- all -----------------------------------------------------------------------------------------
def _mask(fit: MapFit, path: Path) -> str:
    """The voxels that were analysed, as 0 and 1."""
    made = fit.brain.image(np.ones(fit.n_voxels), 0.0)
    made.set_data_dtype(np.uint8)
    made.to_filename(path)
    return str(path)


def _counts(fit: MapFit, place: Path) -> str:
    fit.tidy().to_csv(place / "coefficients.tsv", sep="\t", index=False)
    return str(place / "coefficients.tsv")
