"""Programs of models and their machine code, kept for the next run of the same model in this process."""

from __future__ import annotations

from functools import lru_cache

from formula_neuro.dynamics.model import Model

from .problem import Problem
from .tracing import Program, bold_program, step_program
from .vector_code import Code, machine_code


def step(problem: Problem) -> Program:
    """A model's step where the problem's stimulus varies some parameters."""
    return _step(_Same(problem.model), frozenset(problem.stimulus))


def bold(problem: Problem) -> Program:
    """The step of the BOLD model that the model drives."""
    return _bold(_Same(problem.model))


@lru_cache(maxsize=64)
def code(program: Program, dtype: str, uniform: tuple[bool, ...]) -> Code:
    """A program's machine code."""
    return machine_code(program, dtype, uniform)


class _Same:
    """A model as a key: the very same object."""

    def __init__(self, model: Model):
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.model is self.model


@lru_cache(maxsize=64)
def _step(same: _Same, varying: frozenset[str]) -> Program:
    return step_program(same.model, varying)


@lru_cache(maxsize=64)
def _bold(same: _Same) -> Program:
    return bold_program(same.model)
