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


@dataclass(frozen=True)
class MeanBR(Estimator):
    """Mean bias reduction by adjusted scores (Firth 1993; Kosmidis and Firth 2009); brglm2's AS_mean."""


@dataclass(frozen=True)
class MedianBR(Estimator):
    """Median bias reduction by adjusted scores (Kenne Pagui, Salvan and Sartori 2017); brglm2's AS_median."""


@dataclass(frozen=True)
class Jeffreys(Estimator):
    """Maximum of the likelihood times Jeffreys' prior to a power; brglm2's MPL_Jeffreys.

    At power 1/2 it equals mean bias reduction for the logit link; any power above 0 keeps estimates finite
    (Kosmidis and Firth 2021).
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        if not (isinstance(self.power, (int, float)) and 0 < self.power < float("inf")):
            raise ValueError(f"the power of Jeffreys' prior is a number above 0, as 0.5; got {self.power!r}")


_WORDS: dict[str, type[Estimator]] = {
    "ml": ML, "reml": REML, "laplace": Laplace, "agq": AGQ,
    "mean_br": MeanBR, "median_br": MedianBR, "jeffreys": Jeffreys,
}  # fmt: skip
BIAS_REDUCED = ("mean_br", "median_br", "jeffreys")  # finite where maximum likelihood is not
_PATTERN = r"\s*(\w+)\s*(?:\(\s*(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)\s*\))?\s*"
_WORD_OF = {cls: word for word, cls in _WORDS.items()}
DEFAULTS = {"lm": ML, "glm": ML, "lmm": REML, "glmm": Laplace}


def as_estimator(given: str | Estimator | None, model: str) -> Estimator:
    """The estimator that a word, a value or None (the model's default) stands for.

    >>> as_estimator("AGQ(7)", "glmm"), as_estimator("jeffreys(0.3)", "glm"), as_estimator(None, "lmm")
    (AGQ(nodes=7), Jeffreys(power=0.3), REML())
    """
    if given is None:
        return DEFAULTS[model]()
    if isinstance(given, Estimator):
        return given
    match = re.fullmatch(_PATTERN, given) if isinstance(given, str) else None
    cls = _WORDS.get(match[1].lower()) if match else None
    if match is not None and cls is not None and match[2] is None:
        return cls()
    if match is not None and cls is AGQ and match[2].isdecimal():
        return AGQ(int(match[2]))
    if match is not None and cls is Jeffreys:
        return Jeffreys(float(match[2]))
    raise ValueError(f"estimator={given!r} is not known; there are {', '.join(_WORDS)}, AGQ(nodes) and jeffreys(power)")
