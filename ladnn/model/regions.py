"""Where the statistics of a slice's maps are taken: what the network, in torch, and attention, in numpy, share."""

import math

VARIANCE_FLOOR = 1e-4
"""Added to a variance before its root is taken, which has no slope at 0."""


def middle_columns(width: int) -> slice:
    """Return which of a map's columns have their centre in the middle third, where the mediastinum lies.

    Raises:
        ValueError: there are fewer than three columns, of which none need lie there.
    """
    if width < 3:
        raise ValueError(f"maps of {width} columns have no middle; take a larger training.size_px")
    first = math.ceil(width / 3 - 0.5)
    return slice(first, width - first)
