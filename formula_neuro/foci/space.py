"""Which space coordinates are in, and Talairach's brought to MNI's.

Lancaster et al. (2007, Hum Brain Mapp 28:1194), the transform pooled over packages ("other"): it takes MNI to
Talairach, so its inverse is applied.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..family import Array
from .ids import as_text

MNI_TO_TALAIRACH = np.array(
    [
        [0.9357, 0.0029, -0.0072, -1.0423],
        [-0.0065, 0.9396, -0.0726, -1.3940],
        [0.0103, 0.0752, 0.8967, 3.6475],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
MNI, TALAIRACH, UNKNOWN = "MNI", "TAL", ""
SURE = {"tal", "talairach", "tlrc"}  # first words that nothing but Talairach's space begins with
WORDS = {MNI: ("mni", "icbm", "tpl-mni"), TALAIRACH: ("tal", "tlrc", "tt_", "ttn")}


def talairach_to_mni(points: Array) -> Array:
    """Points (J, 3) of Talairach's space in MNI's; mm.

    >>> talairach_to_mni(np.array([[-38.0, 34.0, 20.0]])).round(3).tolist()
    [[-39.498, 38.59, 15.454]]
    """
    back = np.linalg.inv(MNI_TO_TALAIRACH)
    return np.asarray(points @ back[:3, :3].T + back[:3, 3])


def space_of(word: object) -> str:
    """ "MNI", "TAL", or "" for words that are neither.

    >>> [space_of(word) for word in ("mni152_2mm", "Talairach", "UNKNOWN", None)]
    ['MNI', 'TAL', '', '']
    """
    plain = as_text(word).lower()
    return next((space for space, starts in WORDS.items() if plain.startswith(starts)), UNKNOWN)


def is_column_of_spaces(values: Iterable[object]) -> bool:
    """Whether all words are names of spaces, Talairach's among them.

    >>> is_column_of_spaces(["MNI", "Talairach", None]), is_column_of_spaces(["Tallinn", "Milan"])
    (True, False)
    """
    first = {re.split("[^a-z]", word)[0] for value in values if (word := as_text(value).lower())}
    return bool(first & SURE) and first <= {*SURE, "mni", "icbm"}


def to_mni(points: Array, words: Sequence[object], space: str | None) -> tuple[Array, list[str]]:
    """Points (J, 3) in MNI by the words that state their spaces, and what there is to say of that.

    space: that of the points whose word is missing or neither MNI nor Talairach (default: MNI). Raises DataError where
    it is no space, or contradicts what is stated of all.
    """
    otherwise = _asked(space)
    names = [as_text(word) for word in words]
    known = {name: space_of(name) for name in set(names)}
    stated = np.array([known[name] for name in names], dtype=object)
    _check_agreement(stated, otherwise if space is not None else None)
    unknown = stated == UNKNOWN
    talairach: NDArray[np.bool_] = (stated == TALAIRACH) | (unknown & (otherwise == TALAIRACH))
    out = points.copy()
    out[talairach] = talairach_to_mni(points[talairach])
    return out, _said(names, known, int(talairach.sum()), otherwise, space is not None)


def _asked(space: str | None) -> str:
    if space is None:
        return MNI
    found = space_of(space) if isinstance(space, str) else UNKNOWN
    if found == UNKNOWN:
        raise DataError(f"space={space!r} is not known; there are 'MNI' and 'TAL' (Talairach)")
    return found


def _check_agreement(stated: NDArray[np.object_], asked: str | None) -> None:
    if asked is not None and len(stated) and (stated != UNKNOWN).all() and (stated != asked).all():
        raise DataError(
            f"space={asked!r}, but the data state {'MNI' if asked == TALAIRACH else 'Talairach'} for all {len(stated)} "
            "foci; leave out space=, which is for foci without a stated space, or correct the data"
        )


def _said(names: list[str], known: dict[str, str], converted: int, otherwise: str, asked: bool) -> list[str]:
    said = []
    if converted:
        said.append(f"{converted} of {len(names)} foci brought from Talairach to MNI (Lancaster 2007)")
    unclear = Counter(name for name in names if name and known[name] == UNKNOWN)
    blank = sum(not name for name in names)
    if unclear and not asked:
        words = ", ".join(f"{word} {count}" for word, count in unclear.most_common(5))
        said.append(f"foci of unknown space, which count as {otherwise} (space= decides): {words}")
    if blank and not asked and (blank < len(names)):
        said.append(f"foci without a stated space, which count as {otherwise}: {blank} of {len(names)}")
    return said
