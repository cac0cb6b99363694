"""Estimated marginal means by R's emmeans, of a fit that R makes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.errors import Unable
from formula_neuro.result import Fit

from .asked import arguments
from .engine import call
from .frame import column_from_r

PACKAGES = {
    "r-lm": ("stats",), "r-glm": ("stats",), "lme4": ("lme4",), "lmerTest": ("lme4", "lmerTest"),
    "glmmTMB": ("glmmTMB",),
}  # fmt: skip
SPELLED = {"bh": "BH", "by": "BY"}


def emmeans(
    fit: Fit,
    backend: str,
    specs: Sequence[str],
    contrast: str | Mapping[str, Sequence[float]] | None = None,
    *,
    adjust: str | None = None,
    type: str = "link",
    by: Sequence[str] = (),
    at: Mapping[str, Any] | None = None,
    df: str | None = None,
    conf_level: float = 0.95,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The means, and the contrasts among them, as R's summary() of them has them, with R's column names.

    The arguments are those of fn.emmeans; the model is fitted again by `backend`. Raises Unable for a backend whose
    fits emmeans is not asked about here.
    """
    if backend not in PACKAGES:
        raise Unable(f"emmeans through R is offered for fits of {', '.join(PACKAGES)}, not of {backend}")
    asked: dict[str, Any] = {
        "fitter": backend,
        "packages": PACKAGES[backend],
        "generalized": fit.request.model == "glmm",
        "specs": tuple(specs),
        "by": tuple(by),
        "at": {name: _values(given) for name, given in (at or {}).items()},
        "type": type,
        "df": df or ("satterthwaite" if fit.request.model == "lmm" else "default"),
        "level": float(conf_level),
    }
    if contrast is not None:
        asked["contrast"] = _weights(contrast)
    if adjust is not None:
        asked["adjust"] = SPELLED.get(adjust, adjust)
    value = call("marginal_means", {**arguments(fit.request), **asked}).value
    contrasts = value.get("contrasts")
    return _table(value["means"]), None if contrasts is None else _table(contrasts)


def _weights(contrast: str | Mapping[str, Sequence[float]]) -> Any:
    if isinstance(contrast, str):
        return contrast
    return {name: np.asarray(weights, dtype=float) for name, weights in contrast.items()}


def _values(given: Any) -> Any:
    """Settings as they cross: texts, or numbers."""
    listed = [given] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)
    return tuple(listed) if isinstance(listed[0], str) else np.asarray(listed, dtype=float)


def _table(columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({name: column_from_r(column) for name, column in columns.items()})
