"""What a long run will need, in one form of words: pieces, memory of each, and time."""

from __future__ import annotations

UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
TIMES = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))
FROM = 1.5  # of a unit, from where on a time is told in it


def planned(what: str, size: float | None = None, pieces: int = 1) -> str:
    """What is run, in how many pieces, and the bytes of memory that one of them takes at most, if that is known.

    >>> planned("voxels", 2.6e8, 24)
    'voxels, 24 pieces of about 260 MB'
    >>> planned("voxels", 13e3), planned("bootstrap", pieces=8)
    ('voxels, about 13 kB', 'bootstrap, 8 pieces')
    """
    many = f"{pieces:,} pieces" if pieces > 1 else ""
    about = "" if size is None else f"about {sized(size)}"
    told = " of ".join(part for part in (many, about) if part)
    return f"{what}, {told}" if told else what


def foreseen(seconds: float, done: int, total: int) -> str:
    """How long all will take, and by how much of it that is known.

    >>> foreseen(742, 1490, 35747)
    'about 12 min in all, going by the first 1,490 of 35,747'
    """
    return f"about {lasting(seconds)} in all, going by the first {done:,} of {total:,}"


def sized(size: float) -> str:
    """Bytes as people say them, two digits.

    >>> sized(1.26e9), sized(96), sized(1536e9)
    ('1.3 GB', '96 bytes', '1,536 GB')
    """
    for unit, name in UNITS:
        if size >= unit:
            return f"{_digits(size / unit)} {name}"
    return f"{size:.0f} bytes"


def lasting(seconds: float) -> str:
    """A time as people say it, two digits.

    >>> lasting(0.82), lasting(14.6), lasting(200), lasting(9000), lasting(200000)
    ('0.82 s', '15 s', '3.3 min', '2.5 h', '2.3 days')
    """
    for unit, name in TIMES:
        if seconds >= FROM * unit:
            return f"{_digits(seconds / unit)} {name}"
    return f"{_digits(seconds)} s"


def _digits(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def left(done: float, total: float, seconds: float, pieces: int = 1, at_once: int = 1) -> float:
    """Seconds that a run will go on for, from what was done so far.

    pieces: that have come in. The first ones of many that run at once stand for the others, which are as far as they.

    >>> left(10, 100, 3.0), left(10, 100, 3.0, pieces=1, at_once=2), left(10, 10, 3.0)
    (27.0, 12.0, 0.0)
    """
    reached = min(done * max(at_once / max(pieces, 1), 1.0), total)
    return seconds * (total - reached) / max(reached, 1e-300)
