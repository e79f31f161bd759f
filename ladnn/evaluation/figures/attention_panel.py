"""Attention maps beside their slices (paper, figure 5): the slice with its lesions, then map and overlay of each model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects
from scipy.ndimage import label as find_pieces

from ladnn.errors import DatasetError
from ladnn.evaluation.attention import FINENESS, AttentionSource, Maps
from ladnn.evaluation.figures.drawing import INK, PALETTE, open_figure, png
from ladnn.labels import LESIONS

_RED_HIGH_BLUE_LOW = colormaps["jet"]
"""As in the paper's figure, so that the two can be laid side by side; its steps of lightness are known to mislead the
eye (Borland and Taylor 2007, doi:10.1109/MCG.2007.323435), so conclusions are drawn from measured pointing alone."""
_LESION_COLOURS = dict(zip(LESIONS, PALETTE, strict=False))
_CELL_IN, _NAME_CHARACTERS = 1.9, 28
"""Side of a picture, and how many letters of a model's name fit above it."""
_PAD_IN, _TITLE_CHARACTERS_PER_IN = 0.07, 13
_GAP_PX = 3
"""Pieces of a lesion that are less than twice this apart, such as septal lines, share a box."""
_LEAST_BOX_PX = 12
"""Smaller pieces of a lesion get no box of their own."""


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One slice with the maps of every model.

    Attributes:
        name: of the slice.
        pixels: uint8 (H, W).
        maps: float32 (H, W) in [0, 1] by model, the same models in every row.
        captions: what to write under the maps, by model; such as the probability.
        masks: bool (H, W) by lesion code, where lesions are outlined.
    """

    name: str
    pixels: NDArray[np.uint8]
    maps: Mapping[str, Maps]
    captions: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


def attention_panel(rows: Sequence[PanelRow], title: str) -> bytes:
    """Draw one line a slice: the slice with boxes around its lesions, then map and overlay of each model. PNG.

    Raises:
        DatasetError: there is no row.
    """
    if not rows:
        raise DatasetError("there is no slice to draw attention maps of; name at least one image")
    models = list(rows[0].maps)
    n_columns = 1 + 2 * len(models)
    heights = [row.pixels.shape[0] / row.pixels.shape[1] for row in rows]
    figure = open_figure(_CELL_IN * n_columns, _CELL_IN * sum(heights) + 1.4)
    figure.set_layout_engine("compressed", h_pad=_PAD_IN)
    grid = figure.subplots(len(rows), n_columns, squeeze=False, height_ratios=heights)
    for axes, row in zip(grid, rows, strict=True):
        _draw_slice(axes[0], row)
        for number, model in enumerate(models):
            _draw_map(axes[1 + 2 * number], row.maps[model], row.captions.get(model, ""))
            _draw_overlay(axes[2 + 2 * number], row.pixels, row.maps[model])
    headings = [
        "slice",
        *(f"{fill(model, _NAME_CHARACTERS)}\n{part}" for model in models for part in ("map", "overlay")),
    ]
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.set_title(heading, color=INK, fontsize=8)
    shown = [code for code in LESIONS if any(code in row.masks for row in rows)]
    handles = [Rectangle((0, 0), 1, 1, fill=False, edgecolor=_LESION_COLOURS[code]) for code in shown]
    if shown:
        figure.legend(handles, shown, loc="outside lower center", ncols=len(shown), frameon=False, fontsize=8)
    heading = f"{title}; red high, blue low, each map scaled by itself"
    figure.suptitle(fill(heading, int(_TITLE_CHARACTERS_PER_IN * _CELL_IN * n_columns)), color=INK, fontsize=9)
    return png(figure)


def panel_title(sources: Iterable[AttentionSource], label: str, where: str = "", fineness: int = FINENESS) -> str:
    """Return a title that says in what the maps of a label differ from a plain Grad-CAM++.

    Args:
        sources: of the maps.
        label: whose maps are drawn.
        where: what is shown, such as `resnet18 on validation`.
        fineness: of the maps; see `fine_maps`.
    """
    differences = []
    if fineness > 1:
        differences.append(f"at {fineness} points a cell's side, smoothed")
    if any(source.heads.of_statistics for source in sources):
        differences.append("maps of two signs taken apart")
    title = f"Grad-CAM++ of {label}" + (f", {where}" if where else "")
    return f"{title} ({'; '.join(differences)}: a plain Grad-CAM++ differs)" if differences else title


def _draw_slice(axes: Axes, row: PanelRow) -> None:
    _bare(axes).imshow(row.pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_ylabel(row.name, color=INK, fontsize=7)
    for code, mask in row.masks.items():
        for box in _boxes(mask):
            axes.add_patch(box).set_edgecolor(_LESION_COLOURS[code])


def _draw_map(axes: Axes, map_: Maps, caption: str) -> None:
    _bare(axes).imshow(map_, cmap=_RED_HIGH_BLUE_LOW, vmin=0, vmax=1)
    axes.set_xlabel(caption, color=INK, fontsize=7)


def _draw_overlay(axes: Axes, pixels: NDArray[np.uint8], map_: Maps) -> None:
    grey = np.repeat(pixels[:, :, None] / 255, 3, axis=2)
    _bare(axes).imshow(0.55 * grey + 0.45 * _RED_HIGH_BLUE_LOW(map_)[:, :, :3])


def _bare(axes: Axes) -> Axes:
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def _boxes(mask: NDArray[np.bool_]) -> list[Rectangle]:
    """Return a box around each cluster of a mask; around the whole, where all are small."""
    pieces, _ = find_pieces(binary_dilation(mask, iterations=_GAP_PX))
    large = [box for box in find_objects(pieces) if max(side.stop - side.start for side in box) >= _LEAST_BOX_PX]
    boxes = large or find_objects(mask.astype(np.uint8))
    return [Rectangle((x.start, y.start), x.stop - x.start, y.stop - y.start, fill=False) for y, x in boxes]
