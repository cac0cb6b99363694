"""What was found -> Foci: every coordinate a number, every focus of a known analysis, nothing odd in silence."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..family import Array
from .found import AXES, MINUS, Found
from .ids import KEY, pairs, some
from .sides import contradicted
from .space import is_column_of_spaces, space_of, to_mni
from .table import Foci

REACH = 130.0  # mm: no brain in MNI space reaches further from its origin along an axis
ENOUGH = 20  # foci: fewer may all lie in one octant by chance


def checked(found: Found, space: str | None) -> Foci:
    """The foci in MNI with what there is to say of them; raises DataError where they cannot be meant."""
    found = _without_empty_rows(found)
    if not len(found.foci):
        raise DataError(f"{found.source}: none of {len(found.studies)} analyses has foci; x, y, z in mm are expected")
    stated = _numbers(found)
    said = [*found.messages, *_about_size(stated, found, space)]
    words = found.foci["space"] if "space" in found.foci.columns else [None] * len(stated)
    if space is None and not {"space", "stated_space"} & set(found.foci.columns):
        _check_names_of_spaces(found)
    points, moved = to_mni(stated, list(words), space)
    said += [
        *moved,
        *_about_zeros(stated, found),
        *_about_sides(stated, found),
        *_about_copies(stated, found),
        *_about_cases(found),
    ]
    foci = found.foci.assign(**dict(zip(AXES, points.T, strict=True))).rename(columns={"space": "stated_space"})
    if space is not None and "stated_space" not in foci.columns:
        foci["stated_space"] = space_of(space)
    studies = found.studies.reset_index(drop=True)
    out = Foci(foci.reset_index(drop=True), studies, tuple(said))
    none = int((out.counts == 0).sum())
    if none:
        told = f"analyses without foci: {none} of {len(out)}; they are kept, for that nothing was found is information"
        out = Foci(out.foci, out.studies, (*said, told))
    return out


def _without_empty_rows(found: Found) -> Found:
    """Rows without any coordinate that are the only ones of their analysis stand for an analysis without foci."""
    empty = _blank(found.foci[AXES]).all(axis=1)
    if not empty.any():
        return found
    alone = ~pairs(found.foci).duplicated(keep=False)
    drop = empty & alone
    kept = found.foci[~drop]
    places = [place for place, gone in zip(found.places, drop, strict=True) if not gone]
    return Found(found.source, kept.reset_index(drop=True), found.studies, places, found.messages)


def _blank(table: pd.DataFrame) -> Array:
    return np.asarray(table.isna() | (table.astype(str).apply(lambda column: column.str.strip()) == ""))


def check_ids(found: Found) -> None:
    """Raises DataError for foci without a study or an analysis, and where there are no analyses."""
    for name in KEY:
        missing = np.flatnonzero(~found.foci[name].astype(bool).to_numpy())
        if len(missing):
            raise DataError(
                f"{found.source}: {_foci(missing)} without {name} ({_where(found, missing)}); every focus names the "
                f"{name} that reported it"
            )
    if not len(found.studies):
        raise DataError(f"{found.source} holds no analyses; studies with lists of foci are expected")


def _numbers(found: Found) -> Array:
    """Coordinates (J, 3) as they stand; raises DataError for what is no finite number."""
    columns = [pd.to_numeric(_with_plain_minus(found.foci[name]), errors="coerce") for name in AXES]
    points = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(wrong):
        first = found.foci[AXES].iloc[int(wrong[0])].tolist()
        shown = ", ".join("missing" if value is None or value != value else str(value) for value in first)
        comma = any(re.fullmatch(r"\s*[-+]?\d+,\d+\s*", str(value)) for value in first)
        remedy = "read the table by pandas.read_csv(path, decimal=',', ...)" if comma else "correct these rows"
        raise DataError(
            f"{found.source}, {found.places[int(wrong[0])]}: the coordinates are {shown}; three numbers in mm are "
            f"expected ({len(wrong)} such foci: {_where(found, wrong)}); {remedy} or leave them out"
        )
    return points


def _with_plain_minus(column: pd.Series) -> pd.Series:
    return column.map(lambda value: value.translate(MINUS) if isinstance(value, str) else value)


def _check_names_of_spaces(found: Found) -> None:
    """Raise where a column says Talairach under a name that is not read as the space."""
    for name, column in [*found.foci.items(), *found.studies.items()]:
        if name != "stated_space" and column.dtype.kind in "OTU" and is_column_of_spaces(column):
            raise DataError(
                f"{found.source}: the column {name} seems to say which space the coordinates are in; rename it space, "
                "or say by space='MNI' that they are all in MNI space"
            )


def _about_size(points: Array, found: Found, space: str | None) -> list[str]:
    """Foci no brain can hold; raises DataError where most are such, or where all look like numbers of voxels."""
    far = np.flatnonzero((np.abs(points) > REACH).any(axis=1))
    if 2 * len(far) > len(points):
        raise DataError(
            f"{found.source}: {len(far)} of {len(points)} foci lie more than {REACH:g} mm from the origin along an "
            f"axis (the largest: {np.abs(points).max():g}); coordinates are expected in mm of MNI or Talairach "
            "space: are these micrometres, or numbers of voxels?"
        )
    whole = len(points) >= ENOUGH and (points >= 0).all() and (points == np.round(points)).all()
    if whole and space is None:
        raise DataError(
            f"{found.source}: all {len(points)} foci are whole numbers of 0 and more, as numbers of voxels are; bring "
            "them to mm by the affine of their image, or pass space='MNI' if they are in mm"
        )
    if not len(far):
        return []
    return [f"{_foci(far, 'lies', 'lie')} more than {REACH:g} mm from the origin along an axis ({_where(found, far)})"]


def _about_zeros(points: Array, found: Found) -> list[str]:
    zeros = np.flatnonzero((points == 0).all(axis=1))
    if not len(zeros):
        return []
    return [f"{_foci(zeros, 'is', 'are')} at (0, 0, 0) ({_where(found, zeros)}); do they stand for missing ones?"]


def _about_sides(points: Array, found: Found) -> list[str]:
    wrong = contradicted(found, points)
    if wrong is None:
        return []
    name, rows = wrong
    return [
        f"{_foci(rows, 'stands', 'stand')} on the other side than {name} says ({_where(found, rows)}); x is below 0 on "
        "the left: are signs lost, or is the file mirrored?"
    ]


def _about_copies(points: Array, found: Found) -> list[str]:
    table = pd.DataFrame(points, columns=AXES).assign(study=found.foci["study"], analysis=found.foci["analysis"])
    copies = np.flatnonzero(table.duplicated())
    if not len(copies):
        return []
    return [
        f"{_foci(copies, 'repeats', 'repeat')} another of the same analysis ({_where(found, copies)}); all count as "
        "they stand"
    ]


def _about_cases(found: Found) -> list[str]:
    """Studies whose ids differ in case or blanks alone."""
    same = defaultdict(set)
    for name in found.studies["study"].unique():
        same["".join(name.lower().split())].add(name)
    twins = [" and ".join(map(repr, sorted(names))) for names in same.values() if len(names) > 1]
    if not twins:
        return []
    return [f"the ids {some(twins)} differ in case or blanks alone; they count as different studies"]


def _foci(rows: NDArray[np.intp], one: str = "", more: str = "") -> str:
    """ "1 focus lies", "3 foci lie"."""
    return f"1 focus {one}".rstrip() if len(rows) == 1 else f"{len(rows)} foci {more}".rstrip()


def _where(found: Found, rows: NDArray[np.intp], most: int = 3) -> str:
    """Studies and places of the first rows: "Smith 2010, line 12; Lee 2011, line 30; and 3 more"."""
    named = [(found.foci["study"].iloc[int(i)], found.places[int(i)]) for i in rows[:most]]
    shown = [f"{study}, {place}" if study else place for study, place in named]
    return "; ".join([*shown, *([f"and {len(rows) - most} more"] if len(rows) > most else [])])
