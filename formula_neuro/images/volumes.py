"""One 4-D image whose volumes are the rows of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ImageError
from .headers import opened
from .sources import Source, Sources, is_image


def from_volumes(table: pd.DataFrame, given: Any) -> Sources:
    """The volumes of a 4-D image or file, in the rows' order; the response is called as the file."""
    path = None if is_image(given) else Path(given).expanduser().absolute()
    name = "image" if path is None else path.name.removesuffix(".gz").rpartition(".")[0]
    image = opened(Source(name if path is None else path.name, path, None if path is not None else given))
    if len(image.shape) != 4:
        raise ImageError(f"{name}: a 4-D image with one volume a row is expected, this has the shape {image.shape}")
    if image.shape[3] != len(table):
        raise ImageError(f"{name} has {image.shape[3]} volumes, but the table has {len(table)} rows; one each is due")
    held = None if path is not None else _in_memory(image)
    volumes = tuple(Source(f"volume {i + 1} of {name}", path, held, i) for i in range(len(table)))
    return Sources(table, name, volumes)


def _in_memory(image: Any) -> Any:
    """A copy whose values lie in memory: a compressed file would be read from its start for every volume."""
    return type(image)(np.asanyarray(image.dataobj), image.affine, image.header)
