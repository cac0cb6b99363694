"""How the search for one part of a meta-regression ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convergence:
    """One search: what was searched for, Newton steps, and at the end its decrement g'H^-1 g and largest |gradient|."""

    part: str  # a cell's name, "totals", or "all" where maps and global coefficients are searched together
    steps: int
    decrement: float
    gradient: float
    converged: bool
