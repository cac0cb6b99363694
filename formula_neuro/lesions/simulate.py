"""simulate_lesions(): masks of new subjects, whose probabilities are those of a reference at every voxel.

    Y(s) = 1[x'b(s) + e(s) > 0],  e a Gaussian random field of variance 1,

so that P(Y(s) = 1) = Phi(x'b(s)) exactly, and neighbours are dependent (Kindalova, Kosmidis and Nichols 2021, 2.2).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.lengths import length, written
from ..errors import DataError
from ..images.stack import Images, analysed
from ..images.store import Indices, InMemory, Store
from ..running.bar import bar
from ..running.fingerprint import fingerprint
from .field import Field, gaussian_field
from .reference import LesionReference, lesion_reference
from .summaries import box

ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)  # of a byte
Bits = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class SimulatedLesions:
    """Simulated masks with the truth: `images` are data for fit(), `reference` holds the coefficients they follow."""

    images: Images
    reference: LesionReference
    ell: str  # "1.5 voxels" or "8 mm"
    seed: int

    @property
    def table(self) -> pd.DataFrame:
        """The covariates of the subjects, one row each."""
        return self.images.table

    def truth(self, images: Images | None = None) -> pd.DataFrame:
        """The true coefficients at the voxels of some images (default: of these), a row a voxel."""
        voxels = (self.images if images is None else images).voxels
        at = np.searchsorted(self.reference.voxels, voxels)
        return pd.DataFrame(self.reference.coefficients[at], columns=list(self.reference.names))

    def to_nifti(self, folder: str | os.PathLike[str]) -> str:
        """Write a mask a subject (sub-001_label-lesion_mask.nii.gz) and participants.tsv; the path of that table."""
        import nibabel as nib

        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        n, images = len(self.images), self.images
        ids = [f"sub-{i + 1:0{len(str(n))}d}" for i in range(n)]
        bits = images.store.rows.take(np.arange(len(images.store.voxels)))
        for i, name in enumerate(ids):
            flat = np.zeros(images.grid.size, np.uint8)
            flat[images.store.voxels] = bits[:, i // 8] >> (7 - i % 8) & 1
            mask = nib.Nifti1Image(flat.reshape(images.grid.shape), images.grid.affine)
            mask.to_filename(place / f"{name}_label-lesion_mask.nii.gz")
        named = self.table.drop(columns=images.response, errors="ignore")
        named.insert(0, "participant_id", ids)
        named[images.response] = [f"{name}_label-lesion_mask.nii.gz" for name in ids]
        named.to_csv(place / "participants.tsv", sep="\t", index=False)
        return str(place / "participants.tsv")

    def __repr__(self) -> str:
        return f"{self.images.messages[0]}; .images are data for fn.fit, .table, .truth(), .to_nifti(folder)"


def simulate_lesions(
    n: int = 250,
    *,
    reference: LesionReference | None = None,
    table: Any = None,
    ell: float | str = "1.5 voxels",
    seed: int = 1,
    min_count: int = 1,
    progress: bool | None = None,
) -> SimulatedLesions:
    """Lesion masks of n subjects from a reference, in memory as bits.

    reference: of lesion_reference(), by default a synthetic one on a grid of 4 mm.
    table: the subjects' covariates (n is then its length); by default numbers are uniform over the reference's range
        and factors have its shares.
    ell: the length scale of the field, exp(-h^2 / (2 ell^2)), as "1.5 voxels" or "8 mm" (a bare number is mm): larger
        ones make fewer and larger lesions.
    seed: every subject has a stream of its own, so that the first 100 of 250 are those of 100.

    >>> s = simulate_lesions(40, reference=lesion_reference(spacing=10), seed=1)
    >>> s.images.binary, len(s.table), list(s.truth().columns)
    (True, 40, ['(Intercept)', 'I(age - 63)'])
    """
    scale, unit = length(ell, "ell")
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n is a number of subjects, 1 or more; got {n!r}")
    known = lesion_reference(spacing=4) if reference is None else reference
    subjects = drawn(known, int(n), seed) if table is None else pd.DataFrame(table).reset_index(drop=True)
    spacing = (1.0, 1.0, 1.0) if unit == "voxels" else tuple(known.grid.voxel_size)
    shape, places = box(known.voxels, known.grid.shape)
    field = gaussian_field(shape, scale, spacing)
    bits = _bits(known, subjects, field, places, seed, progress)
    images = _images(known, subjects, bits, min_count, (written(ell), seed))
    return SimulatedLesions(images, known, written(ell), seed)


def drawn(reference: LesionReference, n: int, seed: int) -> pd.DataFrame:
    """Covariates of n new subjects: numbers uniform over the reference's range, other columns by its shares."""
    columns: dict[str, Any] = {}
    for k, name in enumerate(reference.table.columns):
        rng = np.random.default_rng([seed, 1, k])
        column = reference.table[name].dropna()
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            columns[str(name)] = rng.uniform(float(column.min()), float(column.max()), n)
        else:
            columns[str(name)] = column.iloc[rng.integers(0, len(column), n)].array
    return pd.DataFrame(columns)


def _bits(
    reference: LesionReference, table: pd.DataFrame, field: Field, places: Indices, seed: int, progress: bool | None
) -> Bits:
    """The masks as bits by voxel, (V, ceil(n / 8)): eight subjects at a time are one byte.

    places: of the voxels (V,) in the box that the field is drawn in; it is as good as one of the whole grid.
    """
    X = reference.design.apply(table).matrix
    held = int(np.isfinite(X).all(axis=1).sum())
    if held != len(table):
        raise DataError(f"{len(table) - held} of {len(table)} subjects lack a covariate; simulated subjects have all")
    packed = np.zeros((len(reference.voxels), -(-len(X) // 8)), np.uint8)
    with bar("subjects", len(X), progress) as advance:
        for i, x in enumerate(X):
            e = field.draw(np.random.default_rng([seed, 0, i])).ravel()[places]
            packed[:, i // 8] |= ((reference.coefficients @ x + e > 0).astype(np.uint8)) << (7 - i % 8)
            advance(1)
    return packed


def _images(
    reference: LesionReference, table: pd.DataFrame, bits: Bits, min_count: int, made: tuple[str, int]
) -> Images:
    """The bits as data for fit()."""
    n = len(table)
    counts = ONES[bits].sum(axis=1, dtype=np.int64)
    hit = counts > 0
    bits = bits if hit.all() else bits[hit]
    key = fingerprint(bits)
    complete = np.ones(len(bits), dtype=bool)
    store = Store(reference.grid, n, True, reference.voxels[hit], counts[hit], complete, InMemory(bits), key)
    mask = np.zeros(reference.grid.size, dtype=bool)
    mask[reference.voxels] = True
    inside = mask.reshape(reference.grid.shape)
    rows = np.arange(n, dtype=np.int64)
    voxels, found = analysed(store, inside, rows, min_count)
    ell, seed = made
    kind = "a synthetic reference" if reference.synthetic else "a fitted reference"
    lost = len(reference.voxels) - len(voxels)
    fewer = f"fewer than {min_count} lesions" if min_count > 1 else "no lesion"
    message = (
        f"simulated: {n} masks of {kind}, length scale {ell}, seed {seed}; {lost:,} of "
        f"{len(reference.voxels):,} voxels have {fewer} and are left out"
    )
    named = table.assign(lesion=[f"simulated-{i + 1}" for i in range(n)])
    return Images(named, "lesion", inside, store, rows, min_count, voxels, found, (message,))
