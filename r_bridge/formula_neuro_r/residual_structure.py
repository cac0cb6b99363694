"""Residual structures as lme of nlme takes them: levels of varIdent, series and times of corAR1."""

from __future__ import annotations

from typing import Any

import numpy as np

from formula_neuro.data.values import Categorical, as_factor
from formula_neuro.estimator.residual_structure import VarIdent
from formula_neuro.request import Request


def structures(request: Request) -> dict[str, Any]:
    """What fit_nlme() takes for the residual= of an estimator; nothing for plain residuals."""
    found: dict[str, Any] = {}
    for structure in getattr(request.estimator, "residual", ()):
        if isinstance(structure, VarIdent):
            factor = as_factor(request.design.beside[structure.group])
            names = tuple(f"sd {level} / {factor.levels[0]}" for level in factor.levels[1:])
            found["spread"] = {"codes": (factor.codes + 1).astype(np.int32), "names": names}
            continue
        finest = max(request.design.random, key=lambda term: len(term.levels)).codes
        codes = finest if structure.group is None else as_factor(request.design.beside[structure.group]).codes
        value = None if structure.time is None else request.design.beside[structure.time]
        times = value.codes if isinstance(value, Categorical) else value
        if times is None:
            order = np.argsort(codes, kind="stable")
            times = np.empty(len(codes), dtype=np.intp)
            times[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
        found["series"] = {"codes": (codes + 1).astype(np.int32), "times": np.asarray(times).astype(np.int32)}
    return found
