"""What can be known of an image before its data are read: its file, its grid and how its values are kept."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from .grid import Grid, displacement, grid_of
from .sources import Source


@dataclass(frozen=True, eq=False)
class Header:
    """The grid of one image, the type of its values after scaling, its file's size and time, and what is odd."""

    source: Source
    grid: Grid
    dtype: np.dtype[Any]
    size: int = 0  # bytes
    changed: int = 0  # ns since 1970
    oddity: str = ""


def header(source: Source) -> Header:
    """The checked header; raises ImageError and FileNotFoundError that name the image."""
    image = opened(source)
    shape = image.shape
    stacked = len(shape) == 4 and source.volume is not None
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 1 and not stacked):
        what = f"{shape[3]} volumes" if len(shape) == 4 else f"the shape {shape}"
        raise ImageError(f"{source.name} has {what}; an image a row is expected (a 4-D file of all rows is response=)")
    grid = grid_of(image)
    if 0 in shape:
        raise ImageError(f"{source.name} has no voxels: its shape is {shape}")
    if not np.isfinite(grid.affine).all() or abs(np.linalg.det(grid.affine[:3, :3])) < 1e-9:
        raise ImageError(f"{source.name}: its affine places no voxels in space ({grid.affine[:3].round(3).tolist()})")
    dtype = _scaled_type(image, source)
    if source.path is None:
        return Header(source, grid, dtype, oddity=_oddity(image, grid))
    stat = source.path.stat()
    return Header(source, grid, dtype, stat.st_size, stat.st_mtime_ns, _oddity(image, grid))


def opened(source: Source) -> Any:
    """The nibabel image of a source, its data unread."""
    if source.image is not None:
        return source.image
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    assert source.path is not None
    if not source.path.exists():
        raise FileNotFoundError(f"{source.path}: there is no such file")
    try:
        return nibabel.load(source.path)
    except (ImageFileError, HeaderDataError) as error:
        raise ImageError(f"{source.name}: its header cannot be read ({error})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"{source.name}: the file is damaged or no image ({error}); copy it anew") from None


def _scaled_type(image: Any, source: Source) -> np.dtype[Any]:
    """Whole numbers stay so unless the header scales them."""
    stored = np.dtype(image.get_data_dtype())
    if stored.kind not in "iufb":
        raise ImageError(f"{source.name} holds values of type {stored}; real numbers are expected")
    slope, inter = getattr(image.dataobj, "slope", 1.0), getattr(image.dataobj, "inter", 0.0)
    return stored if (slope, inter) == (1.0, 0.0) else np.dtype(float)


def _oddity(image: Any, grid: Grid) -> str:
    """What the two forms of a NIfTI header say against each other."""
    if not hasattr(image, "get_qform"):
        return ""
    qform, sform = (form(coded=True) for form in (image.get_qform, image.get_sform))
    if qform[1] == 0 and sform[1] == 0:
        return "neither qform nor sform says where the voxels lie; voxel sizes alone are used"
    if qform[1] == 0 or sform[1] == 0:
        return ""
    away = displacement(Grid(grid.shape, qform[0]), Grid(grid.shape, sform[0]))
    if away <= 0.01:  # mm: quaternions in float32 lose about 1e-4 over a head
        return ""
    return "qform and sform disagree; the sform is used"


def data(source: Source, image: Any = None) -> Any:
    """All values of an image in C order (N,), scaled as the header says; raises ImageError for a damaged file."""
    image = opened(source) if image is None else image
    try:
        values = image.dataobj[..., source.volume] if source.volume is not None else image.dataobj
        return np.asanyarray(values).ravel()
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ImageError(
            f"{source.name}: its data cannot be read to the end ({error}); the file is cut short or damaged, copy it "
            "anew"
        ) from None
