"""What there is to see of an optimal design, each picture with a caption in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formula_neuro.display.plot import Picture, drawn

from . import drawn_choices, drawn_designs, drawn_measures, drawn_tests

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .answer import OptimalDesign

MAKERS = {
    "design": drawn_designs.design,
    "responses": drawn_designs.responses,
    "filter": drawn_designs.matched_filter,
    "fits": drawn_designs.fits,
    "bias": drawn_measures.bias,
    "variance": drawn_measures.variance,
    "misfit": drawn_measures.misfit,
    "pareto": drawn_choices.pareto,
    "columns": drawn_choices.columns,
    "phi": drawn_choices.phi,
    "search": drawn_choices.search,
    "power": drawn_tests.power,
    "roc": drawn_tests.roc,
    "estimates": drawn_tests.estimates,
}
SHOWN = ("design", "bias", "variance", "power")  # by plot() without a kind


def pictures(d: OptimalDesign, kind: str | None = None) -> list[Picture]:
    """The pictures of one kind, of plot's four, or (kind="all") of all kinds. Raises ValueError."""
    if kind is not None and kind not in (*MAKERS, "all"):
        raise ValueError(f"plot has no picture {kind!r}; there are {', '.join(MAKERS)} and all")
    kinds = SHOWN if kind is None else tuple(MAKERS) if kind == "all" else (kind,)
    return [MAKERS[one](d) for one in kinds if kind == one or one != "search" or len(d.trace) > 1]


def figure(d: OptimalDesign, kind: str | None = None) -> Figure:
    """One figure of the pictures."""
    shown = pictures(d, kind)
    columns = min(len(shown), 3 if len(shown) > 4 else 2)
    rows = -(-len(shown) // columns)

    def draw(whole: Figure) -> None:
        grid = whole.add_gridspec(rows, columns)
        for i, picture in enumerate(shown):
            axes = whole.add_subplot(grid[i // columns, i % columns])
            axes.set_title(picture.title)
            picture.draw(axes)
        whole.suptitle(d.formula if len(d.formula) < 90 else d.formula[:87] + "...", x=0.01, ha="left", fontsize=12)

    return drawn((4.8 * columns, 3.6 * rows + 0.5), draw)
