"""What all estimators share: a word, and columns of the data that they need."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True)
class Estimator:
    """One way to estimate a model; subclasses hold what belongs to that way alone."""

    word: ClassVar[str]  # that stands for it, "reml"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that it needs beside those of the formula."""
        return ()


@dataclass(frozen=True, repr=False)
class Approximate(Estimator):
    """An approximation of an integral over random effects; what is None is not shown."""

    def __repr__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given if value is not None)})"
