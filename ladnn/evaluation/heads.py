"""What follows the maps that the heads of a network see, in numpy: pooling, heads, and the gradient of their logits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from ladnn.errors import BundleError
from ladnn.labels import DIAGNOSIS, LABELS
from ladnn.model.regions import N_REGIONS, VARIANCE_FLOOR

_VGG_POOL = 7
"""Side of the grid that VGG's adaptive average pooling leaves (torchvision.models.vgg)."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """A fully connected layer that a ReLU follows: weight (out, in), bias (out,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True, slots=True)
class Heads:
    """The linear heads of a network with what lies between the maps and them.

    Attributes:
        labels: label of each row of `weight`.
        weight: float32 (L, E); for statistics of maps, six of each but the last three, per unit of the statistic.
        layers: fully connected layers, first to last; empty where the maps are pooled alone.
        of_statistics: the heads see weighted means and standard deviations of the maps, whose last channels are the weights.
    """

    labels: tuple[str, ...]
    weight: Floats
    layers: tuple[Layer, ...] = ()
    of_statistics: bool = False

    @classmethod
    def read(cls, weights: bytes) -> "Heads":
        """Read the heads from a weights file (safetensors).

        Raises:
            BundleError: the bytes are no safetensors file, or one without heads.
        """
        try:
            tensors = load_tensors(weights)
            rows = [tensors["diagnosis.weight"]]
        except (SafetensorError, KeyError) as error:
            raise BundleError(f"the weights hold no diagnosis head ({error}); fetch or train them again") from error
        if "lesions.weight" in tensors:
            rows.append(tensors["lesions.weight"])
        layers: list[Layer] = []
        while f"embedding.{len(layers)}.weight" in tensors:
            name = f"embedding.{len(layers)}"
            layers.append(Layer(tensors[f"{name}.weight"], tensors[f"{name}.bias"]))
        weight = np.concatenate(rows)
        spread = tensors.get("embedding.spread")
        if spread is not None:
            weight = weight / spread
        return cls(LABELS[: len(weight)], weight, tuple(layers), spread is not None)

    def select(self, labels: Sequence[str]) -> "Heads":
        """Return the heads of these labels, in their order.

        Raises:
            BundleError: there is none for a label.
        """
        missing = [label for label in labels if label not in self.labels]
        if missing:
            raise BundleError(
                f"this model has no head for {', '.join(missing)}; ask for {', '.join(self.labels)}"
                + (", or a model of task ladnn" if self.labels == (DIAGNOSIS,) else "")
            )
        rows = [self.labels.index(label) for label in labels]
        return replace(self, labels=tuple(labels), weight=self.weight[rows])

    def non_negative(self, maps: Floats) -> Floats:
        """Return what attention weighs of a graph's maps (N, C, h, w).

        Of statistics these are the C - 3 maps before the regions' weights, and they have two signs: what is above 0, then
        what is below, (N, 2 (C - 3), h, w). Grad-CAM++ presumes maps that follow a ReLU: a place where a map is low would
        be one that it says nothing of.
        """
        if not self.of_statistics:
            return maps
        values = maps[:, :-N_REGIONS]
        return np.concatenate([np.maximum(values, 0), np.maximum(-values, 0)], axis=1)

    def gradients(self, maps: Floats) -> NDArray[np.float64]:
        """Return the derivative of each logit with respect to what is `non_negative` of a graph's maps (N, C, h, w).

        An average and a linear head have the same one everywhere, weight / (h * w): it comes as (1, L, C, 1, 1). Of
        deviations and of fully connected layers it is (N, L, C or 2 (C - 3), h, w).
        """
        height, width = maps.shape[2:]
        if self.of_statistics:
            return self._gradient_of_statistics(maps)
        if not self.layers:
            alike: NDArray[np.float64] = self.weight[None, :, :, None, None] / np.float64(height * width)
            return alike
        down, across = _pooling(height), _pooling(width)
        pooled = np.einsum("ph,nchw,qw->ncpq", down, maps, across, optimize=True)
        of_pooled = self._gradient_of_input(pooled.reshape(len(maps), -1).astype(np.float32))
        grid = of_pooled.reshape(len(maps), len(self.labels), maps.shape[1], _VGG_POOL, _VGG_POOL)
        gradients: NDArray[np.float64] = np.einsum("ph,nlcpq,qw->nlchw", down, grid, across, optimize=True)
        return gradients

    def _gradient_of_statistics(self, maps: Floats) -> NDArray[np.float64]:
        """A value of weight w moves its region's mean by w, and the deviation by its own, in deviations, times w."""
        values, regions = maps[:, :-N_REGIONS], maps[:, -N_REGIONS:].astype(np.float64)
        n_statistics = 2 * N_REGIONS * values.shape[1]
        if self.weight.shape[1] != n_statistics:
            raise BundleError(
                f"the heads weigh {self.weight.shape[1]} statistics, the maps have {n_statistics}; graph and weights "
                "do not belong together, or another version of ladnn trained them: train again"
            )
        gradient = np.zeros((len(values), len(self.labels), *values.shape[1:]))
        weights = np.split(self.weight.astype(np.float64), N_REGIONS, axis=1)
        for region, weight in zip(np.split(regions, N_REGIONS, axis=1), weights, strict=True):
            of_mean, of_deviation = np.split(weight[None, :, :, None, None], 2, axis=2)
            own = values - (values * region).sum(axis=(2, 3), keepdims=True)
            deviation = np.sqrt((np.square(own) * region).sum(axis=(2, 3), keepdims=True) + VARIANCE_FLOOR)
            gradient += region[:, None] * (of_mean + of_deviation * (own / deviation)[:, None])
        return np.concatenate([gradient, -gradient], axis=2)

    def _gradient_of_input(self, inputs: Floats) -> Floats:
        """Go through the layers and back: (N, in) -> (N, L, in)."""
        active = []
        for layer in self.layers:
            inputs = np.maximum(inputs @ layer.weight.T + layer.bias, 0)
            active.append(inputs > 0)
        gradient = np.broadcast_to(self.weight, (len(inputs), *self.weight.shape))
        for layer, passes in zip(reversed(self.layers), reversed(active), strict=True):
            gradient = (gradient * passes[:, None, :]) @ layer.weight
        result: Floats = gradient
        return result


def _pooling(size: int) -> NDArray[np.float64]:
    """Return adaptive average pooling of a side as a matrix (7, size): cells from floor(i s / 7) to ceil((i + 1) s / 7)."""
    matrix = np.zeros((_VGG_POOL, size))
    for row in range(_VGG_POOL):
        first, last = row * size // _VGG_POOL, -(-(row + 1) * size // _VGG_POOL)
        matrix[row, first:last] = 1 / (last - first)
    return matrix
