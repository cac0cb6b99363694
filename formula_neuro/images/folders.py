"""A store on disk: a folder that is complete or not there, with a manifest of the files that it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ImageError
from .checks import Stamp
from .grid import Grid
from .sources import Source
from .store import InFile, Store

FORMAT = 1  # of the folder; another number is made anew
MANIFEST = "manifest.json"
ARRAYS = ("rows.npy", "voxels.npy", "counts.npy", "complete.npy")
WHAT = "images packed by formula_neuro"


@dataclass(frozen=True, eq=False)
class Kept:
    """A store with what each of its images held, and what its headers gave to say."""

    store: Store
    images: pd.DataFrame
    notes: tuple[str, ...] = ()


def cache_folder() -> Path | None:
    """Where stores are kept: FORMULA_NEURO_CACHE, or formula_neuro in the user's cache; None where it is set to ""."""
    told = os.environ.get("FORMULA_NEURO_CACHE")
    if told == "":
        return None
    home = Path(told) if told else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "formula_neuro"
    return home.expanduser() / "images"


def usable(folder: Path) -> str:
    """Why nothing can be written beside a folder; "" where it can."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def identity(images: Sequence[Source], options: dict[str, Any]) -> str:
    """A name for these files, read with these options."""
    paths = [(_path(source), source.volume) for source in images]
    return hashlib.blake2b(json.dumps([paths, options]).encode(), digest_size=12).hexdigest()


def _path(source: Source) -> str:
    return os.path.abspath(source.path) if source.path is not None else ""


def kept(folder: Path, name: str, stamps: Sequence[Stamp]) -> tuple[Kept, list[int]] | None:
    """The store in a folder, if one was made of these files; and which of them have changed since.

    Raises ImageError where the folder holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    about = _manifest(folder)
    if about.get("format") != FORMAT or not all((folder / file).exists() for file in (*ARRAYS, "images.tsv")):
        return None
    if about["name"] != name:
        raise ImageError(
            f"{folder} is a store of other images, or of these with another threshold or grid; give another store="
        )
    texts = {"hash": str, "kind": str, "path": str}
    images = pd.read_csv(folder / "images.tsv", sep="\t", keep_default_na=False, dtype=texts)
    before = zip(images["size"].tolist(), images["changed"].tolist(), strict=True)
    stale = [i for i, (then, now) in enumerate(zip(before, stamps, strict=True)) if then != now]
    return Kept(_store(folder, about), images, tuple(about["notes"])), stale


def _store(folder: Path, about: dict[str, Any]) -> Store:
    folder = folder.absolute()
    grid = Grid(tuple(about["shape"]), np.array(about["affine"]))
    voxels, counts, complete = (np.load(folder / f"{what}.npy") for what in ("voxels", "counts", "complete"))
    rows = InFile(folder / "rows.npy")
    return Store(grid, about["images"], about["binary"], voxels, counts, complete, rows, about["key"], folder)


def reopened(folder: Path, key: str) -> Store:
    """The store of a folder, which must be the one of this key still."""
    about = _manifest(folder)
    if about.get("key") != key:
        raise ImageError(f"{folder}: the packed images were made anew since; call read_images again")
    return _store(folder, about)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        about = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        if about.get("what") == WHAT:  # a folder of something else must never be replaced
            return about
    except (OSError, ValueError, TypeError):
        pass
    raise ImageError(
        f"{folder} is not a store of images (no {MANIFEST} of ours that can be read); give another store=, or remove it"
    )


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """A folder to build in, which takes the place of `folder` at the end, or goes where something fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}"
    scratch.mkdir()  # with the rights that the user gives to all folders: a store may be shared
    try:
        yield scratch
        for last in (False, False, True):
            try:
                os.replace(scratch, folder)
                break
            except OSError:  # an older store is there, or another process has just finished the same one
                if last or not folder.exists():
                    raise
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def keep(folder: Path, name: str, images: Sequence[Source], stamps: Sequence[Stamp], held: Kept) -> None:
    """Write what stands beside rows.npy; the manifest comes last."""
    for what in ("voxels", "counts", "complete"):
        np.save(folder / f"{what}.npy", getattr(held.store, what))
    sizes, times = zip(*stamps, strict=True)
    table = held.images.assign(path=[_path(source) for source in images], size=sizes, changed=times)
    table.to_csv(folder / "images.tsv", sep="\t", index=False)
    about = {
        "what": WHAT,
        "format": FORMAT,
        "name": name,
        "key": held.store.key,
        "images": held.store.n,
        "binary": held.store.binary,
        "shape": list(held.store.grid.shape),
        "affine": held.store.grid.affine.tolist(),
        "notes": list(held.notes),
    }
    (folder / MANIFEST).write_text(json.dumps(about, indent=1), encoding="utf-8")
