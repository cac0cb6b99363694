"""The R files that every engine runs."""

from __future__ import annotations

from pathlib import Path


def sources() -> list[str]:
    """Their paths, in the order in which R sources them into one environment."""
    return [str(path) for path in sorted((Path(__file__).parent / "R").glob("*.R"))]
