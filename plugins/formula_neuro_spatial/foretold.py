"""What a search for Sigma will need, before it is made: memory by counting, time by its first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from formula_neuro.family import Array
from formula_neuro.running.bar import bar
from formula_neuro.running.estimates import planned

HELD = 200  # numbers for a coefficient of a voxel that are held at most: 170 to 300 measured
SEARCH, EACH = 45, 4  # times the first step that a search takes, and for each coordinate of Q, whose step ends it


@dataclass
class Counted:
    """A step that tells how far the search has come: its first is one share of the work, later ones more."""

    step: Callable[[Array], Array]
    advance: Callable[[int], None]
    left: int
    first: bool = True

    def __call__(self, theta: Array) -> Array:
        found = self.step(theta)
        share = min(1 if self.first else 2, self.left - 1)
        self.left, self.first = self.left - share, False
        self.advance(share)
        return found


@contextmanager
def counted(step: Callable[[Array], Array], shape: tuple[int, int], progress: bool | None) -> Iterator[Counted]:
    """The step for coefficients of this shape (V, P), under a bar or the one line of a long run."""
    V, P = shape
    whole = SEARCH + EACH * P * (P + 1) // 2
    with bar(planned("spatial model", 8.0 * HELD * V * P), whole, progress) as advance:
        found = Counted(step, advance, whole)
        yield found
        advance(found.left)
