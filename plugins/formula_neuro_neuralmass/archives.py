"""Names of the files that runs and evolutions are kept in: a name without .npz is one with it."""

from __future__ import annotations

from pathlib import Path


def to_write(path: str | Path) -> Path:
    """The path, which gets the ending .npz where it has another.

    >>> to_write("runs/first").name, to_write("first.npz").name
    ('first.npz', 'first.npz')
    """
    return Path(path) if Path(path).suffix == ".npz" else Path(f"{path}.npz")


def to_read(path: str | Path) -> Path:
    """The file that is there under this name or, as it was written, under the name with .npz.

    Raises FileNotFoundError.
    """
    for target in (Path(path), to_write(path)):
        if target.is_file():
            return target
    raise FileNotFoundError(f"{path}: there is no such file (looked in {Path(path).absolute().parent})")
