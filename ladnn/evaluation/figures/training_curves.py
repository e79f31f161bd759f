"""Training curves: how losses, AUROC and learning rate went, epoch by epoch; a row of panels a backbone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ladnn.errors import DatasetError
from ladnn.evaluation.figures.drawing import INK, PALETTE, open_axes, open_figure, png
from ladnn.training.result import EpochRecord

_PANELS = (
    ("diagnosis loss (nats)", "train_diagnosis_loss", "validation_diagnosis_loss"),
    ("lesion loss (nats)", "train_lesions_loss", "validation_lesions_loss"),
    ("diagnosis AUROC", "train_auroc", "validation_auroc"),
    ("learning rate", "learning_rate", None),
)
"""Title, the value drawn solid, the value drawn dashed."""


@dataclass(frozen=True, slots=True)
class Training:
    """The epochs of one variant.

    Attributes:
        backbone: those of one backbone share a row of panels.
        task: those of one task share a colour; several of one backbone and task are seeds.
        epochs: from the first.
    """

    backbone: str
    task: str
    epochs: Sequence[EpochRecord]


def training_curves(trainings: Sequence[Training], title: str) -> bytes:
    """Draw the epochs of variants, on the training part solid, on validation dashed. PNG.

    One backbone has its four panels in a square, several have a row each.

    Raises:
        DatasetError: there is no epoch.
    """
    shown = [training for training in trainings if training.epochs]
    if not shown:
        raise DatasetError("no variant has an epoch, so there is no training curve to draw")
    backbones, tasks = (
        list(dict.fromkeys(names)) for names in zip(*((t.backbone, t.task) for t in shown), strict=True)
    )
    n_rows, n_columns = (2, 2) if len(backbones) == 1 else (len(backbones), len(_PANELS))
    figure = open_figure(max(9.6, 3.4 * n_columns), (3.4 if n_rows == 2 else 2.3) * n_rows + 0.9)
    grid = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False)
    for backbone, panels in zip(backbones, np.reshape(grid, (len(backbones), len(_PANELS))), strict=True):
        of_backbone = [training for training in shown if training.backbone == backbone]
        for axes, (name, solid, dashed) in zip(panels, _PANELS, strict=True):
            open_axes(axes).set_title(f"{backbone}: {name}", color=INK, fontsize=9, loc="left")
            _panel(axes, of_backbone, tasks, solid, dashed)
    for axes in grid[-1]:
        axes.set_xlabel("epoch", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    seeds = ", a line a seed" if len({(t.backbone, t.task) for t in shown}) < len(shown) else ""
    heading = f"{title}: solid on training, dashed on validation{seeds}"
    figure.suptitle(heading, color=INK, fontsize=11, x=0.02, ha="left")
    handles = [Line2D([], [], color=PALETTE[number], linewidth=1.8) for number in range(len(tasks))]
    figure.legend(handles, tasks, loc="outside lower center", ncols=len(tasks), frameon=False, labelcolor=INK)
    return png(figure)


def _panel(axes: Axes, trainings: Sequence[Training], tasks: Sequence[str], solid: str, dashed: str | None) -> None:
    for training in trainings:
        n_seeds = sum(other.task == training.task for other in trainings)
        for style, field in (("-", solid), ("--", dashed)):
            if field is not None:
                _line(
                    axes,
                    training.epochs,
                    field,
                    PALETTE[tasks.index(training.task)],
                    style,
                    1.6 if n_seeds == 1 else 0.8,
                )
    if not axes.lines:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=INK)


def _line(axes: Axes, records: Sequence[EpochRecord], field: str, colour: str, style: str, width: float) -> None:
    points = [(record.epoch, value) for record in records if (value := getattr(record, field)) is not None]
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, style, color=colour, linewidth=width, marker=".", markersize=3)
