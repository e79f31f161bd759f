"""What pooling of statistics, in torch, and attention, in numpy, must agree on."""

N_REGIONS = 3
"""Regions whose weights are the last channels of the maps that such heads see: middle, air-filled lung, dense lung."""
VARIANCE_FLOOR = 1e-4
"""Added to a variance before its root is taken, which has no slope at 0."""
