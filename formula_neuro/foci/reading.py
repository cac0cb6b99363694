"""read_foci(): the foci of a meta-analysis from the files that the field uses."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from .checks import check_ids, checked
from .found import Found
from .ids import with_ids
from .joining import joined, ordered, with_names, with_spaces
from .table import Foci
from .tables import from_table, load

HINTS = {
    (".xlsx", ".xls", ".ods"): "save the sheet as csv, or pass pandas.read_excel(path)",
    (".pkl", ".pkl.gz", ".pickle"): "load a pickle in NiMARE and pass its object, Studyset.load(path)",
}
OTHERWISE = "a text that starts with //Reference= is Sleuth's"
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")


def read_foci(data: Any, studies: Any = None, *, space: str | None = None) -> Foci:
    """The foci and analyses in a file, as data for fit(); coordinates in mm of MNI, neither rounded nor cut.

    data: the path of a NiMARE studyset (NIMADS) or dataset in JSON, of Sleuth or GingerALE text (or a list of such
        paths), of a csv or tsv file (.gz too) with the columns study, x, y, z, perhaps analysis, space and covariates,
        or of a folder of NiMARE's parquet tables (which needs pyarrow); or a table; or NiMARE's Studyset or Dataset.
    studies: a table (or its path) of covariates with the column study, and analysis where it has a row an analysis. Its
        studies without foci are kept; its column space is that of foci which state none. For a studyset also the path
        of its annotations in JSON.
    space: "MNI" or "TAL", for foci whose space is not stated (default: MNI). Talairach coordinates are brought to MNI.

    Lists of sample sizes become sample_size (their sum), sample_size_mean and sample_size_first. `messages` of what
    comes back count what was converted, repeated or odd.

    Raises DataError and FileNotFoundError, which say where and what was seen.

    >>> import formula_neuro as fn
    >>> table = {"study": ["a", "a", "b"], "x": [-38, 40, 0], "y": [34, 20, 8], "z": [20, 4, 50], "age": [30, 30, 41]}
    >>> foci = fn.read_foci(table, space="TAL")
    >>> foci.studies["age"].tolist(), foci.foci["x"].round(1).tolist()
    ([30, 41], [-39.5, 43.8, 1.5])
    """
    if isinstance(data, Foci):
        raise DataError("read_foci reads files and tables; this is Foci already: use .with_studies(table) to add to it")
    found = _found(data, studies)
    check_ids(found)
    if studies is not None and not _is_json(studies):
        name = Path(studies).name if isinstance(studies, (str, os.PathLike)) else "studies="
        table = with_ids(load(studies), name)
        found = with_names(found, table)
        both, said = joined(found.studies, table, name)
        found = with_spaces(replace(found, studies=ordered(both, table), messages=(*found.messages, *said)))
    return checked(found, space)


def _found(data: Any, studies: Any) -> Found:
    """What the reader for this kind of data finds."""
    if isinstance(data, (list, tuple)) and len(data) == 1:
        data = data[0]
    if isinstance(data, (list, tuple)) and data and all(isinstance(one, (str, os.PathLike)) for one in data):
        return _of_files([Path(one).expanduser() for one in data])
    if isinstance(data, (str, os.PathLike)):
        return _of_path(data, studies)
    if hasattr(data, "coordinates") and hasattr(data, "metadata"):
        from .frames import from_object

        return from_object(data)
    return from_table(data)


def _of_path(data: str | os.PathLike[str], studies: Any) -> Found:
    path = Path(data).expanduser()
    if "://" in str(data):
        raise DataError(f"{data}: addresses are not read; download the file and give its path")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder (looked in {path.absolute().parent})")
    name = path.name.lower()
    if path.is_dir():
        from .frames import from_folder

        return from_folder(path)
    if name.endswith((".json", ".json.gz")):
        return _of_json(path, studies)
    if name.endswith(TABLES):
        return from_table(path, path.name)
    if _is_sleuth(path):
        return _of_files([path])
    if name.endswith(".txt"):
        return from_table(path, path.name)
    hint = next((hint for endings, hint in HINTS.items() if name.endswith(endings)), OTHERWISE)
    raise DataError(f"{path}: files may end in .json (NiMARE), .txt (Sleuth), {', '.join(TABLES)}; {hint}")


def _of_files(paths: list[Path]) -> Found:
    """Sleuth texts, merged by study."""
    from .sleuth import from_sleuth

    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file (looked in {path.absolute().parent})")
        if not _is_sleuth(path):
            raise DataError(f"{path} is no Sleuth text; only Sleuth texts (//Reference=MNI) are read several at a time")
    return from_sleuth(paths)


def _is_sleuth(path: Path) -> bool:
    """Whether the first line that is not empty starts with //."""
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"//")


def _of_json(path: Path, studies: Any) -> Found:
    from .dataset import from_dataset
    from .nimads import from_studyset

    content = load_json(path)
    annotations = load_json(Path(studies)) if _is_json(studies) else None
    if isinstance(content, dict) and content.get("format") == "nimare-studyset-parquet":
        from .frames import from_folder

        return from_folder(path.parent)
    if isinstance(content, dict) and isinstance(content.get("studies"), list):
        return from_studyset(content, path.name, annotations)
    if (
        isinstance(content, dict)
        and content
        and all(isinstance(v, dict) and "contrasts" in v for v in content.values())
    ):
        return from_dataset(content, path.name)
    if isinstance(content, dict) and "notes" in content:
        raise DataError(
            f"{path.name} holds annotations alone; give the studyset first: read_foci(studyset, {path.name!r})"
        )
    raise DataError(
        f'{path.name} is neither a studyset ({{"studies": [...]}}) nor a dataset ({{study: {{"contrasts": ...}}}}) of '
        "NiMARE"
    )


def load_json(path: Path) -> Any:
    """The content of a JSON file, compressed or not."""
    import gzip

    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file (looked in {path.absolute().parent})")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return json.loads(data.decode("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from None


def _is_json(studies: Any) -> bool:
    return isinstance(studies, (str, os.PathLike)) and os.fspath(studies).lower().endswith((".json", ".json.gz"))
