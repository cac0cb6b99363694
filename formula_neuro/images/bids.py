"""A BIDS derivatives folder: participants.tsv and the image of each participant, matched by participant_id."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from ..data.table import MISSING_WORDS
from ..errors import DataError, ImageError
from .checks import some
from .sources import Source, Sources

IMAGE = re.compile(r"sub-(?P<subject>[A-Za-z0-9]+)_(?P<rest>.*?)\.nii(\.gz)?")


def from_bids(folder: Path, response: str) -> Sources:
    """The participants that have an image, one row each, and these images; those without are listed in messages.

    response names the images: the label of masks (sub-01_space-MNI152_label-lesion_mask.nii.gz), else the suffix
    (sub-01_statmap.nii.gz), else any entity (desc-wmh); where nothing bears the name, all *_mask files.
    """
    table = _participants(folder)
    images, notes = _images(folder, response)
    ids = [identity.removeprefix("sub-") for identity in table["participant_id"]]
    kept = [i for i, identity in enumerate(ids) if identity in images]
    without = [identity for identity in ids if identity not in images]
    extra = sorted(set(images) - set(ids))
    if not kept:
        raise ImageError(
            f"{folder}: no participant_id of participants.tsv ({some(ids)}) has an image; there are images of "
            f"{some(extra)}{_lost_zeros(ids, extra)}"
        )
    if without:
        notes.append(f"{len(without)} of {len(ids)} participants have no image and are left out ({some(without)})")
    if extra:
        notes.append(f"{len(extra)} images belong to no row of participants.tsv and are left out ({some(extra)})")
    rows = table.iloc[kept].reset_index(drop=True)
    rows[response] = [str(images[ids[i]]) for i in kept]
    found = tuple(Source(images[ids[i]].name, images[ids[i]]) for i in kept)
    return Sources(rows, response, found, tuple(notes))


def _participants(folder: Path) -> pd.DataFrame:
    """participants.tsv of the folder, or of the data set whose derivatives it holds; identities are texts (001)."""
    places = [place / "participants.tsv" for place in (folder, *folder.resolve().parents[:2])]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"{folder} is a folder; give the path of a csv or tsv file, or of a BIDS derivatives folder: there is no "
            "participants.tsv in it, nor up to two folders above"
        )
    names = [str(name) for name in pd.read_csv(path, sep="\t", nrows=0, encoding="utf-8-sig").columns]
    table = pd.read_csv(
        path,
        sep="\t",
        dtype={"participant_id": str},
        keep_default_na=False,
        na_values={name: MISSING_WORDS for name in names if name != "participant_id"},
        encoding="utf-8-sig",
    )
    if "participant_id" not in table.columns:
        raise DataError(f"{path} has no column participant_id (there are {', '.join(table.columns)})")
    repeated = [name for name, count in Counter(table["participant_id"]).items() if count > 1]
    if repeated:
        raise DataError(f"{path}: {some(repeated)} stand in more than one row; a participant has one")
    return table


def _images(folder: Path, response: str) -> tuple[dict[str, Path], list[str]]:
    """The image of each subject, and what there is to say of the choice."""
    every = [(found, path) for path in sorted(folder.rglob("sub-*.nii*")) if (found := IMAGE.fullmatch(path.name))]
    ways = (rf"(.*_)?label-{re.escape(response)}(_.*)?_mask", rf"(.*_)?{re.escape(response)}", _entity(response))
    for way in (*ways, r"(.*_)?mask"):
        chosen = [(found["subject"], path) for found, path in every if re.fullmatch(way, found["rest"])]
        if chosen:
            said = [f"no image is called {response!r}; all *_mask files are taken"] if way == r"(.*_)?mask" else []
            return _one_each(folder, chosen), [] if response == "mask" else said
    kinds = Counter(found["rest"].rpartition("_")[2] for found, _ in every)
    there = ", ".join(f"{count} *_{kind}" for kind, count in kinds.most_common(5)) or "none of any kind"
    raise ImageError(f"{folder}: there are no images sub-*_{response}.nii.gz or sub-*_mask.nii.gz; there are {there}")


def _entity(response: str) -> str:
    return rf"(.*_)?[a-zA-Z0-9]+-{re.escape(response)}_.*"


def _one_each(folder: Path, chosen: list[tuple[str, Path]]) -> dict[str, Path]:
    counts = Counter(subject for subject, _ in chosen)
    several = [subject for subject, count in counts.items() if count > 1]
    if several:
        shown = [str(path.relative_to(folder)) for subject, path in chosen if subject == several[0]]
        raise ImageError(
            f"{folder}: several images of {len(several)} of {len(counts)} subjects (sub-{several[0]}: {some(shown)}); "
            "choose by a table with a column of paths"
        )
    return dict(chosen)


def _lost_zeros(ids: list[str], images: list[str]) -> str:
    """A hint where 001 has become 1."""
    if {identity.lstrip("0") for identity in ids} & {name.lstrip("0") for name in images}:
        return "; the identities differ in leading zeros, so keep them as text (001, not 1)"
    return ""
