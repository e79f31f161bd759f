"""Networks of other libraries, cut where LA-DNN begins: what makes the last feature maps, and what follows them.

Each function takes a constructor and a state dict of the whole ImageNet network, or None for random weights.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ladnn.model.weights import State

_OLD_DENSE_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class Extractor(NamedTuple):
    """The parts of an ImageNet network that LA-DNN keeps.

    Attributes:
        features: module (B, 3, S, S) float32 -> the last feature maps, after their activation, (B, C, h, w).
        embedding: fully connected layers between the maps and the heads; none where the maps are averaged.
        layers: the parts of `features` by name, first to last.
    """

    features: nn.Module
    embedding: tuple[nn.Linear, ...]
    layers: dict[str, nn.Module]

    def stages(self, names: Collection[str]) -> "Stages":
        """Return the network up to the last of some layers, whose maps it gives; the rest is left behind."""
        order = list(self.layers)
        n_kept = max(order.index(name) for name in names) + 1
        return Stages({name: self.layers[name] for name in order[:n_kept]}, names)


class Stages(nn.Module):
    """Layers of a backbone that gives the maps of several of them, laid over each other."""

    def __init__(self, layers: dict[str, nn.Module], wanted: Collection[str]) -> None:
        """Take layers, first to last, and the names of those whose maps are wanted."""
        super().__init__()
        self.layers = nn.Sequential(OrderedDict(layers))
        self._wanted = frozenset(wanted)

    def forward(self, images: Tensor) -> Tensor:
        """Return the maps of (B, 3, S, S) images, (B, C, h, w): smaller ones are brought to the size of the first.

        Each cell is repeated. Where the sizes divide, this leaves a map's mean and deviation alone; elsewhere its last
        row and column, which lie half outside of the image, count less. A region of the larger maps may then hold a
        part of a smaller map's cell.
        """
        found: list[Tensor] = []
        for name, layer in self.layers.named_children():
            images = layer(images)
            if name in self._wanted:
                found.append(images)
        size = found[0].shape[2:]
        return torch.cat([maps if maps.shape[2:] == size else interpolate(maps, size) for maps in found], dim=1)


def resnet(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep a torchvision ResNet up to its global pooling."""
    network = _loaded(constructor(), state)
    kept = OrderedDict((name, child) for name, child in network.named_children() if name not in {"avgpool", "fc"})
    return _sequence(nn.Sequential(kept))


def densenet(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep a torchvision DenseNet with its final ReLU, which there is a function call."""
    if state is not None:  # the published files have names that torch no longer allows
        state = {_OLD_DENSE_NAME.sub(r"\1\2", name): tensor for name, tensor in state.items()}
    features = _child(_loaded(constructor(), state), "features")
    features.add_module("relu5", nn.ReLU(inplace=True))
    layers: dict[str, nn.Module] = {}
    # Transitions part by part, since a block's maps are no activations yet.
    for name, child in features.named_children():
        parts = child.named_children() if name.startswith("transition") else ()
        layers |= {f"{name}_{part}": module for part, module in parts} or {name: child}
    return Extractor(features, (), layers)


def efficientnet(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep the convolutional part of a torchvision EfficientNet."""
    return _sequence(_child(_loaded(constructor(), state), "features"))


def vgg(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep a torchvision VGG with both of its hidden fully connected layers."""
    network = _loaded(constructor(), state)
    *hidden, _ = (layer for layer in _child(network, "classifier").children() if isinstance(layer, nn.Linear))
    return _sequence(_child(network, "features"), tuple(hidden))


def efficientnet_lite(constructor: Callable[[], EfficientNet], state: State | None) -> Extractor:
    """Keep the convolutional part of an EfficientNet of `efficientnet_lite_pytorch`."""
    maps = _LiteMaps(_loaded(constructor(), state))
    return Extractor(maps, (), maps.layers())


class _LiteMaps(nn.Module):
    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network
        del self.network._fc  # the classifier of the 1000 ImageNet classes
        _fold_padding(self.network)
        for module in self.network.modules():
            if isinstance(module, nn.ReLU6):
                module.inplace = True  # as torchvision's networks: batch norm's output is not needed any more

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.extract_features(images)
        return maps

    def layers(self) -> dict[str, nn.Module]:
        """Return stem, blocks, numbered from 1, and head; called by themselves, blocks never drop their path."""
        network = self.network
        blocks = {f"block{number}": block for number, block in enumerate(network._blocks, start=1)}
        stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        return {"stem": stem, **blocks, "head": nn.Sequential(network._conv_head, network._bn1, network._swish)}


def _sequence(features: nn.Module, embedding: tuple[nn.Linear, ...] = ()) -> Extractor:
    return Extractor(features, embedding, dict(features.named_children()))


def _loaded(network: nn.Module, state: State | None) -> nn.Module:
    if state is not None:
        network.load_state_dict(state)
    return network


def _child(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(name)


def _fold_padding(network: nn.Module) -> None:
    """Let convolutions pad by themselves where that is the same: a padded copy of each input costs a tenth of a step."""
    for module in network.modules():
        padding = getattr(module, "static_padding", None)
        if isinstance(module, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            module.padding = (padding.padding[0], padding.padding[0])
            module.static_padding = nn.Identity()
