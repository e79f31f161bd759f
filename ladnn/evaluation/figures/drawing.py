"""What the figures share: colours that colour-blind people tell apart, open axes, PNG without matplotlib's global state."""

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1d2733", "#5b6b7b", "#e3e8ee"
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),
    *("#999999", "#882255", "#999933"),
)
"""Okabe and Ito 2008, *Color universal design*, https://jfly.uni-koeln.de/color/; yellow left out, pale on white. Then grey,
and wine and olive of Paul Tol's muted scheme, https://personal.sron.nl/~pault/: one for each backbone of the registry."""
POSITIVE, NEGATIVE = PALETTE[1], PALETTE[0]
_DPI = 150


def open_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure that is laid out when it is drawn."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def open_axes(axes: Axes, x_label: str = "", y_label: str = "", title: str = "") -> Axes:
    """Style axes: ticks outside, a grid behind the data, no box."""
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(length=3, colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(MUTED)
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.set_title(title, color=INK, fontsize=11, loc="left")
    return axes


def unit_square(axes: Axes) -> None:
    """Show 0 to 1 on both axes, with room for lines on the edge."""
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")


def legend_below(figure: Figure, *described: Axes, n_columns: int = 1) -> None:
    """Put the legends of axes below the whole figure, where they hide nothing."""
    named = [pair for axes in described for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles, labels = [handle for handle, _ in named], [label for _, label in named]
    figure.legend(
        handles, labels, loc="outside lower center", ncols=n_columns, frameon=False, fontsize=9, labelcolor=INK
    )


def png(figure: Figure) -> bytes:
    """Return the picture as a PNG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
