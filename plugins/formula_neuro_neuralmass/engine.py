"""Run a problem on the engine that suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Literal

from formula_neuro.errors import DataError

from .parameters import one_of
from .problem import Problem, Record

NEEDS_NUMBA = "numba compiles the equations and is not installed: pip install 'formula_neuro[simulate]'"


def has_numba() -> bool:
    return find_spec("numba") is not None


def chosen(engine: str, device: str) -> str:
    """The engine that "auto" stands for: numba on a processor where it is installed, else torch."""
    return engine if engine != "auto" else "numba" if has_numba() and device == "cpu" else "torch"


def run(
    problem: Problem,
    *,
    engine: Literal["auto", "torch", "numba"] = "auto",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Record:
    """The record of a whole run.

    engine "auto" is numba on a processor where it is installed, else torch with a message. workers: threads.
    progress is told the steps done and the steps in all. Raises DataError.
    """
    one_of(engine, ("auto", "numba", "torch"), "engine")
    compiled = has_numba()
    if engine == "numba" and (not compiled or problem.device != "cpu"):
        raise DataError(NEEDS_NUMBA if not compiled else f"numba runs on device='cpu', not {problem.device!r}")
    if chosen(engine, problem.device) == "numba":
        from . import numba_engine

        return numba_engine.run(problem, workers=workers, progress=progress)
    from . import torch_engine

    record = torch_engine.run(problem, workers=workers, progress=progress)
    if engine == "auto" and not compiled and problem.device == "cpu":
        record = replace(record, messages=(f"simulated by torch, which is slower: {NEEDS_NUMBA}", *record.messages))
    return record
