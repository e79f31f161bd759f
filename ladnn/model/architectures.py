"""Networks of other libraries, cut where LA-DNN begins: what makes the last feature maps, and what follows them.

Each function takes a constructor and a state dict of the whole ImageNet network, or None for random weights.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from ladnn.model.weights import State

_OLD_DENSE_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class Extractor(NamedTuple):
    """The parts of an ImageNet network that LA-DNN keeps.

    Attributes:
        features: module (B, 3, S, S) float32 -> the last feature maps, after their activation, (B, C, h, w).
        embedding: fully connected layers between the maps and the heads; none where the maps are averaged.
    """

    features: nn.Module
    embedding: tuple[nn.Linear, ...] = ()


def resnet(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep a torchvision ResNet up to its global pooling."""
    network = _loaded(constructor(), state)
    kept = [(name, child) for name, child in network.named_children() if name not in {"avgpool", "fc"}]
    return Extractor(nn.Sequential(OrderedDict(kept)))


def densenet(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep a torchvision DenseNet with its final ReLU, which there is a function call."""
    if state is not None:  # the published files have names that torch no longer allows
        state = {_OLD_DENSE_NAME.sub(r"\1\2", name): tensor for name, tensor in state.items()}
    features = _child(_loaded(constructor(), state), "features")
    features.add_module("relu5", nn.ReLU(inplace=True))
    return Extractor(features)


def efficientnet(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep the convolutional part of a torchvision EfficientNet."""
    return Extractor(_child(_loaded(constructor(), state), "features"))


def vgg(constructor: Callable[[], nn.Module], state: State | None) -> Extractor:
    """Keep a torchvision VGG with both of its hidden fully connected layers."""
    network = _loaded(constructor(), state)
    *hidden, _ = (layer for layer in _child(network, "classifier").children() if isinstance(layer, nn.Linear))
    return Extractor(_child(network, "features"), tuple(hidden))


def efficientnet_lite(constructor: Callable[[], EfficientNet], state: State | None) -> Extractor:
    """Keep the convolutional part of an EfficientNet of `efficientnet_lite_pytorch`."""
    return Extractor(_LiteMaps(_loaded(constructor(), state)))


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
