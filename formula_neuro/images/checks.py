"""All images looked at before any is read: that they exist, lie on one grid and come once; every fault is named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import ImageError
from .grid import Grid, difference
from .headers import Header, header
from .sources import Source, rows_in_words

MOST = 5  # images that an error or a message names


def headers(images: Sequence[Source], workers: int | None = None) -> tuple[Header, ...]:
    """The headers of all images; raises FileNotFoundError or ImageError that names those at fault."""
    _all_there(images)
    _each_once(images)
    with ThreadPoolExecutor(workers or 4) as pool:
        return tuple(pool.map(header, images))


def _all_there(images: Sequence[Source]) -> None:
    gone = [i for i, source in enumerate(images) if source.path is not None and not source.path.is_file()]
    if gone:
        raise FileNotFoundError(
            f"{len(gone)} of {len(images)} images do not exist: {some([str(images[i].path) for i in gone])} "
            f"({rows_in_words(gone)})"
        )


def _each_once(images: Sequence[Source]) -> None:
    """A file that stands in two rows would count twice."""
    names = [None if s.path is None else (os.path.realpath(s.path), s.volume) for s in images]
    often = Counter(name for name in names if name is not None)
    for name, count in often.items():
        if count > 1:
            rows = [i for i, other in enumerate(names) if other == name]
            more = sum(c > 1 for c in often.values()) - 1
            raise ImageError(
                f"{images[rows[0]].name} stands in {count} rows ({rows_in_words(rows)})"
                f"{f', and {more} other images are repeated' if more else ''}; an image belongs to one row"
            )


def common_grid(found: Sequence[Header]) -> Grid:
    """The grid that most of the images have; of equals, the first."""
    groups: list[tuple[Grid, int]] = []
    for one in found:
        at = next((i for i, (grid, _) in enumerate(groups) if grid.same(one.grid)), None)
        if at is None:
            groups.append((one.grid, 1))
        else:
            groups[at] = (groups[at][0], groups[at][1] + 1)
    return max(groups, key=lambda group: group[1])[0]


def check_grids(found: Sequence[Header], expected: Grid, whose: str) -> None:
    """Raises ImageError where an image lies on another grid, which says how and what can be done."""
    others = [(i, one) for i, one in enumerate(found) if not one.grid.same(expected)]
    if not others:
        return
    shown = "; ".join(f"{one.source.name}: {difference(one.grid, expected)}" for _, one in others[:MOST])
    raise ImageError(
        f"{len(others)} of {len(found)} images are on another grid than {whose} ({expected.describe()}). "
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
