"""The estimator that a word stands for: `"reml"`, `"AGQ(7)"`, `"gee(mouseID, ar1)"`, `"spatial(draws=64)"`."""

from __future__ import annotations

import re

from ..nearest import nearest
from .base import Estimator
from .bias_reduced import Jeffreys, MeanBR, MedianBR
from .gee import GEE
from .integral import AGQ, Laplace
from .likelihood import ML, REML
from .spatial import Spatial
from .splines import Splines

_WORDS: dict[str, type[Estimator]] = {
    cls.word: cls for cls in (ML, REML, Laplace, AGQ, MeanBR, MedianBR, Jeffreys, Spatial, Splines)
}
_PATTERN = r"\s*(\w+)\s*(?:\(\s*(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)\s*\))?\s*"
_ELSEWHERE = {  # of other packages, and by the names of their authors
    "firth": "mean_br", "as_mean": "mean_br", "as_median": "median_br", "mpl_jeffreys": "jeffreys",
    "ols": "ml", "wls": "ml", "irls": "ml", "mle": "ml", "lm": "ml", "pql": "laplace", "ghq": "AGQ(10)",
}  # fmt: skip
DEFAULTS: dict[str, type[Estimator]] = {"lm": ML, "glm": ML, "lmm": REML, "glmm": Laplace}


def as_estimator(given: str | Estimator | None, model: str = "") -> Estimator:
    """The estimator that a word, a value or None (the model's default) stands for.

    >>> as_estimator("AGQ(7)"), as_estimator("jeffreys(0.3)"), as_estimator(None, "lmm")
    (AGQ(nodes=7), Jeffreys(power=0.3), REML())
    >>> as_estimator("gee(mouseID, ar1, trial)")
    GEE(cluster='mouseID', corr='ar1', order='trial', bias='md', denominators='n')
    >>> as_estimator("splines(15 mm)").spacing
    '15 mm'
    >>> as_estimator("spatial(gibbs, chains=2)")
    Spatial(method='gibbs', chains=2)
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
    of_knots = re.fullmatch(r"\s*splines\s*\((.*)\)\s*", given, re.IGNORECASE) if isinstance(given, str) else None
    if of_knots is not None:
        return Splines(float(of_knots[1]) if re.fullmatch(r"[\d.]+", of_knots[1]) else of_knots[1])
    of_clusters = re.fullmatch(r"\s*gee\s*\((.*)\)\s*", given, re.IGNORECASE) if isinstance(given, str) else None
    if of_clusters is not None and 1 <= len(parts := [part.strip() for part in of_clusters[1].split(",")]) <= 3:
        return GEE(*parts)
    of_fields = re.fullmatch(r"\s*spatial\s*\((.*)\)\s*", given, re.IGNORECASE) if isinstance(given, str) else None
    if of_fields is not None:
        return Spatial.of(of_fields[1])
    name = str(given).strip().lower()
    meant = _ELSEWHERE.get(name) or nearest(name, _WORDS)
    hint = f"; did you mean {meant!r}?" if meant else ""
    raise ValueError(
        f"estimator={given!r} is not known; there are {', '.join(_WORDS)}, AGQ(nodes), jeffreys(power), "
        f"gee(cluster, corr, order), splines(spacing) and spatial(method, draws=...){hint}"
    )
