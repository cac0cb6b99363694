"""Maps written to a folder: BIDS names with JSON sidecars, or FSL's or SPM's names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..family import Array
from .maps import image

if TYPE_CHECKING:
    from .fit import MapFit
    from .threshold import Thresholded

Named = tuple[str, Array, dict[str, Any]]  # a file's name, the map's values, and what its sidecar says besides
LAYOUTS = ("bids", "fsl", "spm")
EFFECTS = {"coef": "effect", "se": "stderror", "t": "t", "z": "z", "p": "p", "df": "df", "separated": "separated"}


def to_nifti(fit: MapFit, folder: str | os.PathLike[str], layout: str = "bids") -> list[str]:
    """Write all maps of a fit; the paths written. See MapFit.to_nifti."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r} is not known; there are {', '.join(LAYOUTS)}")
    named = {"bids": _bids, "fsl": _fsl, "spm": _spm}[layout]
    return [*write(fit, folder, named(fit)), *_beside(fit, Path(folder))]


def write(fit: MapFit, folder: str | os.PathLike[str], named: Iterable[Named]) -> list[str]:
    """Write maps by name, each with a JSON sidecar; the paths written."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, values, about in named:
        path = place / name
        image(fit, values).to_filename(path)
        sidecar = place / (name.removesuffix(".gz").removesuffix(".nii") + ".json")
        sidecar.write_text(json.dumps(about | provenance(fit), indent=2) + "\n", encoding="utf-8")
        paths += [str(path), str(sidecar)]
    return paths


def provenance(fit: MapFit) -> dict[str, Any]:
    """What made the maps: formula, family, estimator, versions, counts."""
    from .. import __version__

    request = fit.request
    return {
        "Formula": str(request.design.formula),
        "Model": request.model,
        "Family": str(request.family),
        "Estimator": repr(request.estimator),
        "Backend": fit.backend,
        "Software": {"formula_neuro": __version__, "numpy": np.__version__},
        "Images": fit.nobs,
        "Voxels": fit.n_voxels,
        "Counts": {k: v for k, v in _counts(fit).items() if v},
        "ImagesKey": request.images.key,
        "Messages": list(fit.messages),
    }


def _counts(fit: MapFit) -> dict[str, int]:
    row = fit.glance().iloc[0]
    keys = [k for k in row.index if k not in ("model", "family", "estimator", "backend", "seconds", "df_resid")]
    return {key: int(row[key]) for key in keys}


def _bids(fit: MapFit) -> Iterator[Named]:
    """Names of the derivatives that fitlins and nilearn write: contrast-age_stat-z_statmap.nii.gz."""
    for key in fit.maps:
        values = fit.maps.at_voxels(key)
        if isinstance(key, tuple):
            stat, name = EFFECTS[key[0]], key[1]
            about = {"Statistic": key[0], "Contrast": name}
            yield f"contrast-{alphanumeric(name)}_stat-{stat}_statmap.nii.gz", values, about
        else:
            yield f"stat-{alphanumeric(key)}_statmap.nii.gz", values, {"Statistic": key}


def _fsl(fit: MapFit) -> Iterator[Named]:
    """FSL's names, numbered from 1 in the order of the coefficients."""
    for number, name in enumerate(fit.names, start=1):
        about = {"Contrast": name}
        se = fit.maps.at_voxels(("se", name))
        yield f"cope{number}.nii.gz", fit.maps.at_voxels(("coef", name)), about
        yield f"varcope{number}.nii.gz", se**2, about
        if fit.finite_df:
            yield f"tstat{number}.nii.gz", fit.maps.at_voxels(("t", name)), about
        yield f"zstat{number}.nii.gz", fit.maps.at_voxels(("z", name)), about
        yield f"1-p{number}.nii.gz", 1 - fit.maps.at_voxels(("p", name)), about


def _spm(fit: MapFit) -> Iterator[Named]:
    """SPM's names, uncompressed."""
    for number, name in enumerate(fit.names, start=1):
        about = {"Contrast": name}
        letter = "T" if fit.finite_df else "Z"
        yield f"beta_{number:04d}.nii", fit.maps.at_voxels(("coef", name)), about
        yield f"spm{letter}_{number:04d}.nii", fit.maps.at_voxels((letter.lower(), name)), about
    if "sigma" in fit.values:
        yield "ResMS.nii", np.asarray(fit.values["sigma"]) ** 2, {"Statistic": "residual variance"}


def named_contrast(label: str, values: Mapping[str, Array], labels: Iterable[str]) -> Iterator[Named]:
    """The maps of a contrast under BIDS names."""
    words = {"estimate": "effect", "se": "stderror", "statistic": "joint"}
    for name, found in values.items():
        about = {"Statistic": name, "Contrast": label, "Rows": list(labels)}
        yield f"contrast-{alphanumeric(label)}_stat-{words.get(name, name)}_statmap.nii.gz", found, about


def write_thresholded(found: Thresholded, folder: str | os.PathLike[str]) -> list[str]:
    """The z map where it stands out, the adjusted p values and the clusters; see Thresholded.to_nifti."""
    contrast = found.contrast
    stem = f"contrast-{alphanumeric(contrast.label)}"
    about = {"Contrast": contrast.label, "Method": found.method, "Alpha": found.alpha, "Tail": found.tail}
    about |= {"MinimalClusterSize": found.min_size, "Connectivity": found.connectivity, "Kept": int(found.kept.sum())}
    z = np.where(found.kept, contrast.values["z"], 0.0)
    named = (
        (f"{stem}_stat-z_desc-{found.method}_statmap.nii.gz", z, about),
        (f"{stem}_stat-p_desc-{found.method}_statmap.nii.gz", found.adjusted, about),
    )
    paths = write(contrast.fit, folder, named)
    table = Path(folder) / f"{stem}_desc-{found.method}_clusters.tsv"
    found.table().to_csv(table, sep="\t", index=False)
    return [*paths, str(table)]


def alphanumeric(name: str) -> str:
    """A coefficient's name as BIDS takes one, letters and digits only.

    >>> alphanumeric("age:sexM"), alphanumeric("(Intercept)"), alphanumeric("I(age^2)")
    ('ageXSexM', 'Intercept', 'IAge2')
    """
    words = re.sub(r":", " x ", name)
    first, *rest = re.findall(r"[A-Za-z0-9]+", words) or ["x"]
    return first + "".join(word[0].upper() + word[1:] for word in rest)


def _beside(fit: MapFit, place: Path) -> list[str]:
    """The mask that was analysed, and the tables of coefficients, subjects and the whole."""
    import nibabel as nib

    images = fit.request.images
    inside = images.unmask(np.ones(fit.n_voxels), fill=0.0).astype(np.uint8)
    nib.Nifti1Image(inside, images.grid.affine).to_filename(place / "mask.nii.gz")
    fit.tidy().to_csv(place / "coefficients.tsv", sep="\t", index=False)
    fit.request.design.X.to_csv(place / "design.tsv", sep="\t", index=False)
    about = {"Name": "formula_neuro maps", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    generated = [{"Name": "formula_neuro", "Version": provenance(fit)["Software"]["formula_neuro"]}]
    text = json.dumps(about | {"GeneratedBy": generated}, indent=2) + "\n"
    (place / "dataset_description.json").write_text(text, encoding="utf-8")
    names = ("mask.nii.gz", "coefficients.tsv", "design.tsv", "dataset_description.json")
    return [str(place / name) for name in names]
