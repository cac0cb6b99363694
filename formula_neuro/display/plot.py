"""Pictures of a fit: its effect, its residuals, its coefficients and its random effects.

`pictures` lists what there is to see, each with a caption in words; `plot` puts them on one figure. Figures
are made without pyplot, so that nothing global changes and no window is needed.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Unable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..result import Fit

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#7F6A00", "#4D4D4D")
GREY, INK = "#8A8F98", "#22262E"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.formatter.useoffset": False,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "white",
    "legend.borderpad": 0.25,
    "legend.fontsize": 8.5,
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Picture:
    """One thing to see: how to draw it on axes, and what it says in words."""

    title: str
    caption: str
    draw: Callable[[Axes], None]
    height: float = 3.6  # inches, for a width of 5
    kind: str = ""  # one of KINDS


KINDS = ("effects", "coefficients", "residuals", "qq", "calibration", "influence", "random")


def plot(fit: Fit, which: str | None = None) -> Figure:
    """One figure with the pictures of a fit: its effect, coefficients, residuals, quantiles, influence, random effects.

    which: only "effects" (of every predictor), "coefficients", "residuals", "qq" (normal quantiles), "calibration"
    (of a binomial), "influence" (of linear and generalized linear models) or "random" (effects).
    A notebook shows the figure; `figure.savefig("fit.png")` writes it. Raises Unable where the fit has no such picture.

    >>> import formula_neuro as fn
    >>> m = fn.fit("dff ~ lick", fn.datasets.waterlick())
    >>> len(m.plot().axes), m.plot("qq").axes[0].get_xlabel()
    (5, 'normal quantile')
    """
    shown = pictures(fit, which)
    columns = min(len(shown), 3 if len(shown) > 4 else 2)
    rows = -(-len(shown) // columns)
    tallest = [min(7.0, max(p.height for p in shown[i * columns : (i + 1) * columns])) for i in range(rows)]
    formula = str(fit.request.design.formula)

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(rows, columns, height_ratios=tallest)
        for i, picture in enumerate(shown):
            axes = figure.add_subplot(grid[i // columns, i % columns])
            axes.set_title(picture.title)
            picture.draw(axes)
        figure.suptitle(formula if len(formula) < 90 else formula[:87] + "...", x=0.01, ha="left", fontsize=12)

    return drawn((4.8 * columns, sum(tallest) + 0.5), draw)


def draw_one(picture: Picture, width: float = 5.6) -> Figure:
    """A figure of one picture, without its title (a page has the title as text)."""
    return drawn((width, picture.height), lambda figure: picture.draw(figure.add_subplot()))


def pictures(fit: Fit, which: str | None = None) -> list[Picture]:
    """What there is to see of a fit, the effect first; or all pictures of one kind."""
    from . import diagnostics, effects, forest

    if which is not None and which not in KINDS:
        raise ValueError(f"plot has no picture {which!r}; there are {', '.join(KINDS)}")
    found = effects.effects(fit) if which == "effects" else effects.effects(fit)[:1]
    found += [forest.coefficients(fit)] if fit.names else []
    found += [*diagnostics.residuals(fit, which), *diagnostics.random_effects(fit)]
    shown = [picture for picture in found if which in (None, picture.kind)]
    if not shown:
        raise Unable(
            f"{fit.request.design.formula} has no picture {which!r}: {_WHY.get(which or '', 'nothing to show')}"
        )
    return shown


_WHY = {
    "effects": "it has no predictor that can be drawn",
    "coefficients": "it has no coefficients",
    "calibration": "it is drawn for binomial responses",
    "influence": "it is drawn for models without random effects that have more rows than coefficients",
    "random": "it has no random effects",
}


def drawn(size: tuple[float, float], draw: Callable[[Figure], None], arranged: bool = True) -> Figure:
    """A new figure of a size in inches, in the package's style; `arranged` gives axes the room of their labels."""
    _require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    room = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.05) if arranged else None
    with _style():
        figure = NewFigure(figsize=size, layout=room)
        FigureCanvasAgg(figure)
        draw(figure)
    vars(figure)["_repr_png_"] = functools.partial(png, figure, 100)  # what notebooks look for
    return figure


def cut(name: str, most: int = 26) -> str:
    """A name that fits beside an axis."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def png(figure: Figure, dpi: int = 150) -> bytes:
    """The figure as a PNG file's bytes."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _style() -> Any:
    import matplotlib

    return matplotlib.rc_context(STYLE)


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "formula_neuro[plot]"') from error
