"""What becomes of feature maps before the heads: means, fully connected layers, or statistics of regions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, dropout, relu

from ladnn.model.regions import VARIANCE_FLOOR, middle_columns

_POOLED_SIDE = 7  # of torchvision's average pooling before fully connected layers
_LEAST_SPREAD = 1e-3  # of a statistic that is the same in all slices


class AveragePooling(nn.Module):
    """The mean of each map."""

    def __init__(self, n_channels: int) -> None:
        """Pool so many maps."""
        super().__init__()
        self.n_features = n_channels

    def forward(self, maps: Tensor) -> Tensor:
        """Return float (B, C) of maps (B, C, h, w)."""
        return maps.mean(dim=(2, 3))


class FullyConnected(nn.ModuleList):
    """What the fully connected layers of a VGG make of its maps."""

    def __init__(self, layers: Sequence[nn.Linear], dropout: float) -> None:
        """Take the layers, first to last, and the probability of dropping an input of each but the first in training."""
        super().__init__(layers)
        self._dropout, self.n_features = dropout, layers[-1].out_features

    def forward(self, maps: Tensor) -> Tensor:
        """Return float (B, E) of maps (B, C, h, w)."""
        first, *others = self
        values = relu(first(adaptive_avg_pool2d(maps, _POOLED_SIDE).flatten(1)))
        for layer in others:
            values = relu(layer(dropout(values, self._dropout, self.training)))
        return values


class StatisticsPooling(nn.Module):
    """Statistics of each map's middle and sides, shifted and scaled to mean 0 and deviation 1 over training slices.

    A lesion is a small part of a slice: it moves a map's deviation more than its mean (pooling of both, over the frames
    of speech: Snyder, Garcia-Romero, Povey, Khudanpur, Interspeech 2017, doi:10.21437/Interspeech.2017-620, section
    2.2). The lungs lie at the sides, the mediastinum in the middle: taken apart, what it looks like does not blur what
    the lungs look like, and is what they are compared with.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, n_channels: int) -> None:
        """Pool so many maps; until it is fitted, their statistics stay as they are."""
        super().__init__()
        self.n_features = 4 * n_channels
        self.register_buffer("centre", torch.zeros(self.n_features))
        self.register_buffer("spread", torch.ones(self.n_features))

    def forward(self, maps: Tensor) -> Tensor:
        """Return float (B, 4 C) of maps (B, C, h, w), in the order of `statistics`."""
        return (statistics(maps) - self.centre) / self.spread

    @torch.no_grad()
    def fit(self, found: Tensor) -> None:
        """Take centre and spread from the `statistics` (N, 4 C) of slices, of a network in evaluation mode.

        They stay while the network learns, so that no slice's logits depend on the others of its batch.
        """
        self.centre.copy_(found.mean(dim=0))
        self.spread.copy_(found.std(dim=0, correction=0).clamp(min=_LEAST_SPREAD))


Embedding = AveragePooling | FullyConnected | StatisticsPooling
"""What makes the heads' input (B, n_features) of maps (B, channels, h, w)."""


def statistics(maps: Tensor) -> Tensor:
    """Return means and standard deviations of maps (B, C, h, w): of their middle columns, then of those beside.

    Returns:
        float (B, 4 C): means and deviations of the middle, means and deviations of the sides.
    """
    if maps.dtype in (torch.float16, torch.bfloat16):
        maps = maps.float()  # in which a variance next to a large mean would be lost
    middle = middle_columns(maps.shape[3])
    sides = torch.cat([maps[..., : middle.start], maps[..., middle.stop :]], dim=3)
    return torch.cat([*_moments(maps[..., middle]), *_moments(sides)], dim=1)


def _moments(region: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(region, dim=(2, 3), correction=0)
    return mean, (variance + VARIANCE_FLOOR).sqrt()
