"""Generalized estimating equations."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Estimator

CORRELATIONS = ("independence", "exchangeable", "ar1", "unstructured")
CORRECTIONS = ("md", "kc", "none")


@dataclass(frozen=True)
class GEE(Estimator):
    """Generalized estimating equations: the population's mean, with rows of a cluster correlated (Liang & Zeger 1986).

    cluster: the column of the clusters; their rows may stand anywhere in the data.
    corr: the working correlation within a cluster: "independence", "exchangeable", "ar1" or "unstructured". A wrong one
    costs precision, not validity.
    order: the column of times, whole numbers or an ordered factor, for "ar1" (whose correlation falls with their
    distance) and "unstructured"; without it rows are taken in the data's order.
    bias: the correction of the sandwich for few clusters: "md" (Mancl & DeRouen 2001), "kc" (Kauermann & Carroll 2001),
    "none" (geepack's standard errors, too small with few clusters).
    denominators: of dispersion and correlations: "n", geepack's numbers of rows and pairs (or sums of weights), or
    "n-p", less the number of coefficients.

    >>> GEE(cluster="mouseID", corr="AR1", order="trial").corr
    'ar1'
    """

    word = "gee"

    cluster: str
    corr: str = "exchangeable"
    order: str | None = None
    bias: str = "md"
    denominators: str = "n"

    def __post_init__(self) -> None:
        for field, known in (("corr", CORRELATIONS), ("bias", CORRECTIONS), ("denominators", ("n", "n-p"))):
            given = getattr(self, field)
            word = given.lower() if isinstance(given, str) else given
            if word not in known:
                raise ValueError(f"GEE: {field}={given!r} is not known; there are {', '.join(known)}")
            object.__setattr__(self, field, word)
        for field in ("cluster", "order"):
            name = getattr(self, field)
            if not isinstance(name, str) and not (field == "order" and name is None):
                raise ValueError(f"GEE: {field}= is the name of a column, as {field}='mouseID'; got {name!r}")
        if self.order is not None and self.corr in ("independence", "exchangeable"):
            raise ValueError(f"GEE: order= does nothing with corr={self.corr!r}; leave it out, or take corr='ar1'")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.cluster,) if self.order is None else (self.cluster, self.order)
