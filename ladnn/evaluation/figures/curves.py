"""ROC and precision-recall curves of several runs (paper, figure 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_curve, roc_curve

from ladnn.errors import DatasetError
from ladnn.evaluation.cases import Cases
from ladnn.evaluation.figures.drawing import MUTED, PALETTE, legend_below, open_axes, open_figure, png, unit_square
from ladnn.statistics import FloatArray, Interval

_WIDTH_IN = 6.8


@dataclass(frozen=True, slots=True)
class Run:
    """What one model said of the diagnosis of some images.

    Attributes:
        name: in the legend.
        colour_group: runs of one group, such as one backbone, have one colour.
        is_control: drawn dashed, such as a baseline.
        cases: with finite probabilities.
        auroc: of the same cases.
        auprc: of the same cases.
    """

    name: str
    colour_group: str
    is_control: bool
    cases: Cases
    auroc: Interval
    auprc: Interval


def roc_curves(runs: Sequence[Run], title: str) -> bytes:
    """Draw sensitivity against 1 - specificity, one line a run; the legend states AUROC with interval and n. PNG.

    Raises:
        DatasetError: no run holds both classes.
    """
    figure = open_figure(_WIDTH_IN, _WIDTH_IN + 0.6 + 0.2 * len(runs))
    axes = open_axes(figure.add_subplot(), "1 - specificity", "sensitivity", title)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="chance")
    for run, colour in _with_colours(runs):
        x, y, _ = roc_curve(run.cases.present, run.cases.probabilities, drop_intermediate=False)
        _line(axes, x, y, run, colour, f"AUROC {run.auroc}")
    unit_square(axes)
    legend_below(figure, axes)
    return png(figure)


def precision_recall_curves(runs: Sequence[Run], title: str) -> bytes:
    """Draw precision against sensitivity, one line a run; the legend states AUPRC with interval and n. PNG.

    Raises:
        DatasetError: no run holds both classes.
    """
    figure = open_figure(_WIDTH_IN, _WIDTH_IN + 0.6 + 0.2 * len(runs))
    axes = open_axes(figure.add_subplot(), "sensitivity (recall)", "precision", title)
    drawn = _with_colours(runs)
    shares = {round(run.cases.n_present / run.cases.n, 6) for run, _ in drawn}
    for share in sorted(shares):
        axes.axhline(
            share, color=MUTED, linewidth=1, linestyle=":", label=f"chance: {share:.2f} of images are positive"
        )
    for run, colour in drawn:
        precision, recall, _ = precision_recall_curve(run.cases.present, run.cases.probabilities)
        # The last point, precision 1 at sensitivity 0, is added by convention and measured by nobody: the first measured
        # precision holds down to 0, so that the area under the line is the average precision that the legend states.
        precision[-1] = precision[-2]
        _line(axes, recall, precision, run, colour, f"AUPRC {run.auprc}", drawstyle="steps-post")
    unit_square(axes)
    legend_below(figure, axes)
    return png(figure)


def _with_colours(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    drawable = [run for run in runs if 0 < run.cases.n_present < run.cases.n]
    if not drawable:
        raise DatasetError("no run has positive and negative images with a known label, so there is no curve to draw")
    groups = list(dict.fromkeys(run.colour_group for run in drawable))
    return [(run, PALETTE[groups.index(run.colour_group) % len(PALETTE)]) for run in drawable]


def _line(
    axes: Axes,
    x: FloatArray,
    y: FloatArray,
    run: Run,
    colour: str,
    measured: str,
    drawstyle: Literal["default", "steps-post"] = "default",
) -> None:
    n = f"n = {run.cases.n} ({run.cases.n_present} positive), {run.cases.n_all_patients} patients"
    axes.plot(
        x,
        y,
        color=colour,
        linewidth=1.8,
        linestyle="--" if run.is_control else "-",
        drawstyle=drawstyle,
        label=f"{run.name}: {measured}, {n}",
    )
