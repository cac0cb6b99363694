"""What the backend that made a fit can do beyond its numbers."""

from __future__ import annotations

from typing import Any

from ..errors import Unable
from ..result import Fit


def ability(fit: Fit, name: str, purpose: str) -> Any:
    """A method of the fit's engine, or Unable naming the backend and what was wanted of it."""
    method = getattr(fit.engine, name, None)
    if method is None:
        raise Unable(f"{purpose} needs a fit that can `{name}`, and {fit.backend} cannot")
    return method
