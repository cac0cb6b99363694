"""Design matrices whose contrast has a small bias over a family of responses: the record; numerics come later."""

from __future__ import annotations

from formula_neuro.registry import Task, hookimpl

OPTIMIZE_DESIGN = Task(
    name="optimize_design",
    target="formula_neuro_design.optimizing:optimize_design",
    help="a design matrix and contrast of small bias and variance over a family of true designs",
)


@hookimpl
def formula_neuro_tasks() -> list[Task]:
    return [OPTIMIZE_DESIGN]
