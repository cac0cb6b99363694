"""A store on disk: a folder that is complete or not there, with a manifest of the files that it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ImageError
from .grid import Grid
from .headers import Header
from .store import InFile, Store

FORMAT = 1  # of the folder; another number is made anew
MANIFEST = "manifest.json"


@dataclass(frozen=True, eq=False)
class Kept:
    """A store with what each of its images held, as it lies in a folder."""

    store: Store
    images: pd.DataFrame
    stale: tuple[str, ...] = ()  # names of files that have changed since


def cache_folder() -> Path | None:
    """Where stores are kept: FORMULA_NEURO_CACHE, or formula_neuro in the user's cache; None where it is set to ""."""
    told = os.environ.get("FORMULA_NEURO_CACHE")
    if told == "":
        return None
    home = Path(told) if told else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "formula_neuro"
    return home.expanduser() / "images"


def identity(headers: tuple[Header, ...], options: dict[str, Any]) -> str:
    """A name for these files, read with these options."""
    paths = [(str(_path(header)), header.source.volume) for header in headers]
    return hashlib.blake2b(json.dumps([paths, options]).encode(), digest_size=12).hexdigest()


def _path(header: Header) -> Path:
    assert header.source.path is not None
    return Path(os.path.abspath(header.source.path))


def kept(folder: Path, name: str, headers: tuple[Header, ...]) -> Kept | None:
    """The store in a folder, if it was made from these files; with the names of those that have changed since.

    Raises ImageError where the folder holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    about = _manifest(folder)
    if about.get("format") != FORMAT:
        return None
    if about["name"] != name:
        raise ImageError(
            f"{folder} is a store of other images, or of these with another threshold or grid; give another store="
        )
    images = pd.read_csv(
        folder / "images.tsv", sep="\t", keep_default_na=False, dtype={"hash": str, "kind": str, "path": str}
    )
    now = pd.DataFrame({"size": [h.size for h in headers], "changed": [h.changed for h in headers]})
    differ = (images[["size", "changed"]] != now).any(axis=1)
    stale = tuple(header.source.name for header, changed in zip(headers, differ, strict=True) if changed)
    grid = Grid(tuple(about["shape"]), np.array(about["affine"]))
    voxels, counts, complete = (np.load(folder / f"{what}.npy") for what in ("voxels", "counts", "complete"))
    rows = InFile(folder.absolute() / "rows.npy")
    store = Store(grid, about["images"], about["binary"], voxels, counts, complete, rows, about["key"])
    return Kept(store, images, stale)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ImageError(
            f"{folder} is not a store of images (no {MANIFEST} that can be read); give another store=, or remove it"
        ) from None


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """A folder to build in, which takes the place of `folder` at the end, or goes where something fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield scratch
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def keep(folder: Path, name: str, headers: tuple[Header, ...], store: Store, images: pd.DataFrame) -> pd.DataFrame:
    """Write what stands beside rows.npy; the manifest comes last. Gives the table of images as it is kept."""
    for what in ("voxels", "counts", "complete"):
        np.save(folder / f"{what}.npy", getattr(store, what))
    images = images.assign(
        path=[str(_path(header)) for header in headers],
        size=[header.size for header in headers],
        changed=[header.changed for header in headers],
    )
    images.to_csv(folder / "images.tsv", sep="\t", index=False)
    about = {
        "format": FORMAT,
        "name": name,
        "key": store.key,
        "images": store.n,
        "binary": store.binary,
        "shape": list(store.grid.shape),
        "affine": store.grid.affine.tolist(),
    }
    (folder / MANIFEST).write_text(json.dumps(about, indent=1), encoding="utf-8")
    return images
