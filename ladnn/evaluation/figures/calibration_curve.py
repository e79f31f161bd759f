"""Calibration curve: how often an image was positive, by the probability that the model gave it."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from ladnn.errors import DatasetError
from ladnn.evaluation.cases import Cases
from ladnn.evaluation.figures.drawing import (
    MUTED,
    NEGATIVE,
    POSITIVE,
    legend_below,
    open_axes,
    open_figure,
    png,
)
from ladnn.evaluation.reliability import N_BINS, reliability

_LEGEND_CHARACTERS = 70


def calibration_curve(before: Cases, after: Cases, confidence: float, title: str, unfitted: str | None = None) -> bytes:
    """Draw observed shares with intervals before and after calibration, above the number of images by bin. PNG.

    Probabilities for which no temperature could be fitted are drawn once, and the legend says why.

    Args:
        before: with finite probabilities as the network gives them.
        after: the same cases with calibrated probabilities.
        confidence: two-sided coverage of the intervals, between 0 and 1.
        title: of the figure.
        unfitted: why the probabilities are not calibrated; None where they are.

    Raises:
        DatasetError: there is no case with a known label.
    """
    if not after.n:
        raise DatasetError("no image has a known label, so there is no calibration to draw")
    figure = open_figure(6.0, 7.8)
    curve, counts = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    open_axes(curve, "", "observed share of positives", title)
    curve.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="perfect calibration")
    n = f"n = {after.n} images of {after.n_all_patients} patients"
    bars = f"{n}; bars: {confidence:.0%} interval"
    if unfitted is None:
        _points(curve, before, confidence, MUTED, "s", "before calibration")
        _points(curve, after, confidence, NEGATIVE, "o", f"after calibration, {bars}")
    else:
        reason = fill(f"not calibrated: {unfitted}", _LEGEND_CHARACTERS)
        _points(curve, after, confidence, NEGATIVE, "o", f"{reason}\n{bars}")
    curve.set_ylim(-0.02, 1.02)
    _counts(open_axes(counts, "probability of COVID-19", "images"), after, "" if unfitted else ", calibrated")
    counts.set_xlim(-0.01, 1.01)
    legend_below(figure, curve, counts)
    return png(figure)


def _points(axes: Axes, cases: Cases, confidence: float, colour: str, marker: str, label: str) -> None:
    bins = reliability(cases, confidence)
    x = [part.mean_probability for part in bins]
    y = np.array([part.observed.value for part in bins], dtype=float)
    low, high = (np.array([getattr(part.observed, side) for part in bins], dtype=float) for side in ("low", "high"))
    axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.6)
    axes.errorbar(
        x,
        y,
        np.maximum([y - low, high - y], 0),  # rounding may leave -1e-17 at a share of 0 or 1
        color=colour,
        fmt=marker,
        markersize=5,
        elinewidth=1.2,
        capsize=2,
        label=label,
    )


def _counts(axes: Axes, cases: Cases, kind: str) -> None:
    edges = np.linspace(0, 1, N_BINS + 1)
    parts = [cases.probabilities[~cases.present], cases.probabilities[cases.present]]
    labels = [f"{name} images{kind}: {part.size}" for name, part in zip(("negative", "positive"), parts, strict=True)]
    axes.hist(parts, bins=edges.tolist(), stacked=True, color=[NEGATIVE, POSITIVE], label=labels, rwidth=0.92)
