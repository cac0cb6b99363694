"""The records of our backends; what computes is imported when a fit asks for it."""

from __future__ import annotations

from formula_neuro.registry import Backend, hookimpl

LM = Backend(
    name="mylab-lm",
    models=frozenset({"lm"}),
    families=frozenset({"gaussian"}),
    estimators=frozenset({"ml"}),
    target="mylab_neuro.lm:fit",
    max_random=0,
    rank=-1,  # below the native backends: chosen where backend="mylab-lm" asks for it
    help="least squares by numpy.linalg.lstsq",
)


@hookimpl
def formula_neuro_backends() -> list[Backend]:
    return [LM]
