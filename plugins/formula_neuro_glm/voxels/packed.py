"""The rows of a design in the forms that searches use, each made once, when it is first wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import ML

from .compress import Compressed, compressed, plain
from .design import Rows
from .representatives import Representatives, representatives

KEPT = 8  # parts


@dataclass(frozen=True, eq=False)
class Packed:
    """Rows, and fewer rows that give the same sums or nearly so."""

    rows: Rows
    parts: dict[bytes, Packed] = field(default_factory=dict)

    def likeliest(self, some: NDArray[np.bool_]) -> Packed:
        """Some of the rows (n,), for maximum likelihood; a few such parts are kept, as the same levels come again."""
        key, rows = np.packbits(some).tobytes(), self.rows
        if key not in self.parts:
            if len(self.parts) >= KEPT:
                self.parts.clear()
            self.parts[key] = Packed(Rows.of(rows.X[some], rows.w[some], rows.offset[some], rows.family, ML()))
        return self.parts[key]

    @cached_property
    def exact(self) -> Compressed:
        """Equal rows as one."""
        return plain(self.rows)

    @cached_property
    def quick(self) -> Compressed:
        """Nodes in place of rows where the design allows that, else the exact rows."""
        found = compressed(self.rows)
        return self.exact if found.exact else found

    @cached_property
    def coarse(self) -> Representatives | None:
        """Representatives of the exact rows, None where these are few."""
        return representatives(self.exact)

    def __getstate__(self) -> dict[str, Any]:
        """What cannot be made again."""
        return {"rows": self.rows, "parts": {}}
