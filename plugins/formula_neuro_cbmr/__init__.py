"""Coordinate-based meta-regression by splines: the record; the numerics are imported later."""

from __future__ import annotations

from formula_neuro.registry import Backend, hookimpl

CBMR = Backend(
    name="cbmr",
    models=frozenset({"cbmr"}),
    families=frozenset({"poisson", "quasipoisson", "negative_binomial", "clustered_negative_binomial"}),
    estimators=frozenset({"splines"}),
    target="formula_neuro_cbmr.fitting:fit",
    spatial=True,
    foci=True,
    max_random=0,
    rank=10,
    help="meta-regression of foci: maps of intensity by splines, Newton's method to a verified optimum",
)


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    return [CBMR]
