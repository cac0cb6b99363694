"""Finished blocks kept on disk, so that a run that was cut short goes on from there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..family import Array
from .whole import whole

Block = tuple[int, int]  # first voxel, and the one after the last


@dataclass(frozen=True)
class Kept:
    """A folder of finished blocks; None keeps nothing. what: blocks of, a word of the files' names."""

    folder: Path | None = None
    what: str = "voxels"

    def load(self, block: Block) -> dict[str, Array] | None:
        """What was kept of a block, or None."""
        path = self.path(block)
        if path is None or not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
        except (OSError, ValueError, EOFError, BadZipFile):  # cut off while it was written
            return None

    def save(self, block: Block, answer: Mapping[str, Array]) -> None:
        """Keep a finished block; it is there whole or not at all."""
        path = self.path(block)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as file:
            np.savez(file, **answer)  # type: ignore[arg-type]

    def forget(self) -> None:
        """Remove the folder: the whole is finished."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, block: Block) -> Path | None:
        """The file of a block, None where nothing is kept."""
        return None if self.folder is None else self.folder / f"{self.what}_{block[0]:09d}_{block[1]:09d}.npz"
