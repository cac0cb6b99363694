"""NIMADS studysets in JSON, as NiMARE and Neurosynth-Compose write them, with annotations inline or in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..errors import DataError
from .covariates import about_sizes, columns_of
from .found import Found, from_records
from .ids import as_text, some

STUDY_FIELDS = ("authors", "year", "publication", "doi", "pmid")
Key = tuple[str, str]


def from_studyset(content: Mapping[str, Any], source: str, annotations: Any = None) -> Found:
    """The points of every analysis, and its metadata and notes; a file's notes win over inline ones."""
    foci: list[dict[str, Any]] = []
    analyses: dict[Key, dict[str, Any]] = {}
    bare, images = [], 0
    for number, study in enumerate(content["studies"], 1):
        name = _id(study, f"{source}: study {number}")
        if not study.get("analyses"):
            bare.append(name)
        for k, analysis in enumerate(study.get("analyses") or [], 1):
            key = (name, _id(analysis, f"{source}: analysis {k} of study {name!r}"))
            if key in analyses:
                raise DataError(
                    f"{source} holds analysis {key[1]!r} of study {name!r} twice; give every analysis an id"
                )
            points = _points_of(analysis, key)
            if not points and analysis.get("images"):
                images += 1
                continue
            analyses[key] = {"study": name, "analysis": key[1], **_about(study, analysis)}
            foci.extend(_point(point, key, i) for i, point in enumerate(points, 1))
    for notes in [*_listed(content.get("annotations")), *_listed(annotations)]:
        _annotate(analyses, notes, source)
    rows = list(analyses.values())
    said = [*_repeated(content["studies"]), *_left_out(bare, images), *about_sizes(pd.DataFrame(rows))]
    return from_records(source, foci, rows, said)


def _repeated(studies: list[Any]) -> list[str]:
    counts = Counter(as_text(study.get("id")) for study in studies)
    twice = [name for name, n in counts.items() if n > 1]
    if not twice:
        return []
    return [f"several records of studies have the id {some(twice, 3)}; their analyses count as those of one study"]


def _left_out(bare: list[str], images: int) -> list[str]:
    said = []
    if bare:
        said.append(f"{len(bare)} studies have no analyses and are left out ({some(bare, 3)})")
    if images:
        said.append(f"{images} analyses hold images but no points and are left out")
    return said


def _id(record: Any, where: str) -> str:
    name = as_text(record.get("id")) if isinstance(record, Mapping) else ""
    if not name:
        raise DataError(f"{where} is {_short(record)}; a NIMADS record with id and name is expected (the nested form)")
    return name


def _short(record: Any) -> str:
    text = repr(record)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _about(study: Mapping[str, Any], analysis: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of an analysis: its own metadata and notes win over the study's."""
    named = {"study_name": study.get("name"), "analysis_name": analysis.get("name")}
    about = {field: study.get(field) for field in STUDY_FIELDS}
    inline = analysis.get("annotations")
    notes = _flat(inline) if isinstance(inline, Mapping) else {}
    parts = [named, about, study.get("metadata"), analysis.get("metadata"), notes]
    out: dict[str, Any] = {}
    for part in parts:
        out |= columns_of(part)
    return {name: value for name, value in out.items() if name not in ("study", "analysis")}


def _flat(inline: Mapping[str, Any]) -> dict[str, Any]:
    """Inline annotations are {name: value}, or one such dict an annotation."""
    out: dict[str, Any] = {}
    for name, value in inline.items():
        out |= dict(value) if isinstance(value, Mapping) else {name: value}
    return out


def _points_of(analysis: Mapping[str, Any], key: Key) -> list[Mapping[str, Any]]:
    points = analysis.get("points") or []
    if not isinstance(points, list) or not all(isinstance(point, Mapping) for point in points):
        raise DataError(
            f"study {key[0]!r}, analysis {key[1]!r}: its points are no list of records with coordinates and "
            "space; of a studyset that was downloaded with ids in place of records, ask for the nested form"
        )
    return points


def _point(point: Mapping[str, Any], key: Key, number: int) -> dict[str, Any]:
    place = f"analysis {key[1]!r}, point {number}"
    coordinates = point.get("coordinates")
    if not isinstance(coordinates, (list, tuple)) or len(coordinates) != 3:
        raise DataError(f"study {key[0]!r}, {place}: its coordinates are {coordinates!r}; [x, y, z] in mm is expected")
    values = {
        f"value_{as_text(value.get('kind')) or 'other'}": value.get("value")
        for value in point.get("values") or []
        if isinstance(value, Mapping)
    }
    x, y, z = coordinates
    out = {"study": key[0], "analysis": key[1], "x": x, "y": y, "z": z, "space": point.get("space")}
    return {**out, **values, "place": place}


def _listed(annotations: Any) -> list[Mapping[str, Any]]:
    """Annotations with notes, of a file or at the top of a studyset; those that are ids alone have none."""
    several = annotations if isinstance(annotations, list) else [annotations]
    return [one for one in several if isinstance(one, Mapping) and one.get("notes")]


def _annotate(analyses: dict[Key, dict[str, Any]], annotation: Mapping[str, Any], source: str) -> None:
    """Add the notes to the analyses they name; a note without a study names an analysis that is the only one so called.

    Raises DataError where a note names several analyses, or where none of the notes names any.
    """
    called = Counter(key[1] for key in analyses)
    by_name = {key[1]: key for key in analyses} | {f"{key[0]}-{key[1]}": key for key in analyses}
    found = 0
    for note in annotation["notes"]:
        study, name = as_text(note.get("study")), as_text(note.get("analysis"))
        if not study and called[name] > 1:
            raise DataError(
                f"{source}: a note names analysis {name!r}, of which there are {called[name]}; notes name the study too"
            )
        key: Key | None = (study, name) if study else by_name.get(name)
        if key is not None and key in analyses:
            found += 1
            analyses[key] |= columns_of(note.get("note"))
    if not found:
        first = annotation["notes"][0].get("analysis")
        raise DataError(
            f"{source}: none of the {len(annotation['notes'])} annotated analyses ({first!r}, ...) is in the studyset; "
            "do the two files belong together?"
        )
