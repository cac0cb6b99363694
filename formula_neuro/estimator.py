"""How a model is estimated, as small values: `"reml"` at the user's door becomes `REML()` at once."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimator:
    """One way to estimate a model; subclasses hold what belongs to that way alone."""

    @property
    def word(self) -> str:
        return _WORD_OF[type(self)]


@dataclass(frozen=True)
class ML(Estimator):
    """Maximum likelihood."""


@dataclass(frozen=True)
class REML(Estimator):
    """Restricted maximum likelihood, the default of linear mixed models."""


@dataclass(frozen=True)
class Laplace(Estimator):
    """Laplace's approximation of the likelihood, the default of generalized linear mixed models."""


@dataclass(frozen=True)
class AGQ(Estimator):
    """Adaptive Gauss-Hermite quadrature with a number of nodes, for one scalar random effect.

    Its log-likelihood is reported on the scale of Laplace's, so that the two can be compared
    (lme4 puts it on another constant). `AGQ(1)` is Laplace's approximation.
    """

    nodes: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= 100:
            raise ValueError(f"AGQ takes 1 to 100 nodes, got {self.nodes}; 10 is usually plenty")


_WORDS: dict[str, type[Estimator]] = {"ml": ML, "reml": REML, "laplace": Laplace, "agq": AGQ}
_WORD_OF = {cls: word for word, cls in _WORDS.items()}
DEFAULTS = {"lm": ML, "glm": ML, "lmm": REML, "glmm": Laplace}


def as_estimator(given: str | Estimator | None, model: str) -> Estimator:
    """The estimator that a word, a value or None (the model's default) stands for.

    >>> as_estimator("AGQ(7)", "glmm"), as_estimator(None, "lmm")
    (AGQ(nodes=7), REML())
    """
    if given is None:
        return DEFAULTS[model]()
    if isinstance(given, Estimator):
        return given
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*(\d+)\s*\))?\s*", given) if isinstance(given, str) else None
    cls = _WORDS.get(match[1].lower()) if match else None
    if cls is None or match is None or (match[2] and cls is not AGQ):
        raise ValueError(f"estimator={given!r} is not known; there are {', '.join(_WORDS)} and AGQ(nodes)")
    return AGQ(int(match[2])) if match[2] else cls()
