"""Compiled programs of models, kept for the next run of the same model in this process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from formula_neuro.dynamics.model import Model
from formula_neuro.family import Array

from .problem import Problem
from .tracing import Program, bold_program, step_program
from .vector_code import Code, flat_tables, machine_code


@dataclass(frozen=True, eq=False)
class Compiled:
    """A program, its machine code and the numbers of its tables."""

    program: Program
    code: Code
    tables: Array


def step(problem: Problem) -> Compiled:
    """A model's step where the problem's stimulus varies some parameters."""
    return _step(_Same(problem.model), frozenset(problem.stimulus), problem.dtype)


def bold(problem: Problem) -> Compiled:
    """The step of the BOLD model that the model drives."""
    return _bold(_Same(problem.model), problem.dtype)


class _Same:
    """A model as a key: the very same object."""

    def __init__(self, model: Model):
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.model is self.model


@lru_cache(maxsize=64)
def _step(same: _Same, varying: frozenset[str], dtype: str) -> Compiled:
    return _compiled(step_program(same.model, varying), dtype)


@lru_cache(maxsize=64)
def _bold(same: _Same, dtype: str) -> Compiled:
    return _compiled(bold_program(same.model), dtype)


def _compiled(program: Program, dtype: str) -> Compiled:
    return Compiled(program, machine_code(program, dtype), flat_tables(program.graph)[0].astype(dtype))
