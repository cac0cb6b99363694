"""A bar of what is done, with the time that is left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, total: int, progress: bool | None) -> Iterator[Callable[[int], None]]:
    """A function that moves the bar on; progress=None shows it only where standard error is a terminal."""
    shown = sys.stderr.isatty() if progress is None else progress
    if not shown:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(
        console=console, transient=console.is_terminal
    ) as shown_bar:  # elsewhere only its last state is written
        place = shown_bar.add_task(what, total=total)
        yield lambda count: shown_bar.advance(place, count)
