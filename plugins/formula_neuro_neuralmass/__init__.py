"""Whole-brain neural mass simulation: its tasks by name; each is imported when it is first called."""

from __future__ import annotations

from formula_neuro.registry import Task, hookimpl

HERE = "formula_neuro_neuralmass"
TASKS = (
    Task("explore", f"{HERE}.exploring:explore", "many runs of a model as a table, which fit takes"),
    Task("load_exploration", f"{HERE}.exploration.answer:load_exploration", "an exploration that was kept in a folder"),
    Task("load_evolution", f"{HERE}.evolution.files:load_evolution", "an evolution that was kept in a file"),
    Task("simulate", f"{HERE}.simulating:simulate", "a run of a neural mass model, of one node or a brain, with BOLD"),
    Task("models", f"{HERE}.listing:models", "the neural mass models, and the parameters of each"),
    Task("vary", f"{HERE}.varying:vary", "a parameter's value in each node by a formula on a table of nodes"),
    Task("load_simulation", f"{HERE}.saving:load_simulation", "a run that was saved by .save()"),
    Task("evolve", f"{HERE}.evolving:evolve", "parameters whose fitness is best, by evolution"),
    Task("register_model", f"{HERE}.models:register_model", "a model of your own for simulate, explore and evolve"),
)


@hookimpl
def formula_neuro_tasks() -> list[Task]:
    return list(TASKS)
