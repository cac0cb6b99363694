"""Estimators that are finite where maximum likelihood is not."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Estimator

BIAS_REDUCED = ("mean_br", "median_br", "jeffreys")  # finite where maximum likelihood is not


@dataclass(frozen=True)
class MeanBR(Estimator):
    """Mean bias reduction by adjusted scores (Firth 1993; Kosmidis and Firth 2009); brglm2's AS_mean.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1, 2, 3, 4], "y": [0, 0, 1, 1]}, family="binomial", estimator=fn.MeanBR())
    >>> float(m.coef["x"].round(2))  # maximum likelihood: infinite
    1.31
    """

    word = "mean_br"


@dataclass(frozen=True)
class MedianBR(Estimator):
    """Median bias reduction by adjusted scores (Kenne Pagui, Salvan and Sartori 2017); brglm2's AS_median.

    "median_br" is the word for it: `fn.fit(..., estimator="median_br")`.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1, 2, 3, 4], "y": [0, 0, 1, 1]}, family="binomial", estimator=fn.MedianBR())
    >>> float(m.coef["x"].round(2))  # maximum likelihood: infinite
    2.11
    """

    word = "median_br"


@dataclass(frozen=True)
class Jeffreys(Estimator):
    """Maximum of the likelihood times Jeffreys' prior to a power; brglm2's MPL_Jeffreys.

    At power 1/2 it equals mean bias reduction for the logit link; any power above 0 keeps estimates finite
    (Kosmidis and Firth 2021).

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1, 2, 3, 4], "y": [0, 0, 1, 1]}, family="binomial", estimator="jeffreys(0.1)")
    >>> bool(m.coef["x"] > fn.refit(m, estimator=fn.Jeffreys()).coef["x"] > 0)
    True
    """

    word = "jeffreys"

    power: float = 0.5

    def __post_init__(self) -> None:
        if not (isinstance(self.power, (int, float)) and 0 < self.power < float("inf")):
            raise ValueError(f"the power of Jeffreys' prior is a number above 0, as 0.5; got {self.power!r}")
