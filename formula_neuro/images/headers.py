"""What can be known of an image before its data are read: its grid, how its values are kept, what is odd about it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from .grid import Grid, displacement, grid_of
from .layout import Layout, Sparse, compressed, damaged, decoded, harmed, misnamed, raw, sparse
from .sources import Source

OF_VOLUMES = '; one file with a volume for each row goes in as fn.read_images(table, "all.nii.gz")'
SAME_PLACE = 0.01  # mm between qform and sform: quaternions in float32 lose about 1e-4 over a head


@dataclass(frozen=True, eq=False)
class Header:
    """The grid of one image, the type of its values after scaling, where its bytes lie if plainly, and what is odd."""

    source: Source
    grid: Grid
    dtype: np.dtype[Any]
    layout: Layout | None = None
    oddity: str = ""


def header(source: Source) -> Header:
    """The checked header; raises ImageError and FileNotFoundError that name the image."""
    image = opened(source)
    shape = image.shape
    stacked = len(shape) == 4 and source.volume is not None
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 1 and not stacked):
        what = f"{shape[3]} volumes" if len(shape) == 4 else f"the shape {shape}"
        raise ImageError(f"{source.name} has {what}; an image a row is expected{OF_VOLUMES}")
    if 0 in shape:
        raise ImageError(f"{source.name} has no voxels: its shape is {shape}")
    grid = grid_of(image)
    if not np.isfinite(grid.affine).all() or abs(np.linalg.det(grid.affine[:3, :3])) < 1e-9:
        raise ImageError(f"{source.name}: its affine places no voxels in space ({grid.affine[:3].round(3).tolist()})")
    return Header(source, grid, _scaled_type(image, source), _layout(image, source), _oddity(image, grid))


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
    except (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError) as error:
        if misnamed(source.path):
            raise _other_ending(source) from None
        if harm := harmed(source.path):
            raise damaged(source.name, harm) from None
        raise ImageError(f"{source.name}: its header cannot be read ({error}); is it an image?") from None


def values(found: Header, text: bytes | None = None) -> Sparse:
    """The values of an image that are not 0, scaled as its header says; raises ImageError for a damaged file.

    text: the bytes of its volume, where they are read already.
    """
    source = found.source
    try:
        if found.layout is not None and source.path is not None:
            return decoded(raw(source.path, found.layout) if text is None else text, found.layout)
        kept = opened(source).dataobj
        every = np.asanyarray(kept[..., source.volume] if source.volume is not None else kept)
        return sparse(every.reshape(found.grid.shape))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if source.path is not None and misnamed(source.path):
            raise _other_ending(source) from None
        raise damaged(source.name, error) from None


def _other_ending(source: Source) -> ImageError:
    assert source.path is not None
    what, ending = ("not compressed", ".nii") if compressed(source.path) else ("compressed by gzip", ".nii.gz")
    return ImageError(f"{source.name} is {what}, though its name says otherwise; rename it to end in {ending}")


def _scaled_type(image: Any, source: Source) -> np.dtype[Any]:
    """Whole numbers stay so unless the header scales them."""
    stored = np.dtype(image.get_data_dtype())
    if stored.kind not in "iufb":
        raise ImageError(f"{source.name} holds values of type {stored}; real numbers are expected")
    slope, inter = getattr(image.dataobj, "slope", 1.0), getattr(image.dataobj, "inter", 0.0)
    return stored.newbyteorder("=") if (slope, inter) == (1.0, 0.0) else np.dtype(float)


def _layout(image: Any, source: Source) -> Layout | None:
    """Where the bytes lie, of .nii and .nii.gz files."""
    from nibabel import Nifti1Image  # NIfTI-2 is derived from it

    proxy = image.dataobj
    if source.path is None or not isinstance(image, Nifti1Image) or np.dtype(proxy.dtype).itemsize > 8:
        return None
    if not source.path.name.lower().endswith((".nii", ".nii.gz")):
        return None
    count = image.shape[3] if len(image.shape) == 4 else 1
    return Layout(proxy.offset, proxy.dtype, image.shape[:3], float(proxy.slope), float(proxy.inter), count)


def _oddity(image: Any, grid: Grid) -> str:
    """What the two forms of a NIfTI header say against each other."""
    if not hasattr(image, "get_qform"):
        return ""
    qform, sform = (form(coded=True) for form in (image.get_qform, image.get_sform))
    if qform[1] == 0 and sform[1] == 0:
        return "neither qform nor sform says where the voxels lie, and the voxel sizes alone are used"
    if qform[1] == 0 or sform[1] == 0:
        return ""
    if displacement(Grid(grid.shape, qform[0]), Grid(grid.shape, sform[0])) <= SAME_PLACE:
        return ""
    return "qform and sform disagree, and the sform is used"
