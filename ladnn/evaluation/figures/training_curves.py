"""Training curves: how losses, validation AUROC and learning rate went, epoch by epoch."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ladnn.errors import DatasetError
from ladnn.evaluation.figures.drawing import INK, PALETTE, legend_below, open_axes, open_figure, png
from ladnn.training.result import EpochRecord

_PANELS = (
    ("diagnosis loss (nats)", "train_diagnosis_loss", "validation_diagnosis_loss"),
    ("lesion loss (nats)", "train_lesions_loss", "validation_lesions_loss"),
    ("diagnosis AUROC", "train_auroc", "validation_auroc"),
    ("learning rate", "learning_rate", None),
)
"""Title, the value drawn solid, the value drawn dashed."""


def training_curves(epochs: Mapping[str, Sequence[EpochRecord]], title: str) -> bytes:
    """Draw the epochs of variants by name, on the training part solid, on validation dashed. PNG.

    Raises:
        DatasetError: there is no epoch.
    """
    if not any(epochs.values()):
        raise DatasetError("no variant has an epoch, so there is no training curve to draw")
    figure = open_figure(9.6, 7.2 + 0.2 * len(epochs))
    grid = figure.subplots(2, 2, sharex=True)
    for axes, (name, solid, dashed) in zip(grid.flat, _PANELS, strict=True):
        open_axes(axes, "", "", name)
        for position, (variant, records) in enumerate(epochs.items()):
            colour = PALETTE[position % len(PALETTE)]
            _line(axes, records, solid, colour, "-", f"{variant}, {len(records)} epochs")
            if dashed is not None:
                _line(axes, records, dashed, colour, "--", "")
        if not axes.lines:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=INK)
    for axes in grid[1]:
        axes.set_xlabel("epoch", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.suptitle(f"{title}: solid on training, dashed on validation", color=INK, fontsize=11, x=0.02, ha="left")
    legend_below(figure, grid[0, 0], n_columns=min(2, len(epochs)))
    return png(figure)


def _line(axes: Axes, records: Sequence[EpochRecord], field: str, colour: str, style: str, label: str) -> None:
    points = [(record.epoch, value) for record in records if (value := getattr(record, field)) is not None]
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, style, color=colour, linewidth=1.6, marker=".", markersize=4, label=label or "_unnamed")
