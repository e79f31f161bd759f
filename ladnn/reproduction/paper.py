"""Table 2 of the paper: what the authors measured on their test parts, in percent.

Liu, Gao, He, Liu, Yin: A fast online COVID-19 diagnostic system with chest CT scans, KDD 2020, table 2.
"""

from typing import Literal

Metric = Literal["sensitivity", "auroc", "f1", "accuracy"]
METRICS: tuple[Metric, ...] = ("sensitivity", "auroc", "f1", "accuracy")
"""In the order of the table, which calls the area under the ROC curve AUC."""
CUTS = ("D0", "D0+D1")
BACKBONES = ("vgg16", "resnet18", "resnet50", "densenet121", "densenet169", "efficientnet_b0", "efficientnet_b1")

_ROWS: dict[Metric, tuple[tuple[float, float, float, float], ...]] = {
    "sensitivity": (
        (75.5, 84.7, 85.3, 88.8),
        (71.4, 80.6, 75.5, 82.5),
        (67.3, 78.6, 82.5, 87.4),
        (77.6, 79.6, 86.0, 86.0),
        (77.6, 85.7, 85.3, 87.4),
        (68.4, 87.8, 86.7, 88.1),
        (70.4, 77.6, 76.2, 86.0),
    ),
    "auroc": (
        (81.3, 89.8, 92.7, 94.0),
        (83.0, 88.2, 93.1, 93.1),
        (87.6, 90.5, 91.6, 93.8),
        (86.0, 88.7, 92.8, 93.2),
        (88.2, 91.2, 93.1, 93.3),
        (87.7, 90.0, 92.0, 92.4),
        (84.1, 87.6, 91.6, 94.7),
    ),
    "f1": (
        (74.8, 83.0, 84.1, 87.9),
        (74.0, 79.8, 80.6, 84.6),
        (75.9, 83.2, 82.8, 86.8),
        (80.0, 81.2, 84.2, 85.4),
        (81.3, 84.8, 86.2, 86.8),
        (74.9, 83.9, 85.2, 86.6),
        (73.4, 80.0, 79.8, 87.9),
    ),
    "accuracy": (
        (75.4, 83.2, 85.1, 88.6),
        (75.9, 80.2, 83.1, 86.0),
        (79.3, 84.7, 84.1, 87.7),
        (81.3, 82.3, 85.1, 86.4),
        (82.8, 85.2, 87.3, 87.7),
        (77.8, 83.7, 86.0, 87.3),
        (75.4, 81.2, 82.1, 89.0),
    ),
}
"""By metric and backbone: baseline and LA-DNN on D0, baseline and LA-DNN on D0+D1."""


def published(metric: Metric, backbone: str, cut: str) -> tuple[float, float] | None:
    """Return baseline and LA-DNN in percent; None for a backbone or cut that the paper has not."""
    if backbone not in BACKBONES or cut not in CUTS:
        return None
    row, first = _ROWS[metric][BACKBONES.index(backbone)], 2 * CUTS.index(cut)
    return row[first], row[first + 1]
