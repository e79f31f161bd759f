"""The operating point: the probability at or above which the diagnosis is positive, chosen on validation."""

import numpy as np

from ladnn.errors import DatasetError, TrainingError
from ladnn.statistics import FloatArray


def choose_threshold(labels: FloatArray, probabilities: FloatArray, target_sensitivity: float) -> float:
    """Return the highest threshold at which sensitivity reaches its target.

    Of all thresholds with the same decisions it is the midpoint between the lowest probability called positive and
    the next lower one (or 0), so that rounding cannot flip a case.

    Args:
        labels: (N,), 1 positive, 0 negative, NaN unknown; unknown cases are skipped.
        probabilities: (N,), in [0, 1].
        target_sensitivity: in (0, 1].

    Raises:
        DatasetError: no case is positive, so that sensitivity is undefined.
        TrainingError: a probability is NaN or infinite.
    """
    positives = np.sort(probabilities[labels == 1].astype(np.float64))[::-1]
    if positives.size == 0:
        raise DatasetError(
            f"none of {labels.size} cases is known to be positive, so no threshold has a sensitivity; "
            "contribute positive cases to the validation part"
        )
    scores = np.append(probabilities[~np.isnan(labels)].astype(np.float64), 0.0)
    if not np.isfinite(scores).all():
        raise TrainingError("probabilities hold NaN or infinite values; train again with a lower learning_rate")
    # Compared as the sensitivity itself: target * size may round up past a whole number of cases.
    reached = np.arange(1, positives.size + 1) / positives.size >= target_sensitivity
    lowest = float(positives[np.argmax(reached)])
    below = scores[scores < lowest]
    if below.size == 0:
        return lowest
    neighbour = float(below.max())
    midpoint = (lowest + neighbour) / 2
    return midpoint if midpoint > neighbour else lowest  # neighbouring floats have no number between them
