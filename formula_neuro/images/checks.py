"""All images looked at before any is read: that they exist, lie on one grid and come once; every fault is named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..errors import ImageError
from .grid import Grid, difference
from .headers import OF_VOLUMES, Header, header, values
from .layout import full_length, head
from .sources import Source, rows_in_words

AT_A_TIME = 8  # files asked for at a time
MOST = 5  # images that an error or a message names
Stamp = tuple[int, int]  # bytes of a file and when it changed, in ns since 1970


def stamps(images: Sequence[Source]) -> list[Stamp]:
    """Size and time of every file, (0, 0) of images in memory; raises FileNotFoundError and ImageError by name."""
    found: list[Stamp | None] = []
    for source in images:
        try:
            stat = source.path.stat() if source.path is not None else None
            found.append((0, 0) if stat is None else (stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append(None)
    gone = [i for i, stamp in enumerate(found) if stamp is None]
    if gone:
        raise FileNotFoundError(
            f"{len(gone)} of {len(images)} images do not exist: {some([str(images[i].path) for i in gone])} "
            f"({rows_in_words(gone)}); correct the paths (relative ones start at the table's file, or for a table in "
            "memory at the working directory), or leave these rows out"
        )
    _each_once(images)
    return [stamp for stamp in found if stamp is not None]


def _each_once(images: Sequence[Source]) -> None:
    """A file that stands in two rows would count twice."""
    names = [None if s.path is None else (os.path.realpath(s.path), s.volume) for s in images]
    often = Counter(name for name in names if name is not None)
    repeated = [name for name, count in often.items() if count > 1]
    if not repeated:
        return
    rows = [i for i, name in enumerate(names) if name == repeated[0]]
    more = f", and {len(repeated) - 1} other images are repeated" if len(repeated) > 1 else ""
    stacked = OF_VOLUMES if len(rows) == len(images) else ""
    raise ImageError(
        f"{images[rows[0]].name} stands in {len(rows)} rows ({rows_in_words(rows)}){more}; an image belongs to one row"
        f"{stacked}"
    )


def headers(images: Sequence[Source]) -> tuple[Header, ...]:
    """The headers of all images; raises ImageError that names the image at fault, also where a file is cut short.

    The same bytes are the same header: nibabel takes a millisecond for one, and most images of a study share theirs.
    """
    known: dict[tuple[bytes, bool], Header] = {}
    found = []
    for source, start in zip(images, _starts(images), strict=True):
        like = (start, source.volume is None)
        if not start or like not in known:
            known[like] = header(source)
        one = replace(known[like], source=source)
        if one.layout is not None and source.path is not None and not source.volume:
            _check_length(one)
        found.append(one)
    return tuple(found)


def _starts(images: Sequence[Source]) -> Iterator[bytes]:
    """The first bytes of each file; several are asked for at a time, since a file server takes its time for each."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield from pool.map(lambda source: head(source.path) if source.path is not None else b"", images)


def _check_length(one: Header) -> None:
    """Files that seem too short are read at once, before long work on the others."""
    assert one.source.path is not None and one.layout is not None
    if not full_length(one.source.path, one.layout):
        values(one)


def common_grid(found: Sequence[Header]) -> Grid:
    """The grid that most of the images have; of equals, the first."""
    groups: list[tuple[Grid, int]] = []
    for one in found:
        at = next((i for i, (grid, _) in enumerate(groups) if grid is one.grid or grid.same(one.grid)), None)
        if at is None:
            groups.append((one.grid, 1))
        else:
            groups[at] = (groups[at][0], groups[at][1] + 1)
    return max(groups, key=lambda group: group[1])[0]


def check_grids(found: Sequence[Header], expected: Grid) -> None:
    """Raises ImageError where an image lies on another grid, which says how and what can be done."""
    others = [one for one in found if one.grid is not expected and not one.grid.same(expected)]
    if not others:
        return
    shown = "; ".join(f"{one.source.name}: {difference(one.grid, expected)}" for one in others[:MOST])
    raise ImageError(
        f"{len(others)} of {len(found)} images are on another grid than the rest ({expected.describe()}). "
        f"{shown}{'; ...' if len(others) > MOST else ''}. Bring them to one grid before, or by "
        "read_images(..., resample=True)"
    )


def oddities(found: Sequence[Header]) -> list[str]:
    """Messages on headers that can be used, but are not what they should be."""
    said: dict[str, list[str]] = {}
    for one in found:
        if one.oddity:
            said.setdefault(one.oddity, []).append(one.source.name)
    return [f"{oddity}, in {len(names)} of {len(found)} images ({some(names)})" for oddity, names in said.items()]


def some(names: Sequence[str], most: int = MOST) -> str:
    """The first few names."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
