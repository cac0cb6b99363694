"""One parameter of the random part held at a value: what a profile asks a backend for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Held:
    """The sd of column i of a term (j == i), the correlation of columns i and j (j > i), or sigma (term is None); or a
    parameter of the residuals' structure, by its place."""

    term: int | None
    i: int = 0
    j: int = 0
    residual: int | None = None

    @property
    def kind(self) -> str:
        return "sigma" if self.term is None else "sd" if self.i == self.j else "cor"


class Profiler(Protocol):
    """The deviance (-2 log-likelihood) of a mixed model, minimised over all parameters but one."""

    def held(self, what: Held, value: float, start: Any) -> tuple[float, Any]:
        """The least deviance with the parameter at the value, and where it is; a near search may start there."""
        ...
