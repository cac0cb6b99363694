"""From a formula and images, or a table that names them, to the request of a model in every voxel."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import registry
from ..asking import Asked, model_of
from ..design import Design, model_matrix
from ..errors import DataError, FormulaError
from ..estimator import BIAS_REDUCED, Estimator, as_estimator
from ..family import Array, Binomial, Family
from ..formula import Formula, parse
from ..syntax.expression import Name, label
from .request import MapRequest

if TYPE_CHECKING:
    from ..images.stack import Images

AT_ONCE = 4_000_000  # values that are looked at together
SUBJECTS = ("participant_id", "subject_id", "subject")  # columns that name whom an image is of
IMAGE_ENDINGS = (".nii", ".nii.gz", ".img", ".img.gz", ".hdr", ".mgz", ".mgh")


def is_images(data: Any) -> bool:
    """Whether the data are images that were read already, or a folder of them."""
    return hasattr(data, "voxels") or (isinstance(data, (str, os.PathLike)) and Path(data).is_dir())


def names_images(formula: str, table: pd.DataFrame) -> bool:
    """Whether the response of the formula is a column of images or of their paths."""
    name = response_name(parse(formula, [str(c) for c in table.columns]))
    return name in table.columns and table[name].dtype.kind == "O" and _holds_images(table[name])


def _holds_images(column: pd.Series) -> bool:
    return any(_is_image(value) for value in column.array[:100])  # a long column of texts is no reason to wait


def _is_image(value: Any) -> bool:
    """Whether a cell holds an image or the path of one."""
    if hasattr(value, "dataobj"):
        return True
    return isinstance(value, (str, os.PathLike)) and str(value).lower().endswith(IMAGE_ENDINGS)


def response_name(formula: Formula) -> str | None:
    """The column that the response names; None where it is an expression or missing."""
    node = formula.response
    return node.text if isinstance(node, Name) else None


def map_request(asked: Asked) -> MapRequest:
    """The request of a model in every voxel, its images read."""
    unread = unread_request(asked)
    design = unread.design
    images = _images(asked, unread.images.response)
    chosen = images if len(design.rows) == len(images.table) else images.select(design.rows)
    _check_images(chosen, unread.family)
    about = (*_about(chosen, unread.family, unread.weights), *_repeated(chosen, design))
    messages = (*images.messages, *design.messages, *about)
    return replace(unread, images=chosen, messages=messages, source=images)


def unread_request(asked: Asked) -> MapRequest:
    """The same without the images, of which it has the column's name alone: reading them may take minutes.

    Raises whatever can be refused without them.
    """
    family, given = asked.family_of_tables, asked.how
    table, response = _table(asked.formula, asked.data, asked.mask)
    parsed = parse(asked.formula, [str(c) for c in table.columns])
    if response_name(parsed) != response:
        shown = "nothing" if parsed.response is None else label(parsed.response)
        raise FormulaError(
            f"the images are those of the column {response!r}, but the response is {shown}; write '{response} ~ ...'",
            asked.formula,
            0,
        )
    design = model_matrix(
        replace(parsed, response=None),
        table,
        weights=asked.weights,
        offset=asked.offset,
        subset=asked.subset,
        contrasts=asked.contrasts,
        na_action=asked.na_action,
        beside=given.columns if given else (),
    )
    model = model_of(design, family, given)
    how = as_estimator(given, model)
    weighed = np.ones(len(design.rows)) if design.weights is None else design.weights
    _check_model(design, family, how)
    unread: Any = SimpleNamespace(voxels=(), response=response)
    request = MapRequest(model, family, how, design, unread, weighed, running=asked.running)
    if not hasattr(asked.data, "voxels"):
        registry.installed().choose(request, asked.backend)
    return request


def _table(formula: str, data: Any, mask: Any) -> tuple[pd.DataFrame, str]:
    """The table of the images, none of which is read, and the name of their column."""
    from ..images.sources import sources

    if hasattr(data, "voxels"):
        if mask is not None:
            raise DataError("these images were read with a mask already: give mask= to fn.read_images, not to fn.fit")
        return data.table, data.response
    left, tilde, _ = formula.partition("~")
    name = response_name(parse(f"{left}~ 1" if tilde else formula))  # a '.' waits for the table's columns
    if name is None:
        raise FormulaError(
            "the response of a model of images is the name of a column of paths, as in 'lesion ~ age'", formula, 0
        )
    return sources(data, name).table, name


def _images(asked: Asked, response: str) -> Images:
    """The images of the response's column, read now unless the data are images already."""
    from ..images.reading import read_images

    if hasattr(asked.data, "voxels"):
        images: Images = asked.data
        return images
    binary = True if isinstance(asked.family_of_tables, Binomial) else None
    return read_images(asked.data, response, mask=asked.mask, binary=binary, progress=asked.running.progress)


def _check_model(design: Design, family: Family, how: Estimator) -> None:
    """What can be refused before any image is read."""
    n, p = design.matrix.shape
    if n <= p:
        said = "".join(f". {message}" for message in design.messages)
        raise DataError(f"{n} images cannot determine {p} coefficients; leave terms out, or add images{said}")
    misread = [message for message in design.messages if "texts that look like" in message]
    if misread:  # what a table's fit says in a second would take hours here
        raise DataError(f"{misread[0]}. If it is a factor, write factor({misread[0].partition(':')[0]}) in the formula")
    if how.word in BIAS_REDUCED and family.name == "gaussian":
        raise DataError(f"estimator={how.word!r} is for binomial and poisson; least squares have no bias to reduce")


def _check_images(images: Images, family: Family) -> None:
    """What can be refused before any voxel is fitted."""
    if isinstance(family, Binomial) and not images.binary:
        raise DataError(
            f"family={family.name!r} takes masks of 0 and 1, but the images of {images.response!r} hold other values; "
            "make masks of them with fn.read_images(..., threshold=0.5), or use family='gaussian'"
        )
    if not len(images.voxels):
        raise DataError(
            f"no voxel is left to fit: no voxel of the mask has the events that min_count={images.min_count} asks for"
        )
    if family.name == "poisson" and not images.binary:
        _check_counts(images)


def _check_counts(images: Images) -> None:
    """Raise DataError at the first value that is no count; the search would end nowhere there."""
    step = max(1, AT_ONCE // len(images))
    for first in range(0, len(images.voxels), step):
        values = images.block(first, min(first + step, len(images.voxels)))
        wrong = np.argwhere((values < 0) | (values != np.round(values)))
        if len(wrong):
            voxel, row = wrong[0]
            place = tuple(int(i) for i in np.unravel_index(images.voxels[first + voxel], images.grid.shape))
            raise DataError(
                f"{images.response}: the image of row {row + 1} holds {values[voxel, row]:g} in voxel {place}, but "
                "family='poisson' takes counts 0, 1, 2, ...; use family='gaussian' for images of other numbers"
            )


def _repeated(images: Images, design: Design) -> tuple[str, ...]:
    """A note on subjects with several images in a model that takes images as independent."""
    name = next((name for name in SUBJECTS if name in images.table.columns), None)
    if name is None or design.random:
        return ()
    names = images.table[name].dropna().astype(str)
    often = list(dict.fromkeys(names[names.duplicated()]))
    if not often:
        return ()
    shown = ", ".join(often[:5]) + (", ..." if len(often) > 5 else "")
    return (
        f"{name}: {len(often)} of {names.nunique()} subjects have several images ({shown}), which count as independent "
        f"here; leave one of each, or add (1|{name})",
    )


def _about(images: Images, family: Family, weights: Array) -> tuple[str, ...]:
    """Notes on what family and images make of each other."""
    if isinstance(family, Binomial) and (np.abs(weights - np.round(weights)) > 1e-3).any():  # R's own bound
        return (f"{images.response}: shares times weights are not whole numbers of successes",)
    if images.binary and family.name == "gaussian":
        return (
            "the images are masks of 0 and 1, fitted by least squares (family='gaussian'); family='binomial(probit)' "
            "models their probability",
        )
    return ()
