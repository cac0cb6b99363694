"""Pictures of an evolution: parameters, scores by generation, genealogy, front."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from formula_neuro.display.plot import BLUE, GREY, INK, VERMILION, drawn
from formula_neuro.errors import DataError, Unable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .answer import Evolution

LOG = 50.0  # the ratio of the worst score to the best, from which scores of one sign are shown by their logarithm


def plot(evolution: Evolution, which: str | None) -> Figure:
    """The picture of that name; None: parameters and scores."""
    made: dict[str, Callable[[Evolution], Figure]] = {
        "parameters": _parameters,
        "scores": lambda e: drawn((5.6, 3.4), lambda figure: _scores(figure.add_subplot(), e)),
        "genealogy": lambda e: drawn((9.0, 4.6), lambda figure: _genealogy(figure.add_subplot(), e)),
        "pareto": _pareto,
    }
    if which is None:
        return _overview(evolution)
    if which not in made:
        raise DataError(f"plot has no picture {which!r}; there are {', '.join(made)}")
    return made[which](evolution)


def _overview(evolution: Evolution) -> Figure:
    names = evolution.plan.names
    columns = min(4, len(names) + 1)
    rows = -(-(len(names) + 1) // columns)

    def draw(figure: Figure) -> None:
        every = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, name in zip(every, names, strict=False):
            _distribution(axes, evolution, name)
        _scores(every[len(names)], evolution)
        for axes in every[len(names) + 1 :]:
            axes.set_visible(False)

    return drawn((3.4 * columns, 2.9 * rows), draw)


def _parameters(evolution: Evolution) -> Figure:
    """Each parameter's distribution, and each pair of them: all individuals, the last population over them."""
    names = evolution.plan.names
    n = len(names)
    table, left = evolution.to_frame(), evolution.population
    sound = table[table["status"] == "ok"]

    def pair(axes: Axes, x: str, y: str) -> None:
        axes.scatter(sound[x], sound[y], s=5, color=GREY, alpha=0.5, lw=0, rasterized=True)
        axes.scatter(left[x], left[y], s=9, color=BLUE, lw=0, rasterized=True)

    def draw(figure: Figure) -> None:
        every = figure.subplots(n, n, squeeze=False)
        for i in range(n):
            for j in range(n):
                axes = every[i, j]
                if i == j:
                    _distribution(axes, evolution, names[i])
                elif i > j:
                    pair(axes, names[j], names[i])
                    axes.set(xlabel=names[j] if i == n - 1 else "", ylabel=names[i] if j == 0 else "")
                else:
                    axes.set_visible(False)

    return drawn((2.6 * max(n, 2), 2.4 * max(n, 1.4)), draw)


def _distribution(axes: Axes, evolution: Evolution, name: str) -> None:
    table = evolution.to_frame()
    low, high = evolution.plan.bounds[evolution.plan.names.index(name)]
    edges = np.linspace(low, high, 31).tolist()
    first = table.loc[table["generation"] == 0, name]
    axes.hist(first, edges, density=True, color=GREY, alpha=0.45, label="first generation")
    if len(evolution.population):
        axes.hist(evolution.population[name], edges, density=True, color=BLUE, alpha=0.75, label="last population")
    axes.set(xlabel=name, yticks=[], xlim=(low, high))
    if name == evolution.plan.names[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)


def _scores(axes: Axes, evolution: Evolution) -> None:
    """Best and mean of each generation over the range; the fitness itself where it is one number."""
    scores = evolution.scores.dropna()
    one = len(evolution.weights) == 1
    sign = float(1 / evolution.weights[0]) if one else 1.0
    values: dict[str, Any] = {name: scores[name].to_numpy() * sign for name in ("best", "mean", "worst")}
    axes.fill_between(scores["generation"], values["best"], values["worst"], color=BLUE, alpha=0.15, lw=0)
    axes.plot(scores["generation"], values["mean"], color=BLUE, lw=1.6, label="mean of the population")
    axes.plot(scores["generation"], values["best"], "o-", color=VERMILION, ms=3, lw=1.4, label="best")
    small, large = (f(np.concatenate(list(values.values()))) for f in (np.min, np.max)) if len(scores) else (0.0, 0.0)
    if small > 0 and large / small > LOG:
        axes.set_yscale("log")
    axes.set(xlabel="generation", ylabel="fitness" if one else "score (mean weighted fitness)")
    _whole_numbers(axes)
    axes.legend()


def _genealogy(axes: Axes, evolution: Evolution) -> None:
    """Individuals by generation and score, with lines to their parents; ancestors of the last population in ink."""
    h, score = evolution.history, evolution.score
    if (h.parents < 0).all():
        raise Unable(f"individuals of {evolution.plan.method} have no parents; there is no genealogy")
    place = np.empty(len(h))
    for generation in range(h.generations):  # by rank, the best on top: scores of early generations span decades
        born = np.flatnonzero(h.generation == generation)
        order = np.argsort(np.argsort(np.nan_to_num(score[born], nan=-np.inf), kind="stable"))
        place[born] = (order + 0.5) / len(born)
    ancestors = _ancestors(evolution)
    for child, parents in enumerate(h.parents):
        for parent in set(parents.tolist()) - {-1}:
            colour, width, alpha = (INK, 0.7, 0.6) if child in ancestors else (GREY, 0.3, 0.25)
            pair = [parent, child]
            axes.plot(h.generation[pair], place[pair], color=colour, lw=width, alpha=alpha, zorder=1 + (width > 0.5))
    kin = np.array(sorted(ancestors), dtype=int)
    axes.scatter(h.generation, place, s=5, color=GREY, zorder=3)
    axes.scatter(
        h.generation[kin], place[kin], s=11, color=VERMILION, zorder=4, label="the last population's ancestors"
    )
    axes.set(xlabel="generation", ylabel="rank within the generation", yticks=[0, 1], ylim=(-0.02, 1.1))
    axes.set_yticklabels(["worst", "best"])
    _whole_numbers(axes)
    axes.legend(loc="upper right", ncols=2)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _ancestors(evolution: Evolution) -> set[int]:
    """The ids of the last population and of all whom they come from."""
    h = evolution.history
    found: set[int] = set()
    left = [int(i) for i in h.population]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += [int(p) for p in h.parents[one] if p >= 0]
    return found


def _pareto(evolution: Evolution) -> Figure:
    """The first two numbers of the fitness: all individuals, and those that no other beats."""
    if len(evolution.weights) < 2:
        raise Unable("a fitness of one number has no front; plot('scores') shows it")
    table, front = evolution.to_frame(), evolution.pareto()
    sound = table[table["status"] == "ok"]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        shade = axes.scatter(sound["f0"], sound["f1"], c=sound["generation"], s=8, cmap="Greys", lw=0, vmin=-5)
        axes.plot(front["f0"], front["f1"], "o", color=VERMILION, ms=4, label="no other is better in both")
        axes.set(xlabel="f0", ylabel="f1")
        axes.legend()
        figure.colorbar(shade, ax=axes, label="generation")

    return drawn((5.6, 4.0), draw)
