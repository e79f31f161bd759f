"""Pair plot of the five lesion outputs, coloured by diagnosis (paper, figure 6)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ladnn.errors import DatasetError
from ladnn.evaluation.cases import Cases, known_cases
from ladnn.evaluation.delong import auroc_by_delong
from ladnn.evaluation.figures.drawing import INK, NEGATIVE, POSITIVE, open_axes, open_figure, png
from ladnn.labels import LESION_NAMES, LESIONS
from ladnn.statistics import NOT_ENOUGH, FloatArray

_PARTS = ((0, NEGATIVE, "negative", "o"), (1, POSITIVE, "positive", "^"))
_BINS = np.linspace(0, 1, 21)


def lesion_pairs(
    diagnosis: FloatArray,
    probabilities: NDArray[np.float64],
    patients: Sequence[str],
    title: str,
    *,
    confidence: float,
    min_patients: int,
) -> bytes:
    """Draw each lesion's probability against each other's, with histograms on the diagonal. PNG.

    Each histogram states the AUROC, with DeLong's interval, at which this one output tells the diagnoses apart.

    Args:
        diagnosis: (N,), 1 positive, 0 negative, NaN unknown; images of unknown diagnosis are left out.
        probabilities: (N, 5) of the lesions in the order of `LESIONS`, in [0, 1].
        patients: (N,), patient of each image.
        title: of the figure.
        confidence: two-sided coverage of the intervals, between 0 and 1.
        min_patients: patients of each diagnosis with fewer of which no AUROC is stated.

    Raises:
        DatasetError: no image has a known diagnosis, or the probabilities are not of five lesions.
    """
    if probabilities.shape != (len(diagnosis), len(LESIONS)):
        raise DatasetError(
            f"lesion probabilities {probabilities.shape} are not ({len(diagnosis)}, {len(LESIONS)}); "
            "draw a model that has a lesion head"
        )
    known = ~np.isnan(diagnosis)
    if not known.any():
        raise DatasetError("no image has a known diagnosis, so there is nothing to colour the lesions by")
    figure = open_figure(10.5, 10.5)
    grid = figure.subplots(len(LESIONS), len(LESIONS), sharex=True)
    for (row, column), axes in np.ndenumerate(grid):
        if column > row:
            axes.set_visible(False)
        else:
            _panel(axes, row, column, diagnosis[known], probabilities[known])
    for number, (code, axes) in enumerate(zip(LESIONS, np.diag(grid), strict=True)):
        cases = known_cases(diagnosis, probabilities[:, number], patients)
        heading = f"{LESION_NAMES[code]}\n{_separation(cases, confidence, min_patients)}"
        axes.set_title(heading, fontsize=8.5, color=INK)
    figure.suptitle(title, color=INK, fontsize=12, x=0.02, ha="left")
    _legend(grid[0, 2], diagnosis[known])
    return png(figure)


def _panel(axes: Axes, row: int, column: int, diagnosis: FloatArray, probabilities: FloatArray) -> None:
    is_last, is_first = row == len(LESIONS) - 1, column == 0
    code = LESIONS[row]
    open_axes(axes, LESIONS[column] if is_last else "", code if is_first else "")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    if row == column:
        _histogram(axes, diagnosis, probabilities[:, row])
        return
    alpha = float(np.clip(60 / np.sqrt(len(diagnosis)) / 10, 0.15, 0.8))
    for value, colour, _, marker in _PARTS:
        inside = diagnosis == value
        x, y = probabilities[inside, column], probabilities[inside, row]
        axes.scatter(x, y, s=12, color=colour, marker=marker, alpha=alpha, linewidths=0)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def _histogram(axes: Axes, diagnosis: FloatArray, probabilities: FloatArray) -> None:
    for value, colour, _, _ in _PARTS:
        inside = probabilities[diagnosis == value]
        if inside.size:
            share = np.full(inside.size, 1 / inside.size)
            axes.hist(inside, bins=_BINS.tolist(), weights=share, color=colour, alpha=0.25)
            axes.hist(inside, bins=_BINS.tolist(), weights=share, color=colour, histtype="step", linewidth=1.4)
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_ylabel("share of images", fontsize=8, color=INK)
    axes.spines["left"].set_visible(False)


def _separation(cases: Cases, confidence: float, min_patients: int) -> str:
    if not 0 < cases.n_present < cases.n:
        return "one diagnosis only"
    if min(cases.n_patients(present=True), cases.n_patients(present=False)) < min_patients:
        return f"diagnosis AUROC: {NOT_ENOUGH}"
    return f"AUROC {auroc_by_delong(cases, confidence)}"


def _legend(axes: Axes, diagnosis: FloatArray) -> None:
    """Use an empty panel of the upper triangle, where it hides nothing."""
    axes.set_visible(True)
    axes.axis("off")
    for value, colour, name, marker in _PARTS:
        axes.scatter([], [], s=40, color=colour, marker=marker, label=f"{name}, n = {int((diagnosis == value).sum())}")
    axes.legend(loc="center", frameon=False, fontsize=11, labelcolor=INK, title="diagnosis")
