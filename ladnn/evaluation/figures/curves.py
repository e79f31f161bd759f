"""ROC and precision-recall curves of several runs (paper, figure 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_curve, roc_curve

from ladnn.errors import DatasetError
from ladnn.evaluation.cases import Cases
from ladnn.evaluation.figures.drawing import MUTED, PALETTE, legend_below, open_axes, open_figure, png, unit_square
from ladnn.evaluation.seeds import spread_by_group
from ladnn.statistics import FloatArray, Interval

_WIDTH_IN = 6.8


@dataclass(frozen=True, slots=True)
class Run:
    """What one model said of the diagnosis of some images.

    Attributes:
        name: in the legend; runs of one name are the same training by several seeds.
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


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A run as it is drawn; the first of its name carries the line of the legend."""

    run: Run
    colour: str
    width: float
    label: str


def roc_curves(runs: Sequence[Run], title: str) -> bytes:
    """Draw sensitivity against 1 - specificity, one line a run; the legend states AUROC by name. PNG.

    A name of one run has its interval and n, one of several (seeds) mean, standard deviation and n.

    Raises:
        DatasetError: no run holds both classes.
    """
    drawn = _drawn(runs, "AUROC", lambda run: run.auroc)
    figure = open_figure(_WIDTH_IN, _WIDTH_IN + 0.6 + 0.2 * len({item.run.name for item in drawn}))
    axes = open_axes(figure.add_subplot(), "1 - specificity", "sensitivity", title)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="chance")
    for item in drawn:
        cases = item.run.cases
        x, y, _ = roc_curve(cases.present, cases.probabilities, drop_intermediate=False)
        _line(axes, x, y, item)
    unit_square(axes)
    legend_below(figure, axes)
    return png(figure)


def precision_recall_curves(runs: Sequence[Run], title: str) -> bytes:
    """Draw precision against sensitivity, one line a run; the legend states AUPRC by name, as in `roc_curves`. PNG.

    Raises:
        DatasetError: no run holds both classes.
    """
    drawn = _drawn(runs, "AUPRC", lambda run: run.auprc)
    figure = open_figure(_WIDTH_IN, _WIDTH_IN + 0.6 + 0.2 * len({item.run.name for item in drawn}))
    axes = open_axes(figure.add_subplot(), "sensitivity (recall)", "precision", title)
    shares = {round(item.run.cases.n_present / item.run.cases.n, 6) for item in drawn}
    for share in sorted(shares):
        axes.axhline(
            share, color=MUTED, linewidth=1, linestyle=":", label=f"chance: {share:.2f} of images are positive"
        )
    for item in drawn:
        cases = item.run.cases
        precision, recall, _ = precision_recall_curve(cases.present, cases.probabilities)
        # The last point, precision 1 at sensitivity 0, is added by convention and measured by nobody: the first measured
        # precision holds down to 0, so that the area under the line is the average precision that the legend states.
        precision[-1] = precision[-2]
        _line(axes, recall, precision, item, drawstyle="steps-post")
    unit_square(axes)
    legend_below(figure, axes)
    return png(figure)


def _drawn(runs: Sequence[Run], measure: str, area: Callable[[Run], Interval]) -> list[_Drawn]:
    drawable = [run for run in runs if 0 < run.cases.n_present < run.cases.n]
    if not drawable:
        raise DatasetError("no run has positive and negative images with a known label, so there is no curve to draw")
    groups = list(dict.fromkeys(run.colour_group for run in drawable))
    spreads = spread_by_group((run.name, area(run).value) for run in drawable)
    drawn: list[_Drawn] = []
    for run in drawable:
        n_seeds = sum(other.name == run.name for other in drawable)
        measured = str(area(run) if n_seeds == 1 else spreads[run.name])
        n = f"n = {run.cases.n} ({run.cases.n_present} positive), {run.cases.n_all_patients} patients"
        is_named = any(item.run.name == run.name for item in drawn)
        label = "_same seeds" if is_named else f"{run.name}: {measure} {measured}, {n}"
        colour = PALETTE[groups.index(run.colour_group) % len(PALETTE)]
        drawn.append(_Drawn(run, colour, 1.8 if n_seeds == 1 else 0.9, label))
    return drawn


def _line(
    axes: Axes, x: FloatArray, y: FloatArray, item: _Drawn, drawstyle: Literal["default", "steps-post"] = "default"
) -> None:
    style = "--" if item.run.is_control else "-"
    axes.plot(x, y, color=item.colour, linewidth=item.width, linestyle=style, drawstyle=drawstyle, label=item.label)
