"""What becomes of feature maps before the heads: means, fully connected layers, or statistics of regions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, dropout, relu

from ladnn.model.regions import N_REGIONS, VARIANCE_FLOOR

_POOLED_SIDE = 7  # of torchvision's average pooling before fully connected layers
_LEAST_WEIGHT = 1e-4  # of a cell beside the middle: a slice need not show lung
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
    """Statistics of each map in three regions, shifted and scaled to mean 0 and deviation 1 over training slices.

    A lesion is a small part of a slice: it moves a map's deviation more than its mean (pooling of both, over the frames
    of speech: Snyder, Garcia-Romero, Povey, Khudanpur, Interspeech 2017, doi:10.21437/Interspeech.2017-620, section
    2.2). The regions are those of `region_weights`.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, n_channels: int) -> None:
        """Pool so many maps; until it is fitted, their statistics stay as they are."""
        super().__init__()
        self.n_features = 2 * N_REGIONS * n_channels
        self.register_buffer("centre", torch.zeros(self.n_features))
        self.register_buffer("spread", torch.ones(self.n_features))

    def forward(self, maps: Tensor) -> Tensor:
        """Return float (B, 6 C) of maps with regions (B, C + 3, h, w), in the order of `statistics`."""
        return (statistics(maps) - self.centre) / self.spread

    @torch.no_grad()
    def fit(self, found: Tensor) -> None:
        """Take centre and spread from the `statistics` (N, 6 C) of slices, of a network in evaluation mode.

        They stay while the network learns, so that no slice's logits depend on the others of its batch.
        """
        self.centre.copy_(found.mean(dim=0))
        self.spread.copy_(found.std(dim=0, correction=0).clamp(min=_LEAST_SPREAD))


Embedding = AveragePooling | FullyConnected | StatisticsPooling
"""What makes the heads' input (B, n_features) of maps (B, channels, h, w)."""


def statistics(maps: Tensor) -> Tensor:
    """Return weighted means and standard deviations of maps that `with_regions` made, (B, C + 3, h, w).

    Returns:
        float (B, 6 C): of each region the means of all maps, then their deviations.
    """
    if maps.dtype in (torch.float16, torch.bfloat16):
        maps = maps.float()  # in which a variance next to a large mean would be lost
    values, weights = maps[:, :-N_REGIONS].flatten(2), maps[:, -N_REGIONS:].flatten(2)
    found = []
    for number in range(N_REGIONS):
        region = weights[:, number : number + 1]
        mean = (values * region).sum(dim=2, keepdim=True)
        variance = ((values - mean).square() * region).sum(dim=2)
        found += [mean.squeeze(2), (variance + VARIANCE_FLOOR).sqrt()]
    return torch.cat(found, dim=1)


def with_regions(maps: Tensor, density: Tensor) -> Tensor:
    """Lay the weights of the regions behind maps (B, C, h, w): (B, C + 3, h, w)."""
    return torch.cat([maps, region_weights(density, maps.shape[2], maps.shape[3])], dim=1)


def region_weights(density: Tensor, height: int, width: int) -> Tensor:
    """Return how much each cell of a map counts in each region.

    The mediastinum lies in the middle third of the columns, the lungs beside it: taken apart, what the one looks like
    does not blur what the others look like, and is what they are compared with. Beside the middle a cell of mean density
    t counts (1 - t)^2 as lung that holds air, and t^2 (1 - t) as lung that is nearly solid, which leaves the chest wall
    out of both. Chosen by cross-validation (DECISIONS.md).

    Args:
        density: of each pixel, 0 as lung air to 1 as soft tissue, float (B, S, S).
        height: of the maps.
        width: of the maps.

    Returns:
        float (B, 3, height, width): middle, air-filled and dense; each sums to 1.
    """
    cells = adaptive_avg_pool2d(density[:, None], (height, width))
    middle = torch.zeros(width, device=density.device)
    middle[middle_columns(width)] = 1
    beside = 1 - middle
    air, dense = (1 - cells).square(), cells.square() * (1 - cells)
    weights = [middle.expand_as(cells), beside * (air + _LEAST_WEIGHT), beside * (dense + _LEAST_WEIGHT)]
    joined = torch.cat(weights, dim=1)
    return joined / joined.sum(dim=(2, 3), keepdim=True)


def middle_columns(width: int) -> slice:
    """Return which of a map's columns have their centre in the middle third, where the mediastinum lies.

    Raises:
        ValueError: there are fewer than three columns, of which none need lie there.
    """
    if width < 3:
        raise ValueError(f"maps of {width} columns have no middle; take a larger training.size_px")
    first = math.ceil(width / 3 - 0.5)
    return slice(first, width - first)
