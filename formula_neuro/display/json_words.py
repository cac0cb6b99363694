"""A fit and a verdict as plain values, for JSON: NaN and infinity become null."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .fit_tables import ratio_name, ratios

if TYPE_CHECKING:
    from ..comparing.agreement import Agreement
    from ..foci.fit import FociFit
    from ..maps.agreement import MapAgreement
    from ..maps.fit import MapFit
    from ..result import Fit


def fit_record(m: Fit) -> dict[str, Any]:
    """Everything about a fit but its rows: the model, its coefficients, variances and messages."""
    request = m.request
    known: dict[Any, Any] = m.glance().to_dict("records")[0]
    record: dict[str, Any] = {
        "formula": str(request.design.formula),
        **known,
        "groups": {effect.group: len(effect.levels) for effect in m.random},
        "messages": list(m.messages),
        "coefficients": m.tidy().to_dict("records"),
        "ratios": ratios(m)[["term", "estimate", "conf_low", "conf_high"]].to_dict("records") if ratio_name(m) else [],
        "varcorr": m.varcorr().to_dict("records"),
    }
    if m.inflation is not None:
        record["zero_inflation"] = m.zero_inflation().to_dict("records")
    cleaned: dict[str, Any] = plain(record)
    return cleaned


def map_record(v: MapFit) -> dict[str, Any]:
    """A fit in every voxel without its maps: the model, the counts by coefficient, and the messages."""
    known = v.glance().to_dict("records")[0]
    record = {"formula": str(v.request.design.formula), **known, "messages": list(v.messages)}
    cleaned: dict[str, Any] = plain(record | {"coefficients": v.tidy().to_dict("records")})
    return cleaned


def foci_record(c: FociFit) -> dict[str, Any]:
    """A meta-regression without its maps: the model, cells, moderators and messages."""
    known = c.glance().to_dict("records")[0]
    record = {"formula": str(c.request.design.formula), **known, "messages": list(c.messages)}
    tables = {"cells": c.cell_table, "coefficients": c.tidy(), "terms": c.terms}
    cleaned: dict[str, Any] = plain(record | {name: table.to_dict("records") for name, table in tables.items()})
    return cleaned


def agreement_record(check: Agreement | MapAgreement | None) -> dict[str, Any] | None:
    """R's verdict with its table, or None where it was not asked for; `ok` is null where R did not finish."""
    if check is None:
        return None
    first = check.checks[0] if hasattr(check, "checks") else check
    record = {
        "ok": check.ok,
        "verdict": check.verdict,
        "native": first.native,
        "reference": first.reference,
        "table": check.to_frame().to_dict("records"),
        "notes": list(check.notes),
    }
    by_voxel = getattr(check, "by_voxel", None)
    if by_voxel is not None:
        record["voxels"] = by_voxel.to_dict("records")
    cleaned: dict[str, Any] = plain(record)
    return cleaned


def plain(value: Any) -> Any:
    """The value in JSON's types.

    >>> plain({"df": float("inf"), "terms": ("a", 1)})
    {'df': None, 'terms': ['a', 1]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # numpy's scalars
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
