"""Maps written to a folder: BIDS names with JSON sidecars, or FSL's or SPM's names."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...family import Array

if TYPE_CHECKING:
    from ..fit import MapFit
    from ..inference.threshold import Thresholded
    from ..mapped import Mapped

LAYOUTS = ("bids", "fsl", "spm")
DTYPES = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Written:
    """One map to write: a file's name, values (V,), what its sidecar says besides, and NIfTI's intent with parameters.

    `missing` is the value of voxels without a finite number, as the layout's programs expect it; None keeps NaN and
    infinities.
    """

    name: str
    values: Array
    about: dict[str, Any]
    intent: tuple[str, tuple[float, ...]] = ("none", ())
    missing: float | None = None


def to_nifti(fit: MapFit, folder: str | os.PathLike[str], layout: str = "bids", dtype: str = "float64") -> list[str]:
    """Write all maps of a fit; the paths written. See MapFit.to_nifti."""
    from . import layouts

    place = begun(folder, layout, LAYOUTS, dtype)
    maps = {"bids": layouts.bids, "fsl": layouts.fsl, "spm": layouts.spm}[layout](fit)
    beside = {"bids": layouts.beside_bids, "fsl": layouts.beside_fsl, "spm": layouts.beside_spm}[layout]
    return [*write(fit, place, maps, dtype), *beside(fit, place)]


def begun(folder: str | os.PathLike[str], layout: str, layouts: Sequence[str], dtype: str) -> Path:
    """The folder, made; raises ValueError first for a layout or a type of numbers that is not known."""
    if layout not in layouts:
        raise ValueError(f"layout={layout!r} is not known; there are {', '.join(layouts)}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} is not known; there are {', '.join(DTYPES)}")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    return place


def write(fit: Mapped, folder: str | os.PathLike[str], maps: Iterable[Written], dtype: str = "float64") -> list[str]:
    """Write maps by name, each with a JSON sidecar; the paths written."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    common, paths = dict(fit.provenance), []
    for one in maps:
        path = place / one.name
        values = one.values if one.missing is None else np.where(np.isfinite(one.values), one.values, one.missing)
        made = fit.brain.image(values, 0.0 if one.missing == 0 else np.nan)
        made.set_data_dtype(dtype)
        made.header.set_intent(one.intent[0], one.intent[1], name="")
        made.header["descrip"] = str(one.about.get("Description", ""))[:79].encode("ascii", "replace")
        made.to_filename(path)
        sidecar = place / (one.name.removesuffix(".gz").removesuffix(".nii") + ".json")
        sidecar.write_text(json.dumps(one.about | common, indent=2) + "\n", encoding="utf-8")
        paths += [str(path), str(sidecar)]
    return paths


def provenance(fit: MapFit) -> dict[str, Any]:
    """What made the maps: formula, family, estimator, versions, counts."""
    return model_of(fit) | {
        "Images": fit.nobs,
        "Voxels": fit.n_voxels,
        "Counts": {k: v for k, v in _counts(fit).items() if v},
        "ImagesKey": fit.request.images.key,
        "Messages": list(fit.messages),
    }


def model_of(fit: Any) -> dict[str, Any]:
    """What fitted the maps of any model: formula, family, estimator, backend, versions."""
    request = fit.request
    return {
        "Formula": str(request.design.formula),
        "Model": request.model,
        "Family": str(request.family),
        "Estimator": repr(request.estimator),
        "Backend": fit.backend,
        "Software": versions(),
    }


def versions() -> dict[str, str]:
    """Of this package, Python, and the libraries that decide numbers and files."""
    import platform

    import nibabel
    import scipy

    from ... import __version__

    others = {"numpy": np.__version__, "scipy": scipy.__version__, "nibabel": nibabel.__version__}
    return {"formula_neuro": __version__, "python": platform.python_version(), **others}


def _counts(fit: MapFit) -> dict[str, int]:
    row = fit.glance().iloc[0]
    keys = [k for k in row.index if k not in ("model", "family", "estimator", "backend", "seconds", "df_resid")]
    return {key: int(row[key]) for key in keys}


def named_contrast(
    label: str, values: Mapping[str, Array], labels: Iterable[str], linear: bool = False
) -> Iterator[Written]:
    """The maps of a contrast under BIDS names; the joint statistics of `linear` models are F."""
    words = {"estimate": "effect", "se": "variance", "statistic": "F" if linear else "chi2"}
    for name, found in values.items():
        word = words.get(name, name)
        about = {"Description": f"{label}: {SAID.get(word, word)}", "Statistic": word, "Contrast": label}
        yield Written(
            f"contrast-{alphanumeric(label)}_stat-{word}_statmap.nii.gz",
            found**2 if name == "se" else found,
            about | {"Rows": list(labels)},
            INTENTS.get(word, ("none", ())),
        )


def write_thresholded(found: Thresholded, folder: str | os.PathLike[str]) -> list[str]:
    """The z map where it stands out, the adjusted p values and the clusters; see Thresholded.to_nifti."""
    contrast = found.contrast
    stem = f"contrast-{alphanumeric(contrast.label)}"
    about = {"Contrast": contrast.label, "Method": found.method, "Alpha": found.alpha, "Alternative": found.alternative}
    about |= {"MinimalClusterSize": found.min_size, "Connectivity": found.connectivity, "Kept": int(found.kept.sum())}
    z = np.where(found.kept, contrast.values["z"], 0.0)
    said = f"{contrast.label}: z where it stands out at {found.method} {found.alpha:g}, else 0"
    adjusted = f"{contrast.label}: p values adjusted by {found.method}"
    maps = (
        Written(f"{stem}_stat-z_desc-{found.method}_statmap.nii.gz", z, {"Description": said} | about, INTENTS["z"]),
        Written(
            f"{stem}_stat-p_desc-{found.method}_statmap.nii.gz",
            found.adjusted,
            {"Description": adjusted} | about,
            INTENTS["p"],
        ),
    )
    paths = write(contrast.fit, folder, maps)
    table = Path(folder) / f"{stem}_desc-{found.method}_clusters.tsv"
    found.to_frame().to_csv(table, sep="\t", index=False)
    return [*paths, str(table)]


SAID = {
    "effect": "estimates, on the link's scale",
    "variance": "squared standard errors of the estimates",
    "logp": "-log10 of the p values",
    "t": "t statistics",
    "z": "z, with the tail of t where statistics are t",
    "p": "p values, two-sided of single coefficients",
    "df": "degrees of freedom",
    "positive": "posterior probability that a coefficient is above 0",
    "separated": "sign of an infinite maximum-likelihood estimate, 0 where it is finite",
    "F": "F statistics of several rows",
    "chi2": "chi-squared statistics of several rows",
}
INTENTS: dict[str, tuple[str, tuple[float, ...]]] = {
    "z": ("z score", ()),
    "p": ("p value", ()),
    "effect": ("estimate", ()),
}


def alphanumeric(name: str) -> str:
    """A coefficient's name as BIDS takes one, letters and digits only.

    >>> alphanumeric("age:sexM"), alphanumeric("(Intercept)"), alphanumeric("I(age^2)"), alphanumeric("höhe")
    ('ageXSexM', 'Intercept', 'IAge2', 'hohe')
    """
    plain = unicodedata.normalize("NFKD", name.replace(":", " x ")).encode("ascii", "ignore").decode()
    first, *rest = re.findall(r"[A-Za-z0-9]+", plain) or ["x"]
    return "".join([first, *(word[0].upper() + word[1:] for word in rest)])


def alphanumerics(names: Sequence[str]) -> list[str]:
    """One label a name, told apart by a number also where a file system takes capitals for small letters.

    >>> alphanumerics(["a.b", "a_b", "AB"])
    ['aB', 'aB2', 'AB3']
    """
    made: list[str] = []
    for label in map(alphanumeric, names):
        taken, number, found = {one.lower() for one in made}, 1, label
        while found.lower() in taken:
            number += 1
            found = f"{label}{number}"
        made.append(found)
    return made
