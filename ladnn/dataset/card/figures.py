"""The pictures of a data card (paper, figure 3), as SVG text; drawn without matplotlib's global state."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ladnn.dataset.card.facts import DataCard, by_size, rate
from ladnn.dataset.split import SPLITS
from ladnn.labels import LESIONS

_INK, _MUTED, _GRID = "#1d2733", "#5b6b7b", "#e3e8ee"
_SPLIT_COLOURS = {"train": "#2f6690", "validation": "#81a4c4", "test": "#d98c3f"}
_BLUES = LinearSegmentedColormap.from_list("card", ["#f4f7fa", "#9dbcd6", "#2f6690", "#173a55"])
_MOST_SOURCES = 8


def lesion_histogram(card: DataCard) -> str:
    """Draw the positive images by number of recorded lesions, stacked by split."""
    figure, axes = _figure(4.6)
    bottom = np.zeros(len(LESIONS) + 1)
    for split in SPLITS:
        counts = np.array(card.lesions_per_positive[split])
        axes.bar(range(len(counts)), counts, 0.72, bottom=bottom, color=_SPLIT_COLOURS[split], label=split)
        bottom += counts
    for x, total in enumerate(card.lesions_per_positive["all"]):
        axes.annotate(str(total), (x, total), (0, 3), textcoords="offset points", ha="center", color=_INK, fontsize=9)
    axes.set_xticks(range(len(LESIONS) + 1), ["none\nnamed", *(str(n) for n in range(1, len(LESIONS) + 1))])
    axes.set_xlabel("lesions of one image", color=_MUTED)
    axes.set_ylabel("positive images", color=_MUTED)
    axes.margins(y=0.12)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.legend(frameon=False, fontsize=9, labelcolor=_INK)
    return _svg(figure)


def concordance_matrix(card: DataCard) -> str:
    """Draw how many positive images show two lesions together."""
    counts = np.array([[card.concordance[one][other] for other in LESIONS] for one in LESIONS])
    figure, axes = _figure(4.2)
    axes.imshow(counts, cmap=_BLUES, vmin=0, vmax=max(int(counts.max()), 1), aspect="equal")
    for (row, column), count in np.ndenumerate(counts):
        dark = count > 0.45 * counts.max()
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else _INK, fontweight=weight)
    axes.set_xticks(range(len(LESIONS)), LESIONS)
    axes.set_yticks(range(len(LESIONS)), LESIONS)
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(len(LESIONS) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(LESIONS) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return _svg(figure)


def negatives_composition(card: DataCard) -> str:
    """Draw the negative images by source, the largest on top; small ones are taken together."""
    counts = by_size(card.negatives_by_source)
    if len(counts) > _MOST_SOURCES:
        rest = counts[_MOST_SOURCES - 1 :]
        counts = [*counts[: _MOST_SOURCES - 1], (f"{len(rest)} others", sum(n for _, n in rest))]
    total = sum(n for _, n in counts)
    figure, axes = _figure(4.6, max(1.4, 0.5 * len(counts) + 0.5))
    axes.barh(range(len(counts)), [n for _, n in counts], 0.66, color=_SPLIT_COLOURS["train"])
    for y, (_, n) in enumerate(counts):
        axes.annotate(f"{n} ({rate(n, total)})", (n, y), (4, 0), textcoords="offset points", va="center", color=_INK)
    axes.set_yticks(range(len(counts)), [_short(name) for name, _ in counts])
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(x=0.35)
    axes.spines["bottom"].set_visible(False)
    return _svg(figure)


def _figure(width_in: float, height_in: float = 3.4) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=_INK, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode()


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
