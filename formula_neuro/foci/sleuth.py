"""Sleuth's and GingerALE's text: //Reference=, then for each experiment headers, //Subjects= and lines of x y z."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from .found import MINUS, Found, from_records
from .ids import some
from .space import space_of

YEAR = re.compile(r"(?:19|20)\d{2}")
Line = tuple[int, str]  # its number in the file, its text


def from_sleuth(paths: Sequence[Path]) -> Found:
    """The experiments of one or several files; those of one name in one study are numbered."""
    foci: list[dict[str, Any]] = []
    analyses: list[dict[str, Any]] = []
    taken: set[tuple[str, str]] = set()
    renamed: list[str] = []
    for path in paths:
        space, lines = _reference(path)
        for headers, points in _experiments(lines, path):
            study, name = split_header(" ".join(text for _, text in headers[:-1]))
            key = _free((study, name), taken)
            if key[1] != name:
                renamed.append(" / ".join(key))
            taken.add(key)
            analyses.append({"study": study, "analysis": key[1], "sample_size": _subjects(headers[-1], path)})
            foci.extend(_focus(line, key, space, path, len(paths) > 1) for line in points)
    said = (
        [f"{len(renamed)} experiments have the name of another and are numbered: {some(renamed, 3)}"] if renamed else []
    )
    return from_records(some([path.name for path in paths], 2), foci, analyses, said)


def split_header(text: str) -> tuple[str, str]:
    """Study and contrast: apart at the first ; or : after a year, else at the first; "1" where none is named.

    >>> split_header("Smith et al., 2010: words > rest"), split_header("arnoldussen2006nc")
    (('Smith et al., 2010', 'words > rest'), ('arnoldussen2006nc', '1'))
    """
    year = YEAR.search(text)
    starts = [year.end(), 0] if year else [0]
    at = next((found.start() for start in starts if (found := re.compile("[;:]").search(text, start))), len(text))
    return text[:at].strip() or text.strip(), text[at + 1 :].strip() or "1"


def _reference(path: Path) -> tuple[str, list[Line]]:
    """The space that the first line states, and the other lines that are not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")  # Sleuth writes what the system writes
    lines = [(i, line.strip()) for i, line in enumerate(re.split("\r\n|\n\r|\n|\r", text), 1) if line.strip()]
    first = lines[0][1] if lines else ""
    found = re.fullmatch(r"//\s*Reference\s*=\s*(.*)", first, flags=re.IGNORECASE)
    if not found or not space_of(found[1]):
        raise DataError(
            f"{path}: the first line is {first!r}; //Reference=MNI or //Reference=Talairach is expected there"
        )
    return found[1].strip(), lines[1:]


def _experiments(lines: list[Line], path: Path) -> list[tuple[list[Line], list[Line]]]:
    """Headers (without //) and lines of coordinates of every experiment."""
    out: list[tuple[list[Line], list[Line]]] = []
    for number, line in lines:
        if line.startswith("//"):
            if not out or out[-1][1] or _is_subjects(out[-1][0][-1]):
                out.append(([], []))
            out[-1][0].append((number, line[2:].strip()))
        elif not out:
            raise DataError(f"{path}, line {number}: {line!r} stands before any study; //study: contrast is expected")
        else:
            out[-1][1].append((number, line))
    for headers, _ in out:
        _check_headers(headers, path)
    if not out:
        raise DataError(f"{path} holds no experiments; //study: contrast, //Subjects=N and lines of x y z are expected")
    return out


def _check_headers(headers: list[Line], path: Path) -> None:
    number, text = headers[-1]
    if not _is_subjects(headers[-1]):
        raise DataError(
            f"{path}, line {number}: after //{text} the line //Subjects=N is expected, before the coordinates"
        )
    if len(headers) == 1 or not " ".join(text for _, text in headers[:-1]).strip():
        raise DataError(f"{path}, line {number}: //{text} follows no study; a line //study: contrast is expected above")


def _is_subjects(header: Line) -> bool:
    return re.match(r"Subjects\s*=", header[1], flags=re.IGNORECASE) is not None


def _subjects(header: Line, path: Path) -> float:
    number, text = header
    found = re.fullmatch(r"Subjects\s*=\s*(\d+(?:\.0*)?)", text, flags=re.IGNORECASE)
    if not found or float(found[1]) == 0:
        raise DataError(f"{path}, line {number}: //{text} gives no number of subjects; //Subjects=12 is expected")
    return float(found[1])


def _focus(line: Line, key: tuple[str, str], space: str, path: Path, named: bool) -> dict[str, Any]:
    number, text = line
    parts = re.split(r"[,\s]+", text.translate(MINUS))
    try:
        x, y, z = map(float, parts)
    except ValueError:
        raise DataError(f"{path}, line {number}: {text!r}; three numbers x y z (mm) are expected") from None
    place = f"{path.name}, line {number}" if named else f"line {number}"
    return {"study": key[0], "analysis": key[1], "x": x, "y": y, "z": z, "space": space, "place": place}


def _free(key: tuple[str, str], taken: set[tuple[str, str]]) -> tuple[str, str]:
    """The key, or with the first number that makes it new."""
    study, name = key
    number = 2
    while key in taken:
        key = (study, f"{name} ({number})")
        number += 1
    return key
