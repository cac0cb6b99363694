"""What to say of texts where numbers are wanted, and of levels that look the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*")
_COMMA = re.compile(r"\s*[-+]?\d*,\d+\s*")


def remedy(column: str, values: Sequence[str]) -> str:
    """How these texts of a column become numbers.

    >>> remedy("y", ["1.5", "2", "n/a"])
    "all are numbers but 'n/a': pandas.to_numeric(data['y'], errors='coerce') makes that missing"
    >>> remedy("y", ["1,5", "2,25"])
    "decimal commas: read the file by pandas.read_csv(path, sep=';', decimal=',')"
    >>> remedy("group", ["a", "b"])
    "convert the column, or use family='binomial' for two levels"
    """
    strange = [value for value in values if not _NUMBER.fullmatch(value)]
    if sum(bool(_COMMA.fullmatch(value)) for value in strange) > len(strange) / 2:
        return "decimal commas: read the file by pandas.read_csv(path, sep=';', decimal=',')"
    if len(strange) > len(values) / 2:
        return "convert the column, or use family='binomial' for two levels"
    convert = f"pandas.to_numeric(data[{column.strip('`')!r}], errors='coerce')"
    if not strange:
        return f"all are numbers: {convert} makes them so"
    shown = ", ".join(map(repr, strange[:4])) + (", ..." if len(strange) > 4 else "")
    return f"all are numbers but {shown}: {convert} makes {'that' if len(strange) == 1 else 'these'} missing"


def about_alike(column: str, levels: Sequence[str]) -> list[str]:
    """A note on levels that differ in blanks or capitals only.

    >>> about_alike("sex", ["F", " F", "M"])
    ["sex: the levels ' F' and 'F' differ in blanks or capitals only; are they one?"]
    >>> about_alike("sex", ["F", "M"])
    []
    """
    if len({level.strip().casefold() for level in levels}) == len(levels):
        return []
    seen: dict[str, str] = {}
    for level in levels:
        other = seen.setdefault(level.strip().casefold(), level)
        if other != level:
            pair = " and ".join(map(repr, sorted((other, level))))
            return [f"{column}: the levels {pair} differ in blanks or capitals only; are they one?"]
    return []
