"""The page about an evolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from formula_neuro.display.page import minus

from ..reporting import facts, files, picture, section
from .pictures import plot

if TYPE_CHECKING:
    from .answer import Evolution

SHOWN = 10  # individuals


def evolution_page(w: Evolution) -> dict[str, Any]:
    """Everything that the template shows of an evolution."""
    h, plan, left = w.history, w.plan, w.population
    fitness = [f"f{k}" for k in range(h.fitness.shape[1])]
    best = left[["id", "generation", *plan.names, *fitness]].head(SHOWN)
    own = [("individuals", f"{len(h):,}"), ("generations", f"{h.generations:,}")]
    own += [("failed", f"{int((~h.sound).sum()):,}"), ("seed", str(w.seed))]
    figures = [picture("Parameters", "Grey: all individuals; blue: the last population.", plot(w, "parameters"))]
    figures += [picture("Scores", "By generation: the best, the mean, and the range.", plot(w, "scores"))]
    if len(fitness) > 1:
        figures.append(picture("Front", "Of the first two numbers: what no other individual beats.", plot(w, "pareto")))
    bounds = ", ".join(
        f"{name} from {minus(f'{low:g}')} to {minus(f'{high:g}')}"
        for name, (low, high) in zip(plan.names, plan.bounds, strict=True)
    )
    return {
        "formula": f"evolve: {', '.join(plan.names)}",
        "model": f"a search over {len(plan.names)} parameter{'s' * (len(plan.names) > 1)}, method {plan.method}",
        "facts": facts([*own, ("method", plan.method)], "", w.seconds),
        "data": [f"Searched were {bounds}."],
        "messages": list(w.messages),
        "sentences": [_directions(w, fitness), *_best(w, fitness)],
        "sections": [section("Those that are left", best, f"{len(best)} of {len(left)}, the best first.")]
        if len(best)
        else [],
        "figures": figures,
        "python": _code(w),
        "summary": str(w.summary()),
        "files": files({"individuals.csv": w.to_frame(), "scores.csv": w.scores}),
    }


def _directions(w: Evolution, fitness: list[str]) -> str:
    told = [f"{name} is {'minimised' if v < 0 else 'maximised'}" for name, v in zip(fitness, w.weights, strict=False)]
    return f"{', '.join(told)}, over {len(w.history):,} individuals in {w.history.generations} generations."


def _best(w: Evolution, fitness: list[str]) -> list[str]:
    """The best of those that are left, in words."""
    if not len(w.population):
        return []
    best = w.population.iloc[0]
    at, got = (", ".join(f"{name} = {minus(f'{best[name]:.4g}')}" for name in some) for some in (w.plan.names, fitness))
    which = "The best" if len(fitness) == 1 else "The best by its mean weighted fitness"
    return [f"{which} is at {at}: {got}, found in generation {int(best['generation'])}."]


def _code(w: Evolution) -> str:
    bounds = ", ".join(f'"{n}": ({a:.12g}, {b:.12g})' for n, (a, b) in zip(w.plan.names, w.plan.bounds, strict=True))
    sizes = {"population": w.plan.size, "initial": w.plan.initial, "generations": w.history.generations, "seed": w.seed}
    words = [f"{name}={value}" for name, value in sizes.items() if value is not None]
    words += [f"weights={list(w.plan.weights)}"] if w.plan.weights is not None else []
    words += [f"{name}=..." for name in ("stop", "selection", "mate", "mutate") if getattr(w.plan, name) is not None]
    call = f'fn.evolve(..., {{{bounds}}}, method="{w.plan.method}", {", ".join(words)})'
    return f"import formula_neuro as fn\nw = {call}\n# ... stands for what was given"
