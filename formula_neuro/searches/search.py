"""How a likelihood's maximum is searched, where that is not left to the backend: optimizer, steps and start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

OPTIMIZERS = ("newton", "lbfgs", "nelder-mead", "powell")
STARTS = ("moments", "identity", "zero", "large")
LARGEST = 1e50  # of an element of theta; its fourth power is needed
LIKE = {"bobyqa": "powell", "nlminb": "lbfgs", "nloptwrap": "powell", "bfgs": "lbfgs", "neldermead": "nelder-mead"}


@dataclass(frozen=True)
class Point:
    """Numbers to start from: lme4's theta, and what is searched beside it in a GLMM: coefficients (p,) and the family's
    shape, or dispersion."""

    theta: tuple[float, ...]
    beta: tuple[float, ...] = ()
    shape: float | None = None

    def __post_init__(self) -> None:
        if not all(abs(value) < LARGEST for value in self.theta):
            shown = ", ".join(f"{value:g}" for value in self.theta)
            raise ValueError(
                f"start= has numbers that are no ratios of standard deviations: {shown}; take finite ones below "
                f"{LARGEST:g}, as m.theta"
            )


@dataclass(frozen=True)
class Search:
    """One way to search; the default is each backend's own.

    start: "moments" (of a linear model), "identity" (effects as large as the residual's or the link's unit), "zero"
    (a thousandth of that, since exactly 0 is a stationary point), "large" (ten times that), or a Point.
    """

    optimizer: str = "newton"
    iterations: int | None = None
    start: str | Point | None = None

    def __post_init__(self) -> None:
        word = str(self.optimizer).lower().replace("_", "-").replace("l-bfgs-b", "lbfgs")
        if word not in OPTIMIZERS:
            near = LIKE.get(word.replace("-", "").replace("wrap", ""), LIKE.get(word))
            hint = f"; the nearest to {self.optimizer} is {near!r}" if near else ""
            raise ValueError(f"optimizer={self.optimizer!r} is not known; there are {', '.join(OPTIMIZERS)}{hint}")
        object.__setattr__(self, "optimizer", word)
        if self.iterations is not None:
            given: Any = self.iterations
            if not isinstance(given, Integral) or given is True or int(given) <= 0:
                raise ValueError(f"iterations= is a whole number above 0, got {given!r}")
            object.__setattr__(self, "iterations", int(given))
        if isinstance(self.start, str) and self.start not in STARTS:
            raise ValueError(
                f"start={self.start!r} is not known; there are {', '.join(STARTS)}, another fit, or numbers as m.theta"
            )

    @property
    def words(self) -> str:
        """ "powell from zero, at most 50 iterations"; what was left to the backend is not said."""
        where = f" from {self.start}" if isinstance(self.start, str) else " from a point given" if self.start else ""
        return f"{self.optimizer}{where}{f', at most {self.iterations} iterations' if self.iterations else ''}"

    def elsewhere(self) -> Search:
        """The same for a part of the model, to which numbers to start from do not belong."""
        return replace(self, start=None) if isinstance(self.start, Point) else self


USUAL = Search()
